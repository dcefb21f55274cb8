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
  const { entryPoint, words } = program;
  const values = new Map<string, string>();
  const title: string[] = [];
  let unknownBefore = false;
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    const options = readOption(word);
    for (const { name, inline } of options) {
      const kind = LONG_OPTIONS[name];
      if (kind === 'informational') return null;
      if (kind !== 'value') continue;
      const value = inline ?? words[index + 1];
      if (inline === null) index += 1;
      if (value !== undefined) values.set(name, value);
    }
    if (TITLE.test(word)) title.push(word);
    else if (!word.startsWith('-') && !rewritten && !unknownBefore) return null;
    unknownBefore = word.startsWith('-') && options.length === 0;
  }
  return {
    entryPoint,
    title: title.join(' '),
    configDirectory: values.get('--config-dir') ?? null,
    logFile: values.get('--log-file') ?? null,
    pidFile: values.get('--pid-file') ?? null,
  };
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
): { readonly entryPoint: string; readonly words: readonly string[] } | null {
  const program = tokens[0] ?? '';
  if (baseName(program) === 'salt-api') return { entryPoint: program, words: tokens.slice(1) };
  // The 3005 onedir is one frozen binary with the daemon's name as its first argument.
  if (program.endsWith('/salt/run/run') && tokens[1] === 'api') {
    return { entryPoint: program, words: tokens.slice(2) };
  }
  if (!PYTHON.test(baseName(program))) return null;
  let index = 1;
  while (index < tokens.length) {
    const token = tokens[index] ?? '';
    if (PYTHON_FLAGS_WITH_VALUE.test(token)) index += 2;
    else if (PYTHON_FLAGS.test(token)) index += 1;
    else break;
  }
  const script = tokens[index] ?? '';
  if (baseName(script) !== 'salt-api' || /\s/.test(script)) return null;
  return { entryPoint: script, words: tokens.slice(index + 1) };
}

/**
 * The options of one word as Python's optparse takes them: a long name may be cut short as long as
 * it is one option's alone, and short ones may be bundled, `-dc DIR`.
 */
function readOption(word: string): { name: string; inline: string | null }[] {
  if (word.startsWith('--')) {
    const equals = word.indexOf('=');
    const given = equals === -1 ? word : word.slice(0, equals);
    const name = completeName(given);
    return name === null ? [] : [{ name, inline: equals === -1 ? null : word.slice(equals + 1) }];
  }
  const options: { name: string; inline: string | null }[] = [];
  if (!word.startsWith('-')) return options;
  for (let at = 1; at < word.length; at += 1) {
    const name = SHORT_OPTIONS[word.charAt(at)];
    if (name === undefined) return options;
    if (LONG_OPTIONS[name] === 'value') {
      options.push({ name, inline: at + 1 < word.length ? word.slice(at + 1) : null });
      return options;
    }
    options.push({ name, inline: null });
  }
  return options;
}

function completeName(given: string): string | null {
  if (LONG_OPTIONS[given] !== undefined) return given;
  const [only, another] = Object.keys(LONG_OPTIONS).filter((name) => name.startsWith(given));
  return only !== undefined && another === undefined ? only : null;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
