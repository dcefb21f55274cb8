import { readdirSync } from 'node:fs';
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
  utf8OfLatin1,
} from '../../evidence/proc-text.ts';
import {
  ENTRY_POINT_BYTES,
  type FdTable,
  namespaceRelation,
  needsScriptText,
  type ProcessReading,
  processesThatMatter,
  processFacts,
  rootView,
  type SaltFiles,
} from '../../evidence/process-facts.ts';
import {
  mayBeSaltApi,
  mayBeSaltMaster,
  readSaltApiArgv,
  readSaltMasterArgv,
} from '../../evidence/salt-api-argv.ts';
import { MOST_MASTERS } from '../raw-host.ts';
import { type FdSearch, type FdTables, readFdTables } from './fd-tables.ts';
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
  /** Those of a salt-master by argv: what is behind salt-api, seen in the same pass. */
  readonly masters: ReadonlyMap<number, readonly string[]>;
}

/**
 * The pids of all processes.
 * @throws the error of readdir(3) where there is no /proc, and one for a /proc that means others
 */
export async function listProcesses(proc = '/proc'): Promise<readonly number[]> {
  if (proc === '/proc' && tryReadLink('/proc/self') !== String(process.pid)) {
    throw Object.assign(new Error('foreign /proc'), {
      code: 'it belongs to another PID namespace, so its pids mean others here',
    });
  }
  return readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/**
 * Reads stat and cmdline of every process, once. ps-list would run ps(1) twice for the same,
 * join argv with blanks (so positions are lost) and leave out start ticks, session and state.
 *
 * @param pids of {@link listProcesses}
 * @param proc `/proc`, or a tree of its shape
 */
export async function scanProcesses(pids: readonly number[], proc = '/proc'): Promise<ProcessScan> {
  const breather = new Breather();
  const nothing = { alive: [], dead: [], saltApi: [], masters: new Map() };
  const found: Found = { total: 0, deniedArgv: 0, ...nothing };
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
  readonly masters: Map<number, readonly string[]>;
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
  const take = (text: string | null) => takeCommandLine(proc, stat, text, found);
  return mayHang(stat) ? commandLineInTime(proc, pid).then(take) : take(commandLine(proc, pid));
}

function takeCommandLine(
  proc: string,
  stat: ProcessStat,
  text: string | null,
  found: Found,
): Promise<unknown> | null {
  if (text === null) found.deniedArgv += 1;
  if (text === null) return null;
  takeMaster(stat, text, found);
  if (!mayBeSaltApi(text)) return null;
  const argv = argvOf(text);
  if (readSaltApiArgv(argv) === null) return null;
  return scanSaltApi(proc, stat, argv).then((one) => found.saltApi.push(one));
}

function takeMaster({ pid }: ProcessStat, text: string, { masters }: Found): void {
  if (masters.size >= MOST_MASTERS || !mayBeSaltMaster(text)) return;
  const argv = argvOf(text);
  if (readSaltMasterArgv(argv) !== null) masters.set(pid, argv);
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

/** Empty where it has gone, null where it can't be read. */
function commandLine(proc: string, pid: number): string | null {
  try {
    return readKernelFile(`${proc}/${pid}/cmdline`);
  } catch (error) {
    return isGone(error) ? '' : null;
  }
}

/** As {@link commandLine}, null also where it could not be read in time. */
async function commandLineInTime(proc: string, pid: number): Promise<string | null> {
  try {
    return await memoryInTime(`${proc}/${pid}/cmdline`);
  } catch (error) {
    return isGone(error) ? '' : null;
  }
}

function argvOf(commandLine: string): readonly string[] {
  return parseCommandLine(utf8OfLatin1(commandLine));
}

interface DescribeOptions {
  /** `/proc`, or a tree of its shape. */
  readonly proc?: string;
  readonly readTables?: (search: FdSearch) => Promise<FdTables>;
}

/**
 * The second pass: whose fds hold the port's sockets, and everything else about the few
 * processes that matter. All fd tables are read while the port has a listener, since every
 * process that inherited the socket is a holder; without one, only those of salt-api.
 */
export async function describeProcesses(
  scan: ProcessScan,
  { facts: _, ...sockets }: PortSockets,
  files: SaltFiles,
  { proc = '/proc', readTables = readFdTables }: DescribeOptions = {},
): Promise<Look<ProcessTableFacts>> {
  const breather = new Breather();
  const known = new Map(scan.saltApi.map((one) => [one.pid, one]));
  const saltApi = new Set(known.keys());
  // The longest first, so that those who share the work end together.
  const others = sockets.listening.size > 0 ? scan.alive.filter((pid) => !known.has(pid)) : [];
  const pids = [...saltApi, ...others];
  const { tables: fds, denied } = await readTables({ pids, saltApi, sockets, files, proc });
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
    const text = stat === null ? null : await commandLineInTime(proc, pid);
    const argv = text === null ? null : argvOf(text);
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
