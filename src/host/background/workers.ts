import { blind, type Evidence, type ProcessFacts, seen } from '../../evidence/evidence.ts';
import { isDeadState, parseProcessStat, parseSocketLink } from '../../evidence/proc-text.ts';
import { readSaltApiArgv } from '../../evidence/salt-api-argv.ts';
import { parseTcpRows, type TcpRow } from '../../evidence/tcp-rows.ts';
import {
  type Architecture,
  foldThreads,
  MOST_THREADS,
  type ProcessThreads,
  parseThreadCall,
  type ThreadReading,
  watchedFds,
} from '../../evidence/workers-facts.ts';
import type { RawHost } from '../raw-host.ts';
import type { BackgroundReader } from './background-reader.ts';

/** Servers of one instance and what they left behind; each costs reads by the hundred. */
const MOST_PROCESSES = 4;
/** Fewer are no server's: a manager has one or two. */
const FEW_THREADS = 8;
/** A thread's name may have a line break in it. */
const MOST_LINES = 3;
/** Epolls of one process that are looked into. */
const MOST_EPOLLS = 800;
/** The loader of every program of an architecture, of glibc and of musl (ld.so(8)). */
const LOADERS: readonly (readonly [path: string, Architecture])[] = [
  ['/lib64/ld-linux-x86-64.so.2', 'x86_64'],
  ['/lib/ld-musl-x86_64.so.1', 'x86_64'],
  ['/lib/ld-linux-aarch64.so.1', 'aarch64'],
  ['/lib/ld-musl-aarch64.so.1', 'aarch64'],
];

/** Reads the facts of `workers`: a census of the threads of those that serve, and of orphans. */
export const readWorkers: BackgroundReader<'workers'> = async ({ raw, evidence }) => {
  const { processes: table, port } = evidence;
  if (!table.seen) return blind(table.cause, `the process table was not seen: ${table.why}`);
  const servers = serversAmong(table.value.processes);
  const looked = servers.slice(0, MOST_PROCESSES);
  const known = isWell(evidence) ? null : await readKnown(raw, port.number);
  const censuses = looked.map((one) => (known === null ? bareCount(one) : census(raw, one, known)));
  const processes = (await Promise.all(censuses)).filter((one) => one !== null);
  return seen({ processes, passedOver: servers.length - processes.length });
};

/**
 * What serves or has served, or has threads like it: those that hold the port first. Who of them is
 * what is for the diagnosis to tell.
 */
function serversAmong(processes: readonly ProcessFacts[]): ProcessFacts[] {
  return processes
    .filter(({ argv, networkNamespace }) => {
      return networkNamespace !== 'other' && readSaltApiArgv(argv) !== null;
    })
    .filter(({ listens, portConnections, threads }) => {
      return listens.length > 0 || portConnections > 0 || threads >= FEW_THREADS;
    })
    .toSorted((a, b) => rank(b) - rank(a) || b.threads - a.threads);
}

function rank({ listens, portConnections }: ProcessFacts): number {
  return listens.length > 0 ? 2 : portConnections > 0 ? 1 : 0;
}

/** Of what answers, the number of threads says all that a verdict goes by. */
function isWell({ answer }: Pick<Evidence, 'answer'>): boolean {
  return answer.seen && answer.value.kind === 'answered';
}

async function bareCount({ pid, startTicks, threads }: ProcessFacts): Promise<ProcessThreads> {
  return { pid, startTicks, threads, sampled: 0, denied: 0, waits: [] };
}

/** What of the host is the same for all its processes. */
interface HostKnown {
  readonly architecture: Architecture | null;
  readonly rows: ReadonlyMap<number, TcpRow>;
  readonly port: number;
}

async function readKnown(raw: RawHost, port: number): Promise<HostKnown> {
  const [loaders, tables] = await Promise.all([
    raw.stat(LOADERS.map(([path]) => path)),
    // Every row of them has that behind its number.
    raw.readRows(['/proc/net/tcp', '/proc/net/tcp6'], [': ']),
  ]);
  const found = new Set(LOADERS.flatMap(([path, name]) => (loaders.has(path) ? [name] : [])));
  // A host that runs programs of both has two; what its numbers mean can't be told by that.
  const [architecture = null] = found.size === 1 ? found : [];
  const rows = [...tables].flatMap(([path, text]) => {
    return parseTcpRows(text, path.endsWith('6') ? 'ipv6' : 'ipv4');
  });
  const owned = rows.filter(({ inode }) => inode !== 0);
  return { architecture, rows: new Map(owned.map((row) => [row.inode, row])), port };
}

/** @returns null where it ended meanwhile: its pid may be another's by then */
async function census(
  raw: RawHost,
  { pid, startTicks, threads: count }: ProcessFacts,
  known: HostKnown,
): Promise<ProcessThreads | null> {
  const tasks = `/proc/${pid}/task/${sampleOf(count)}`;
  const files = ['stat', 'syscall', 'wchan'].map((name) => `${tasks}/${name}`);
  const texts = await raw.readTexts(files, MOST_LINES);
  const threads = threadsOf(texts);
  const links = await raw.readLinks([`/proc/${pid}/fd/*`]);
  const fdOf = (path: string) => Number(path.slice(path.lastIndexOf('/') + 1));
  const sockets = new Map<number, number>();
  for (const [path, target] of links) {
    const inode = parseSocketLink(target);
    if (inode !== null) sockets.set(fdOf(path), inode);
  }
  const epolls = epollsOf(threads, known.architecture).filter((fd) => {
    return links.get(`/proc/${pid}/fd/${fd}`)?.includes('eventpoll') === true;
  });
  const stat = `/proc/${pid}/stat`;
  const infos = epolls.slice(0, MOST_EPOLLS).map((fd) => `/proc/${pid}/fdinfo/${fd}`);
  const after = await raw.readTexts([stat, ...infos]);
  // The first look at it has its start tick from before.
  const now = parseProcessStat(after.get(stat) ?? '');
  if (now === null || now.startTicks !== startTicks || isDeadState(now.state)) return null;
  const watched = new Map([...after].map(([path, text]) => [fdOf(path), watchedFds(text)]));
  return {
    pid,
    startTicks,
    threads: count,
    ...foldThreads(threads, { ...known, sockets, watched }),
  };
}

/**
 * The names of the threads to look at: all, or of very many those whose number ends in one digit or
 * two. Threads get ascending numbers, so that is an even sample of what was started when.
 */
function sampleOf(threads: number): string {
  if (threads <= MOST_THREADS) return '*';
  return threads <= 10 * MOST_THREADS ? '*7' : '*37';
}

function threadsOf(texts: ReadonlyMap<string, string>): ThreadReading[] {
  return [...texts].flatMap(([path, stat]) => {
    if (!path.endsWith('/stat')) return [];
    const task = path.slice(0, -'/stat'.length);
    const [syscall = null, wchan = null] = ['syscall', 'wchan'].map((name) => {
      return texts.get(`${task}/${name}`);
    });
    return [{ stat, syscall, wchan }];
  });
}

function epollsOf(threads: readonly ThreadReading[], architecture: Architecture | null): number[] {
  const fds = threads.flatMap(({ syscall }) => {
    const read = syscall === null ? null : parseThreadCall(syscall, architecture);
    return read?.fd != null && read.call.startsWith('epoll') ? [read.fd] : [];
  });
  return [...new Set(fds)];
}
