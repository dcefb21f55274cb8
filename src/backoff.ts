/** Pauses between two looks at what is waited for. Pure. */

const FIRST_MS = 50;
const MOST_MS = 1_000;
const GROWTH = 1.5;

/**
 * How long to pause before the next look, ms. Most of what is waited for comes soon, and is seen soon;
 * what takes long is looked at once a second. A host gets as long a rest as the look took, up to
 * that: behind ssh, or among thousands of processes, it must not be kept busy with looks alone.
 *
 * @param turn looks that were in vain before this one
 * @param lookMs how long this one took
 */
export function pauseAfterLook(turn: number, lookMs: number): number {
  return Math.min(MOST_MS, Math.max(FIRST_MS * GROWTH ** turn, lookMs));
}
