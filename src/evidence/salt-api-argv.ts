/**
 * Which command lines are salt-api. Decided by position, never by substring: `tail -f
 * /var/log/salt/api`, `vim salt-api.conf` and `grep salt-api` all contain the word.
 */

/** What the command line of a salt-api process tells about it. */
export interface SaltApiArgv {
  /** What setproctitle appended (salt-facts §1.3), empty where the title is untouched. */
  readonly title: string;
  /** `-c` / `--config-dir`, null where the process uses its default. */
  readonly configDirectory: string | null;
  readonly logFile: string | null;
  readonly pidFile: string | null;
}

const PYTHON = /^(?:(?:platform-)?python|pypy)\d*(?:\.\d+)*$/;
/** Interpreter flags without a value, such as SUSE's `-s` and Fedora's `-sP` (python(1)). */
const PYTHON_FLAGS = /^-(?:[bBdEhiIOPqsSuvVx]+|[WX].+)$/;
const PYTHON_FLAGS_WITH_VALUE = /^-[WX]$/;
/** Runs that print and exit: they are no daemon and hold nothing. */
const INFORMATIONAL = new Set(['--version', '-V', '--versions-report', '--help', '-h']);
/** What Salt appends to a title: class names, or `RunNetapi(salt.loaded…)`. */
const TITLE = /^(?:[A-Za-z]*ProcessManager|MainProcess|RunNetapi(?:\(.*)?)$/;

/**
 * Reads a kernel argv as salt-api's.
 * A title that setproctitle rewrote arrives as one element with spaces in it (salt-facts §1.3),
 * so a first element with a blank is split; an argv whose first element has none is taken as is,
 * so that a blank in a later argument can't forge a position.
 *
 * @param argv elements of `/proc/PID/cmdline`, split at NUL
 * @returns null for anything that is not a salt-api daemon or one of its children
 */
export function readSaltApiArgv(argv: readonly string[]): SaltApiArgv | null {
  const tokens = tokenize(argv);
  const options = afterProgram(tokens);
  if (options === null || options.some((token) => INFORMATIONAL.has(token))) return null;
  const title: string[] = [];
  let configDirectory: string | null = null;
  let logFile: string | null = null;
  let pidFile: string | null = null;
  for (let index = 0; index < options.length; index += 1) {
    const token = options[index] ?? '';
    const [name, inline] = splitOption(token);
    const value = () => {
      if (inline !== null) return inline;
      index += 1;
      return options[index] ?? null;
    };
    if (name === '-c' || name === '--config-dir') configDirectory = value();
    else if (name === '--log-file') logFile = value();
    else if (name === '--pid-file') pidFile = value();
    else if (TITLE.test(token)) title.push(token);
  }
  return { title: title.join(' '), configDirectory, logFile, pidFile };
}

/** True for a title that only a restarted or 3005+ netapi child carries (salt-facts §1.3). */
export function isNetapiChildTitle(title: string): boolean {
  return title.includes('RunNetapi');
}

/** True for a title that says "manager" without proving it: restarted children inherit it. */
export function isManagerTitle(title: string): boolean {
  return /ProcessManager|MainProcess/.test(title) && !isNetapiChildTitle(title);
}

/** A drill's configuration lies in a directory of that name, and nothing else's does. */
export function isDrillDirectory(directory: string): boolean {
  return /\/salt-triage-drill-[A-Za-z0-9_-]+(?:\/|$)/.test(directory);
}

function tokenize(argv: readonly string[]): string[] {
  const first = argv[0] ?? '';
  const rest = argv.slice(1).filter((argument) => argument !== '');
  return /\s/.test(first) ? [...first.split(/\s+/).filter(Boolean), ...rest] : [first, ...rest];
}

/** The tokens after the program, or null where the program is not salt-api. */
function afterProgram(tokens: readonly string[]): readonly string[] | null {
  const program = tokens[0] ?? '';
  if (baseName(program) === 'salt-api') return tokens.slice(1);
  // The 3005 onedir is one frozen binary with the daemon's name as its first argument.
  if (program.endsWith('/salt/run/run') && tokens[1] === 'api') return tokens.slice(2);
  if (!PYTHON.test(baseName(program))) return null;
  let index = 1;
  while (index < tokens.length) {
    const token = tokens[index] ?? '';
    if (PYTHON_FLAGS_WITH_VALUE.test(token)) index += 2;
    else if (PYTHON_FLAGS.test(token)) index += 1;
    else break;
  }
  const script = tokens[index] ?? '';
  return baseName(script) === 'salt-api' && !/\s/.test(script) ? tokens.slice(index + 1) : null;
}

function splitOption(token: string): [name: string, inline: string | null] {
  const equals = token.indexOf('=');
  if (token.startsWith('--') && equals > 0) {
    return [token.slice(0, equals), token.slice(equals + 1)];
  }
  if (/^-c./.test(token)) return ['-c', token.slice(2)];
  return [token, null];
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
