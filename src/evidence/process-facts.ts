/**
 * From what the kernel shows of one process to what is judged of it; the same for a process here
 * and one behind ssh. Pure.
 */
import type { NamespaceRelation, SaltSign } from './evidence.ts';
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
export interface SignTexts {
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

/** What a process sees as its root directory, each file as `device:inode`, or empty. */
export interface RootView {
  /** Target of `/proc/PID/root`; empty where it can't be read. */
  readonly link: string;
  readonly root: string;
  readonly configDirectory: string;
  readonly mainFile: string;
}

/**
 * Whether a process reads the files that we read. A mount namespace alone proves nothing, as
 * systemd gives one to many a service (PrivateTmp=, systemd.exec(5)); nor does the root's inode,
 * as a bind of `/` has the same. A chroot whose config is ours as far as we see is left open.
 */
export function rootRelation(ours: RootView, theirs: RootView): NamespaceRelation {
  if (ours.root === '' || theirs.root === '' || theirs.link === '') return 'unseen';
  const same =
    ours.root === theirs.root &&
    ours.configDirectory === theirs.configDirectory &&
    ours.mainFile === theirs.mainFile;
  if (!same) return 'other';
  return theirs.link === ours.link ? 'ours' : 'unseen';
}
