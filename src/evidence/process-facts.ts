/**
 * From what the kernel shows of a process to what is judged of it: the only place where facts of
 * processes are put together, for this host and for one behind ssh. Pure but for the host's files.
 */
import type { NamespaceRelation, ProcessFacts, SaltSign } from './evidence.ts';
import {
  isDeadState,
  parseControlGroup,
  parseEffectiveUid,
  parseProcessStat,
} from './proc-text.ts';
import { isNetapiChildTitle, readSaltApiArgv } from './salt-api-argv.ts';

/** Where the log of a salt-api lies unless somebody has moved it (salt-facts §3). */
export const LOG_DIRECTORY = '/var/log/salt/';
/** The onedir packages bring an interpreter of their own (salt-facts §1.4). */
const SALT_TREE = '/opt/saltstack/salt/';
/** Where Salt's packages put the entry point; pip's places may hold anybody's script. */
const PACKAGED_ENTRY_POINT =
  /^(?:(?:\/usr)?\/bin\/salt-api|\/opt\/saltstack\/salt\/(?:bin\/)?salt-api|\/opt\/saltstack\/salt\/run\/run)$/;
/** Whether a path is where Salt's packages put what starts salt-api. */
export function isPackagedEntryPoint(path: string): boolean {
  return PACKAGED_ENTRY_POINT.test(path);
}

/** The modules of Salt that start a daemon, as alternatives. */
export const ENTRY_MODULES = 'scripts|cli';
/** What every entry point of Salt does, whoever has installed it: setup.py, pip, relenv. */
const IMPORTS_SALT = new RegExp(
  `^[^#\\n]{0,200}\\b(?:from|import)\\s+salt\\.(?:${ENTRY_MODULES})\\b`,
  'm',
);
/** So much of a script is enough to find the import in, bytes. */
export const ENTRY_POINT_BYTES = 4096;

/** What there is to tell a salt-api by, beside its command line. */
interface SignTexts {
  /** Split at NUL, as the kernel has it. */
  readonly argv: readonly string[];
  /** Target of `/proc/PID/exe`; null where it can't be read (it takes the rights of a tracer). */
  readonly executable: string | null;
  /** The beginning of the script that argv names, or of it what matters; null where it isn't read. */
  readonly script: string | null;
  /**
   * Targets of its fds that it may write to and {@link isSaltFile} holds for; empty where they can't
   * be read. Whoever follows a log or checks a configuration has them open too, but to read.
   */
  readonly files: readonly string[];
}

/** The files by which an open fd says Salt. */
export interface SaltFiles {
  readonly log: string;
  readonly configDirectory: string;
}

/**
 * What says that a process is Salt's and not another program of that name (salt-facts §10).
 * `entry-point` and `child-title` can be seen by anybody, the others by root and the same user.
 */
export function saltSigns(texts: SignTexts, files: SaltFiles): readonly SaltSign[] {
  const argv = readSaltApiArgv(texts.argv);
  if (argv === null) return [];
  const signs: SaltSign[] = [];
  const isEntryPoint =
    PACKAGED_ENTRY_POINT.test(argv.entryPoint) || IMPORTS_SALT.test(texts.script ?? '');
  if (isEntryPoint) signs.push('entry-point');
  const interpreter = [texts.executable, texts.argv[0]?.split(/\s/)[0]];
  if (interpreter.some((path) => path?.startsWith(SALT_TREE))) signs.push('interpreter');
  // Anybody can append to a title, so what the script says goes before it.
  const belied = texts.script !== null && !isEntryPoint;
  if (isNetapiChildTitle(argv.title) && !belied) signs.push('child-title');
  if (texts.files.some((path) => isLogFile(path, files.log))) signs.push('log');
  if (texts.files.some((path) => isInside(path, files.configDirectory))) signs.push('config');
  return signs;
}

