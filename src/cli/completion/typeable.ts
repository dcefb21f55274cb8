/** What can be typed on the command line, as commander and the table of options have it: plain data for the shells. */
import type { Command, Option as CommanderOption } from 'commander';
import { READING_NAMES } from '../../check/readings.ts';
import { COMMANDS, type Option } from '../options.ts';

/** The shells that a completion can be printed for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What is found only when it is asked for: `salt-triage completion hosts`. */
export const FOUND = ['hosts', 'incidents'] as const;
export type Found = (typeof FOUND)[number];

/** What may stand for a value; `any` is what nobody can know beforehand. */
export type Value =
  | { readonly kind: 'any' | 'file' | 'directory' | Found }
  | {
      readonly kind: 'words';
      readonly words: readonly string[];
      /** More of the word follows, without a blank. */
      readonly open?: boolean;
    };

export interface TypeableOption {
  /** The short one first. */
  readonly names: readonly string[];
  readonly help: string;
  /** Null where it stands alone. */
  readonly value: Value | null;
  /** The value may be left out. */
  readonly optional: boolean;
  /** May be given more than once. */
  readonly repeatable: boolean;
  /** What the value is called. */
  readonly placeholder: string;
}

export interface TypeableCommand {
  readonly name: string;
  readonly help: string;
  readonly options: readonly TypeableOption[];
  /** Its one argument, null where it has none. */
  readonly argument: { readonly name: string; readonly value: Value } | null;
  /** Those below it, as the topics of help. */
  readonly commands: readonly TypeableCommand[];
}

/** @param command with all of its commands and options */
export function typeable(command: Command): TypeableCommand {
  const help = command.createHelp();
  const table: Readonly<Record<string, Option>> =
    COMMANDS[command.name() as keyof typeof COMMANDS] ?? {};
  const [argument] = command.registeredArguments;
  return {
    name: command.name(),
    help: command.description(),
    options: help.visibleOptions(command).map((option) => {
      return optionOf(option, table[option.attributeName()]);
    }),
    argument:
      argument === undefined
        ? null
        : { name: argument.name(), value: ARGUMENTS[argument.name()] ?? { kind: 'any' } },
    commands: help.visibleCommands(command).map(typeable),
  };
}

/** What stands for an argument, by its name. */
const ARGUMENTS: Readonly<Record<string, Value>> = {
  id: { kind: 'incidents' },
  shell: { kind: 'words', words: SHELLS },
};

/** What stands for the value of an option, by what the help calls it; any word for others. */
const PLACEHOLDERS: Readonly<Record<string, Value>> = {
  file: { kind: 'file' },
  dir: { kind: 'directory' },
  host: { kind: 'hosts' },
  'name=range': { kind: 'words', words: READING_NAMES.map((name) => `${name}=`), open: true },
};

function optionOf(option: CommanderOption, row: Option | undefined): TypeableOption {
  const placeholder = /[<[](.+)[\]>]/.exec(option.flags)?.[1] ?? '';
  const words = row?.kind.words;
  const value: Value | null = words
    ? { kind: 'words', words }
    : (PLACEHOLDERS[placeholder] ?? { kind: 'any' });
  return {
    names: [option.short, option.long].filter((name) => name !== undefined),
    help: option.description,
    value: placeholder === '' ? null : value,
    optional: option.optional,
    repeatable: row?.kind.repeats === true,
    placeholder,
  };
}
