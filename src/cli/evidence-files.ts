/** `--from` and `--save`: evidence comes in and goes out. */
import { inLocale } from '../characters.ts';
import { ExitCode, TriageError } from '../errors.ts';
import type { Evidence } from '../evidence/evidence.ts';
import {
  boundedEvidence,
  MAX_EVIDENCE_TEXT,
  parseEvidence,
  writeEvidence,
} from '../evidence/evidence-file.ts';
import {
  readPlainFile,
  requirePlainTarget,
  tooLarge,
  writePlainFile,
} from '../host/local/plain-file.ts';
import { errorCode } from '../host/local/proc-files.ts';
import { evidenceOfCollector } from '../host/ssh/collected-evidence.ts';
import { isCollectorOutput } from '../host/ssh/frames.ts';
import { stripControl } from '../untrusted.ts';
import { grouped } from '../words.ts';
import { type LookFlags, wholePolicy } from './look-options.ts';
import { defaultsOf, INSTANCE, LOOK, longName, OF_A_LOOK, type Option } from './options.ts';
import type { SshFlags } from './ssh-flags.ts';

/**
 * The evidence that `--from` names, as `--save` wrote it or as the script of `probe` printed it.
 * @param path `-` is standard input
 * @param typed the command line alone: the environment and the settings are of this machine, and
 *   the evidence is to be judged the same on every one
 * @throws TriageError `usage` for what can't be read, is no evidence, or does not go with the
 *   other options; `unknown` for evidence that is damaged or too large
 */
export async function evidenceFrom(
  path: string,
  typed: Partial<LookFlags> & SshFlags,
): Promise<Evidence> {
  refuse(typed, OF_A_LOOK, 'what was looked at is over');
  const input = await readInput(path);
  if (isCollectorOutput(input)) {
    const { port, saltConfigDir: configDirectory, log } = typed;
    const request = { port, configDirectory, log };
    const policy = wholePolicy(typed, defaultsOf(LOOK));
    return boundedEvidence(await evidenceOfCollector(input, request, policy));
  }
  refuse(typed, INSTANCE, 'the evidence is of what it says itself');
  const evidence = parseNamed(path, input.toString('utf8'));
  // Limits that are named judge anew.
  return { ...evidence, policy: wholePolicy(typed, evidence.policy) };
}

/** A refusal says of which file it is: more than one may lie about. */
function parseNamed(path: string, text: string): Evidence {
  try {
    return parseEvidence(text);
  } catch (error) {
    if (!(error instanceof TriageError)) throw error;
    const { message, advice, exitCode } = error;
    throw new TriageError(`${nameOf(path)}: ${message}`, advice, exitCode, { cause: error });
  }
}

function nameOf(path: string): string {
  return path === '-' ? 'standard input' : path;
}

function refuse(
  flags: Readonly<Record<string, unknown>>,
  meaningless: Readonly<Record<string, Option>>,
  why: string,
): void {
  const option = Object.entries(meaningless).find(([name]) => flags[name] !== undefined)?.[1];
  if (option === undefined) return;
  throw new TriageError(
    `${longName(option)} means nothing to --from: ${why}`,
    `Leave ${longName(option)} out, or look at the host again with it.`,
    ExitCode.usage,
  );
}

async function readInput(path: string): Promise<Buffer> {
  try {
    return await (path === '-' ? readStandardInput() : readPlainFile(path, MAX_EVIDENCE_TEXT));
  } catch (error) {
    const { message } = error as Error;
    throw new TriageError(
      `can't read the evidence ${nameOf(path)}: ${message}`,
      'Give a file that `diagnose --save FILE` or `probe` wrote, or - for standard input.',
      message === tooLarge(MAX_EVIDENCE_TEXT) ? ExitCode.unknown : ExitCode.usage,
      { cause: error },
    );
  }
}

async function readStandardInput(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  // What still comes when the loop is left is not waited for: that destroys the stream.
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > MAX_EVIDENCE_TEXT) throw new Error(tooLarge(MAX_EVIDENCE_TEXT));
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/**
 * Writes evidence to the file of `--save`; `-` is standard output.
 * @returns the line that says so, empty for standard output
 * @throws TriageError (usage) where that can't be done
 */
export async function saveEvidence(path: string, evidence: Evidence): Promise<string> {
  const text = writeEvidence(evidence);
  if (path === '-') {
    process.stdout.write(text);
    return '';
  }
  try {
    await writePlainFile(path, text);
  } catch (error) {
    throw notSaved(path, error);
  }
  const kilobytes = Math.ceil(Buffer.byteLength(text) / 1000);
  return inLocale(`salt-triage: saved to ${stripControl(path)} (${grouped(kilobytes)} kB)\n`);
}

/** @throws TriageError (usage) where a file of that name could not be written as it stands */
export async function checkSavePath(path: string): Promise<void> {
  try {
    await requirePlainTarget(path);
  } catch (error) {
    throw notSaved(path, error);
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such directory',
  EACCES: 'permission denied',
};

function notSaved(path: string, cause: unknown): TriageError {
  return new TriageError(
    `can't save the evidence to ${path}: ${WHY[errorCode(cause)] ?? (cause as Error).message}`,
    'Name a new file in a directory that you may write to.',
    ExitCode.usage,
    { cause },
  );
}
