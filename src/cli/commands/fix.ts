import type { Diagnosis } from '../../diagnosis/diagnosis.ts';
import { ExitCode, TriageError } from '../../errors.ts';
import { type FixObserver, type FixOperator, fix } from '../../fix/fix.ts';
import type { FixTarget } from '../../fix/fix-run.ts';
import { fixExitCode } from '../../fix/result.ts';
import type { HostActions } from '../../host/host.ts';
import type { PlanStep } from '../../plan/plan.ts';
import { writeError } from '../../report/error-text.ts';
import { jsonFix } from '../../report/fix-json.ts';
import { fixReport, refusalWords } from '../../report/fix-text.ts';
import { jsonLine } from '../../report/json-line.ts';
import { type ScreenOptions, screenOn } from '../../report/screen.ts';
import { commandLine } from '../../shell-words.ts';
import { agreed, personAtTerminal, personIsThere } from '../ask.ts';
import {
  type FixFlags,
  type FixOptions,
  type RepeatedLook,
  repeatedFixFlags,
  repeating,
  resolveFixOptions,
} from '../fix-options.ts';
import { listenForInterrupts } from '../interrupts.ts';
import { type LookFlags, type LookOptions, resolveLookOptions } from '../look-options.ts';
import type { COMMANDS, Values } from '../options.ts';
import { namesOtherHosts, refuseSshOptions, type SshFlags } from '../ssh-flags.ts';

type Flags = LookFlags & FixFlags & SshFlags;

/**
 * `salt-triage fix`: questions and trail here, actions here or behind ssh.
 * @param typed what of `flags` is typed, and not from the environment
 * @returns the exit code
 * @throws TriageError for options that can't be used, a missing `--yes`, a fix that runs already
 */
export async function fixCommand(
  flags: Flags,
  typed: Values<typeof COMMANDS.fix>,
): Promise<ExitCode> {
  const look = await resolveLookOptions(flags, typed);
  const options = resolveFixOptions(flags, look.settings);
  requireProbe(look);
  if (namesOtherHosts(flags)) return fixBehindSsh(look, options, flags, typed);
  refuseSshOptions(typed);
  requireConsent(options, look);
  const { LocalHost } = await import('../../host/local/local-host.ts');
  const { LocalActions } = await import('../../host/local/local-actions.ts');
  const here = { host: new LocalHost({ unit: look.unit }), actions: new LocalActions() };
  return guideFix(here, repeatingFix(look, options), options, flags);
}

/** A look of this very fix, of which a further one repeats every option. */
function repeatingFix(look: LookOptions, options: FixOptions): RepeatedLook {
  const words = [...repeatedFixFlags(process.argv.slice(3)), ...look.untyped];
  return repeating(look, options, words);
}

/** @throws TriageError (usage) for several hosts, before any of them is talked to */
async function fixBehindSsh(
  look: LookOptions,
  options: FixOptions,
  flags: Flags,
  typed: SshFlags,
): Promise<ExitCode> {
  const { resolveSshHosts } = await import('../ssh-options.ts');
  // Whoever waits for a recovery waits as long for a connection that was lost meanwhile.
  const { connections, connectTimeoutMs, repeated } = await resolveSshHosts(flags, options.waitMs);
  const [connection, another] = connections;
  if (connection === undefined || another !== undefined) {
    throw new TriageError(
      'fix works on one host at a time, and several are named',
      'Name one with --host. For a fleet, see `salt-triage help ansible`.',
      ExitCode.usage,
    );
  }
  const { SshHost } = await import('../../host/ssh/ssh-host.ts');
  const { SshActions } = await import('../../host/ssh/ssh-actions.ts');
  const { name: sshName } = connection;
  const host = new SshHost(connection, { unit: look.unit, connectTimeoutMs });
  const there = { host, actions: new SshActions(connection), sshName };
  const meant = repeated(sshName);
  const untyped = [...(typed.host === undefined ? meant : []), ...look.untyped];
  const named = { ...look, untyped, sameSaltApi: [...meant, ...look.sameSaltApi] };
  try {
    requireConsent(options, look);
    return await guideFix(there, repeatingFix(named, options), options, flags);
  } finally {
    await connection.close();
  }
}

/** How a fix talks to whoever runs it. */
interface FixTalk extends ScreenOptions {
  readonly json?: boolean;
}

/**
 * A fix with a person or `--yes` behind it, told in text or JSON.
 * @param already a diagnosis that was just made and shown
 * @returns the exit code
 */
export async function guideFix(
  there: FixTarget,
  look: RepeatedLook,
  options: FixOptions,
  talk: FixTalk,
  already?: Diagnosis,
): Promise<ExitCode> {
  const operator: FixOperator = {
    observer: observerOf(there, look, options, talk),
    asRoot: there.sshName === undefined ? `sudo ${again(look)}` : `${again(look)} --sudo`,
    attend(before) {
      const interrupts = listenForInterrupts({ survivesHangUp: options.yes });
      const details = (step: PlanStep) => detailsOf(step, before, there.actions);
      return {
        consent: options.yes ? agreed : personAtTerminal(details, interrupts.signal, talk),
        interrupted: () => interrupts.interrupted,
        leave: () => interrupts.stop(),
      };
    },
  };
  return fixExitCode(await fix(there, look, options, operator, already));
}

/** This very command, as it means the same in another environment. */
function again({ untyped }: Pick<LookOptions, 'untyped'>): string {
  return [commandLine(['salt-triage', ...process.argv.slice(2)]), ...untyped].join(' ');
}

/** In JSON the document has standard output to itself, and text is for a person who is asked. */
function observerOf(
  { sshName }: FixTarget,
  { repeated }: RepeatedLook,
  { yes }: FixOptions,
  talk: FixTalk,
): FixObserver {
  const { json } = talk;
  const screen = screenOn(json ? process.stderr : process.stdout, talk);
  const text = json && !personIsThere() ? {} : fixReport(screen, { brief: yes, repeated });
  return {
    ...text,
    end(result) {
      text.end?.(result);
      if (result.kind === 'refused') {
        writeError(refusalWords(result, repeated, sshName));
      }
      if (!json) return;
      const target = sshName === undefined ? {} : { target: sshName };
      process.stdout.write(jsonLine({ ...target, ...jsonFix(result, repeated) }));
    },
  };
}

async function detailsOf(
  step: PlanStep,
  before: Diagnosis,
  actions: HostActions,
): Promise<string[]> {
  const { stepDetails } = await import('../../report/step-details.ts');
  const record =
    step.kind === 'kill' ? await actions.recordProcess(step.target.identity.pid) : new Map();
  return stepDetails(step, before, record);
}

/** @throws TriageError (usage) for a fix that could not tell whether the API serves again */
function requireProbe({ request }: LookOptions): void {
  if (request.probeTimeoutMs !== null) return;
  throw new TriageError(
    'fix asks the API with GET / whether it serves again; --no-probe forbids that',
    'Leave out --no-probe, SALT_TRIAGE_PROBE, and `probe: false` of the settings.',
    ExitCode.usage,
  );
}

/**
 * Without a terminal there is nobody to ask, and a `y` from a pipe is nobody's consent.
 * @throws TriageError (declined), with the command that would do it
 */
function requireConsent(options: FixOptions, look: LookOptions): void {
  if (options.yes || options.dryRun || personIsThere()) return;
  throw new TriageError(
    'fix asks before each step, and there is no terminal to ask on; nothing was changed',
    '--yes asks nothing and keeps every guard on; --dry-run in its place shows the plan.',
    ExitCode.declined,
    { command: `${again(look)} --yes` },
  );
}
