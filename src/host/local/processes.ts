import { lstatSync, readdirSync } from 'node:fs';
import {
  blind,
  type Look,
  type ProcessFacts,
  type ProcessTableFacts,
  seen,
} from '../../evidence/evidence.ts';
import {
  isDeadState,
  type ProcessStat,
  parseCommandLine,
  parseControlGroup,
  parseEffectiveUid,
  parseEnvironment,
  parseProcessStat,
  parseSocketLink,
  utf8OfLatin1,
} from '../../evidence/proc-text.ts';
import {
  ENTRY_POINT_BYTES,
  type FdTable,
  isSaltFile,
  namespaceRelation,
  needsScriptText,
  type ProcessReading,
  processesThatMatter,
  processFacts,
  rootView,
  type SaltFiles,
} from '../../evidence/process-facts.ts';
import { readSaltApiArgv } from '../../evidence/salt-api-argv.ts';
import { tryReadHead } from './plain-file.ts';
import {
  Breather,
  codeOrText,
  isDenied,
  isGone,
  procFiles,
  readBounded,
  readKernelFile,
  readsHang,
  tryReadKernelFile,
  tryReadLink,
} from './proc-files.ts';
import type { PortSockets } from './sockets.ts';

/** A salt-api by argv, with what says where its files are. */
type ScannedSaltApi = Pick<
  ProcessFacts,
  'pid' | 'ppid' | 'startTicks' | 'argv' | 'environment' | 'uid' | 'cgroup' | 'networkNamespace'
>;

/** The first pass over the process table: who is salt-api by argv. */
export interface ProcessScan {
  readonly total: number;
  readonly saltApi: readonly ScannedSaltApi[];
  /** Children of salt-api that are dead and unreaped: their argv is gone. */
  readonly dead: readonly number[];
  /** Pids that may hold sockets. */
  readonly alive: readonly number[];
  readonly deniedArgv: number;
  readonly hidden: boolean;
}

/**
 * Reads stat and cmdline of every process, once. ps-list would run ps(1) twice for the same,
 * join argv with blanks (so positions are lost) and leave out start ticks, session and state.
 *
 * @param proc `/proc`, or a tree of its shape
 * @throws the error of readdir(3) where there is no /proc
 */
export async function scanProcesses(proc = '/proc'): Promise<ProcessScan> {
  if (proc === '/proc' && tryReadLink('/proc/self') !== String(process.pid)) {
    throw Object.assign(new Error('foreign /proc'), {
      code: 'it belongs to another PID namespace, so its pids mean others here',
    });
  }
  const pids = readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const breather = new Breather();
  const found: Found = { total: 0, deniedArgv: 0, alive: [], dead: [], saltApi: [] };
  for (const pid of pids) {
    if (breather.due) await breather.breathe();
    const slow = scanOne(proc, pid, found);
    if (slow !== null) await slow;
  }
  const parents = new Set(found.saltApi.map(({ pid }) => pid));
  return {
    ...found,
    dead: found.dead.filter(({ ppid }) => parents.has(ppid)).map(({ pid }) => pid),
    // With hidepid=2 not even pid 1 is there for another user (proc(5)).
    hidden: !pids.includes(1),
  };
}

interface Found {
  total: number;
  deniedArgv: number;
  readonly alive: number[];
  readonly dead: ProcessStat[];
  readonly saltApi: ScannedSaltApi[];
}

/** Of nearly all processes at once: a promise for each of thousands takes longer than the reads. */
function scanOne(proc: string, pid: number, found: Found): Promise<unknown> | null {
  const stat = glance(proc, pid);
  // Whatever it is that could not be read may be salt-api.
  if (stat === 'unreadable') found.deniedArgv += 1;
  if (typeof stat === 'string') return null;
  found.total += 1;
  if (isDeadState(stat.state)) found.dead.push(stat);
  if (isDeadState(stat.state) || stat.kernel) return null;
  found.alive.push(pid);
  const take = (argv: readonly string[] | null) => takeArgv(proc, stat, argv, found);
  return mayHang(stat) ? argvInTime(proc, stat).then(take) : take(argvAtOnce(proc, pid));
}

