/** A silence that nothing else confirms is asked about once more, for longer. */
import { seen } from '../evidence/evidence.ts';
import type { LookInProgress } from '../host/host.ts';
import { apiAnswers } from './checks/api-answers.ts';
import { type Diagnosis, withAnswer } from './diagnosis.ts';

/**
 * How long the second `GET /` may take, ms: longer than cheroot's own time-out of 10 s, in which half
 * a request or a silent TLS client lets go of what it held (salt-facts §10).
 */
const LONGER_MS = 11_000;

/**
 * The diagnosis to go by: the first, or where its verdict hangs on one short silence, that with a
 * second answer. A server that is known to hang by anything else is not asked again.
 *
 * @param waiting told of the second ask, and how long it may take
 */
export async function settledDiagnosis(
  first: Diagnosis,
  { askAgain }: Pick<LookInProgress, 'askAgain'>,
  waiting?: (what: string, boundMs: number) => void,
): Promise<Diagnosis> {
  const { answer } = first.evidence;
  if (askAgain === null || first.verdict.asksAgain === undefined) return first;
  if (!answer.seen || answer.value.kind !== 'no-reply') return first;
  waiting?.(`${apiAnswers.title}, asked again`, LONGER_MS);
  const second = await askAgain(LONGER_MS);
  // A server that has ended meanwhile is another look's to judge, with all that goes with it.
  if (!second.seen || ['refused', 'broken'].includes(second.value.kind)) return first;
  return withAnswer(first, seen({ ...second.value, silentBefore: answer.value.afterMs }));
}
