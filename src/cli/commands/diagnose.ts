import { open } from 'node:fs/promises';
import { type DiagnosisObserver, diagnoseHost } from '../../diagnosis/diagnose.ts';
import type { Diagnosis } from '../../diagnosis/diagnosis.ts';
import { isMendable, verdictExitCode } from '../../diagnosis/verdict.ts';
import { ExitCode, TriageError } from '../../errors.ts';
import type { Policy } from '../../evidence/evidence.ts';
import type { Host } from '../../host/host.ts';
import { LocalHost } from '../../host/local/local-host.ts';
import { jsonDiagnosis } from '../../report/diagnosis-json.ts';
import { textReport, type Verbosity } from '../../report/diagnosis-text.ts';
import { screenOn } from '../../report/screen.ts';
import { type LookFlags, type LookOptions, resolveLookOptions } from '../look-options.ts';
import { namesOtherHosts, refuseLoneSudo, type SshFlags } from '../ssh-flags.ts';

export interface DiagnoseFlags extends LookFlags, SshFlags {
  readonly json?: boolean;
  readonly save?: string;
  readonly from?: string;
  readonly strict?: boolean;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
}

/**
 * `salt-triage diagnose`.
 * @returns the exit code
 * @throws TriageError for options, files and hosts that can't be used
 */
export async function diagnoseCommand(flags: DiagnoseFlags): Promise<ExitCode> {
  const options = await resolveLookOptions(flags);
  if (namesOtherHosts(flags)) return diagnoseOthers(flags, options);
  refuseLoneSudo(flags);
  const { host, policy } = await chooseHost(flags, options);
  // A look changes nothing, so there is nothing to finish; by default the code would be a signal.
  const onInterrupt = () => {
    if (process.stderr.isTTY) process.stderr.write('\n');
    process.exit(ExitCode.interrupted);
  };
  process.once('SIGINT', onInterrupt);
  const diagnosis = await diagnoseHost(
    host,
    options.request,
    policy,
    chooseReport(flags, options.repeated),
  );
  process.off('SIGINT', onInterrupt);
  if (flags.save !== undefined) await save(flags.save, diagnosis);
  const exitCode = verdictExitCode(diagnosis.verdict.code, flags.strict === true);
  if (flags.json)
    process.stdout.write(
      `${JSON.stringify(jsonDiagnosis(diagnosis, options.repeated, exitCode))}\n`,
    );
  else if (host instanceof LocalHost && !flags.quiet) {
    return (await offerFix(host, diagnosis, options, flags)) ?? exitCode;
  }
  return exitCode;
}

/** One host behind ssh reads as this one would; of several, each is a row. */
async function diagnoseOthers(flags: DiagnoseFlags, options: LookOptions): Promise<ExitCode> {
  const { resolveSshHosts } = await import('../ssh-options.ts');
  const hosts = await resolveSshHosts(flags);
  const [connection, another] = hosts.connections;
  const single = flags.hostsFile === undefined && flags.roster === undefined;
  if (flags.from !== undefined || (flags.save !== undefined && !(single && !another))) {
    throw new TriageError(
      flags.from === undefined
        ? '--save is for one host at a time'
        : '--from and --host are two things',
      'Leave one of them out.',
      ExitCode.usage,
    );
  }
  if (!single || another !== undefined || connection === undefined) {
    const { diagnoseHosts } = await import('./diagnose-hosts.ts');
    return diagnoseHosts(hosts, options, flags);
  }
  const { SshHost } = await import('../../host/ssh/ssh-host.ts');
  const { connectTimeoutMs } = hosts;
  const host = new SshHost(connection, { unit: options.unit, connectTimeoutMs });
  const repeated = [...hosts.repeated(connection.name), ...options.repeated];
  try {
    const report = chooseReport(flags, repeated);
    const diagnosis = await diagnoseHost(host, options.request, options.policy, report);
    if (flags.save !== undefined) await save(flags.save, diagnosis);
    const exitCode = verdictExitCode(diagnosis.verdict.code, flags.strict === true);
    if (flags.json)
      process.stdout.write(`${JSON.stringify(jsonDiagnosis(diagnosis, repeated, exitCode))}\n`);
    return exitCode;
  } finally {
    await connection.close();
  }
}

/**
 * Offers the guided fix to a person at a terminal, No by default.
 * @returns the fix's exit code, or null where it was not offered or not wanted
 */
async function offerFix(
  host: LocalHost,
  diagnosis: Diagnosis,
  options: LookOptions,
  flags: DiagnoseFlags,
): Promise<ExitCode | null> {
  if (!isMendable(diagnosis.verdict.code) || process.stdout.isTTY !== true) return null;
  const { askYesNo, personIsThere } = await import('../ask.ts');
  if (!personIsThere() || !(await askYesNo('Start the guided fix now?'))) return null;
  const [{ fixHost }, { LocalActions }, { resolveFixOptions }] = await Promise.all([
    import('./fix.ts'),
    import('../../host/local/local-actions.ts'),
    import('../fix-options.ts'),
  ]);
  const here = { host, actions: new LocalActions() };
  return fixHost(here, options, resolveFixOptions({}, options.settings), flags, diagnosis);
}

function chooseReport(flags: DiagnoseFlags, repeated: readonly string[]): DiagnosisObserver {
  if (flags.json) return {};
  const verbosity: Verbosity = flags.quiet ? 'quiet' : flags.verbose ? 'verbose' : 'normal';
  const recordedIn = flags.from === '-' ? 'standard input' : flags.from;
  return textReport(screenOn(process.stdout, flags.color), verbosity, repeated, recordedIn);
}

async function chooseHost(
  flags: DiagnoseFlags,
  options: LookOptions,
): Promise<{ host: Host; policy: Policy }> {
  if (flags.from === undefined) {
    return { host: new LocalHost({ unit: options.unit }), policy: options.policy };
  }
  const [{ RecordedHost }, { parseEvidence }] = await Promise.all([
    import('../../host/recorded-host.ts'),
    import('../../evidence/evidence-file.ts'),
  ]);
  const input = await readInput(flags.from);
  const { evidenceOfProbe, isProbeOutput } = await import('../../host/ssh/evidence-frames.ts');
  const evidence = isProbeOutput(input)
    ? await evidenceOfProbe(input, options.request, options.policy)
    : parseEvidence(input.toString('utf8'));
  return { host: new RecordedHost(evidence), policy: evidence.policy };
}

async function readInput(path: string): Promise<Buffer> {
  const { readFile } = await import('node:fs/promises');
  try {
    if (path !== '-') return await readFile(path);
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks);
  } catch (error) {
    throw new TriageError(
      `can't read the evidence ${path}: ${(error as Error).message}`,
      'Give a file that `diagnose --save FILE` or `probe` wrote, or - for standard input.',
      ExitCode.usage,
      { cause: error },
    );
  }
}

async function save(path: string, { evidence }: Diagnosis): Promise<void> {
  const { writeEvidence } = await import('../../evidence/evidence-file.ts');
  try {
    const file = await open(path, 'w', 0o600);
    try {
      // The mode above is for a new file; one that was there keeps its own.
      if ((await file.stat()).isFile()) await file.chmod(0o600);
      await file.writeFile(writeEvidence(evidence));
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new TriageError(
      `can't save the evidence to ${path}: ${(error as Error).message}`,
      'Name a file in a directory that you may write to.',
      ExitCode.usage,
      { cause: error },
    );
  }
}