/** Whether the text of the script that argv names can add anything to the signs. */
export function needsScriptText(argv: readonly string[]): string | null {
  const entryPoint = readSaltApiArgv(argv)?.entryPoint ?? '';
  return entryPoint.startsWith('/') && !PACKAGED_ENTRY_POINT.test(entryPoint) ? entryPoint : null;
}

/** True for a target of an fd that only Salt has a reason to keep open. */
export function isSaltFile(path: string, { log, configDirectory }: SaltFiles): boolean {
  return isLogFile(path, log) || isInside(path, configDirectory);
}

/** A log that was rotated is still the log: `api.1`, `api-20181124`, `api (deleted)`. */
function isLogFile(path: string, log: string): boolean {
  return path.startsWith(LOG_DIRECTORY) || path === log || /^[-. ]/.test(rest(path, log));
}

function rest(path: string, prefix: string): string {
  return path.startsWith(prefix) ? path.slice(prefix.length) : '';
}

function isInside(path: string, directory: string): boolean {
  return rest(path, directory).startsWith('/');
}

/** The files of a host's /proc, by their path in it: `17502/stat`, `self/ns/net`. */
export interface ProcFiles {
  /** The text as Latin-1; null where it can't be read. */
  text(path: string): string | null;
  /** The target of a link; null where it can't be read. */
  link(path: string): string | null;
  /** `device:inode` of a file, links followed; empty where it can't be seen. */
  id(path: string): string;
}

/** What the fd table of a process says. */
export interface FdTable {
  /** Inodes of the port's listening sockets. */
  readonly listens: readonly number[];
  /** Connections of the port. */
  readonly portConnections: number;
  /** Other ports that it listens on, ascending. */
  readonly otherPorts: readonly number[];
  /** Files of Salt's that are open in it to be written ({@link isSaltFile}). */
  readonly saltFiles: readonly string[];
}

/** One process, and what of it takes more than a read of a small file. */
export interface ProcessReading {
  readonly pid: number;
  /** Null where it can't be read. */
  readonly argv: readonly string[] | null;
  readonly environment: ProcessFacts['environment'];
  /** Null where nothing was to be found in it. */
  readonly fds: FdTable | 'denied' | null;
  /** The beginning of its script, or of it what matters, where {@link needsScriptText} asks for it. */
  readonly script: string | null;
}

/** What a process is seen beside. */
export interface ProcessContext {
  readonly proc: ProcFiles;
  /** The files of /proc/self/root, of {@link rootView}. */
  readonly ours: RootView;
  readonly files: SaltFiles;
}

/**
 * Everything about one process. Of one that is not salt-api only what tells a holder of the port or
 * a parent is kept, of a dead one what its stat line says.
 * @returns null where it has gone
 */
export function processFacts(reading: ProcessReading, about: ProcessContext): ProcessFacts | null {
  const { pid, argv, fds } = reading;
  const stat = parseProcessStat((about.proc.text(`${pid}/stat`) ?? '').trimEnd());
  if (stat?.pid !== pid) return null;
  const { kernel: _, ...own } = stat;
  if (isDeadState(stat.state)) return { ...own, ...NOTHING };
  const common = { ...own, argv: argv ?? [], ...factsOfFiles(about.proc, pid) };
  if (argv !== null && readSaltApiArgv(argv) !== null) {
    return { ...common, ...saltApiFacts({ ...reading, argv }, about) };
  }
  const listens = fds === null || fds === 'denied' ? [] : fds.listens;
  return { ...NOTHING, ...common, listens, fds: listens.length > 0 ? 'read' : 'skipped' };
}

function factsOfFiles(proc: ProcFiles, pid: number) {
  const cgroup = proc.text(`${pid}/cgroup`);
  const waitChannel = proc.text(`${pid}/wchan`)?.trim() ?? '';
  return {
    uid: parseEffectiveUid(proc.text(`${pid}/status`) ?? '') ?? -1,
    cgroup: cgroup === null ? null : parseControlGroup(cgroup),
    networkNamespace: namespaceRelation(proc, 'net', pid),
    pidNamespace: namespaceRelation(proc, 'pid', pid),
    waitChannel: waitChannel === '' || waitChannel === '0' ? null : waitChannel,
  };
}

