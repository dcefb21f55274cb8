/** The labelled lines at the end of a report: `Verdict`, `Next` and what a fix has come to. */
import type { Next } from './next-command.ts';
import { type Screen, wrap } from './screen.ts';

/** Columns of a label with the blank after it. */
export const LABEL = 9;

/** A label in front of a text that is wrapped beside it. */
export function labelled({ chalk, columns }: Screen, label: string, text: string): string {
  return `${chalk.bold(label.padEnd(LABEL))}${wrap(text, columns, LABEL)}`;
}

/** The next command stays whole, so that it can be copied; its note goes beside or below it. */
export function nextLines({ chalk, columns }: Screen, { next, nextNote }: Next): string[] {
  if (next === '') return [];
  const label = chalk.bold('Next'.padEnd(LABEL));
  const beside = LABEL + next.length + 4 + nextNote.length <= columns;
  if (beside) return [`${label}${next}    ${nextNote}`];
  return [`${label}${next}`, `${' '.repeat(LABEL)}${wrap(nextNote, columns, LABEL)}`];
}
