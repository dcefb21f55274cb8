/** The block `Why`: what explains a verdict, each cause with whether it was seen or is inferred. */

import type { Cause } from '../diagnosis/checks/explanation.ts';
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import { LABEL } from './next-lines.ts';
import { type Screen, wrap } from './screen.ts';

/** Beyond these, a tired reader reads none. */
const MOST_LINES = 5;
/** Columns of `inferred` with the blank after it. */
const BASIS = 10;

/**
 * @param verbose all causes with their details, and what could not be explained
 * @returns no line where there is nothing to say
 */
export function whyLines(
  screen: Screen,
  { causes, explanations }: Pick<Diagnosis, 'causes' | 'explanations'>,
  verbose: boolean,
): string[] {
  const shown = verbose ? causes : causes.slice(0, MOST_LINES);
  const lines = shown.flatMap((cause) => causeLines(screen, cause, verbose));
  if (verbose) {
    for (const { title, status, summary } of Object.values(explanations)) {
      if (status !== 'unknown') continue;
      lines.push(`${'not known'.padEnd(BASIS)}${beside(screen, `${title}: ${summary}`)}`);
    }
  }
  return lines.map((line, index) => {
    const label = index === 0 ? screen.chalk.bold('Why'.padEnd(LABEL)) : ' '.repeat(LABEL);
    return `${label}${line}`;
  });
}

function causeLines(screen: Screen, cause: Cause, verbose: boolean): string[] {
  const head = `${cause.basis.padEnd(BASIS)}${beside(screen, cause.summary)}`;
  if (!verbose) return [head];
  const further = [
    ...cause.details,
    ...(cause.advice === null ? [] : [`to prevent it: ${cause.advice}`]),
  ];
  return [head, ...further.map((text) => `${' '.repeat(BASIS + 2)}${beside(screen, text, 2)}`)];
}

function beside({ columns }: Screen, text: string, more = 0): string {
  return wrap(text, columns, LABEL + BASIS + more);
}
