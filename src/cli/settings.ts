import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { ExitCode, TriageError } from '../errors.ts';
import { codeOrText, errorCode } from '../host/local/proc-files.ts';
import { whyNotOurs } from '../trail/directory.ts';
import { stripControl } from '../untrusted.ts';
import { parseDuration, parseTimeout } from './duration.ts';

/** Read where `--config` is not given, if it is there. */
const DEFAULT_SETTINGS_FILE = '/etc/salt-triage.yaml';
/** All keys with long values are a few hundred bytes. */
const MAX_SETTINGS = 64 * 1024;
/** Device 1:3 (null(4)). */
const DEV_NULL = 0x103;

/** What a settings file may set, each under the name of its long option; unset keys are absent. */
export interface Settings {
  readonly port?: number;
  readonly saltConfigDir?: string;
  readonly log?: string;
  /** Milliseconds; null for the whole log. */
  readonly since?: number | null;
  readonly probe?: boolean;
  /** Milliseconds. */
  readonly probeTimeout?: number;
  readonly closeWaitWarn?: number;
  readonly closeWaitFail?: number;
  readonly stateDir?: string;
  /** Milliseconds. */
  readonly wait?: number;
  readonly restart?: 'always' | 'if-needed';
  readonly service?: 'auto' | 'systemd' | 'sysv' | 'openrc';
  readonly unit?: string;
  /** argv; no shell is involved. */
  readonly stopCmd?: readonly string[];
  readonly startCmd?: readonly string[];
  /** Milliseconds. */
  readonly commandTimeout?: number;
  readonly keepIncidents?: number;
  readonly keepMebibytes?: number;
}

/** Takes what the file says to the value; throws `Unfit` with what the key needs instead. */
type Reader<T> = (value: unknown, key: string) => T;

/** What can't be used; the message completes "KEY must be …", of a file "cannot read …: it". */
class Unfit extends Error {}

const READERS: { readonly [Key in keyof Settings]-?: Reader<NonNullable<Settings[Key]> | null> } = {
  port: whole(1, 65_535),
  saltConfigDir: absolutePath,
  log: absolutePath,
  since: (value, key) => (value === 'all' ? null : duration(parseDuration)(value, key)),
  probe: (value) => {
    if (typeof value === 'boolean') return value;
    throw new Unfit('true or false');
  },
  probeTimeout: duration(parseTimeout),
  closeWaitWarn: whole(1, 1_000_000),
  closeWaitFail: whole(1, 1_000_000),
  stateDir: absolutePath,
  wait: duration(parseTimeout),
  restart: oneOf('always', 'if-needed'),
  service: oneOf('auto', 'systemd', 'sysv', 'openrc'),
  unit: (value) => {
    if (typeof value === 'string' && /^[\w@:.\\][\w@:.\\-]{0,254}$/.test(value)) return value;
    throw new Unfit('the name of a unit, such as salt-api');
  },
  stopCmd: command,
  startCmd: command,
  commandTimeout: duration(parseTimeout),
  keepIncidents: whole(1, 1_000_000),
  keepMebibytes: (value) => {
    if (typeof value === 'number' && value > 0 && value <= 1e9) return value;
    throw new Unfit('a number greater than 0');
  },
};

const KEYS: ReadonlyMap<string, keyof Settings> = new Map(
  Object.keys(READERS).map((name) => [kebabCase(name), name as keyof Settings]),
);

/**
 * The settings of `path`, which `--config` gave, or of /etc/salt-triage.yaml, which need not
 * exist. Everything that is wrong with the file is a usage error that names key and line: nothing
 * in it is passed over. A file that others may write to is refused whole.
 */
export async function loadSettings(path: string | undefined): Promise<Settings> {
  const file = path ?? DEFAULT_SETTINGS_FILE;
  let found: SettingsFile;
  try {
    found = await readSettingsFile(file);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' && path === undefined) return {};
    throw new TriageError(
      stripControl(`cannot read the settings in ${file}: ${whyUnreadable(error)}`),
      path === undefined
        ? 'Make it a file that you can read, or go without it: --config /dev/null.'
        : 'Give --config a file that exists and can be read.',
      ExitCode.usage,
      { cause: error },
    );
  }
  // Whose words these are comes before what they say: each key may lead a fix astray.
  const fault = found.text.trim() === '' ? null : whyNotOurs(found.status);
  if (fault === null) return parseSettings(found.text, file);
  throw new TriageError(
    stripControl(`the settings in ${file} are not for us to follow: ${fault}`),
    stripControl(`Look through it, then: chown root ${file} && chmod go-w ${file}`),
    ExitCode.usage,
  );
}

interface SettingsFile {
  readonly text: string;
  readonly status: Stats;
}

