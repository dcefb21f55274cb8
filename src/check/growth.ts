/** How fast CLOSE_WAIT grows, from one look to the next. */

/** What is kept of a look. */
export interface LastLook {
  /** By the host's clock, epoch ms. */
  readonly at: number;
  readonly bootId: string;
  readonly closeWait: number;
}

/** A rate over a longer time says nothing of now, ms. */
const LONGEST_MS = 3_600_000;

/**
 * Sockets more per minute; negative where they get fewer, null where the two can't be compared:
 * another boot, a clock set back, too long a time between.
 */
export function growthRate(before: LastLook | null, now: LastLook): number | null {
  if (before === null || before.bootId !== now.bootId) return null;
  const elapsed = now.at - before.at;
  if (!(elapsed > 0 && elapsed <= LONGEST_MS)) return null;
  return Math.round(((now.closeWait - before.closeWait) * 60_000 * 100) / elapsed) / 100;
}

/** Reads what was kept; null for what is half-written or no look at all. */
export function parseLastLook(text: string): LastLook | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { at, bootId, closeWait } = value as Partial<Record<keyof LastLook, unknown>>;
  if (typeof at !== 'number' || typeof bootId !== 'string') return null;
  return typeof closeWait === 'number' ? { at, bootId, closeWait } : null;
}
