import { posix } from 'node:path';
import { stripControl } from '../untrusted.ts';
import {
  blind,
  type Look,
  type NetapiFacts,
  type PortChoice,
  type SaltConfigFacts,
  seen,
} from './evidence.ts';
import { saltOptions, TOP_LEVEL_KEYS } from './salt-options.ts';

/**
 * A file of the configuration as it came from a host: its text, or why there is none, as an errno
 * name (`EACCES`) where there is one and words where there is not.
 */
export type SaltConfigFile =
  | { readonly path: string; readonly text: string }
  | { readonly path: string; readonly error: string };

/** Where Salt starts to read. */
export interface SaltConfigLocation {
  /** What relative includes start from. */
  readonly directory: string;
  /** `master` in the directory where unset. */
  readonly mainFile?: string;
  /** What `~` of an include means: root's home where unset, as salt-api is started by root. */
  readonly home?: string;
}

/** How the files of a host are reached. Neither function rejects for what the host is like. */
export interface SaltConfigSource {
  read(path: string): Promise<SaltConfigFile>;
  /**
   * Every file that an absolute glob names, and an entry for every directory that hides some, at
   * most as many as are asked for.
   */
  readMatching(glob: string, most: number): Promise<readonly SaltConfigFile[]>;
}

/** Far more than any master has; bounds an `include:` that matches half a disk. */
const MAX_FILES = 500;
/** Entries of one `include:`. */
const MAX_GLOBS = 200;
/** Characters but for comments of one file, and of all; a stock master has 60,000, all comments. */
const MAX_TEXT = 512 * 1024;
const MAX_ALL_TEXT = 1024 * 1024;

const DEFAULT_PORT = 443;

/**
 * The netapi modules, the weightiest first: their settings for address and listen(2) backlog, and
 * the defaults that they have in their code.
 */
const NETAPI_MODULES: Readonly<Record<NetapiFacts['module'], NetapiModule>> = {
  // The code reads queue_size; the docs' socket_queue_size does nothing (salt-facts §3).
  rest_cherrypy: { keys: ['host', 'queue_size'], host: '0.0.0.0', backlog: 30 },
  rest_tornado: { keys: ['address', 'backlog'], host: '0.0.0.0', backlog: 128 },
  // wsgiref: make_server('localhost', …), socketserver.request_queue_size.
  rest_wsgi: { keys: [], host: '127.0.0.1', backlog: 5 },
};

type NetapiModule = Pick<NetapiFacts, 'host' | 'backlog'> & { readonly keys: readonly string[] };

const KEPT_KEYS: ReadonlySet<string> = new Set([
  ...Object.keys(NETAPI_MODULES),
  'include',
  'default_include',
  'api_logfile',
  'log_file',
  'api_pidfile',
  'pidfile',
  ...TOP_LEVEL_KEYS,
]);

/** A value with the file that it was read from, so that a merged tree still says who set what. */
interface Setting {
  readonly value: unknown;
  readonly file: string;
}

type Settings = Map<string, Settings | Setting>;

/** What has been read so far, in the order Salt reads it. */
interface Reading {
  readonly source: SaltConfigSource;
  readonly home: string;
  readonly files: string[];
  readonly problems: string[];
  readonly errors: string[];
  /** Files taken up, read or not, and the characters of them that were parsed. */
  taken: number;
  parsed: number;
}

/**
 * Reads the master configuration as salt-api does (salt-facts §3; salt/config `master_config`):
 * the main file, `default_include`, `include`. The top-level keys of included files replace the
 * main file's; the files of one include statement merge into each other recursively (2015.8+).
 * `~/.saltrc` and `$SALT_CLIENT_CONFIG` are left out: they belong to whoever started salt-api, and
 * nobody sets a port there.
 *
 * A file that cannot be read or parsed is a problem of the result, and the rest is still read.
 * Blind where not one file could be.
 */
