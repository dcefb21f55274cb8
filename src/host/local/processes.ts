import { lstatSync, readdirSync, statSync } from 'node:fs';
import {
  blind,
  type Look,
  type NamespaceRelation,
  type ProcessFacts,
  type ProcessTableFacts,
  type SaltSign,
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
  isSaltFile,
  needsScriptText,
  type RootView,
  rootRelation,
  type SaltFiles,
  saltSigns,
} from '../../evidence/process-facts.ts';
import { readSaltApiArgv } from '../../evidence/salt-api-argv.ts';
import { type ServiceMember, serviceOfCgroup } from '../../evidence/systemd-unit.ts';
import { tryReadHead } from './plain-file.ts';
import {
  Breather,
  codeOrText,
  isDenied,
  isGone,
  readBounded,
  readKernelFile,
  tryReadKernelFile,
  tryReadLink,
} from './proc-files.ts';
import type { PortSockets } from './sockets.ts';

/** Reads left hanging, each with a thread of libuv's four: the API log needs the others. */
const MAX_HUNG_READS = 2;
/** Processes with a read left hanging, by pid and start tick: it hangs for as long as we run. */
const hungReads = new Set<string>();

/** A process of the first pass; all but the stat line are of salt-api alone. */
interface ScannedProcess {
  readonly stat: ProcessStat;
  readonly argv: readonly string[];
  readonly environment: ProcessFacts['environment'];
  readonly uid: number;
  readonly networkNamespace: NamespaceRelation;
}

/** The first pass over the process table: who is salt-api by argv. */
export interface ProcessScan {
  readonly total: number;
  readonly saltApi: readonly ScannedProcess[];
  /** Children of salt-api that are dead and unreaped: their argv is gone. */
  readonly zombies: readonly ScannedProcess[];
  /** Pids that may hold sockets. */
  readonly pids: readonly number[];
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
  const saltApi: ScannedProcess[] = [];
  const dead: ScannedProcess[] = [];
  const alive: number[] = [];
  let total = 0;
  let deniedArgv = 0;
  for (const pid of pids) {
    if (breather.due) await breather.breathe();
    try {
      const stat = parseProcessStat(readKernelFile(`${proc}/${pid}/stat`));
      total += 1;
      if (stat === null) {
        deniedArgv += 1;
        continue;
      }
      if (stat.kernel) continue;
      if (isDeadState(stat.state)) {
        dead.push({ stat, argv: [], environment: null, uid: -1, networkNamespace: 'unseen' });
        continue;
      }
      alive.push(pid);
      const argv = await readArgv(proc, stat);
      if (argv === null) deniedArgv += 1;
      else if (readSaltApiArgv(argv) !== null) {
        const environment = await readEnvironment(proc, stat);
        const uid = parseEffectiveUid(tryReadKernelFile(`${proc}/${pid}/status`) ?? '') ?? -1;
        const networkNamespace = relation(`${proc}/self/ns/net`, `${proc}/${pid}/ns/net`);
        saltApi.push({ stat, argv, environment, uid, networkNamespace });
      }
    } catch (error) {
      // Whatever it is that could not be read may be salt-api.
      if (!isGone(error)) deniedArgv += 1;
    }
  }
  const parents = new Set(saltApi.map(({ stat }) => stat.pid));
  return {
    total,
    saltApi,
    zombies: dead.filter(({ stat }) => parents.has(stat.ppid)),
    pids: alive,
    deniedArgv,
    // With hidepid=2 not even pid 1 is there for another user (proc(5)).
    hidden: !pids.includes(1),
  };
}

/**
 * Reads what lies in the memory of a process: its command line, its environment. The kernel takes
 * the memory-map lock for it (fs/proc/base.c, get_mm_cmdline), which a thread in D state may keep
 * for ever, so only that of a single thread that is not in D state is read at once.
 *
 * @returns null where it could not be read in time
 * @throws the error of open(2) or read(2)
 */
async function readMemory(path: string, stat: ProcessStat): Promise<string | null> {
  const { pid, startTicks, state, threads } = stat;
  if (state !== 'D' && threads === 1) return utf8OfLatin1(readKernelFile(path));
  const process = `${pid} ${startTicks}`;
  if (hungReads.has(process) || hungReads.size >= MAX_HUNG_READS) return null;
  const text = await readBounded(path);
  if (text === null) hungReads.add(process);
  return text === null ? null : utf8OfLatin1(text);
}

