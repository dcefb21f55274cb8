/** Options from the environment: below the command line, above the settings files. */
import { ExitCode, TriageError } from '../errors.ts';
import { COMMANDS, type Option, readWord } from './options.ts';

type Options = Readonly<Record<string, Option>>;
type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = 'SALT_TRIAGE_';
/** The variables that are no option: consent, which is refused, and what a drill gives its own processes. */
const CONSENT = `${PREFIX}YES`;
const OF_A_DRILL = `${PREFIX}DRILL_ROLE`;

/** Of these, what is typed puts aside what the environment says of the others. */
const RIVALS: readonly (readonly string[])[] = [
  ['host', 'hostsFile', 'roster', 'from'],
  ['verbose', 'quiet'],
  ['keep', 'end'],
];

/** `SALT_TRIAGE_CLOSE_WAIT_FAIL` for `closeWaitFail`. */
export function variableOf(name: string): string {
  return PREFIX + name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/** The words that the environment has for some options, by their names; an empty one is none. */
export function environmentWords(options: Options, env: Environment): Record<string, string> {
  const words = Object.entries(options).flatMap(([name, { typedOnly }]) => {
    const word = typedOnly === true ? undefined : env[variableOf(name)];
    return word === undefined || word === '' ? [] : [[name, word] as const];
  });
  return Object.fromEntries(words);
}

/**
 * What the environment gives of some options, beside what is typed.
 * @throws TriageError (usage) that names the variable; also for consent, which nobody gives
 *   beforehand for every fix to come
 */
export function readEnvironment(options: Options, typed: object, env: Environment): object {
  if ('yes' in options && env[CONSENT]) {
    throw new TriageError(
      `${CONSENT} can't be set: consent is given each time, on the command line`,
      `Run: unset ${CONSENT}`,
      ExitCode.usage,
    );
  }
  const aside = RIVALS.filter((rivals) => rivals.some((name) => name in typed)).flat();
  const values = Object.entries(environmentWords(options, env)).flatMap(([name, word]) => {
    const option = options[name];
    if (option === undefined || name in typed || aside.includes(name)) return [];
    return [[name, readWord(option, word, variableOf(name))] as const];
  });
  return Object.fromEntries(values);
}

/** The variables with our prefix that are none of ours, such as one with a slip of the key. */
export function strangeVariables(env: Environment): string[] {
  const ours = Object.keys(env).filter((name) => name.startsWith(PREFIX) && name !== OF_A_DRILL);
  if (ours.length === 0) return [];
  const known = new Set(Object.values(COMMANDS).flatMap(Object.keys).map(variableOf));
  return ours.filter((name) => !known.has(name)).sort();
}