export async function saltConfigFromSource(
  location: SaltConfigLocation,
  source: SaltConfigSource,
): Promise<Look<SaltConfigFacts>> {
  const { directory, home = '/root', mainFile = posix.join(directory, 'master') } = location;
  const nothing = { files: [], problems: [], errors: [], taken: 0, parsed: 0 };
  const reading: Reading = { source, home, ...nothing };

  const main = await settingsOf(reading, await source.read(mainFile));
  const defaultGlobs = main.has('default_include')
    ? includeGlobs(main, 'default_include')
    : ['master.d/*.conf'];
  let settings = main;
  for (const globs of [defaultGlobs, includeGlobs(main, 'include')]) {
    const included = await readIncluded(reading, globs, directory, [mainFile]);
    settings = new Map([...settings, ...included]);
  }

  if (reading.files.length === 0) {
    if (reading.problems.length === 0) {
      return blind('missing', stripControl(`no Salt master config at ${mainFile}`));
    }
    const denied =
      reading.errors.length > 0 &&
      reading.errors.every((error) => ['EACCES', 'EPERM'].includes(error));
    return blind(denied ? 'permission' : 'malformed', reading.problems.join('; '));
  }

  const problems = reading.problems;
  const rootDirectory = rootDirectoryOf(settings, problems);
  const [netapi = null, ...otherNetapis] = netapisOf(settings, problems);
  return seen({
    directory,
    files: reading.files,
    netapi,
    ...(otherNetapis.length > 0 ? { otherNetapis } : {}),
    apiLogFile: pathOf(settings, 'api_logfile', rootDirectory, '/var/log/salt/api', problems),
    logFile: pathOf(settings, 'log_file', rootDirectory, null, problems),
    pidFile: settings.has('api_pidfile')
      ? pathOf(settings, 'api_pidfile', rootDirectory, null, problems)
      : pathOf(settings, 'pidfile', rootDirectory, '/var/run/salt-api.pid', problems),
    ...userOf(settings),
    options: saltOptions((key, inner) => valueAt(settings, key, inner)),
    problems: problems.map(stripControl),
  });
}

/**
 * The same from files that were all fetched beforehand, for a host that sends them in one go.
 * An include that names none of them reads as one that matches nothing; an entry with an error
 * whose path is a directory stands for everything beneath it.
 */
export function saltConfigFromFiles(
  input: SaltConfigLocation & { readonly files: readonly SaltConfigFile[] },
): Promise<Look<SaltConfigFacts>> {
  const files = input.files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return saltConfigFromSource(input, {
    read: async (path) => files.find((file) => file.path === path) ?? { path, error: 'ENOENT' },
    readMatching: async (glob) =>
      files.filter(
        (file) =>
          matchesGlob(glob, file.path) || ('error' in file && glob.startsWith(`${file.path}/`)),
      ),
  });
}

/**
 * The port to examine: the option, else the config's, else 443 with the reason why nothing better
 * was known.
 */
export function choosePort(option: number | undefined, config: Look<SaltConfigFacts>): PortChoice {
  if (option !== undefined) return { number: option, origin: { kind: 'option' } };
  if (!config.seen) {
    return { number: DEFAULT_PORT, origin: { kind: 'default', why: config.why } };
  }
  const { directory, netapi, problems } = config.value;
  if (netapi !== null) {
    return {
      number: netapi.port,
      origin: { kind: 'config', file: netapi.file, key: `${netapi.module}.port` },
    };
  }
  const why = [`no netapi port in ${posix.join(directory, 'master')}`, ...problems.slice(0, 1)];
  return { number: DEFAULT_PORT, origin: { kind: 'default', why: stripControl(why.join('; ')) } };
}

/** Whether a name in a directory matches one segment of a glob, as Python's glob.glob has it. */
export function matchesGlobSegment(segment: string, name: string): boolean {
  if (!isGlob(segment)) return segment === name;
  if (name.startsWith('.') && !segment.startsWith('.')) return false;
  const pattern = globTokens(segment);
  const characters = [...name];
  // By hand, going back to the last `*` alone: a regular expression goes back to every one of them.
  let [at, token, starToken, starAt] = [0, 0, -1, 0];
  while (at < characters.length) {
    const matches = pattern[token];
    if (matches === '*') [starToken, starAt, token] = [token, at, token + 1];
    else if (matches?.(characters[at] ?? '')) [at, token] = [at + 1, token + 1];
    else if (starToken !== -1) [starAt, at, token] = [starAt + 1, starAt + 1, starToken + 1];
    else return false;
  }
  return pattern.slice(token).every((rest) => rest === '*');
}

type GlobToken = '*' | ((character: string) => boolean);

