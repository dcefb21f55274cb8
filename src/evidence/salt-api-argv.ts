/**
 * Which command lines are salt-api. Decided by position, never by substring: `tail -f
 * /var/log/salt/api`, `vim salt-api.conf` and `grep salt-api` all contain the word.
 */
import { posix } from 'node:path';

/** What the command line of a salt-api process tells about it. */
export interface SaltApiArgv {
  /** The word that makes it salt-api: `/usr/bin/salt-api`, `…/salt/run/run`. */
  readonly entryPoint: string;
  /** What setproctitle appended (salt-facts §1.3), empty where the title is untouched. */
  readonly title: string;
  /** `-c` / `--config-dir`, null where the process uses its default. */
  readonly configDirectory: string | null;
  readonly logFile: string | null;
  readonly pidFile: string | null;
}

/** Where a salt-api that is told nothing reads its configuration. */
export const DEFAULT_CONFIG_DIRECTORY = '/etc/salt';

/**
 * What starts salt-api, by its name or the end of its path, and the first argument that says so where
 * the path alone does not. Whoever looks for candidates behind ssh goes by the same.
 */
export const ENTRY_POINTS: readonly EntryPoint[] = [
  { name: 'salt-api', argument: null },
  // The 3005 onedir is one frozen binary with the daemon's name as its first argument.
  { name: '/salt/run/run', argument: 'api' },
];

/** The same of the Salt master. */
export const MASTER_ENTRY_POINTS: readonly EntryPoint[] = [
  { name: 'salt-master', argument: null },
  { name: '/salt/run/run', argument: 'master' },
];

interface EntryPoint {
  readonly name: string;
  readonly argument: string | null;
}

