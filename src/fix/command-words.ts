/** What a service command and its manager say, which is not always what has come of it. Pure. */
import type { CommandOutcome } from '../host/host.ts';
import type { ServiceManager } from '../plan/service-manager.ts';
import { commandLine } from '../shell-words.ts';
import { describeDuration } from '../words.ts';

/** How a command ended, for the journal. */
export function commandResult(outcome: CommandOutcome): string {
  if (outcome.failed !== null) return `could not be started: ${outcome.failed}`;
  if (outcome.timedOut) return 'timed out';
  if (outcome.lost) return 'not known: the connection was lost meanwhile; it has ended by now';
  return `exit ${outcome.exitCode ?? 'by signal'}`;
}

/** Whether it went well by its own words: Debian's init script ends with `failed!` and 0 (measured). */
export function saysDone(outcome: CommandOutcome): boolean {
  return outcome.exitCode === 0 && !/\bfail(?:ed)?\b/i.test(lastWords(outcome));
}

/**
 * True for a stop that can't have ended anything: it was not run, or there is no such service.
 * 5 is `systemctl`'s for a unit that is not loaded and an init script's for a program that is not
 * installed (systemctl(1), LSB Core 22.2).
 */
export function neverReached(outcome: CommandOutcome, manager: ServiceManager | null): boolean {
  if (outcome.failed !== null) return true;
  if (manager === null || manager.kind === 'commands') return false;
  return outcome.exitCode === 5 || NO_SUCH_SERVICE.test(outcome.output);
}

/** service(8) of Debian and of Red Hat, rc-service(8). */
const NO_SUCH_SERVICE = /unrecognized service|service .{1,100} does not exist|could not be found/i;

/**
 * What to show of a command that failed.
 * @param reason the manager's own, which comes first: a command mostly says no more than that it failed
 * @param logged what was logged meanwhile
 */
export function describeFailure(
  outcome: CommandOutcome,
  reason: readonly string[],
  logged: readonly string[] = [],
): string {
  const { argv, durationMs, output } = outcome;
  const head = `${commandLine(argv)}: ${commandResult(outcome)} after ${describeDuration(durationMs)}`;
  return [head, ...reason, ...lastLines(output, 5), ...logged].join('\n');
}

/** What a command that exited with 0 said last, which is mostly what came of it. */
function lastWords({ output }: Pick<CommandOutcome, 'output'>): string {
  return output.trim().split('\n').at(-1)?.trim().slice(0, 120) || 'exit 0';
}

export function lastLines(text: string, most: number): string[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.slice(-most).map((line) => line.slice(0, 300));
}
