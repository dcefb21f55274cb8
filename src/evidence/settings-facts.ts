/** Settings that bear on how salt-api fares under load: those that the kernel has of its processes. */

export interface SettingsFacts {
  /** Those that serve the port first. */
  readonly programs: readonly ProgramLimits[];
}

/** What one process uses, and how much it may. */
export interface ProgramLimits {
  readonly pid: number;
  readonly startTicks: number;
  /** Null where its descriptors can't be read. */
  readonly openFiles: number | null;
  /** It has more of them than were counted. */
  readonly moreOpen: boolean;
  /** Soft limit on open files; null where there is none, or it can't be read. */
  readonly mostFiles: number | null;
  /** Memory in use (`VmRSS`), bytes; null where it can't be read. */
  readonly residentBytes: number | null;
}

/** The soft limit on open files in `/proc/PID/limits` (proc_pid_limits(5)); null for none. */
export function parseOpenFilesLimit(limits: string): number | null {
  const text = /^Max open files +(\d{1,15}) /m.exec(limits)?.[1];
  return text === undefined ? null : Number(text);
}

/** `VmRSS` of `/proc/PID/status` in bytes (proc_pid_status(5)); null where there is none. */
export function parseResidentBytes(status: string): number | null {
  const text = /^VmRSS:\s+(\d{1,12}) kB$/m.exec(status)?.[1];
  return text === undefined ? null : Number(text) * 1024;
}
