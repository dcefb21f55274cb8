/** What a person has typed at a question, in either case. Pure: anything else is no answer. */
import type { Answer } from '../fix/fix-run.ts';

/** What a step's question may bring. */
export type StepAnswer = Exclude<Answer, 'interrupted'> | 'details';

/** Enter alone skips: the default is never the destructive answer. */
const STEP: ReadonlyMap<string, StepAnswer> = new Map([
  ...(['y', 'yes'] as const).map((word) => [word, 'yes'] as const),
  ...(['', 's', 'skip', 'n', 'no'] as const).map((word) => [word, 'skip'] as const),
  ...(['d', 'details'] as const).map((word) => [word, 'details'] as const),
  ...(['a', 'abort', 'q', 'quit'] as const).map((word) => [word, 'abort'] as const),
]);

const YES_OR_NO: ReadonlyMap<string, 'yes' | 'no'> = new Map([
  ...(['y', 'yes'] as const).map((word) => [word, 'yes'] as const),
  ...(['', 'n', 'no', 'q', 'quit'] as const).map((word) => [word, 'no'] as const),
]);

/** @returns null for what is no answer, so that it is asked again */
export function readStepAnswer(typed: string): StepAnswer | null {
  return STEP.get(typed.trim().toLowerCase()) ?? null;
}

/** The same for a plain question, No by default. */
export function readYesOrNo(typed: string): 'yes' | 'no' | null {
  return YES_OR_NO.get(typed.trim().toLowerCase()) ?? null;
}
