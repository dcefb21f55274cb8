import { ExitCode, TriageError } from '../../errors.ts';
import { commandLine } from '../../shell-words.ts';
import { personIsThere } from '../ask.ts';
import { type FixFlags, type FixOptions, resolveFixOptions } from '../fix-options.ts';
import { type LookFlags, type LookOptions, resolveLookOptions } from '../look-options.ts';
import { namesOtherHosts, refuseLoneSudo, type SshFlags } from '../ssh-flags.ts';
import { fixHost } from './fix-host.ts';

/**
 * `salt-triage fix`.
 * @returns the exit code
 * @throws TriageError for options that can't be used, a missing `--yes`, a fix that runs already
 */
export async function fixCommand(flags: LookFlags & FixFlags & SshFlags): Promise<ExitCode> {
  const look = await resolveLookOptions(flags);
  const options = resolveFixOptions(flags, look.settings);
  requireProbe(look);
  requireConsent(flags, options);
  if (namesOtherHosts(flags)) {
    const { fixRemoteHost } = await import('./fix-remote.ts');
    return fixRemoteHost(look, options, flags);
  }
  refuseLoneSudo(flags);
  const { LocalHost } = await import('../../host/local/local-host.ts');
  const { LocalActions } = await import('../../host/local/local-actions.ts');
  const local = { host: new LocalHost({ unit: look.unit }), actions: new LocalActions() };
  return fixHost(local, look, options, flags);
}

/** @throws TriageError (usage) for a fix that could not tell whether the API serves again */
function requireProbe({ request }: LookOptions): void {
  if (request.probeTimeoutMs !== null) return;
  throw new TriageError(
    'fix asks the API with GET / whether it serves again, and --no-probe forbids that',
    'Leave --no-probe out, and `probe: false` out of the settings.',
    ExitCode.usage,
  );
}

/**
 * Without a terminal there is nobody to ask, and a `y` from a pipe is nobody's consent.
 * @throws TriageError (declined), with the command that would do it
 */
function requireConsent(flags: LookFlags & FixFlags, options: FixOptions): void {
  if (options.yes || options.dryRun || personIsThere()) return;
  throw new TriageError(
    'fix changes the host and there is no terminal to ask on; nothing was done',
    `In a runbook: ${commandLine(['salt-triage', ...process.argv.slice(2), '--yes'])}${flags.json ? '' : '   (--dry-run shows the plan)'}`,
    ExitCode.declined,
  );
}
