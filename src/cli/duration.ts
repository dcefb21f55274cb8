import { ExitCode, TriageError } from '../errors.ts';

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A hundred years: beyond it a date of the past can no longer be told from a slip of the key. */
const LONGEST = 36_500 * 86_400_000;

/** A timer of Node fires at once when it is set further off than 2^31 ms. */
const LONGEST_TIMEOUT = 86_400_000;

/**
 * Milliseconds of a duration such as `500ms`, `5s`, `90m`, `24h`, `1.5d`; it has to have a unit,
 * since nobody remembers which one a bare number would have.
 * @param option what is named in the usage error that anything else is
 */
export function parseDuration(text: string, option: string): number {
  const [, amount, unit = ''] = /^(\d{1,15}(?:\.\d{1,6})?)(ms|s|m|h|d)?$/.exec(text.trim()) ?? [];
  const milliseconds = Math.round(Number(amount) * (UNITS[unit] ?? Number.NaN));
  if (milliseconds <= LONGEST) return milliseconds;
  const bare = amount !== undefined && unit === '';
  throw new TriageError(
    `${option}: invalid duration ${JSON.stringify(text)}: use 90s, 5m, 24h`,
    bare ? `A number needs its unit: ${text.trim()}s is seconds, ${text.trim()}h hours.` : '',
    ExitCode.usage,
  );
}

/** A duration that something is waited for: more than nothing, and a day at most. */
export function parseTimeout(text: string, option: string): number {
  const milliseconds = parseDuration(text, option);
  if (milliseconds >= 1 && milliseconds <= LONGEST_TIMEOUT) return milliseconds;
  throw new TriageError(
    `${option}: ${text.trim()} is out of range: use more than 0 and at most 24h`,
    '',
    ExitCode.usage,
  );
}