async function readArgv(proc: string, stat: ProcessStat): Promise<string[] | null> {
  const text = await readMemory(`${proc}/${stat.pid}/cmdline`, stat);
  return text === null ? null : parseCommandLine(text);
}

/** All of it may be secret but the one word that says which instance this is. */
async function readEnvironment(
  proc: string,
  stat: ProcessStat,
): Promise<ProcessFacts['environment']> {
  const text = await readMemory(`${proc}/${stat.pid}/environ`, stat).catch(() => null);
  return text === null ? null : parseEnvironment(text);
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
  const known = new Map(scan.saltApi.map((one) => [one.stat.pid, one]));
  const fds = new Map<number, FdTable>();
  let deniedFds = 0;
  const toRead = sockets.listening.size > 0 ? scan.pids : [...known.keys()];
  for (const pid of toRead) {
    const all = known.has(pid);
    const table = await readFdTable(`${proc}/${pid}/fd`, {
      sockets,
      files: all ? files : null,
      breather,
    });
    if (table === 'denied') deniedFds += 1;
    else if (table !== 'gone' && (known.has(pid) || table.listens.length > 0)) {
      fds.set(pid, table);
    }
  }
  const wanted = new Set([...known.keys(), ...fds.keys()]);
  for (const { stat } of scan.saltApi) wanted.add(stat.ppid);
  const processes: ProcessFacts[] = [];
  for (const pid of wanted) {
    if (breather.due) await breather.breathe();
    const facts = await readProcess(pid, {
      proc,
      files,
      ours: rootView(proc, 'self', files),
      known: known.get(pid),
      fds: fds.get(pid),
    });
    if (facts !== null) processes.push(facts);
  }
  for (const { stat } of scan.zombies) processes.push(deadProcess(stat));
  processes.sort((a, b) => a.pid - b.pid);
  const { total, deniedArgv, hidden } = scan;
  return seen({ total, processes, deniedFds, deniedArgv, hidden });
}

/** The blind look for a host whose process table can't even be listed. */
export function blindProcesses(error: unknown, proc = '/proc'): Look<ProcessTableFacts> {
  const cause = isDenied(error) ? 'permission' : 'missing';
  return blind(cause, `${proc}: ${codeOrText(error)}`);
}

/** Which of the given processes hold a listening socket of the port. */
export async function holdersAmong(
  processes: ProcessScan['saltApi'],
  sockets: PortSockets,
  proc = '/proc',
): Promise<ScannedProcess[]> {
  const breather = new Breather();
  const holders: ScannedProcess[] = [];
  for (const one of processes) {
    const directory = `${proc}/${one.stat.pid}/fd`;
    const table = await readFdTable(directory, { sockets, files: null, breather });
    if (typeof table === 'object' && table.listens.length > 0) holders.push(one);
  }
  return holders;
}

/** The services that the given processes are in; those in none are left out. */
export function readMemberships(pids: readonly number[], proc = '/proc'): ServiceMember[] {
  return pids.flatMap((pid) => {
    const cgroup = parseControlGroup(tryReadKernelFile(`${proc}/${pid}/cgroup`) ?? '');
    const service = cgroup === null ? null : serviceOfCgroup(cgroup);
    return service === null ? [] : [{ pid, service }];
  });
}

