import { ExitCode, TriageError } from '../../errors.ts';
import { SshActions } from '../../host/ssh/ssh-actions.ts';
import { SshHost } from '../../host/ssh/ssh-host.ts';
import { stripControl } from '../../output/untrusted.ts';
import type { FixFlags, FixOptions } from '../fix-options.ts';
import { type LookFlags, type LookOptions, wholeOption } from '../look-options.ts';
import type { SshFlags } from '../ssh-flags.ts';
import { resolveSshHosts } from '../ssh-options.ts';
import { fixHost } from './fix.ts';

/**
 * `salt-triage fix --host`: questions and trail here, actions there. Several hosts are mended one
 * after the other, and no further once `--max-failures` of them could not be.
 *
 * @returns the exit code of the one host; of several the first that is not 0
 * @throws TriageError (declined) for several hosts without `--yes`
 */
export async function fixOtherHosts(
  look: LookOptions,
  options: FixOptions,
  flags: LookFlags & FixFlags & SshFlags,
): Promise<ExitCode> {
  const hosts = await resolveSshHosts(flags);
  const several = hosts.connections.length > 1;
  if (several && !options.yes && !options.dryRun) {
    throw new TriageError(
      'fix asks about one host at a time; several are named',
      'Name one host, or agree to all of it with --yes.',
      ExitCode.declined,
    );
  }
  const mostFailures = wholeOption(flags.maxFailures, '--max-failures', 1, 10_000) ?? 1;
  let failures = 0;
  let worst: ExitCode = ExitCode.ok;
  for (const connection of hosts.connections) {
    if (failures >= mostFailures) {
      process.stderr.write(`salt-triage: ${stripControl(connection.name)}: not begun\n`);
      continue;
    }
    const there = {
      host: new SshHost(connection, {
        unit: look.unit,
        connectTimeoutMs: hosts.connectTimeoutMs,
      }),
      actions: new SshActions(connection),
    };
    const repeated = [...hosts.repeated(connection.name), ...look.repeated];
    let exitCode: ExitCode;
    try {
      exitCode = await fixHost(
        there,
        { ...look, repeated },
        options,
        flags,
        undefined,
        connection.name,
      );
    } catch (error) {
      if (!several || !(error instanceof TriageError)) throw error;
      process.stderr.write(`salt-triage: ${error.message}\n  ${error.advice}\n`);
      exitCode = error.exitCode;
    } finally {
      await connection.close();
    }
    if (exitCode === ExitCode.interrupted) return exitCode;
    if (exitCode !== ExitCode.ok) {
      failures += 1;
      if (worst === ExitCode.ok) worst = exitCode;
    }
  }
  return worst;
}