const PYTHON = /^(?:(?:platform-)?python|pypy)\d*(?:\.\d+)*$/;
/** Interpreter flags of a program that runs on, without a value, such as SUSE's `-s` and Fedora's `-sP` (python(1)). */
const PYTHON_FLAGS = /^-(?:[bBdEiIOPqsSuvx]+|[WX].+)$/;
const PYTHON_FLAGS_WITH_VALUE = /^-[WX]$/;
/** What Salt appends to a title: class names, or `RunNetapi(salt.loaded…)`. */
const TITLE = /^(?:[A-Za-z]*ProcessManager|MainProcess|RunNetapi(?:\(.*)?)$/;

/** salt-api's own options (docs.saltproject.io, ref/cli/salt-api), by whether a value follows. */
const LONG_OPTIONS: Readonly<Record<string, 'value' | 'flag' | 'informational'>> = {
  '--config-dir': 'value',
  '--log-file': 'value',
  '--log-file-level': 'value',
  '--log-level': 'value',
  '--pid-file': 'value',
  '--daemon': 'flag',
  '--help': 'informational',
  '--version': 'informational',
  '--versions-report': 'informational',
};
const SHORT_OPTIONS: Readonly<Record<string, keyof typeof LONG_OPTIONS>> = {
  c: '--config-dir',
  l: '--log-level',
  d: '--daemon',
  h: '--help',
  V: '--versions-report',
};

/**
 * False only for what {@link readSaltApiArgv} turns down: spares it thousands of command lines.
 * @param text of `/proc/PID/cmdline`, in whatever charset
 */
export function mayBeSaltApi(text: string): boolean {
  return ENTRY_POINTS.some(({ name }) => text.includes(name));
}

/**
 * Reads a kernel argv as salt-api's.
 * A title that setproctitle rewrote arrives as one element with spaces in it (salt-facts §1.3),
 * so a first element with a blank is split; an argv whose first element has none is taken as is,
 * so that a blank in a later argument can't forge a position.
 *
 * @param argv elements of `/proc/PID/cmdline`, split at NUL
 * @returns null for anything that is not a salt-api daemon or one of its children: other programs,
 *   runs that print and exit, and words that are no option, which the daemon takes none of
 */
export function readSaltApiArgv(argv: readonly string[]): SaltApiArgv | null {
  const rewritten = /\s/.test(argv[0] ?? '');
  const program = splitAtProgram(tokenize(argv));
  if (program === null) return null;
  const words = readWords(program.words);
  const informational = words.some(({ names }) =>
    names.some((name) => LONG_OPTIONS[name] === 'informational'),
  );
  // What follows an option that is not known may be its value.
  const stray = words.some(({ word }, at) => {
    return !word.startsWith('-') && !TITLE.test(word) && !isUnknownOption(words[at - 1]);
  });
  if (informational || (stray && !rewritten)) return null;
  const given = (name: string) =>
    words.findLast(({ names, value }) => names.at(-1) === name && value !== null)?.value ?? null;
  return {
    entryPoint: program.entryPoint,
    title: words.flatMap(({ word }) => (TITLE.test(word) ? [word] : [])).join(' '),
    configDirectory: given('--config-dir'),
    logFile: given('--log-file'),
    pidFile: given('--pid-file'),
  };
}

/** As {@link mayBeSaltApi}, of {@link readSaltMasterArgv}. */
export function mayBeSaltMaster(text: string): boolean {
  return MASTER_ENTRY_POINTS.some(({ name }) => text.includes(name));
}

/** What the command line of a salt-master process tells about it. */
export interface SaltMasterArgv {
  /** What the process has called itself: `ReqServer MWorker-0`; empty where it has not. */
  readonly title: string;
  /** `-c` / `--config-dir`, null where the process uses its default. */
  readonly configDirectory: string | null;
}

/**
 * Reads a kernel argv as salt-master's, by position as {@link readSaltApiArgv} does. Nothing that is
 * killed is chosen by it.
 *
 * @returns null for other programs
 */
export function readSaltMasterArgv(argv: readonly string[]): SaltMasterArgv | null {
  const program = splitAtProgram(tokenize(argv), MASTER_ENTRY_POINTS);
  if (program === null) return null;
  const words = readWords(program.words);
  const directory = words.findLast(({ names }) => names.at(-1) === '--config-dir');
  const title = words.filter(({ word }) => !word.startsWith('-')).map(({ word }) => word);
  return { title: title.join(' '), configDirectory: directory?.value ?? null };
}

/**
 * The same with what the process's environment says where its argv is silent: SALT_CONFIG_DIR is
 * the default of `-c` (salt/utils/parsers.py, ConfigDirMixIn).
 *
 * @param environment null where it could not be read
 */
export function withEnvironment(
  argv: SaltApiArgv,
  environment: { readonly configDirectory: string | null } | null,
): SaltApiArgv {
  return argv.configDirectory === null && environment?.configDirectory
    ? { ...argv, configDirectory: environment.configDirectory }
    : argv;
}

/**
 * Whether a directory that a salt-api names is a given one. A relative name is of a directory that
 * can't be told, as a daemon has left it (`chdir /`, salt-facts §1.2), so its end must fit.
 *
 * @param named as argv or environment has it
 * @param directory absolute
 */
export function namesDirectory(named: string, directory: string): boolean {
  const [theirs, ours] = [tidy(named), tidy(directory)];
  return theirs.startsWith('/') ? theirs === ours : ours.endsWith(`/${theirs}`);
}

function tidy(directory: string): string {
  return posix.normalize(directory).replace(/(?<=.)\/$/, '');
}

/** True for a title that only a restarted or 3005+ netapi child carries (salt-facts §1.3). */
export function isNetapiChildTitle(title: string): boolean {
  return title.includes('RunNetapi');
}

/** A drill's configuration lies in a directory of that name, and nothing else's does. */
export function isDrillDirectory(directory: string): boolean {
  return /\/salt-triage-drill-[A-Za-z0-9_-]+(?:\/|$)/.test(directory);
}

function tokenize(argv: readonly string[]): string[] {
  const first = argv[0] ?? '';
  const rest = argv.slice(1).filter((argument) => argument !== '');
  return /\s/.test(first) ? [...first.split(/\s/).filter(Boolean), ...rest] : [first, ...rest];
}

/** The program and the tokens after it, or null where the program is not salt-api. */
function splitAtProgram(
  tokens: readonly string[],
  entryPoints = ENTRY_POINTS,
): { readonly entryPoint: string; readonly words: readonly string[] } | null {
  const [program = '', first] = tokens;
  const frozen = entryPoints.find(({ name, argument }) => {
    return isNamed(program, name) && (argument === null || argument === first);
  });
  if (frozen !== undefined) {
    return { entryPoint: program, words: tokens.slice(frozen.argument === null ? 1 : 2) };
  }
  if (!PYTHON.test(baseName(program))) return null;
  const at = afterPythonFlags(tokens);
  const script = tokens[at] ?? '';
  const known = entryPoints.some(({ name, argument }) => {
    return argument === null && isNamed(script, name);
  });
  return known && !/\s/.test(script) ? { entryPoint: script, words: tokens.slice(at + 1) } : null;
}

function afterPythonFlags(tokens: readonly string[]): number {
  let at = 1;
  for (;;) {
    const token = tokens[at] ?? '';
    if (PYTHON_FLAGS_WITH_VALUE.test(token)) at += 2;
    else if (PYTHON_FLAGS.test(token)) at += 1;
    else return at;
  }
}

function isNamed(path: string, name: string): boolean {
  return name.startsWith('/') ? path.endsWith(name) : baseName(path) === name;
}

interface Word {
  readonly word: string;
  /** The options in it by their whole names; only the last can have a value. */
  readonly names: readonly string[];
  readonly value: string | null;
}

function isUnknownOption(one: Word | undefined): boolean {
  return one?.word.startsWith('-') === true && one.names.length === 0;
}

/** The words with the options in them; a word that is the value of an option is that option's. */
function readWords(tokens: readonly string[]): Word[] {
  const words: Word[] = [];
  for (let at = 0; at < tokens.length; at += 1) {
    const word = tokens[at] ?? '';
    const { names, inline } = readOption(word);
    const takesValue = LONG_OPTIONS[names.at(-1) ?? ''] === 'value';
    if (takesValue && inline === null) at += 1;
    const value = takesValue ? (inline ?? tokens[at] ?? null) : null;
    words.push({ word, names, value });
  }
  return words;
}

/**
 * The options of one word as Python's optparse takes them: a long name may be cut short as long as
 * it is one option's alone, and short ones may be bundled, `-dc DIR`.
 */
function readOption(word: string): { names: readonly string[]; inline: string | null } {
  const [, long, inline = null] = /^(--[^=]*)(?:=(.*))?$/s.exec(word) ?? [];
  if (long !== undefined) return { names: completeName(long), inline };
  const names: string[] = [];
  if (!word.startsWith('-')) return { names, inline: null };
  for (const letter of word.slice(1)) {
    const name = SHORT_OPTIONS[letter];
    if (name === undefined) break;
    names.push(name);
    if (LONG_OPTIONS[name] === 'value')
      return { names, inline: word.slice(1 + names.length) || null };
  }
  return { names, inline: null };
}

function completeName(given: string): string[] {
  if (LONG_OPTIONS[given] !== undefined) return [given];
  const names = Object.keys(LONG_OPTIONS).filter((name) => name.startsWith(given));
  return names.length === 1 ? names : [];
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