function takeArgv(
  proc: string,
  stat: ProcessStat,
  argv: readonly string[] | null,
  found: Found,
): Promise<unknown> | null {
  if (argv === null) found.deniedArgv += 1;
  if (argv === null || readSaltApiArgv(argv) === null) return null;
  return scanSaltApi(proc, stat, argv).then((one) => found.saltApi.push(one));
}

function glance(proc: string, pid: number): ProcessStat | 'gone' | 'unreadable' {
  try {
    return parseProcessStat(readKernelFile(`${proc}/${pid}/stat`)) ?? 'unreadable';
  } catch (error) {
    return isGone(error) ? 'gone' : 'unreadable';
  }
}

async function scanSaltApi(
  proc: string,
  stat: ProcessStat,
  argv: readonly string[],
): Promise<ScannedSaltApi> {
  const { pid, ppid, startTicks } = stat;
  const files = procFiles(proc);
  // All of it may be secret but the one word that says which instance this is.
  const path = `${proc}/${pid}/environ`;
  const environ = mayHang(stat)
    ? await memoryInTime(path).catch(() => null)
    : tryReadKernelFile(path);
  return {
    pid,
    ppid,
    startTicks,
    argv,
    environment: environ === null ? null : parseEnvironment(utf8OfLatin1(environ)),
    uid: parseEffectiveUid(files.text(`${pid}/status`) ?? '') ?? -1,
    cgroup: parseControlGroup(files.text(`${pid}/cgroup`) ?? ''),
    networkNamespace: namespaceRelation(files, 'net', pid),
  };
}

/**
 * Whether a read of what lies in the memory of a process may hang. The kernel takes the memory-map
 * lock for it (fs/proc/base.c, get_mm_cmdline), which a thread in D state may keep for ever, so only
 * that of a single thread that is not in D state is read at once, right after its stat line.
 */
function mayHang({ state, threads }: ProcessStat): boolean {
  return state === 'D' || threads !== 1;
}

/** @returns null where it could not be read in time */
async function memoryInTime(path: string): Promise<string | null> {
  return readsHang() ? null : readBounded(path);
}

/** @returns empty where it has gone, null where it can't be read */
function argvAtOnce(proc: string, pid: number): readonly string[] | null {
  try {
    return parseCommandLine(utf8OfLatin1(readKernelFile(`${proc}/${pid}/cmdline`)));
  } catch (error) {
    return isGone(error) ? [] : null;
  }
}

/** As {@link argvAtOnce}, null also where it could not be read in time. */
async function argvInTime(proc: string, { pid }: ProcessStat): Promise<readonly string[] | null> {
  try {
    const text = await memoryInTime(`${proc}/${pid}/cmdline`);
    return text === null ? null : parseCommandLine(utf8OfLatin1(text));
  } catch (error) {
    return isGone(error) ? [] : null;
  }
}

/**
 * The second pass: whose fds hold the port's sockets, and everything else about the few
 * processes that matter. All fd tables are read while the port has a listener, since every
 * process that inherited the socket is a holder; without one, only those of salt-api.
 */
export async function describeProcesses(
  scan: ProcessScan,
  sockets: PortSockets,
  files: SaltFiles,
  proc = '/proc',
): Promise<Look<ProcessTableFacts>> {
  const breather = new Breather();
  const known = new Map(scan.saltApi.map((one) => [one.pid, one]));
  const { fds, denied } = await readFdTables(scan, known, { sockets, files, proc, breather });
  const parents = scan.saltApi.map(({ ppid }) => ppid);
  const wanted = new Set([...known.keys(), ...fds.keys(), ...parents, ...scan.dead]);
  const from = procFiles(proc);
  const about = { proc: from, ours: rootView(from, 'self', files), files };
  const described: ProcessFacts[] = [];
  for (const pid of wanted) {
    if (breather.due) await breather.breathe();
    const scanned = known.get(pid);
    const reading = await readProcess(pid, { proc, scanned, fds: fds.get(pid) ?? null });
    const facts = processFacts(reading, about);
    // The pid may have been given out again meanwhile.
    const same = scanned === undefined || scanned.startTicks === facts?.startTicks;
    if (facts !== null && same) described.push(facts);
  }
  const { total, deniedArgv, hidden } = scan;
  const processes = processesThatMatter(described);
  return seen({ total, processes, deniedFds: denied, deniedArgv, hidden });
}