function saltApiFacts(
  { pid, argv, environment, fds, script }: ProcessReading & { readonly argv: readonly string[] },
  { proc, ours, files }: ProcessContext,
) {
  const denied = fds === null || fds === 'denied';
  const { saltFiles, ...held } = denied ? NO_FDS : fds;
  const executable = proc.link(`${pid}/exe`);
  return {
    ...held,
    environment,
    rootDirectory: rootRelation(ours, rootView(proc, pid, files)),
    saltSigns: saltSigns(
      { argv, executable, script: script?.slice(0, ENTRY_POINT_BYTES) ?? null, files: saltFiles },
      files,
    ),
    fds: denied ? ('denied' as const) : ('read' as const),
  };
}

const NO_FDS: FdTable = { listens: [], portConnections: 0, otherPorts: [], saltFiles: [] };

/** What is known of a process that nothing was read of. */
const NOTHING = {
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
} as const satisfies Partial<ProcessFacts>;

/** How a namespace of a process is to ours. */
export function namespaceRelation(
  proc: ProcFiles,
  kind: 'net' | 'pid',
  pid: number,
): NamespaceRelation {
  const [own, other] = [proc.link(`self/ns/${kind}`), proc.link(`${pid}/ns/${kind}`)];
  if (own === null || other === null) return 'unseen';
  return own === other ? 'ours' : 'other';
}

/**
 * Of all that were described those that bear on salt-api, by pid: salt-api, the holders of the port,
 * the parents of salt-api, and its dead children.
 */
export function processesThatMatter(described: readonly ProcessFacts[]): ProcessFacts[] {
  const saltApi = described.filter(({ saltSigns }) => saltSigns !== null);
  const pids = new Set(saltApi.map(({ pid }) => pid));
  const parents = new Set(saltApi.map(({ ppid }) => ppid));
  return described
    .filter(({ pid, ppid, state, listens }) => {
      const deadChild = isDeadState(state) && pids.has(ppid);
      return deadChild || pids.has(pid) || parents.has(pid) || listens.length > 0;
    })
    .sort((a, b) => a.pid - b.pid);
}

/** What a process sees as its root directory, each file as `device:inode`, or empty. */
export interface RootView {
  /** Target of `/proc/PID/root`; empty where it can't be read. */
  readonly link: string;
  readonly root: string;
  readonly configDirectory: string;
  readonly mainFile: string;
}

/** The files that tell one root directory from another, as a process sees them. */
export function rootView(
  proc: ProcFiles,
  pid: number | 'self',
  { configDirectory }: SaltFiles,
): RootView {
  const root = `${pid}/root`;
  return {
    link: proc.link(root) ?? '',
    root: proc.id(`${root}/`),
    configDirectory: proc.id(`${root}${configDirectory}`),
    mainFile: proc.id(`${root}${configDirectory}/master`),
  };
}

/**
 * Whether a process reads the files that we read. A mount namespace alone proves nothing, as
 * systemd gives one to many a service (PrivateTmp=, systemd.exec(5)); nor does the root's inode,
 * as a bind of `/` has the same. A chroot whose config is ours as far as we see is left open.
 */
function rootRelation(ours: RootView, theirs: RootView): NamespaceRelation {
  if (ours.root === '' || theirs.root === '' || theirs.link === '') return 'unseen';
  const same =
    ours.root === theirs.root &&
    ours.configDirectory === theirs.configDirectory &&
    ours.mainFile === theirs.mainFile;
  if (!same) return 'other';
  return theirs.link === ours.link ? 'ours' : 'unseen';
}
