/** Pure parsers of the kernel's text files under `/proc/PID`, shared by local and ssh hosts. */

/** The fields of `/proc/PID/stat` that a verdict needs (proc_pid_stat(5)). */
export interface ProcessStat {
  readonly pid: number;
  readonly comm: string;
  readonly state: string;
  readonly ppid: number;
  readonly processGroup: number;
  readonly session: number;
  /** utime + stime, clock ticks. */
  readonly cpuTicks: number;
  readonly threads: number;
  /** A thread of the kernel: it has neither argv nor fds. */
  readonly kernel: boolean;
  /** Clock ticks after boot. */
  readonly startTicks: number;
}

/** The last field that is read of some fifty. */
const LAST_FIELD = 22;

/**
 * Reads one `/proc/PID/stat` line. The name in parentheses may itself hold blanks and
 * parentheses, so the fields are counted from the last `)`.
 *
 * @returns null for text that is no such line
 */
export function parseProcessStat(text: string): ProcessStat | null {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 1 || close < open) return null;
  const pid = wholeNumber(text.slice(0, open).trim());
  const fields = text
    .slice(close + 1)
    .trimStart()
    .split(/\s+/, LAST_FIELD - 2);
  const state = fields[0] ?? '';
  const number = (field: number) => wholeNumber(fields[field - 3] ?? '');
  const [ppid, processGroup, session] = [number(4), number(5), number(6)];
  const [flags, userTicks, systemTicks, threads, startTicks] = [
    number(9),
    number(14),
    number(15),
    number(20),
    number(LAST_FIELD),
  ];
  if (!/^[A-Za-z]$/.test(state)) return null;
  if (pid === null || ppid === null || processGroup === null || session === null) return null;
  if (userTicks === null || systemTicks === null || threads === null || startTicks === null) {
    return null;
  }
  return {
    pid,
    comm: text.slice(open + 1, close),
    state,
    ppid,
    processGroup,
    session,
    cpuTicks: userTicks + systemTicks,
    threads,
    kernel: isKernelThread(flags ?? 0),
    startTicks,
  };
}

/** Of a stat line's flags, field 9 (include/linux/sched.h): a thread of the kernel. */
export const PF_KTHREAD = 0x20_0000;

/** Told by its flag; a pid proves nothing. */
function isKernelThread(flags: number): boolean {
  return Math.floor(flags / PF_KTHREAD) % 2 === 1;
}

/**
 * True for the state of what has ended: a zombie, or dead, which is `x` from Linux 2.6.33 to 3.13
 * (proc_pid_stat(5), field 3).
 */
export function isDeadState(state: string): boolean {
  return state !== '' && DEAD_STATES.includes(state);
}

/** The letters of {@link isDeadState}. */
export const DEAD_STATES = 'ZXx';

/** `USER_HZ`: 100 on every architecture that Salt runs on (include/asm-generic/param.h). */
export const TICKS_PER_SECOND = 100;

/** What was read as Latin-1, so that no byte is lost, as the text that it mostly is. */
export function utf8OfLatin1(latin1: string): string {
  // Most of it is ASCII, which is the same in both.
  if (!/[\x80-\xff]/.test(latin1)) return latin1;
  return Buffer.from(latin1, 'latin1').toString('utf8');
}

/** Splits `/proc/PID/cmdline` at its NULs; the padding that setproctitle leaves is dropped. */
export function parseCommandLine(text: string): string[] {
  // By hand: /\0*$/ takes quadratic time on the run of NULs that empty arguments make.
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0) end -= 1;
  const trimmed = text.slice(0, end);
  return trimmed === '' ? [] : trimmed.split('\0');
}

/** What `/proc/PID/environ` says of salt-api; the last of several counts, as for a shell. */
export function parseEnvironment(text: string): { readonly configDirectory: string | null } {
  const name = 'SALT_CONFIG_DIR=';
  const found = text.split('\0').findLast((variable) => variable.startsWith(name));
  return { configDirectory: found?.slice(name.length) || null };
}

/** Effective uid from `/proc/PID/status`, null where the line is missing. */
export function parseEffectiveUid(status: string): number | null {
  const match = /^Uid:\s+\d+\s+(\d+)/m.exec(status);
  return match === null ? null : wholeNumber(match[1] ?? '');
}

/**
 * The control group of `/proc/PID/cgroup`: the unified (`0::`) or systemd's own hierarchy,
 * whichever says more than `/` (cgroups(7)).
 */
export function parseControlGroup(text: string): string | null {
  const paths = text
    .split('\n')
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
    .filter((match) => match !== null)
    .filter((match) => match[1] === '' || match[1] === 'name=systemd')
    .map((match) => match[2] ?? '');
  return paths.find((path) => path !== '/' && path !== '') ?? paths[0] ?? null;
}

/** The inode in a `/proc/PID/fd/N` link such as `socket:[14]`, null for other files. */
export function parseSocketLink(target: string): number | null {
  if (!target.startsWith('socket:[') || !target.endsWith(']')) return null;
  return wholeNumber(target.slice(8, -1));
}

/** What {@link parseSocketLink} reads. */
export function socketLink(inode: number): string {
  return `socket:[${inode}]`;
}

/** `btime` of `/proc/stat` in ms since the epoch, null where absent. */
export function parseBootTime(text: string): number | null {
  const match = /^btime (\d+)$/m.exec(text);
  const seconds = match === null ? null : wholeNumber(match[1] ?? '');
  return seconds === null ? null : seconds * 1000;
}

function wholeNumber(text: string): number | null {
  if (!/^-?\d{1,19}$/.test(text)) return null;
  const value = Number(text);
  // Some fields are unsigned 64 bit (a stat line's later ones); those that we use never come near.
  return Number.isSafeInteger(value) ? value : null;
}
