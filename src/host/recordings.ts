/** What is kept of a host and its processes before anything is killed, alike for every host. */
import { redactArgv, redactSecrets, stripControl } from '../untrusted.ts';

/** The files of `/proc/PID` that are kept as they are; `environ` is not among them: it has secrets. */
export const PROCESS_FILES = [
  'status',
  'stat',
  'wchan',
  'stack',
  'syscall',
  'limits',
  'cgroup',
] as const;

/** Name of the process table in a trail. */
export const PROCESS_TABLE = 'processes.tsv';

/** One process of the table; null for what could not be told. */
export interface TableRow {
  readonly pid: number;
  readonly ppid: number | null;
  readonly uid: number | null;
  readonly cpuPercent: number | null;
  readonly memoryPercent: number | null;
  /** Epoch milliseconds of the host's clock. */
  readonly startedAt: number | null;
  readonly command: string;
}

/** The process table as text: one line a process, without secrets and control characters. */
export function processTable(rows: readonly TableRow[]): string {
  const lines = rows.map((row) => {
    const started = isoOrNull(row.startedAt);
    const command = redactArgv([redactSecrets(stripControl(row.command))]).join(' ');
    const { pid, ppid, uid, cpuPercent, memoryPercent } = row;
    const fields = [pid, ppid, uid, cpuPercent, memoryPercent, started, command];
    return `${fields.map((field) => field ?? '?').join('\t')}\n`;
  });
  return `pid\tppid\tuid\t%cpu\t%mem\tstarted\tcommand\n${lines.join('')}`;
}

/** Null also for what is no date: ps(1) tells of a process that has just come what it will. */
function isoOrNull(at: number | null): string | null {
  const date = new Date(at ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

/**
 * A row of `ps -o pid,ppid,uid,pcpu,pmem,etime,args` (ps(1p)), or of `pid,ppid,args`, which is what
 * busybox knows of that.
 *
 * @param now the host's clock, epoch milliseconds
 * @returns null for other lines, such as a header
 */
export function parsePsRow(line: string, now: number): TableRow | null {
  const [, pid = '', ppid = '', uid, cpu, memory, elapsed, long, short] =
    /^\s*(\d+)\s+(\d+)\s+(?:(\d+)\s+([\d.]+)\s+([\d.]+)\s+([\d:-]+)\s+(\S.*)|(\S.*))$/.exec(line) ??
    [];
  if (pid === '') return null;
  const seconds = elapsed === undefined ? null : elapsedSeconds(elapsed);
  return {
    pid: Number(pid),
    ppid: Number(ppid),
    uid: numberOrNull(uid),
    cpuPercent: numberOrNull(cpu),
    memoryPercent: numberOrNull(memory),
    startedAt: seconds === null || !Number.isSafeInteger(now) ? null : now - seconds * 1000,
    command: long ?? short ?? '',
  };
}

function numberOrNull(text: string | undefined): number | null {
  return text === undefined ? null : Number(text);
}

/** `[[dd-]hh:]mm:ss` of ps(1p), in seconds. */
function elapsedSeconds(text: string): number | null {
  const parts = /^(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)$/.exec(text);
  if (parts === null) return null;
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = parts.slice(1).map((n) => Number(n ?? 0));
  return ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
}
