/** `-w` and `-c NAME=RANGE` of `check`. */
import type { Thresholds } from '../check/check.ts';
import { countFrom, parseRange, type Range } from '../check/ranges.ts';
import { READING_NAMES, READINGS, type ReadingName } from '../check/readings.ts';
import { ExitCode, TriageError } from '../errors.ts';
import type { Policy } from '../evidence/evidence.ts';

type Words = readonly string[] | undefined;

/**
 * Reads the words of both options.
 * @param growth whether there will be a rate to hold against a limit
 * @throws TriageError (usage) for a name or range that is none
 */
export function parseThresholds(warning: Words, critical: Words, growth: boolean): Thresholds {
  const thresholds = { warning: rangesOf('-w', warning), critical: rangesOf('-c', critical) };
  const rated = { ...thresholds.warning, ...thresholds.critical }.close_wait_rate !== undefined;
  if (growth || !rated) return thresholds;
  throw new TriageError(
    'a limit on close_wait_rate needs --growth, which keeps the last look',
    'Add --growth.',
    ExitCode.usage,
  );
}

function rangesOf(option: string, words: Words = []): Thresholds['warning'] {
  const ranges: { [Name in ReadingName]?: Range } = {};
  for (const word of words) {
    const equals = word.indexOf('=');
    const name = word.slice(0, Math.max(0, equals));
    const range = parseRange(word.slice(equals + 1));
    if (!isReading(name) || range === null) {
      const names = READING_NAMES.join(', ');
      throw new TriageError(
        range === null && isReading(name)
          ? `${option} ${word}: no range; use 10, 10:, ~:10, 10:20 or @10:20`
          : `${option} ${word}: not NAME=RANGE with one of ${names}`,
        `Example: ${option} close_wait=4`,
        ExitCode.usage,
      );
    }
    ranges[name] = range;
  }
  return ranges;
}

function isReading(name: string): name is ReadingName {
  return Object.hasOwn(READINGS, name);
}

/** An upper limit on CLOSE_WAIT is the diagnosis' own, so that its verdict goes by it, too. */
export function policyOf({ warning, critical }: Thresholds): Partial<Policy> {
  const warn = warning.close_wait && countFrom(warning.close_wait);
  const fail = critical.close_wait && countFrom(critical.close_wait);
  return {
    ...(typeof warn === 'number' ? { closeWaitWarn: warn } : {}),
    ...(typeof fail === 'number' ? { closeWaitFail: fail } : {}),
  };
}
