/** `--from` and `--save`: evidence comes in and goes out. */
import { ExitCode, TriageError } from '../errors.ts';
import type { Evidence } from '../evidence/evidence.ts';
import {
  boundedEvidence,
  MAX_EVIDENCE_TEXT,
  parseEvidence,
  writeEvidence,
} from '../evidence/evidence-file.ts';
import { readPlainFile, tooLarge, writePlainFile } from '../host/local/plain-file.ts';
import { evidenceOfCollector } from '../host/ssh/collected-evidence.ts';
import { isCollectorOutput } from '../host/ssh/frames.ts';
import { type LookFlags, type LookOptions, thresholds } from './look-options.ts';

/**
 * The evidence that `--from` names, as `--save` wrote it or as the script of `probe` printed it.
 * @param path `-` is standard input
 * @throws TriageError `usage` for what can't be read, is no evidence, or does not go with the
 *   other options; `unknown` for evidence that is damaged or too large
 */
export async function evidenceFrom(
  path: string,
  flags: LookFlags,
  options: LookOptions,
): Promise<Evidence> {
  refuse(flags, ['since', 'probeTimeout', 'timeout', 'unit'], 'what was looked at is over');
  const input = path === '-' ? await readStandardInput() : await readFile(path);
  if (isCollectorOutput(input)) {
    return boundedEvidence(await evidenceOfCollector(input, options.request, options.policy));
  }
  refuse(flags, ['port', 'saltConfigDir', 'log'], 'the evidence is of what it says itself');
  const evidence = parseEvidence(input.toString('utf8'));
  // Limits that are named judge anew; the settings of this machine are not those of that host.
  return { ...evidence, policy: thresholds(flags, {}, evidence.policy) };
}

const OPTIONS = {
  port: '--port',
  saltConfigDir: '-c',
  log: '--log',
  since: '--since',
  probeTimeout: '--probe-timeout',
  timeout: '--timeout',
  unit: '--unit',
} as const;

function refuse(flags: LookFlags, names: readonly (keyof typeof OPTIONS)[], why: string): void {
  const name = names.find((one) => flags[one] !== undefined);
  if (name === undefined) return;
  throw new TriageError(
    `${OPTIONS[name]} means nothing to --from: ${why}`,
    `Leave ${OPTIONS[name]} out, or look at the host again with it.`,
    ExitCode.usage,
  );
}

async function readFile(path: string): Promise<Buffer> {
  try {
    return await readPlainFile(path, MAX_EVIDENCE_TEXT);
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function readStandardInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of process.stdin) {
      const bytes = Buffer.from(chunk);
      length += bytes.length;
      if (length > MAX_EVIDENCE_TEXT) throw new Error(tooLarge(MAX_EVIDENCE_TEXT));
      chunks.push(bytes);
    }
  } catch (error) {
    // What still comes is not waited for.
    process.stdin.destroy();
    throw unreadable('standard input', error);
  }
  return Buffer.concat(chunks);
}

function unreadable(what: string, error: unknown): TriageError {
  const { message } = error as Error;
  return new TriageError(
    `can't read the evidence ${what}: ${message}`,
    'Give a file that `diagnose --save FILE` or `probe` wrote, or - for standard input.',
    message === tooLarge(MAX_EVIDENCE_TEXT) ? ExitCode.unknown : ExitCode.usage,
    { cause: error },
  );
}

/**
 * Writes evidence to the file of `--save`.
 * @throws TriageError (usage) where that can't be done
 */
export async function saveEvidence(path: string, evidence: Evidence): Promise<void> {
  try {
    await writePlainFile(path, writeEvidence(evidence));
  } catch (error) {
    throw new TriageError(
      `can't save the evidence to ${path}: ${(error as Error).message}`,
      'Name a new file in a directory that you may write to.',
      ExitCode.usage,
      { cause: error },
    );
  }
}
