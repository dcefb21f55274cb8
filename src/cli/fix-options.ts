import { withoutOption } from '../report/next-command.ts';
import { quoteForShell } from '../shell-words.ts';
import { type COMMANDS, defaultsOf, SETTINGS, type Settings, type Values } from './options.ts';

/** What the command line gives for `fix`. */
export type FixFlags = Values<typeof COMMANDS.fix>;
export type FixOptions = ReturnType<typeof resolveFixOptions>;

/** Resolves the options of a fix: the command line wins over the settings file, that over defaults. */
export function resolveFixOptions(flags: FixFlags, settings: Settings) {
  const value = { ...defaultsOf(SETTINGS), ...settings, ...flags };
  return {
    yes: value.yes === true,
    dryRun: value.dryRun === true,
    only: value.only,
    restart: value.restart,
    waitMs: value.wait,
    commandTimeoutMs: value.commandTimeout,
    service: value.service,
    /** argv; no shell is involved. */
    stopCommand: value.stopCmd,
    startCommand: value.startCmd,
    stateDirectory: value.stateDir,
    keepIncidents: value.keepIncidents,
    keepMebibytes: value.keepMebibytes,
  };
}

/**
 * The options of a fix that a further one repeats: all, but for those that keep it from being whole.
 * @param argv the words behind the command
 */
export function repeatedFixFlags(argv: readonly string[]): readonly string[] {
  const whole = withoutOption(argv, '--only').filter((word) => word !== '--dry-run');
  return whole.map(quoteForShell);
}
