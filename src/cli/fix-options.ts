import { type Repeated, withoutOption } from '../report/next-command.ts';
import { quoteForShell } from '../shell-words.ts';
import { readEnvironment } from './environment.ts';
import type { LookOptions } from './look-options.ts';
import { type COMMANDS, defaultsOf, SETTINGS, type Settings, type Values } from './options.ts';

/** What is given for `fix`. */
export type FixFlags = Values<typeof COMMANDS.fix>;
export type FixOptions = ReturnType<typeof resolveFixOptions>;

/** Resolves the options of a fix: what is given wins over the settings file, that over defaults. */
export function resolveFixOptions(flags: FixFlags, settings: Settings) {
  const value = { ...defaultsOf(SETTINGS), ...settings, ...flags };
  return {
    yes: value.yes === true,
    dryRun: value.dryRun === true,
    only: value.only,
    restart: value.restart,
    waitMs: value.wait,
    commandTimeoutMs: value.commandTimeout,
    stacks: value.stacks,
    service: value.service,
    /** argv; no shell is involved. */
    stopCommand: value.stopCmd,
    startCommand: value.startCmd,
    stateDirectory: value.stateDir,
    keepIncidents: value.keepIncidents,
    keepMebibytes: value.keepMebibytes,
  };
}

/** What holds for a fix that another command leads to: that one has no options for it. */
export function fixOptionsToCome(settings: Settings): FixOptions {
  return resolveFixOptions(readEnvironment(SETTINGS, {}, process.env), settings);
}

/** A look, and what the next command is to repeat of it. */
export interface RepeatedLook extends LookOptions {
  readonly repeated: Repeated;
}

/**
 * A look with what the next command repeats of it, and the options that a fix would go by.
 * @param fixFlags all words of the next fix
 */
export function repeating(
  look: LookOptions,
  options: FixOptions,
  fixFlags: readonly string[] = look.sameSaltApi,
): RepeatedLook {
  const { sameSaltApi: flags, unit, unitNamed } = look;
  const { yes, only, restart } = options;
  const service = { ...options, unit, unitNamed };
  return { ...look, repeated: { flags, fixFlags, yes, only, restart, service } };
}

/**
 * The options of a fix that a further one repeats: all, but for those that keep it from being whole.
 * @param argv the words behind the command
 */
export function repeatedFixFlags(argv: readonly string[]): readonly string[] {
  const whole = withoutOption(argv, '--only').filter((word) => word !== '--dry-run');
  return whole.map(quoteForShell);
}
