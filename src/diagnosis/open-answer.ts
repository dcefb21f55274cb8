/**
 * A verdict before the API has answered. Judgement is pure: where every answer that may still come
 * gives the same one, nobody has to wait for it.
 */
import { isDeepStrictEqual } from 'node:util';
import { type AnswerFacts, BLIND_CAUSES, blind, type Look, seen } from '../evidence/evidence.ts';
import { describeDuration } from '../words.ts';
import { type Diagnosis, withAnswer } from './diagnosis.ts';

/** A first silence, before a second ask. */
const silentBefore = 5_000;

/** Of each kind of answer, those that a judgement may tell apart. */
const ANSWERS = {
  answered: [200, 401, 500].flatMap((status) => {
    const answer = { kind: 'answered', status, afterMs: 7, tls: true } as const;
    return [answer, { ...answer, silentBefore }];
  }),
  'no-reply': [
    { kind: 'no-reply', afterMs: 2_000, tls: true },
    { kind: 'no-reply', afterMs: 60_000, tls: false },
    { kind: 'no-reply', afterMs: 11_000, tls: true, silentBefore },
  ],
  'no-connection': [
    { kind: 'no-connection', afterMs: 5_000 },
    { kind: 'no-connection', afterMs: 11_000, silentBefore },
  ],
  refused: [{ kind: 'refused' }],
  broken: [{ kind: 'broken', afterMs: 7, error: 'connection closed' }],
} satisfies Record<AnswerFacts['kind'], readonly AnswerFacts[]>;

const POSSIBLE: readonly Look<AnswerFacts>[] = [
  ...Object.values(ANSWERS)
    .flat()
    .map(seen<AnswerFacts>),
  ...BLIND_CAUSES.map((cause) => blind(cause, cause)),
];

/**
 * Whether the verdict is the same with every answer, and with it what is planned and typed next,
 * which go by no more than an `ActionBasis` has. Why it is that verdict may differ: the answer is
 * among the reasons.
 *
 * @param open all that is known but the answer
 */
export function standsWithAnyAnswer(open: Diagnosis): boolean {
  const { evidence: _, ...expected } = open.verdict;
  return POSSIBLE.every((answer) => {
    const { evidence: __, ...verdict } = withAnswer(open, answer).verdict;
    return isDeepStrictEqual(verdict, expected);
  });
}

/** The diagnosis where the answer is not waited for. @param afterMs how long it was */
export function withoutAnswer(open: Diagnosis, afterMs: number): Diagnosis {
  const within = describeDuration(afterMs);
  const why = `no reply within ${within}; the verdict is the same with any answer`;
  return withAnswer(open, blind('not-awaited', why));
}
