import { ExitCode, TriageError } from '../../errors.ts';
import { SshActions } from '../../host/ssh/ssh-actions.ts';
import { SshHost } from '../../host/ssh/ssh-host.ts';
import type { FixFlags, FixOptions } from '../fix-options.ts';
import type { LookFlags, LookOptions } from '../look-options.ts';
import type { SshFlags } from '../ssh-flags.ts';
import { resolveSshHosts } from '../ssh-options.ts';
import { fixHost } from './fix-host.ts';

/**
 * `salt-triage fix --host`: questions and trail here, actions there.
 *
 * @returns the exit code
 * @throws TriageError (usage) for several hosts
 */
export async function fixRemoteHost(
  look: LookOptions,
  options: FixOptions,
  flags: LookFlags & FixFlags & SshFlags,
): Promise<ExitCode> {
  // Whoever waits for a recovery waits as long for a connection that was lost meanwhile.
  const hosts = await resolveSshHosts(flags, options.waitMs);
  const { connectTimeoutMs, repeated } = hosts;
  const [connection, another] = hosts.connections;
  if (connection === undefined || another !== undefined) {
    throw new TriageError(
      'fix works on one host at a time; several are named',
      'Name one --host. For a fleet, run the playbook of the README with Ansible.',
      ExitCode.usage,
    );
  }
  const { name } = connection;
  const there = {
    host: new SshHost(connection, { unit: look.unit, connectTimeoutMs }),
    actions: new SshActions(connection),
    elsewhere: name,
  };
  const named = { ...look, repeated: [...repeated(name), ...look.repeated] };
  try {
    return await fixHost(there, named, options, flags);
  } finally {
    await connection.close();
  }
}
