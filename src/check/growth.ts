/** How fast CLOSE_WAIT grows, from one look to the next. */
import type { KeptLook, KeptLooks } from './kept-looks.ts';

/** A rate over a longer time says nothing of now, ms. */
const LONGEST_MS = 3_600_000;

/**
 * Sockets more per minute; negative where they get fewer, null where the two can't be compared:
 * another boot, a clock set back, too long a time between.
 */
export function growthRate(
  kept: KeptLooks | null,
  bootId: string,
  now: Pick<KeptLook, 'at' | 'closeWait'>,
): number | null {
  const before = kept?.looks.at(-1);
  if (before === undefined || kept?.bootId !== bootId) return null;
  const elapsed = now.at - before.at;
  if (!(elapsed > 0 && elapsed <= LONGEST_MS)) return null;
  return Math.round(((now.closeWait - before.closeWait) * 60_000 * 100) / elapsed) / 100;
}
