import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { ExitCode, TriageError } from '../errors.ts';
import { codeOrText, errorCode } from '../host/local/proc-files.ts';
import { whyNotOurs } from '../trail/directory.ts';
import { stripControl } from '../untrusted.ts';
import { type SettingKind, Unfit } from './option-kinds.ts';
import { COMMANDS, SETTINGS, type Settings } from './options.ts';

/** All keys with long values are a few hundred bytes. */
const MAX_SETTINGS = 64 * 1024;
/** Device 1:3 (null(4)). */
const DEV_NULL = 0x103;

const KEYS = new Map<string, { readonly name: string; readonly kind: SettingKind<unknown> }>();
for (const [name, { kind }] of Object.entries(SETTINGS)) {
  const key = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  KEYS.set(key, { name, kind });
}

/**
 * The settings of `path`, which `--config` gave, or of its default, which need not exist.
 * Everything that is wrong with the file is a usage error that names key and line: nothing in it is
 * passed over. A file that others may write to is refused whole.
 */
export async function loadSettings(path: string | undefined): Promise<Settings> {
  const file = path ?? COMMANDS.diagnose.config.default;
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
  if (found.text.trim() === '') return {};
  // Whose words these are comes before what they say: each key may lead a fix astray.
  const fault = whyNotOurs(found.status);
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
  if (contents === null || (isScalar(contents) && contents.value === null)) return {};
  if (!isMap(contents)) {
    throw wrong(file, 1, 'must be a mapping of settings, one "key: value" a line');
  }
  const settings = {};
  for (const { key: node, value } of contents.items) {
    const key = isScalar(node) ? String(node.value) : 'a key that is no word';
    try {
      Object.assign(settings, readSetting(key, isNode(value) ? value.toJS(document) : value));
    } catch (error) {
      throw unfit(file, isScalar(node) ? lineAt(node.range?.[0]) : null, key, error);
    }
  }
  return settings;
}

function readSetting(key: string, value: unknown): Settings {
  const setting = KEYS.get(key);
  if (setting !== undefined) return { [setting.name]: setting.kind.fromYaml(value, key) };
  const message =
    key === 'yes'
      ? '--yes cannot be set in a file: consent is given each time, on the command line'
      : `unknown key ${JSON.stringify(key.slice(0, 60))}; known are ${[...KEYS.keys()].join(', ')}`;
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
