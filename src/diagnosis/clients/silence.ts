/** When the calls stopped: lines about them are written as requests end, so a jam is a silence. */
import type { CallsPerMinute } from '../../evidence/clients-facts.ts';

const MINUTE = 60_000;
/** Minutes before, silent ones left out, whose median says how many calls were to come. */
const LOOK_BACK = 30;
/** A silence lasts so many minutes at least, in which so many calls were to come. */
const LEAST = { minutes: 3, calls: 30 };
/**
 * What comes between two silences for at most so many minutes is no traffic: requests that end late,
 * after their clients have left (salt-advice §4).
 */
const LATE_ENDS = 10;

/** Minutes of a series, from the first one up to the second, which is no part of it. */
export type Stretch = readonly [from: number, to: number];

export interface Traffic {
  /** Where calls came in as they do, by minutes of the series; in order. */
  readonly stretches: readonly Stretch[];
  /** Beginning of the silence that lasts until now, epoch ms; null where calls still come. */
  readonly silentFrom: number | null;
}

/**
 * Parts a series at its silences.
 * @param calls of all clients
 * @param now the host's clock when the log was read
 */
export function findSilences({ firstMinute, counts }: CallsPerMinute, now: number): Traffic {
  if (counts.length === 0) return { stretches: [], silentFrom: null };
  const stretches: Stretch[] = [];
  // Silent minutes don't tell how many calls were to come.
  const observed: number[] = [];
  let from = 0;
  for (let minute = 0; minute < counts.length; ) {
    const quiet = zerosFrom(counts, minute);
    const silence = isSilence(observed, quiet);
    const next = minute + Math.max(1, quiet);
    if (!silence) observed.push(...counts.slice(minute, next));
    else {
      if (minute > from) stretches.push([from, minute]);
      from = next;
    }
    minute = next;
  }
  stretches.push([from, counts.length]);
  const sinceLast = Math.floor((now - firstMinute) / MINUTE) - counts.length;
  const silent =
    isSilence(observed, sinceLast) || (sinceLast >= LEAST.minutes && isLateEnd(stretches));
  if (!silent) return { stretches, silentFrom: null };
  while (isLateEnd(stretches)) stretches.pop();
  const end = stretches.at(-1)?.[1] ?? 0;
  return { stretches, silentFrom: firstMinute + end * MINUTE };
}

/** Whether the last stretch is but the late ends of what hung in the silence before it. */
function isLateEnd(stretches: readonly Stretch[]): boolean {
  const [before, last] = stretches.slice(-2);
  if (before === undefined || last === undefined) return false;
  return last[1] - last[0] <= Math.min(LATE_ENDS, last[0] - before[1]);
}

function zerosFrom(counts: readonly number[], start: number): number {
  let end = start;
  while (end < counts.length && counts[end] === 0) end += 1;
  return end - start;
}

function isSilence(observed: readonly number[], minutes: number): boolean {
  if (minutes < LEAST.minutes) return false;
  const before = observed.slice(-LOOK_BACK).toSorted((a, b) => a - b);
  return (before[Math.floor(before.length / 2)] ?? 0) * minutes >= LEAST.calls;
}
