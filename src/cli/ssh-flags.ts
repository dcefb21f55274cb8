/** The options that name other hosts; apart from what they need, so that they cost nothing. */

import { ExitCode, TriageError } from '../errors.ts';
import { longName, SSH, type Values } from './options.ts';

/** What is given of the options that name other hosts. */
export type SshFlags = Values<typeof SSH>;

/**
 * @param typed options of a command line that names no other host
 * @throws TriageError (usage) for one that only means something there
 */
export function refuseSshOptions(typed: SshFlags): void {
  const { sudo, connectTimeout, concurrency } = SSH;
  const option = Object.entries({ sudo, connectTimeout, concurrency }).find(
    ([name]) => name in typed,
  )?.[1];
  if (option === undefined) return;
  throw new TriageError(
    `${longName(option)} is for a host behind ssh, and none is named`,
    option === sudo
      ? 'Give --host HOST, or run salt-triage itself with sudo.'
      : `Give --host HOST, or leave ${longName(option)} out.`,
    ExitCode.usage,
  );
}

/** True where other hosts are meant than this one. */
export function namesOtherHosts(flags: SshFlags): boolean {
  return flags.host !== undefined || flags.hostsFile !== undefined || flags.roster !== undefined;
}
