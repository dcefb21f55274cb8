import { ExitCode } from '../../errors.ts';
import {
  JSON_SCHEMA_VERSION,
  type SettingInForce,
  type SettingsDocument,
} from '../../report/json-documents.ts';
import { jsonLine } from '../../report/json-line.ts';
import { screenOn, wrap } from '../../report/screen.ts';
import { environmentWords, variableOf } from '../environment.ts';
import { resolveLookOptions } from '../look-options.ts';
import { COMMANDS, type Flags, longName, type Option } from '../options.ts';
import { readSettingsFiles, type SettingsFile, settingKey } from '../settings.ts';

/** What is about this command's own output is no setting of a look or a fix. */
const OF_THIS_COMMAND = ['json', 'config', 'color', 'ascii', 'debug'];

/**
 * `salt-triage settings`: each value in force and where it came from.
 * @param words of the command line, as commander has gathered them
 * @throws TriageError (usage) for settings that diagnose and fix would refuse, too
 */
export async function settingsCommand(
  flags: Flags<typeof COMMANDS.settings>,
  words: Readonly<Record<string, unknown>>,
): Promise<ExitCode> {
  const files = await readSettingsFiles(flags.config);
  // Limits that cross are found out there.
  await resolveLookOptions(flags);
  const rows = Object.entries<Option>(COMMANDS.settings)
    .filter(([name]) => !OF_THIS_COMMAND.includes(name))
    .map(([name, option]) => ({ option, ...settingInForce(name, option, words, files) }));
  if (flags.json) {
    const settings = rows.map(({ key, value, origin, source }) => ({ key, value, origin, source }));
    const document: SettingsDocument = {
      schemaVersion: JSON_SCHEMA_VERSION,
      settings,
      files: files.map(asFile),
    };
    process.stdout.write(jsonLine(document));
    return ExitCode.ok;
  }
  const screen = screenOn(process.stdout, flags);
  screen.write(tableOf(rows, screen.columns));
  const read = files.map(({ path, there }) => (there ? path : `${path} (not there)`));
  screen.write(`\n${wrap(`Files: ${read.join(', ')}`, screen.columns, 2)}\n`);
  return ExitCode.ok;
}

/** Key, value and where it came from, in columns. */
function tableOf(rows: readonly (SettingInForce & { option: Option })[], columns: number): string {
  const keys = Math.max(...rows.map(({ key }) => key.length)) + 2;
  // A long command does not push all the others to the edge: its origin goes below it.
  const values = Math.max(...rows.map(({ value }) => Math.min(20, value?.length ?? 0))) + 2;
  const lines = rows.map(({ key, value, origin, source, option }) => {
    const unset = value === null ? /\((default: .*)\)$/.exec(option.help)?.[1] : undefined;
    const from = source ?? wrap(unset ?? origin, columns, keys + values);
    const shown = value ?? '-';
    const fits = shown.length + 2 <= values;
    const gap = fits ? ' '.repeat(values - shown.length) : `\n${' '.repeat(keys + values)}`;
    return `${key.padEnd(keys)}${shown}${gap}${from}\n`;
  });
  return lines.join('');
}

function settingInForce(
  name: string,
  option: Option,
  words: Readonly<Record<string, unknown>>,
  files: readonly SettingsFile[],
): SettingInForce {
  const key = settingKey(name);
  // --no-probe is false to commander.
  if (name in words) {
    const value = String(words[name]);
    return { key, value, origin: 'command-line', source: longName(option) };
  }
  const variable = variableOf(name);
  const value = environmentWords({ [name]: option }, process.env)[name];
  if (value !== undefined) return { key, value, origin: 'environment', source: variable };
  const file = files.findLast((one) => name in one.words);
  if (file !== undefined) {
    return { key, value: file.words[name] ?? null, origin: 'file', source: file.path };
  }
  // A look asks the API unless it is told not to.
  const standard = name === 'probe' ? 'true' : option.default;
  return { key, value: standard ?? null, origin: 'default', source: null };
}

function asFile({ path, there }: SettingsFile): Pick<SettingsFile, 'path' | 'there'> {
  return { path, there };
}
