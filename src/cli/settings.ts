import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { ExitCode, TriageError } from '../errors.ts';
import { codeOrText, errorCode } from '../host/local/proc-files.ts';
import { commandLine } from '../shell-words.ts';
import { whyNotOurs } from '../trail/directory.ts';
import { stripControl } from '../untrusted.ts';
import { type SettingKind, Unfit } from './option-kinds.ts';
import { SETTINGS, SETTINGS_FILE, type Settings } from './options.ts';

/** All keys with long values are a few hundred bytes. */
const MAX_SETTINGS = 64 * 1024;
/** Device 1:3 (null(4)). */
const DEV_NULL = 0x103;

const KEYS = new Map<string, { readonly name: string; readonly kind: SettingKind<unknown> }>();
for (const [name, { kind }] of Object.entries(SETTINGS)) KEYS.set(settingKey(name), { name, kind });

/** `close-wait-fail` for `closeWaitFail`. */
export function settingKey(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** A settings file and what it says. */
export interface SettingsFile {
  readonly path: string;
  /** False where there is none, which is no error but for `--config`. */
  readonly there: boolean;
  readonly settings: Settings;
  /** The same as one would type it, by the same names. */
  readonly words: Readonly<Record<string, string>>;
}

/** What the settings files say: the user's own before the host's, key by key. */
export async function loadSettings(path: string | undefined): Promise<Settings> {
  return inForce(await readSettingsFiles(path));
}

/** What holds of some files: the later ones before the earlier. */
export function inForce(files: readonly SettingsFile[]): Settings {
  return Object.assign({}, ...files.map(({ settings }) => settings));
}

/**
 * The settings files that count, in the order of {@link inForce}: the one that `--config` gave, or
 * the host's and the user's own, which need not exist.
 * Everything that is wrong with a file is a usage error that names key and line: nothing in it is
 * passed over. A file that others may write to is refused whole.
 */
export async function readSettingsFiles(path: string | undefined): Promise<SettingsFile[]> {
  if (path !== undefined) {
    const advice = 'Give --config a file that exists and can be read.';
    return [await readSettingsFile(path, [], advice)];
  }
  const own = ownSettingsFile();
  const host = readSettingsFile(
    SETTINGS_FILE,
    ['ENOENT'],
    'Make it a file that you can read, or go without it: --config /dev/null.',
  );
  if (own === null) return [await host];
  // What we can't reach is not our own, as where HOME is still that of another user.
  const absent = ['ENOENT', 'ENOTDIR', 'EACCES'];
  const advice = `Make it a file of your own, or go without it: --config ${SETTINGS_FILE}.`;
  return Promise.all([host, readSettingsFile(own, absent, advice)]);
}

/** The user's own file (XDG Base Directory Specification: a relative directory does not count). */
function ownSettingsFile(): string | null {
  const named = process.env['XDG_CONFIG_HOME'];
  const directory = named?.startsWith('/') ? named : join(homedir(), '.config');
  return directory.startsWith('/') ? join(directory, basename(SETTINGS_FILE)) : null;
}

/**
 * @param absent the codes of open(2) that are as good as an empty file
 * @param advice for a file that can't be read
 */
async function readSettingsFile(
  path: string,
  absent: readonly string[],
  advice: string,
): Promise<SettingsFile> {
  const nothing = { path, settings: {}, words: {} };
  let found: Found;
  try {
    found = await readSmallFile(path);
  } catch (error) {
    if (absent.includes(errorCode(error))) return { ...nothing, there: false };
    throw new TriageError(
      stripControl(`can't read the settings in ${path}: ${whyUnreadable(error)}`),
      stripControl(advice),
      ExitCode.usage,
      { cause: error },
    );
  }
  if (found.text.trim() === '') return { ...nothing, there: true };
  // Whose words these are comes before what they say: each key may lead a fix astray.
  const fault = whyNotOurs(found.status);
  if (fault === null) return { path, there: true, ...(await parseSettings(found.text, path)) };
  throw new TriageError(
    stripControl(`refusing the settings in ${path}: ${fault}`),
    stripControl(
      path === SETTINGS_FILE
        ? `Read it through, then: chown root ${path} && chmod go-w ${path}`
        : `Read it through, then: chmod go-w ${path}, or go without it: --config ${SETTINGS_FILE}`,
    ),
    ExitCode.usage,
  );
}

interface Found {
  readonly text: string;
  readonly status: Stats;
}

/** @throws the error of open(2) or read(2), `Unfit` for what is no file of settings */
async function readSmallFile(file: string): Promise<Found> {
  // A FIFO would hold up an open until somebody writes, a device a read.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const status = await handle.stat();
    if (status.isCharacterDevice() && status.rdev === DEV_NULL) return { text: '', status };
    if (status.isDirectory()) throw new Unfit('is a directory');
    if (!status.isFile()) throw new Unfit('is not a regular file');
    if (status.size > MAX_SETTINGS) throw new Unfit(`is longer than ${MAX_SETTINGS >> 10} KiB`);
    return { text: await handle.readFile('utf8'), status };
  } finally {
    await handle.close();
  }
}

