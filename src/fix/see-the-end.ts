/** How the host stands in the end: seen, not inferred. */
import { TriageError } from '../errors.ts';
import type { FixRun } from './fix-run.ts';

/** Whoever has ended a fix does not wait for long. */
const BOUND_MS = 5_000;
const PROBE_MS = 2_000;

/**
 * Takes a whole look where the last one was less, or an action was taken since: the steps look at no
 * more than they go by.
 * @returns why it is not known how the host stands; null where it was seen, or nothing was done
 */
export async function seeTheEnd(run: FixRun): Promise<string | null> {
  // A host that is gone has been waited for already.
  if (run.ended === 'cut off') return run.cutOffBy;
  const isWhole = run.latest === null || run.latestIsWhole;
  if (isWhole && !run.changedUnseen) return null;
  const { lookTimeoutMs, probeTimeoutMs } = run.context.request;
  const bounds = {
    lookTimeoutMs: Math.min(BOUND_MS, lookTimeoutMs),
    probeTimeoutMs: Math.min(PROBE_MS, probeTimeoutMs ?? PROBE_MS),
  };
  try {
    await run.look('whole', bounds);
    return null;
  } catch (error) {
    if (!(error instanceof TriageError)) throw error;
    return error.message;
  }
}
