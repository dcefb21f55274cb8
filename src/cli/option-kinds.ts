/** The kinds of value that an option takes, on the command line and in the settings file. */
import { parseDuration, parseTimeout } from './duration.ts';

/** Each way to read throws {@link Unfit} or a TriageError (usage) for what is none of the kind. */
export interface Kind<T> {
  /** What a word of the command line or of the environment means. */
  readonly fromText: (text: string, option: string) => T;
  /** All words that it takes, where they can be told. */
  readonly words?: readonly string[];
  /** May be given more than once. */
  readonly repeats?: boolean;
}

/** A kind that the settings file may hold, too. */
export interface SettingKind<T> extends Kind<T> {
  /** What a value of YAML means. */
  readonly fromYaml: (value: unknown, key: string) => T;
}

/** What is not of its kind; the message completes "must be …". */
export class Unfit extends Error {
  readonly example: string;

  constructor(needed: string, example = '') {
    super(needed);
    this.example = example;
  }
}

const YES_OR_NO = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

/** Stands alone on the command line; elsewhere it says true or false. */
export const flag: SettingKind<boolean> = {
  fromText(text) {
    const value = YES_OR_NO.get(text.toLowerCase());
    if (value !== undefined) return value;
    throw new Unfit('true or false, 1 or 0');
  },
  fromYaml(value) {
    if (typeof value === 'boolean') return value;
    throw new Unfit('true or false');
  },
};

/** Gathered from each time that it is given; in the environment one word may hold several. */
export const many: Kind<readonly string[]> = {
  repeats: true,
  fromText: (text) => text.split(/\s+/).filter((word) => word !== ''),
};

/**
 * Stands alone, and counts how often it was given; in the environment it is a number, or as a flag
 * is there: the variable is that of other commands, too.
 */
export const repeatable: Kind<number> = {
  repeats: true,
  fromText(text) {
    if (/^\d$/.test(text)) return Number(text);
    const value = YES_OR_NO.get(text.toLowerCase());
    if (value !== undefined) return Number(value);
    throw new Unfit('a number from 0 to 9', '2');
  },
};

/** A file or directory; a settings file knows no working directory, so there it is absolute. */
export const path: SettingKind<string> = {
  fromText(text) {
    if (text !== '') return text;
    throw new Unfit('a path');
  },
  fromYaml(value) {
    if (typeof value === 'string' && value.startsWith('/') && !value.includes('\0')) return value;
    throw new Unfit('an absolute path');
  },
};

/** A whole number within bounds. */
export function whole(least: number, most: number, example = least): SettingKind<number> {
  const fromYaml = (value: unknown): number => {
    const fits = typeof value === 'number' && value >= least && value <= most;
    if (fits && Number.isInteger(value)) return value;
    throw new Unfit(`a whole number from ${least} to ${most}`, String(example));
  };
  return { fromYaml, fromText: (text) => fromYaml(/^\d{1,9}$/.test(text) ? Number(text) : text) };
}

/** A number greater than 0. */
export const positive: SettingKind<number> = {
  fromText: (text) => positive.fromYaml(Number(text), ''),
  fromYaml(value) {
    if (typeof value === 'number' && value > 0 && value <= 1e9) return value;
    throw new Unfit('a number greater than 0');
  },
};

/** A span that something is waited for, in milliseconds. */
export const timeout = duration(parseTimeout);
/** Seconds as monitors have them, with or without their unit, in milliseconds. */
export const seconds: Kind<number> = {
  fromText(text) {
    const amount = Number(/^(\d{1,6}(?:\.\d{1,3})?)s?$/.exec(text)?.[1]);
    if (amount >= 1 && amount <= 3600) return Math.round(amount * 1000);
    throw new Unfit('a number of seconds from 1 to 3600', '10');
  },
};
/** A span back from now, in milliseconds; null for `all`. */
export const past = duration((text, name) => (text === 'all' ? null : parseDuration(text, name)));

function duration<T>(fromText: (text: string, name: string) => T): SettingKind<T> {
  return {
    fromText,
    fromYaml(value, key) {
      if (typeof value === 'string' || typeof value === 'number') {
        return fromText(String(value), key);
      }
      throw new Unfit('a duration: 90s, 5m, 24h');
    },
  };
}

/** One of these words. */
export function choice<const Word extends string>(...words: Word[]): SettingKind<Word> {
  const read = (value: unknown): Word => {
    const word = words.find((candidate) => candidate === value);
    if (word !== undefined) return word;
    throw new Unfit(words.length === 1 ? words.join() : `one of ${words.join(', ')}`, words[0]);
  };
  return { fromText: read, fromYaml: read, words };
}

/** The name of a unit or service. */
export const unitName: SettingKind<string> = { fromText: readUnitName, fromYaml: readUnitName };

function readUnitName(value: unknown): string {
  if (typeof value === 'string' && /^[\w@:.\\][\w@:.\\-]{0,254}$/.test(value)) return value;
  throw new Unfit('the name of a unit, such as salt-api', 'salt-api');
}

/** A command as argv: a list in the settings, and one word that is split on the command line. */
export function command(verb: string): SettingKind<readonly string[]> {
  return {
    fromText(text) {
      const words = splitCommand(text);
      if (words !== null) return words;
      throw new Unfit('a command', `'supervisorctl ${verb} salt-api'; it is run without a shell.`);
    },
    fromYaml(value) {
      const isArgument = (part: unknown): part is string =>
        typeof part === 'string' && !part.includes('\0');
      if (Array.isArray(value) && value.every(isArgument) && value[0]) return value;
      throw new Unfit('a list of strings, the program first: [supervisorctl, stop, salt-api]');
    },
  };
}

/**
 * Splits a command into argv: at blanks, with single and double quotes and backslashes as a
 * shell has them, and nothing else of a shell: no variables, globs, pipes or lists.
 * @returns null for an unclosed quote or an empty command
 */
function splitCommand(text: string): string[] | null {
  const words: string[] = [];
  const pattern = /\s*((?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+)/gy;
  let end = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    words.push(unquote(match[1] ?? ''));
    end = pattern.lastIndex;
  }
  return words.length > 0 && text.slice(end).trim() === '' ? words : null;
}

function unquote(word: string): string {
  return word.replace(
    /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/gs,
    (_all, single?: string, double?: string, escaped?: string) =>
      single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? '',
  );
}