interface Said {
  readonly settings: Settings;
  readonly words: Record<string, string>;
}

async function parseSettings(text: string, file: string): Promise<Said> {
  const { isMap, isNode, isScalar, LineCounter, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'error',
  });
  const lineAt = (offset: number | undefined) =>
    offset === undefined ? null : lines.linePos(offset).line;
  const { contents, errors } = document;
  if (errors[0] !== undefined) throw wrong(file, lineAt(errors[0].pos[0]), errors[0].message);
  const said: Said = { settings: {}, words: {} };
  if (contents === null || (isScalar(contents) && contents.value === null)) return said;
  if (!isMap(contents)) {
    throw wrong(file, 1, 'must be a mapping of settings, one "key: value" a line');
  }
  for (const { key: node, value } of contents.items) {
    const key = isScalar(node) ? String(node.value) : 'a key that is not a word';
    try {
      read(said, key, isNode(value) ? value.toJS(document) : value);
    } catch (error) {
      throw unfit(file, isScalar(node) ? lineAt(node.range?.[0]) : null, key, error);
    }
  }
  return said;
}

function read(said: Said, key: string, value: unknown): void {
  const { name, kind } = settingOf(key);
  Object.assign(said.settings, { [name]: kind.fromYaml(value, key) });
  said.words[name] = Array.isArray(value) ? commandLine(value.map(String)) : String(value);
}

function settingOf(key: string) {
  const setting = KEYS.get(key);
  if (setting !== undefined) return setting;
  const message =
    key === 'yes'
      ? "--yes can't be set in a file: consent is given each time, on the command line"
      : `unknown key ${JSON.stringify(key.slice(0, 60))}; the keys are ${[...KEYS.keys()].join(', ')}`;
  throw new TriageError(message, '', ExitCode.usage);
}

function unfit(file: string, line: number | null, key: string, error: unknown): TriageError {
  if (error instanceof Unfit) return wrong(file, line, `${key} must be ${error.message}`);
  if (error instanceof TriageError) return wrong(file, line, error.message, error.advice);
  // An alias without its anchor.
  return wrong(file, line, `${key}: ${error instanceof Error ? error.message : String(error)}`);
}

function wrong(file: string, line: number | null, message: string, advice = ''): TriageError {
  const where = line === null ? file : `${file} line ${line}`;
  return new TriageError(
    stripControl(`${where}: ${message}`),
    advice || `Correct ${stripControl(file)} and run it again.`,
    ExitCode.usage,
  );
}

function whyUnreadable(error: unknown): string {
  if (error instanceof Unfit) return error.message;
  const code = errorCode(error);
  if (code === 'ENOENT') return 'no such file';
  return code === 'EACCES' ? 'permission denied' : codeOrText(error);
}