/** @throws the error of open(2) or read(2), `Unfit` for what is no file of settings */
async function readSettingsFile(file: string): Promise<SettingsFile> {
  // A FIFO would hold up an open until somebody writes, a device a read.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const status = await handle.stat();
    if (status.isCharacterDevice() && status.rdev === DEV_NULL) return { text: '', status };
    if (status.isDirectory()) throw new Unfit('is a directory');
    if (!status.isFile()) throw new Unfit('is no regular file');
    if (status.size > MAX_SETTINGS) throw new Unfit(`is longer than ${MAX_SETTINGS >> 10} KiB`);
    return { text: await handle.readFile('utf8'), status };
  } finally {
    await handle.close();
  }
}

async function parseSettings(text: string, file: string): Promise<Settings> {
  if (text.trim() === '') return {};
  const { isMap, isScalar, LineCounter, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'error',
  });
  const fault = document.errors[0];
  if (fault !== undefined) throw wrong(file, lines.linePos(fault.pos[0]).line, fault.message);
  const contents = document.contents;
  if (contents === null || (isScalar(contents) && contents.value === null)) return {};
  if (!isMap(contents))
    throw wrong(file, 1, 'must be a mapping of settings, one "key: value" a line');

  const settings: Partial<Record<keyof Settings, unknown>> = {};
  for (const { key: keyNode, value: valueNode } of contents.items) {
    const start = isScalar(keyNode) ? keyNode.range?.[0] : undefined;
    const line = start === undefined ? null : lines.linePos(start).line;
    const key = isScalar(keyNode) ? String(keyNode.value) : 'a key that is no word';
    const name = KEYS.get(key);
    if (name === undefined) throw wrong(file, line, unknownKey(key));
    try {
      const value: unknown = isNode(valueNode) ? valueNode.toJS(document) : valueNode;
      settings[name] = READERS[name](value, key);
    } catch (error) {
      if (error instanceof Unfit) throw wrong(file, line, `${key} must be ${error.message}`);
      if (error instanceof TriageError) throw wrong(file, line, error.message, error.advice);
      // An alias without its anchor.
      throw wrong(file, line, `${key}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return settings as Settings;
}

function wrong(file: string, line: number | null, message: string, advice?: string): TriageError {
  const where = line === null ? file : `${file} line ${line}`;
  return new TriageError(
    stripControl(`${where}: ${message}`),
    advice ?? `Correct ${stripControl(file)} and run it again.`,
    ExitCode.usage,
  );
}

function unknownKey(key: string): string {
  if (key === 'yes') {
    return '--yes cannot be set in a file: consent is given each time, on the command line';
  }
  const near = [...KEYS.keys()]
    .map((known) => ({ known, distance: editDistance(key.toLowerCase(), known) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const shown = JSON.stringify(key.slice(0, 60));
  return near !== undefined && near.distance <= Math.max(2, near.known.length / 3)
    ? `unknown key ${shown}; did you mean ${near.known}?`
    : `unknown key ${shown}; known are ${[...KEYS.keys()].join(', ')}`;
}

/** Levenshtein distance, of which only names worth a suggestion matter. */
function editDistance(given: string, known: string): number {
  const from = given.slice(0, 40);
  let row = Array.from({ length: known.length + 1 }, (_, at) => at);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= known.length; j += 1) {
      const above = row[j] ?? 0;
      const diagonal = row[j - 1] ?? 0;
      const left = next[j - 1] ?? 0;
      next.push(Math.min(above + 1, left + 1, diagonal + (from[i - 1] === known[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

function whole(least: number, most: number): Reader<number> {
  return (value) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) {
      return value;
    }
    throw new Unfit(`a whole number from ${least} to ${most}`);
  };
}

function duration(parse: typeof parseDuration): Reader<number> {
  return (value, key) => {
    if (typeof value === 'string' || typeof value === 'number') return parse(String(value), key);
    throw new Unfit('a duration, such as 5s or 24h');
  };
}

function oneOf<const Word extends string>(...words: Word[]): Reader<Word> {
  return (value) => {
    const word = words.find((candidate) => candidate === value);
    if (word !== undefined) return word;
    throw new Unfit(`one of ${words.join(', ')}`);
  };
}

function absolutePath(value: unknown): string {
  if (typeof value === 'string' && value.startsWith('/') && !value.includes('\0')) return value;
  throw new Unfit('an absolute path');
}

function command(value: unknown): readonly string[] {
  const isArgument = (part: unknown): part is string =>
    typeof part === 'string' && !part.includes('\0');
  if (Array.isArray(value) && value.every(isArgument) && value[0]) return value;
  throw new Unfit('a list of strings, the program first: [supervisorctl, stop, salt-api]');
}

function isNode(value: unknown): value is { toJS(document: unknown): unknown } {
  return typeof value === 'object' && value !== null && 'toJS' in value;
}

function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function whyUnreadable(error: unknown): string {
  if (error instanceof Unfit) return error.message;
  const code = errorCode(error);
  if (code === 'ENOENT') return 'no such file';
  return code === 'EACCES' ? 'permission denied' : codeOrText(error);
}
