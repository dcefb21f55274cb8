/** The options that name other hosts; apart from what they need, so that they cost nothing. */

import { ExitCode, TriageError } from '../errors.ts';
import type { SSH, Values } from './options.ts';

/** What the command line gives of the options that name other hosts. */
export type SshFlags = Values<typeof SSH>;

/** @throws TriageError (usage) for `--sudo` where there is no host to use it on */
export function refuseLoneSudo({ sudo }: SshFlags): void {
  if (sudo !== true) return;
  throw new TriageError(
    '--sudo is for a host behind ssh, and none is named',
    'Give --host HOST, or run salt-triage itself with sudo.',
    ExitCode.usage,
  );
}

/** True where the command line means other hosts than this one. */
export function namesOtherHosts(flags: SshFlags): boolean {
  return flags.host !== undefined || flags.hostsFile !== undefined || flags.roster !== undefined;
}
