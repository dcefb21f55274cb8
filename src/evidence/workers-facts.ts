/** What the threads of the salt-api processes wait for. */
import { parseProcessStat } from './proc-text.ts';
import type { TcpEnd, TcpRow } from './tcp-rows.ts';

/**
 * What a thread waits on: `listener`, a new connection to that end of its own; `caller`, a client of
 * that address on that port of its own; `called`, an answer from that end.
 */
export interface WaitedFor extends TcpEnd {
  readonly kind: 'listener' | 'caller' | 'called';
}

/** Threads of one process that wait alike. */
export interface ThreadWait {
  readonly threads: number;
  /** One letter, field 3 of the thread's stat. */
  readonly state: string;
  /** Name of the thread: Python's have that of the process, ZeroMQ's `ZMQbg/IO/0`. */
  readonly name: string;
  /**
   * The system call by name; `running` on a CPU, `none` where it is blocked in no call, a number
   * where that is not known by name; null where it may not be read.
   */
  readonly call: string | null;
  /** `/proc/PID/task/TID/wchan`; null where it may not be read. */
  readonly channel: string | null;
  /**
   * What a call on an fd waits on, at most {@link MOST_ENDS}: that of the call, or those that an
   * epoll watches. Empty for calls whose fds only the process's memory has (poll, select), for locks
   * and for fds of other kinds.
   */
  readonly on: readonly WaitedFor[];
}

/** The threads of one salt-api process at one moment. */
export interface ProcessThreads {
  readonly pid: number;
  readonly startTicks: number;
  /** Of all threads. */
  readonly threads: number;
  /** Those that were looked at: all, or an even sample. */
  readonly sampled: number;
  /** Of these, those whose call may not be read (ptrace(2), access mode checking). */
  readonly denied: number;
  /** Most threads first, at most {@link MOST_WAITS}. */
  readonly waits: readonly ThreadWait[];
}

export interface WorkersFacts {
  /** Servers and what they left, the servers first. */
  readonly processes: readonly ProcessThreads[];
  /** Salt-api processes beyond these, and those that ended meanwhile. */
  readonly passedOver: number;
}

/** Threads of one process that are looked at. */
export const MOST_THREADS = 1_600;
export const MOST_WAITS = 100;
export const MOST_ENDS = 8;

/** A processor whose system calls are known by number. */
export type Architecture = 'x86_64' | 'aarch64';

/**
 * The calls that a server waits in, by number (arch/x86/entry/syscalls/syscall_64.tbl,
 * include/uapi/asm-generic/unistd.h), those whose first argument is an fd marked.
 */
const CALLS: Readonly<
  Record<
    string,
    { readonly x86_64: number | null; readonly aarch64: number | null; readonly fd: boolean }
  >
> = {
  read: { x86_64: 0, aarch64: 63, fd: true },
  write: { x86_64: 1, aarch64: 64, fd: true },
  poll: { x86_64: 7, aarch64: null, fd: false },
  select: { x86_64: 23, aarch64: null, fd: false },
  pause: { x86_64: 34, aarch64: null, fd: false },
  nanosleep: { x86_64: 35, aarch64: 101, fd: false },
  connect: { x86_64: 42, aarch64: 203, fd: true },
  accept: { x86_64: 43, aarch64: 202, fd: true },
  sendto: { x86_64: 44, aarch64: 206, fd: true },
  recvfrom: { x86_64: 45, aarch64: 207, fd: true },
  sendmsg: { x86_64: 46, aarch64: 211, fd: true },
  recvmsg: { x86_64: 47, aarch64: 212, fd: true },
  wait4: { x86_64: 61, aarch64: 260, fd: false },
  flock: { x86_64: 73, aarch64: 32, fd: true },
  fsync: { x86_64: 74, aarch64: 82, fd: true },
  futex: { x86_64: 202, aarch64: 98, fd: false },
  clock_nanosleep: { x86_64: 230, aarch64: 115, fd: false },
  epoll_wait: { x86_64: 232, aarch64: null, fd: true },
  waitid: { x86_64: 247, aarch64: 95, fd: false },
  pselect6: { x86_64: 270, aarch64: 72, fd: false },
  ppoll: { x86_64: 271, aarch64: 73, fd: false },
  epoll_pwait: { x86_64: 281, aarch64: 22, fd: true },
  accept4: { x86_64: 288, aarch64: 242, fd: true },
  epoll_pwait2: { x86_64: 441, aarch64: 441, fd: true },
};

const NAMES: Readonly<Record<Architecture, ReadonlyMap<number, string>>> = {
  x86_64: namesOf('x86_64'),
  aarch64: namesOf('aarch64'),
};

function namesOf(architecture: Architecture): ReadonlyMap<number, string> {
  const pairs = Object.entries(CALLS).map(([name, call]) => [call[architecture], name] as const);
  return new Map(pairs.flatMap(([number, name]) => (number === null ? [] : [[number, name]])));
}