function globTokens(segment: string): GlobToken[] {
  const tokens: GlobToken[] = [];
  for (let at = 0; at < segment.length; at += 1) {
    const character = String.fromCodePoint(segment.codePointAt(at) ?? 0);
    const close = character === '[' ? segment.indexOf(']', at + 2) : -1;
    if (character === '*') {
      if (tokens.at(-1) !== '*') tokens.push('*');
    } else if (character === '?') tokens.push(() => true);
    else if (close !== -1) {
      tokens.push(oneOf(segment.slice(at + 1, close)));
      at = close;
    } else {
      tokens.push((other) => other === character);
      at += character.length - 1;
    }
  }
  return tokens;
}

/** A bracket of a glob; a range that runs backwards, `[z-a]`, makes it match nothing. */
function oneOf(bracket: string): (character: string) => boolean {
  const negated = bracket.startsWith('!');
  const members = (negated ? bracket.slice(1) : bracket).replace(/[\\\][^]/g, '\\$&');
  try {
    const pattern = new RegExp(`^[${negated ? '^' : ''}${members}]$`, 'su');
    return (character) => pattern.test(character);
  } catch {
    return () => false;
  }
}

/** Whether a segment has any of glob's special characters. */
export function isGlob(segment: string): boolean {
  return /[*?[]/.test(segment);
}

function matchesGlob(glob: string, path: string): boolean {
  const segments = glob.split('/');
  const names = path.split('/');
  return (
    segments.length === names.length &&
    segments.every((segment, at) => matchesGlobSegment(segment, names[at] ?? ''))
  );
}

async function readIncluded(
  reading: Reading,
  globs: readonly string[],
  directory: string,
  trail: readonly string[],
): Promise<Settings> {
  const merged: Settings = new Map();
  for (const glob of globs) {
    const expanded = glob.startsWith('~/') ? posix.join(reading.home, glob.slice(2)) : glob;
    const most = MAX_FILES + 1 - reading.taken;
    const absolute = posix.resolve('/', directory, expanded);
    for (const file of await reading.source.readMatching(absolute, most)) {
      if (trail.includes(file.path)) reading.problems.push(`${file.path} includes itself`);
      else if (reading.taken >= MAX_FILES) {
        reading.problems.push(`more than ${MAX_FILES} files; ${file.path} was not read`);
        return merged;
      } else mergeInto(merged, await settingsWithIncluded(reading, file, trail));
    }
  }
  return merged;
}

async function settingsWithIncluded(
  reading: Reading,
  file: SaltConfigFile,
  trail: readonly string[],
): Promise<Settings> {
  reading.taken += 1;
  const settings = await settingsOf(reading, file);
  const globs = includeGlobs(settings, 'include');
  const directory = posix.dirname(file.path);
  const nested = await readIncluded(reading, globs, directory, [...trail, file.path]);
  return new Map([...settings, ...nested]);
}

/** salt/utils/dictupdate.py `update`: mappings merge, everything else is replaced. */
function mergeInto(target: Settings, added: Settings): void {
  for (const [key, value] of added) {
    const present = target.get(key);
    if (present instanceof Map && value instanceof Map) mergeInto(present, value);
    else target.set(key, value);
  }
}

function includeGlobs(settings: Settings, key: string): string[] {
  return [scalarOf(settings, key)]
    .flat()
    .filter((glob): glob is string => typeof glob === 'string' && glob !== '')
    .slice(0, MAX_GLOBS);
}

/** What one file sets; nothing where it is not there, or could not be read or parsed. */
async function settingsOf(reading: Reading, file: SaltConfigFile): Promise<Settings> {
  if ('error' in file) {
    if (file.error === 'ENOENT') return new Map();
    reading.errors.push(file.error);
    reading.problems.push(`cannot read ${file.path}: ${reasonOf(file.error)}`);
    return new Map();
  }
  const parsed = await parseYaml(file.text, Math.min(MAX_TEXT, MAX_ALL_TEXT - reading.parsed));
  reading.parsed += parsed.length;
  if ('error' in parsed) {
    reading.errors.push('malformed');
    const where = parsed.line === null ? file.path : `${file.path} line ${parsed.line}`;
    reading.problems.push(`${where}: ${parsed.error}`);
    return new Map();
  }
  reading.files.push(file.path);
  return toSettings(parsed.value, file.path, KEPT_KEYS);
}

function toSettings(mapping: object, file: string, keys?: ReadonlySet<string>): Settings {
  const settings: Settings = new Map();
  for (const [key, value] of Object.entries(mapping) as [string, unknown][]) {
    if (keys !== undefined && !keys.has(key)) continue;
    settings.set(key, isMapping(value) ? toSettings(value, file) : { value, file });
  }
  return settings;
}

type ParsedYaml =
  | { readonly value: object }
  | { readonly error: string; readonly line: number | null };

/** @param most characters that may be parsed @returns with `length`, those that were */
async function parseYaml(
  text: string,
  most: number,
): Promise<ParsedYaml & { readonly length: number }> {
  const kept = withoutComments(text);
  const { length } = kept;
  if (length === 0) return { value: {}, length };
  // The parser takes hundreds of times as much memory as its text.
  if (length > most) {
    const bound = `all there is of settings is more than ${MAX_TEXT / 1024} KiB`;
    return { error: `is too large: ${bound}`, line: null, length: 0 };
  }
  const parsed = await parseWholeYaml(kept);
  // Only the untouched text has the right line numbers.
  const again = 'error' in parsed && kept !== text && text.length <= 2 * MAX_TEXT;
  return { ...(again ? await parseWholeYaml(text) : parsed), length };
}

async function parseWholeYaml(text: string): Promise<ParsedYaml> {
  const { isScalar, LineCounter, parseDocument, visit } = await import('yaml');
  const lines = new LineCounter();
  const document = parseDocument(text, {
    // PyYAML reads YAML 1.1 (`yes` is true), but Salt makes 0443 a decimal (salt/utils/yamlloader).
    version: '1.1',
    customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || tag.format !== 'OCT'),
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'error',
    // The parser's own search for keys that come twice takes quadratic time; see below.
    uniqueKeys: false,
  });
  const error = document.errors[0];
  if (error !== undefined) {
    const deep = error.message.startsWith('Maximum call stack');
    const message = deep ? 'nests too deep' : error.message;
    return { error: message, line: lines.linePos(error.pos[0]).line };
  }
  try {
    // Salt refuses a file with the same key twice in one mapping (salt/utils/yamlloader).
    let twice: number | null = null;
    visit(document, {
      Map(_key, { items }) {
        const keys = new Set<unknown>();
        for (const { key } of items) {
          if (!isScalar(key)) continue;
          if (keys.has(key.value) && key.value !== '<<') twice ??= key.range?.[0] ?? 0;
          keys.add(key.value);
        }
      },
    });
    if (twice !== null) {
      return { error: 'Map keys must be unique', line: lines.linePos(twice).line };
    }
    const value: unknown = document.toJS();
    if (value === null || value === '' || value === false || value === 0) return { value: {} };
    if (isMapping(value)) return { value };
    return { error: 'is not a mapping of settings, so Salt refuses it', line: null };
  } catch (thrown) {
    // An alias without its anchor, or aliases that multiply beyond the parser's bound.
    return { error: thrown instanceof Error ? thrown.message : String(thrown), line: null };
  }
}

