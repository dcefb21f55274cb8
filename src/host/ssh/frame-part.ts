/** One part of what the probe script printed, and its lines. */
import { blind, type Look } from '../../evidence/evidence.ts';

/** One part of the output. */
export interface Part {
  readonly lines: readonly string[];
  /** The part ran to its end, with this status; null where it was ended for taking too long. */
  readonly late: boolean;
}

/** The first word of a line, and what follows the blank behind it. */
export function firstWord(line: string): [word: string, rest: string] {
  const blank = line.indexOf(' ');
  return blank === -1 ? [line, ''] : [line.slice(0, blank), line.slice(blank + 1)];
}

/** A part that was ended for taking too long. */
export function timedOut(what: string): Look<never> {
  return blind('timeout', `${what} could not be read in time on that host`);
}
