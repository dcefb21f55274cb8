/** A silence that nothing else confirms is asked about once more, for longer. */
import { type AnswerFacts, type Evidence, type Look, seen } from '../evidence/evidence.ts';
import type { LookInProgress } from '../host/host.ts';
import { diagnoseEvidence } from './diagnosis.ts';

/**
 * How long the second `GET /` may take, ms: longer than cheroot's own time-out of 10 s, in which half
 * a request or a silent TLS client lets go of what it held (salt-facts §10).
 */
const LONGER_MS = 11_000;

/**
 * The answer to go by: the first, or where the verdict on it would hang on one short silence, the
 * second. A server that is known to hang by anything else is not asked again.
 *
 * @param evidence a whole look
 */
export async function settledAnswer(
  evidence: Evidence,
  { askAgain }: Pick<LookInProgress, 'askAgain'>,
): Promise<Look<AnswerFacts>> {
  const first = evidence.answer;
  if (askAgain === null || !first.seen || first.value.kind !== 'no-reply') return first;
  if (diagnoseEvidence(evidence).verdict.asksAgain === undefined) return first;
  const second = await askAgain(LONGER_MS);
  // A server that has ended meanwhile is another look's to judge, with all that goes with it.
  if (!second.seen || ['refused', 'broken'].includes(second.value.kind)) return first;
  return seen({ ...second.value, silentBefore: first.value.afterMs });
}
