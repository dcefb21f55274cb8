/** Pauses between two looks at what is waited for. Pure. */

/**
 * A pause that grows from look to look: most of what is waited for comes soon, and is seen soon.
 * @param turn looks that were in vain before this one
 */
export function growingPause(turn: number, firstMs: number, mostMs: number): number {
  return Math.min(mostMs, firstMs * 1.5 ** turn);
}

/**
 * The pause after a look at a whole host, ms: up to a second, and else as long as the look took.
 * Behind ssh, or among thousands of processes, a host must not be kept busy with looks alone.
 */
export function pauseAfterLook(turn: number, lookMs: number): number {
  const [firstMs, mostMs] = [50, 1_000];
  return Math.min(mostMs, Math.max(growingPause(turn, firstMs, mostMs), lookMs));
}