/** The call that a thread is in. */
export interface ThreadCall {
  readonly call: string;
  /** The fd that it is about, null where that is no argument of it. */
  readonly fd: number | null;
}

/**
 * Reads `/proc/PID/task/TID/syscall` (proc_pid_syscall(5)): `running`, `-1 SP PC`, or number and
 * arguments in hex.
 *
 * @param architecture null where it is not known
 * @returns null for what is none of these: mostly an empty file, which may not be read
 */
export function parseThreadCall(
  text: string,
  architecture: Architecture | null,
): ThreadCall | null {
  if (text === 'running') return { call: 'running', fd: null };
  const [number = '', argument = ''] = text.split(' ');
  if (!/^-?\d{1,5}$/.test(number)) return null;
  if (number.startsWith('-')) return { call: 'none', fd: null };
  const name = architecture === null ? undefined : NAMES[architecture].get(Number(number));
  const fd = Number(argument);
  const isFd = name !== undefined && CALLS[name]?.fd === true && Number.isSafeInteger(fd);
  return { call: name ?? number, fd: isFd ? fd : null };
}

/** The fds that an epoll watches. @param fdinfo `/proc/PID/fdinfo/N` of the epoll, since Linux 3.8 */
export function watchedFds(fdinfo: string): number[] {
  return [...fdinfo.matchAll(/^tfd: +(\d+) /gm)].map(([, fd]) => Number(fd));
}

/** One thread as it was read. */
export interface ThreadReading {
  /** Its stat line. */
  readonly stat: string;
  /** Null where it may not be read. */
  readonly syscall: string | null;
  readonly wchan: string | null;
}

/** What the fds of a process are: the inode of a socket, or what an epoll watches; neither for others. */
export interface FdFacts {
  /** Null where it is not known. */
  readonly architecture: Architecture | null;
  /** The connections and listeners of the host by inode. */
  readonly rows: ReadonlyMap<number, TcpRow>;
  readonly port: number;
  readonly sockets: ReadonlyMap<number, number>;
  readonly watched: ReadonlyMap<number, readonly number[]>;
}

/**
 * Folds threads that wait alike into one, most first.
 * @param fds of their process
 */
export function foldThreads(
  threads: readonly ThreadReading[],
  fds: FdFacts,
): Pick<ProcessThreads, 'sampled' | 'denied' | 'waits'> {
  const served = servedPorts(fds);
  const all = threads.flatMap((thread) => waitOf(thread, fds, served) ?? []);
  const waits = new Map<string, { wait: ThreadWait; count: number }>();
  for (const wait of all) {
    const key = JSON.stringify(wait);
    const known = waits.get(key);
    if (known === undefined) waits.set(key, { wait, count: 1 });
    else known.count += 1;
  }
  const folded = [...waits.values()].toSorted((a, b) => b.count - a.count).slice(0, MOST_WAITS);
  return {
    sampled: all.length,
    denied: all.filter(({ call }) => call === null).length,
    waits: folded.map(({ wait, count }) => ({ ...wait, threads: count })),
  };
}

/** How one thread waits, but for how many do; null for one that has ended. */
function waitOf(
  { stat, syscall, wchan }: ThreadReading,
  { architecture, sockets, watched, rows }: FdFacts,
  served: ReadonlySet<number>,
): ThreadWait | null {
  const read = parseProcessStat(stat);
  if (read === null) return null;
  const call = syscall === null ? null : parseThreadCall(syscall, architecture);
  const fd = call?.fd ?? null;
  const fds = fd === null ? [] : [fd, ...(watched.get(fd) ?? [])];
  const ends = fds.flatMap((one) => rows.get(sockets.get(one) ?? 0) ?? []);
  return {
    threads: 0,
    state: read.state,
    name: read.comm,
    call: call?.call ?? null,
    // `0` is what the kernel says to whoever may not know.
    channel: wchan === '0' ? null : wchan,
    on: endsOf(ends, served),
  };
}

/** The examined port, and those that the process listens on itself. */
function servedPorts({ sockets, rows, port }: FdFacts): ReadonlySet<number> {
  const own = [...sockets.values()].flatMap((inode) => rows.get(inode) ?? []);
  const listeners = own.filter(({ state }) => state === 'LISTEN');
  return new Set([port, ...listeners.map(({ local }) => local.port)]);
}

/** Each once: the ports that a kernel has chosen for a client tell nothing. */
function endsOf(rows: readonly TcpRow[], served: ReadonlySet<number>): WaitedFor[] {
  const ends = new Map<string, WaitedFor>();
  for (const { local, peer, state } of rows) {
    const end: WaitedFor =
      state === 'LISTEN'
        ? { kind: 'listener', ...local }
        : served.has(local.port)
          ? { kind: 'caller', address: peer.address, port: local.port }
          : { kind: 'called', ...peer };
    ends.set(`${end.kind} ${end.address} ${end.port}`, end);
  }
  return [...ends.values()].slice(0, MOST_ENDS);
}
