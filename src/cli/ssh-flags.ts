/** The options that name other hosts; apart from what they need, so that they cost nothing. */

/** What commander hands over for the options that name other hosts. */
export interface SshFlags {
  readonly host?: readonly string[];
  readonly hostsFile?: string;
  readonly roster?: string;
  readonly concurrency?: string;
  readonly sudo?: boolean;
  readonly connectTimeout?: string;
}

/** True where the command line means other hosts than this one. */
export function namesOtherHosts(flags: SshFlags): boolean {
  return flags.host !== undefined || flags.hostsFile !== undefined || flags.roster !== undefined;
}
