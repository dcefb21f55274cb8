/** The steps of the diagnosis in the order they are shown. A new check is a file and a line here. */
import { apiAnswers } from './api-answers.ts';
import { apiLog } from './api-log.ts';
import { closeWait } from './close-wait.ts';
import { orphans } from './orphans.ts';
import { portHolder } from './port-holder.ts';

export const CHECKS = [portHolder, orphans, closeWait, apiLog, apiAnswers] as const;

type AnyCheck = (typeof CHECKS)[number];

export type StepId = AnyCheck['id'];

/** What each step found, by its id. */
export type Findings = { readonly [C in AnyCheck as C['id']]: Titled & ReturnType<C['judge']> };

/** Findings of the checks that don't go by the API's answer. */
export type FindingsBeforeAnswer = {
  readonly [C in AnyCheck as 'answer' extends C['needs'][number]
    ? never
    : C['id']]: Findings[C['id']];
};

/** A finding with the id and title of its step, as output shows it. */
export type Step = { readonly id: StepId } & Titled & ReturnType<AnyCheck['judge']>;

interface Titled {
  readonly title: string;
}
