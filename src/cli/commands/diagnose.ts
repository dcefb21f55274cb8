import { DECIDING } from '../../diagnosis/checks/checks.ts';
import { type DiagnosisObserver, diagnoseHost } from '../../diagnosis/diagnose.ts';
import type { Diagnosis } from '../../diagnosis/diagnosis.ts';
import { verdictExitCode } from '../../diagnosis/verdict.ts';
import { ExitCode, TriageError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { LocalHost } from '../../host/local/local-host.ts';
import { jsonDiagnosis } from '../../report/diagnosis-json.ts';
import type { Verbosity } from '../../report/diagnosis-text.ts';
import { jsonLine } from '../../report/json-line.ts';
import {
  nextCommand,
  nextIsFix,
  onHost,
  type Repeated,
  repeatedForEvidence,
} from '../../report/next-command.ts';
import { type FixOptions, fixOptionsToCome, type RepeatedLook, repeating } from '../fix-options.ts';
import { resolveLookOptions } from '../look-options.ts';
import type { COMMANDS, Flags, Values } from '../options.ts';
import { namesOtherHosts, refuseSshOptions } from '../ssh-flags.ts';

export type DiagnoseFlags = Flags<typeof COMMANDS.diagnose>;

/**
 * `salt-triage diagnose`.
 * @param typed what of `flags` is typed, and not from the environment
 * @returns the exit code
 * @throws TriageError for options, files and hosts that can't be used
 */
export async function diagnoseCommand(
  flags: DiagnoseFlags,
  typed: Values<typeof COMMANDS.diagnose>,
): Promise<ExitCode> {
  const resolved = await resolveLookOptions(flags, typed);
  const fixOptions = fixOptionsToCome(resolved.settings);
  const options = repeating(resolved, fixOptions);
  if (flags.save !== undefined) await requireSavePath(flags.save, flags.json === true);
  if (namesOtherHosts(flags)) return diagnoseOthers(flags, options);
  refuseSshOptions(typed);
  const asked = await chooseHost(flags, typed, options);
  // A look changes nothing, so there is nothing to finish; by default the code would be a signal.
  const onInterrupt = () => {
    if (process.stderr.isTTY) process.stderr.write('\n');
    process.exit(ExitCode.interrupted);
  };
  process.once('SIGINT', onInterrupt);
  const { diagnosis, exitCode } = await diagnoseAndTell(asked, options, flags);
  process.off('SIGINT', onInterrupt);
  if (flags.json || flags.quiet || flags.save === '-' || !(asked.host instanceof LocalHost))
    return exitCode;
  return (await offerFix(asked.host, diagnosis, options, fixOptions, flags)) ?? exitCode;
}

/** A host, the limits that it is judged by, and what the next command must repeat. */
type Asked = { readonly host: Host } & Pick<RepeatedLook, 'policy' | 'repeated'>;

/** Looks, judges, tells and saves. */
async function diagnoseAndTell(
  { host, policy, repeated }: Asked,
  { request }: RepeatedLook,
  flags: DiagnoseFlags,
): Promise<{ diagnosis: Diagnosis; exitCode: ExitCode }> {
  const report = await chooseReport(flags, repeated);
  const recorded = flags.json || flags.verbose || flags.save !== undefined;
  const until = recorded ? 'record' : 'verdict';
  // A verdict alone is what -q shows.
  const background = flags.quiet && !recorded ? DECIDING : request.background;
  const look = { ...request, ...(background === undefined ? {} : { background }) };
  const diagnosis = await diagnoseHost(host, look, policy, report, until);
  if (flags.save !== undefined) {
    const { saveEvidence } = await import('../evidence-files.ts');
    process.stderr.write(await saveEvidence(flags.save, diagnosis.evidence));
  }
  const exitCode = verdictExitCode(diagnosis.verdict.code, flags.strict === true);
  if (flags.json) process.stdout.write(jsonLine(jsonDiagnosis(diagnosis, repeated, exitCode)));
  return { diagnosis, exitCode };
}

/** @throws TriageError (usage), before anything is looked at, where --save can't be followed */
async function requireSavePath(path: string, json: boolean): Promise<void> {
  if (path === '-' && json) {
    throw new TriageError(
      '--json and --save - both write to standard output',
      'Save to a file: --save FILE.',
      ExitCode.usage,
    );
  }
  const { checkSavePath } = await import('../evidence-files.ts');
  if (path !== '-') await checkSavePath(path);
}

/** One host behind ssh reads as this one would; of several, each is a row. */
async function diagnoseOthers(flags: DiagnoseFlags, options: RepeatedLook): Promise<ExitCode> {
  const { resolveSshHosts } = await import('../ssh-options.ts');
  const hosts = await resolveSshHosts(flags);
  const [first, another] = hosts.connections;
  const isOne = !another && flags.hostsFile === undefined && flags.roster === undefined;
  const connection = isOne ? first : undefined;
  if (flags.from !== undefined || (flags.save !== undefined && connection === undefined)) {
    throw new TriageError(
      flags.from === undefined
        ? '--save is for one host at a time'
        : '--from judges saved evidence, --host looks at a host',
      'Leave one of them out.',
      ExitCode.usage,
    );
  }
  if (connection === undefined) {
    const { diagnoseHosts } = await import('./diagnose-hosts.ts');
    return diagnoseHosts(hosts, options, flags);
  }
  const { SshHost } = await import('../../host/ssh/ssh-host.ts');
  const { connectTimeoutMs } = hosts;
  const host = new SshHost(connection, { unit: options.unit, connectTimeoutMs });
  const repeated = onHost(options.repeated, hosts.repeated(connection.name));
  try {
    return (await diagnoseAndTell({ host, policy: options.policy, repeated }, options, flags))
      .exitCode;
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
  options: RepeatedLook,
  fixOptions: FixOptions,
  flags: DiagnoseFlags,
): Promise<ExitCode | null> {
  if (process.stdout.isTTY !== true || !nextIsFix(diagnosis, options.repeated)) return null;
  const { askYesNo, personIsThere } = await import('../ask.ts');
  if (!personIsThere()) return null;
  // Apart from the last of the causes, which it is not about.
  process.stdout.write('\n');
  if (!(await askYesNo('Start the guided fix now?', flags))) return null;
  const [{ guideFix }, { LocalActions }] = await Promise.all([
    import('./fix.ts'),
    import('../../host/local/local-actions.ts'),
  ]);
  const here = { host, actions: new LocalActions() };
  return guideFix(here, options, fixOptions, flags, diagnosis);
}

async function chooseReport(flags: DiagnoseFlags, repeated: Repeated): Promise<DiagnosisObserver> {
  if (flags.json) return {};
  const [{ screenOn }, { textReport }] = await Promise.all([
    import('../../report/screen.ts'),
    import('../../report/diagnosis-text.ts'),
  ]);
  const verbosity: Verbosity = flags.quiet ? 'quiet' : flags.verbose ? 'verbose' : 'normal';
  const recordedIn = flags.from === '-' ? 'standard input' : flags.from;
  // Of --save - standard output has the evidence alone.
  const stream = flags.save === '-' ? process.stderr : process.stdout;
  return textReport(
    screenOn(stream, flags),
    verbosity,
    (seen) => nextCommand(seen, repeated),
    recordedIn,
  );
}

async function chooseHost(
  flags: DiagnoseFlags,
  typed: Values<typeof COMMANDS.diagnose>,
  options: RepeatedLook,
): Promise<Asked> {
  const { policy, repeated } = options;
  if (flags.from === undefined) {
    return { host: new LocalHost({ unit: options.unit }), policy, repeated };
  }
  const [{ RecordedHost }, { evidenceFrom }] = await Promise.all([
    import('../../host/recorded-host.ts'),
    import('../evidence-files.ts'),
  ]);
  const evidence = await evidenceFrom(flags.from, typed);
  return {
    host: new RecordedHost(evidence),
    policy: evidence.policy,
    repeated: repeatedForEvidence(evidence, repeated),
  };
}