interface FdTable {
  readonly listens: readonly number[];
  readonly portConnections: number;
  readonly otherPorts: readonly number[];
  /** Files of Salt's that are open in it to be written. */
  readonly saltFiles: readonly string[];
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
  const { files, breather } = look;
  const { listening, connected, otherListeners } = look.sockets;
  const listens = new Set<number>();
  const otherPorts = new Set<number>();
  const saltFiles = new Set<string>();
  let portConnections = 0;
  try {
    for (const name of readdirSync(directory)) {
      if (breather.due) await breather.breathe();
      const target = tryReadLink(`${directory}/${name}`);
      if (target === null) continue;
      const inode = parseSocketLink(target);
      if (inode === null) {
        if (files !== null && isSaltFile(target, files) && isWritten(`${directory}/${name}`)) {
          saltFiles.add(target);
        }
      } else if (listening.has(inode)) listens.add(inode);
      else if (files !== null) {
        const port = otherListeners.get(inode);
        if (connected.has(inode)) portConnections += 1;
        else if (port !== undefined) otherPorts.add(port);
      }
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

/**
 * Everything about one process.
 * @returns null where it has gone, or where its pid was given out again meanwhile
 */
async function readProcess(
  pid: number,
  about: {
    readonly proc: string;
    readonly files: SaltFiles;
    /** The files as we see them. */
    readonly ours: RootView;
    readonly known: ScannedProcess | undefined;
    readonly fds: FdTable | undefined;
  },
): Promise<ProcessFacts | null> {
  const directory = `${about.proc}/${pid}`;
  const stat = parseProcessStat(tryReadKernelFile(`${directory}/stat`) ?? '');
  if (stat === null) return null;
  if (about.known !== undefined && about.known.stat.startTicks !== stat.startTicks) return null;
  const argv = about.known?.argv ?? (await readArgv(about.proc, stat).catch(() => null)) ?? [];
  const status = tryReadKernelFile(`${directory}/status`);
  const cgroup = tryReadKernelFile(`${directory}/cgroup`);
  const waitChannel = tryReadKernelFile(`${directory}/wchan`);
  return {
    ...statFacts(stat),
    uid: parseEffectiveUid(status ?? '') ?? -1,
    argv,
    environment: about.known?.environment ?? null,
    cgroup: cgroup === null ? null : parseControlGroup(cgroup),
    networkNamespace: relation(`${about.proc}/self/ns/net`, `${directory}/ns/net`),
    pidNamespace: relation(`${about.proc}/self/ns/pid`, `${directory}/ns/pid`),
    rootDirectory:
      about.known === undefined
        ? 'unseen'
        : rootRelation(about.ours, rootView(about.proc, String(pid), about.files)),
    saltSigns: about.known === undefined ? null : await signsOf(pid, argv, about),
    fds: fdsOf(about),
    listens: about.fds?.listens ?? [],
    portConnections: about.fds?.portConnections ?? 0,
    otherPorts: about.fds?.otherPorts ?? [],
    waitChannel: waitChannel === null || waitChannel === '0' ? null : waitChannel,
  };
}

function fdsOf({ known, fds }: { known: unknown; fds: unknown }): ProcessFacts['fds'] {
  if (fds !== undefined) return 'read';
  return known === undefined ? 'skipped' : 'denied';
}

function deadProcess(stat: ProcessStat): ProcessFacts {
  return {
    ...statFacts(stat),
    uid: -1,
    argv: [],
    environment: null,
    cgroup: null,
    networkNamespace: 'unseen',
    pidNamespace: 'unseen',
    rootDirectory: 'unseen',
    saltSigns: null,
    fds: 'skipped',
    listens: [],
    portConnections: 0,
    otherPorts: [],
    waitChannel: null,
  };
}

function statFacts(stat: ProcessStat) {
  const { pid, ppid, startTicks, state, processGroup, session, threads, cpuTicks, comm } = stat;
  return { pid, ppid, startTicks, state, processGroup, session, threads, cpuTicks, comm };
}

function relation(ours: string, theirs: string): NamespaceRelation {
  const [own, other] = [tryReadLink(ours), tryReadLink(theirs)];
  if (own === null || other === null) return 'unseen';
  return own === other ? 'ours' : 'other';
}

async function signsOf(
  pid: number,
  argv: readonly string[],
  about: {
    readonly proc: string;
    readonly files: SaltFiles;
    readonly fds: FdTable | undefined;
  },
): Promise<readonly SaltSign[]> {
  const directory = `${about.proc}/${pid}`;
  const script = needsScriptText(argv);
  const texts = {
    argv,
    executable: tryReadLink(`${directory}/exe`),
    script:
      script === null ? null : await tryReadHead(`${directory}/root${script}`, ENTRY_POINT_BYTES),
    files: about.fds?.saltFiles ?? [],
  };
  return saltSigns(texts, about.files);
}

/** The files that tell one root directory from another, as a process sees them. */
function rootView(proc: string, pid: string, { configDirectory }: SaltFiles): RootView {
  const root = `${proc}/${pid}/root`;
  return {
    link: tryReadLink(root) ?? '',
    root: fileId(`${root}/`),
    configDirectory: fileId(`${root}${configDirectory}`),
    mainFile: fileId(`${root}${configDirectory}/master`),
  };
}

/** `device:inode`, empty where the file can't be seen. */
function fileId(path: string): string {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return '';
  }
}
