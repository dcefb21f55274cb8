import { ExitCode, TriageError } from '../errors.ts';
import { parseTimeout } from './duration.ts';
import type { Settings } from './settings.ts';

/** What commander hands over for `fix` beyond the options of a look. */
export interface FixFlags {
  readonly yes?: boolean;
  readonly json?: boolean;
  readonly dryRun?: boolean;
  readonly only?: string;
  readonly restart?: string;
  readonly wait?: string;
  readonly service?: string;
  readonly stopCmd?: string;
  readonly startCmd?: string;
  readonly commandTimeout?: string;
  readonly stateDir?: string;
}

export interface FixOptions {
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly only: 'kill' | undefined;
  readonly restart: 'always' | 'if-needed';
  readonly waitMs: number;
  readonly commandTimeoutMs: number;
  readonly service: 'auto' | 'systemd' | 'sysv' | 'openrc';
  readonly stopCommand: readonly string[] | undefined;
  readonly startCommand: readonly string[] | undefined;
  readonly stateDirectory: string | undefined;
  readonly keepIncidents: number | undefined;
  readonly keepMebibytes: number | undefined;
}

const DEFAULT_WAIT_MS = 30_000;
/** Longer than systemd's own 90 s before it kills (DefaultTimeoutStopSec, systemd-system.conf(5)). */
const DEFAULT_COMMAND_TIMEOUT_MS = 120_000;

/**
 * Resolves the options of a fix: the command line wins over the settings file.
 * @throws TriageError (usage)
 */
export function resolveFixOptions(flags: FixFlags, settings: Settings): FixOptions {
  return {
    yes: flags.yes === true,
    dryRun: flags.dryRun === true,
    only: oneOf(flags.only, '--only', ['kill']),
    restart:
      oneOf(flags.restart, '--restart', ['always', 'if-needed']) ?? settings.restart ?? 'always',
    waitMs: timeout(flags.wait, '--wait') ?? settings.wait ?? DEFAULT_WAIT_MS,
    commandTimeoutMs:
      timeout(flags.commandTimeout, '--command-timeout') ??
      settings.commandTimeout ??
      DEFAULT_COMMAND_TIMEOUT_MS,
    service:
      oneOf(flags.service, '--service', ['auto', 'systemd', 'sysv', 'openrc']) ??
      settings.service ??
      'auto',
    stopCommand: command(flags.stopCmd, '--stop-cmd') ?? settings.stopCmd,
    startCommand: command(flags.startCmd, '--start-cmd') ?? settings.startCmd,
    stateDirectory: flags.stateDir ?? settings.stateDir,
    keepIncidents: settings.keepIncidents,
    keepMebibytes: settings.keepMebibytes,
  };
}

function timeout(text: string | undefined, option: string): number | undefined {
  return text === undefined ? undefined : parseTimeout(text, option);
}

function oneOf<const T extends string>(
  text: string | undefined,
  option: string,
  allowed: readonly T[],
): T | undefined {
  if (text === undefined) return undefined;
  const found = allowed.find((value) => value === text);
  if (found !== undefined) return found;
  throw new TriageError(
    `${option} ${JSON.stringify(text)} is none of ${allowed.join(', ')}`,
    `Example: ${option} ${allowed[0] ?? ''}`,
    ExitCode.usage,
  );
}

/**
 * Splits a command into argv: at blanks, with single and double quotes and backslashes as a
 * shell has them, and nothing else of a shell: no variables, globs, pipes or lists.
 * @throws TriageError (usage) for an unclosed quote or an empty command
 */
function command(text: string | undefined, option: string): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const words: string[] = [];
  const pattern = /\s*((?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+)/gy;
  let end = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    words.push(unquote(match[1] ?? ''));
    end = pattern.lastIndex;
  }
  if (words.length > 0 && text.slice(end).trim() === '') return words;
  throw new TriageError(
    `${option} ${JSON.stringify(text)} is no command`,
    `Example: ${option} 'supervisorctl ${option === '--stop-cmd' ? 'stop' : 'start'} salt-api'; it is run without a shell.`,
    ExitCode.usage,
  );
}

function unquote(word: string): string {
  return word.replace(
    /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/gs,
    (_all, single?: string, double?: string, escaped?: string) =>
      single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? '',
  );
}