/**
 * Drops whole-line comments and blank lines, all but a few of a stock file's 1,300 lines, which
 * are slow to parse; or gives the text back as it is where such a line might be content: with
 * block scalars, or a quoted scalar that may go on over lines.
 */
function withoutComments(text: string): string {
  const kept = text.split('\n').filter((line) => !/^\s*(#|$)/.test(line));
  const safe = kept.every(
    (line) =>
      !/[|>]/.test(line) && line.split('"').length % 2 === 1 && line.split("'").length % 2 === 1,
  );
  return safe ? kept.join('\n') : text;
}

/** Every module that has a port, in the order of `NETAPI_MODULES`. */
function netapisOf(settings: Settings, problems: string[]): NetapiFacts[] {
  const modules = Object.keys(NETAPI_MODULES) as NetapiFacts['module'][];
  return modules.flatMap((module) => {
    const entry = settings.get(module);
    if (entry instanceof Map) return netapiOf(module, entry, problems) ?? [];
    if (entry !== undefined && isTruthy(entry.value)) {
      const hint = Array.isArray(entry.value) ? ', not a list ("- port:")' : '';
      problems.push(`${module} in ${entry.file} must be a mapping${hint}`);
    }
    return [];
  });
}

function netapiOf(
  module: NetapiFacts['module'],
  block: Settings,
  problems: string[],
): NetapiFacts | null {
  const named = portOf(module, block, problems);
  if (named === null) return null;
  const tls = module !== 'rest_wsgi' && !isTruthy(scalarOf(block, 'disable_ssl'));
  if (tls && !block.has('ssl_crt')) {
    problems.push(
      `${module} in ${named.file} has neither ssl_crt nor disable_ssl, so salt-api does not start it`,
    );
  }
  const { keys, ...defaults } = NETAPI_MODULES[module];
  const [host, backlog] = keys.map((key) => scalarOf(block, key));
  return {
    module,
    ...named,
    tls,
    host: typeof host === 'string' && host !== '' ? host : defaults.host,
    backlog: isWhole(backlog) && backlog > 0 ? backlog : defaults.backlog,
  };
}

/** The port of a module and the file that names it, or null where it has none that is one. */
function portOf(
  module: string,
  block: Settings,
  problems: string[],
): Pick<NetapiFacts, 'port' | 'file'> | null {
  const entry = block.get('port');
  const file = fileOf(entry ?? block);
  const value = scalarOf(block, 'port');
  const port = typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : value;
  if (file !== null && isWhole(port) && port >= 1 && port <= 65_535) return { port, file };
  if (entry !== undefined) {
    const given = entry instanceof Map ? 'a mapping' : JSON.stringify(value);
    problems.push(`${module} port in ${file ?? 'the config'} is not a port (1 to 65535): ${given}`);
  } else if (file !== null) {
    problems.push(`${module} in ${file} names no port, so salt-api does not load it`);
  }
  return null;
}

function rootDirectoryOf(settings: Settings, problems: string[]): string {
  const entry = settings.get('root_dir');
  if (entry === undefined || entry instanceof Map || entry.value === null) return '/';
  const { value, file } = entry;
  if (typeof value === 'string' && value.startsWith('/')) return posix.join(value, '/');
  problems.push(`root_dir in ${file} is not an absolute path; taken as /`);
  return '/';
}

/** The uid is for whoever reads the host: a config has names alone. */
function userOf(settings: Settings): Pick<SaltConfigFacts, 'user'> {
  const name = scalarOf(settings, 'user');
  return typeof name === 'string' ? { user: { name, uid: null } } : {};
}

/** The same facts with the uid of the user that they name. @param uidOf null for an unknown name */
export function withUserId(
  look: Look<SaltConfigFacts>,
  uidOf: (name: string) => number | null,
): Look<SaltConfigFacts> {
  if (!look.seen || look.value.user === undefined) return look;
  const { name } = look.value.user;
  return seen({ ...look.value, user: { name, uid: uidOf(name) } });
}

/** salt/config `prepend_root_dir`; `unset` is Salt's default, which root_dir moves as well. */
function pathOf(
  settings: Settings,
  key: string,
  rootDirectory: string,
  unset: string | null,
  problems: string[],
): string | null {
  const entry = settings.get(key) ?? { value: null, file: '' };
  const { value, file } = entry instanceof Map ? { value: entry, file: '' } : entry;
  if (value === null) {
    return unset === null || rootDirectory === '/' ? null : posix.join(rootDirectory, unset);
  }
  if (typeof value !== 'string' || value === '') {
    problems.push(`${key} is not a path`);
    return null;
  }
  // Even file:// names a syslog socket, not a log file (salt/_logging/impl.py).
  if (/^(file|udp|tcp):\/\//.test(value)) {
    problems.push(`${key} in ${file} goes to syslog (${value}), not to a file`);
    return null;
  }
  return value.startsWith(rootDirectory)
    ? posix.normalize(value)
    : posix.join(rootDirectory, value);
}

function scalarOf(block: Settings, key: string): unknown {
  const entry = block.get(key);
  return entry instanceof Map ? undefined : entry?.value;
}

/** What a key holds, or one of the block that it names; of a mapping its keys. */
function valueAt(settings: Settings, key: string, inner?: string): unknown {
  const entry = settings.get(key);
  if (!(entry instanceof Map)) return inner === undefined ? entry?.value : undefined;
  return inner === undefined ? [...entry.keys()] : valueAt(entry, inner);
}

/** The file that the first of it was read from; null where a mapping is empty. */
function fileOf(entry: Settings | Setting): string | null {
  if (!(entry instanceof Map)) return entry.file;
  for (const inner of entry.values()) {
    const file = fileOf(inner);
    if (file !== null) return file;
  }
  return null;
}

function isWhole(value: unknown): value is number {
  return Number.isInteger(value);
}

/** Python's idea of it, which Salt goes by: the string 'False' is true. */
function isTruthy(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function isMapping(value: unknown): value is object {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
  );
}

function reasonOf(error: string): string {
  if (error === 'EACCES') return 'permission denied (EACCES)';
  return error === 'EISDIR' ? 'is a directory' : error;
}
