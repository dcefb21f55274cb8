import type { AnswerFacts, Evidence } from '../../evidence/evidence.ts';
import { stripControl } from '../../untrusted.ts';
import { describeDuration } from '../../words.ts';
import type { Check, Finding, StepStatus } from './finding.ts';

export type ApiAnswersEvidence = { readonly answer: AnswerFacts | null };

/** Step 5: whether `GET /` brings any HTTP status. An orphan may answer too (salt-facts §6). */
export const apiAnswers: Check<'api-answers', 'answer', ApiAnswersEvidence> = {
  id: 'api-answers',
  title: 'API answers',
  needs: ['answer'],
  judge,
};

function judge({ answer }: Pick<Evidence, 'answer'>): Finding<ApiAnswersEvidence> {
  if (!answer.seen) {
    const skipped = answer.cause === 'not-asked' || answer.cause === 'not-awaited';
    const status: StepStatus = skipped ? 'skip' : 'unknown';
    const summary = status === 'skip' ? answer.why : `can't tell: ${stripControl(answer.why)}`;
    return { status, summary, details: [], evidence: { answer: null } };
  }
  const [status, summary] = describeSecond(answer.value, describe(answer.value));
  return { status, summary, details: [], evidence: { answer: answer.value } };
}

/** A server that has answered the second ask alone serves, but not as it should. */
function describeSecond(
  { silentBefore }: AnswerFacts,
  [status, text]: [StepStatus, string],
): [StepStatus, string] {
  if (silentBefore === undefined) return [status, text];
  const first = `no reply within ${describeDuration(silentBefore)}`;
  return [status === 'pass' ? 'warn' : status, `${first}; asked again: ${text}`];
}

function describe(answer: AnswerFacts): [StepStatus, string] {
  switch (answer.kind) {
    case 'answered': {
      const over = answer.tls ? 'TLS' : 'plain HTTP';
      const text = `HTTP ${answer.status} over ${over} in ${describeDuration(answer.afterMs)}`;
      return [answer.status >= 500 ? 'warn' : 'pass', text];
    }
    case 'no-reply':
      return [
        'fail',
        `connected, no reply within ${describeDuration(answer.afterMs)}${answer.tls ? ' (over TLS)' : ''}`,
      ];
    case 'no-connection':
      return [
        'fail',
        `no connection within ${describeDuration(answer.afterMs)}: the accept queue is full`,
      ];
    case 'refused':
      return ['fail', 'connection refused'];
    case 'broken':
      return ['fail', `no HTTP: ${stripControl(answer.error).slice(0, 120)}`];
  }
}