/** The fd tables of salt-api and of the port's holders, and how many could not be read. */
async function readFdTables(
  scan: ProcessScan,
  known: ReadonlyMap<number, ScannedSaltApi>,
  about: {
    readonly sockets: PortSockets;
    readonly files: SaltFiles;
    readonly proc: string;
    readonly breather: Breather;
  },
): Promise<{ readonly fds: Map<number, FdTable | 'denied'>; readonly denied: number }> {
  const { sockets, proc, breather } = about;
  const fds = new Map<number, FdTable | 'denied'>();
  let denied = 0;
  for (const pid of sockets.listening.size > 0 ? scan.alive : known.keys()) {
    const files = known.has(pid) ? about.files : null;
    const table = await readFdTable(`${proc}/${pid}/fd`, { sockets, files, breather });
    if (table === 'denied') denied += 1;
    if (table === 'gone') continue;
    if (files !== null || (table !== 'denied' && table.listens.length > 0)) fds.set(pid, table);
  }
  return { fds, denied };
}

async function readProcess(
  pid: number,
  about: {
    readonly proc: string;
    readonly scanned: ScannedSaltApi | undefined;
    readonly fds: FdTable | 'denied' | null;
  },
): Promise<ProcessReading> {
  const { proc, scanned, fds } = about;
  if (scanned === undefined) {
    const stat = parseProcessStat(tryReadKernelFile(`${proc}/${pid}/stat`) ?? '');
    const argv = stat === null ? null : await argvInTime(proc, stat);
    return { pid, argv, environment: null, fds, script: null };
  }
  const { argv, environment } = scanned;
  const path = needsScriptText(argv);
  const script =
    path === null ? null : await tryReadHead(`${proc}/${pid}/root${path}`, ENTRY_POINT_BYTES);
  return { pid, argv, environment, fds, script };
}

/** The blind look for a host whose process table can't even be listed. */
export function blindProcesses(error: unknown, proc = '/proc'): Look<never> {
  const cause = isDenied(error) ? 'permission' : 'missing';
  return blind(cause, `${proc}: ${codeOrText(error)}`);
}

/** Which of the given processes hold a listening socket of the port. */
export async function holdersAmong(
  processes: ProcessScan['saltApi'],
  sockets: PortSockets,
  proc = '/proc',
): Promise<ScannedSaltApi[]> {
  const breather = new Breather();
  const holders: ScannedSaltApi[] = [];
  for (const one of processes) {
    const table = await readFdTable(`${proc}/${one.pid}/fd`, { sockets, files: null, breather });
    if (typeof table === 'object' && table.listens.length > 0) holders.push(one);
  }
  return holders;
}

async function readFdTable(
  directory: string,
  look: {
    readonly sockets: PortSockets;
    /** Of a salt-api: what is looked for beside the port's listening sockets; null for others. */
    readonly files: SaltFiles | null;
    readonly breather: Breather;
  },
): Promise<FdTable | 'denied' | 'gone'> {
  const { listening, connected, otherListeners } = look.sockets;
  const listens = new Set<number>();
  const otherPorts = new Set<number>();
  const saltFiles = new Set<string>();
  let portConnections = 0;
  const takeSocket = (inode: number): void => {
    const port = otherListeners.get(inode);
    if (listening.has(inode)) listens.add(inode);
    else if (look.files === null) return;
    else if (connected.has(inode)) portConnections += 1;
    else if (port !== undefined) otherPorts.add(port);
  };
  const take = (link: string): void => {
    const target = tryReadLink(link);
    if (target === null) return;
    const inode = parseSocketLink(target);
    if (inode !== null) takeSocket(inode);
    else if (look.files !== null && isSaltFile(target, look.files) && isWritten(link)) {
      saltFiles.add(target);
    }
  };
  try {
    for (const name of readdirSync(directory)) {
      if (look.breather.due) await look.breather.breathe();
      take(`${directory}/${name}`);
    }
  } catch (error) {
    return isDenied(error) ? 'denied' : 'gone';
  }
  return {
    listens: [...listens],
    portConnections,
    otherPorts: [...otherPorts].sort((a, b) => a - b),
    saltFiles: [...saltFiles],
  };
}

/** The mode of an fd's link says how it was opened (fs/proc/fd.c, tid_fd_mode; proc(5)). */
function isWritten(link: string): boolean {
  try {
    return (lstatSync(link).mode & 0o200) !== 0;
  } catch {
    return false;
  }
}
