/** What an operator is told where a command can't go on. */
import { inLocale } from '../characters.ts';
import type { TriageError } from '../errors.ts';
import { printable } from '../untrusted.ts';
import { screenOn, wrap } from './screen.ts';

export type ErrorWords = Pick<TriageError, 'message' | 'advice' | 'command'>;

/** Tells of an error on standard error. */
export function writeError(words: ErrorWords): void {
  const { columns } = screenOn(process.stderr, { color: false });
  process.stderr.write(errorText(words, process.stderr.isTTY ? columns : null));
}

/**
 * The lines for standard error, in the order that they are read in: what to type, why, what else
 * helps. A command stands first and whole, on a line of its own, so that it
 * can be copied.
 * @param terminal its columns; null where it is none: there an error without a command stays on
 *   its lines, so that it can be searched for
 */
export function errorText(
  { message, advice, command }: ErrorWords,
  terminal: number | null,
): string {
  const columns = terminal ?? (command ? 80 : Number.POSITIVE_INFINITY);
  const why = command ? indented(message, columns) : `salt-triage: ${lines(message, columns)}`;
  const more = advice === '' ? [] : [indented(advice, columns)];
  const first = command ? [`salt-triage: type this instead:\n    ${command}`] : [];
  return inLocale(printable(`${[...first, why, ...more].join('\n')}\n`));
}

function indented(text: string, columns: number): string {
  return `  ${lines(text, columns)}`;
}

/** Lines of a message stay lines, as those of ssh's own words do. */
function lines(text: string, columns: number): string {
  return text
    .split('\n')
    .map((line) => wrap(line, columns, 2))
    .join('\n  ');
}
