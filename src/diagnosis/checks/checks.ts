/** The steps of the diagnosis in the order they are shown. A new check is a file and a line here. */
import { apiAnswers } from './api-answers.ts';
import { apiLog } from './api-log.ts';
import { clients } from './clients.ts';
import { closeWait } from './close-wait.ts';
import type { Cause } from './explanation.ts';
import { master } from './master.ts';
import { orphans } from './orphans.ts';
import { portHolder } from './port-holder.ts';
import { settings } from './settings.ts';
import { versions } from './versions.ts';
import { workers } from './workers.ts';

export const CHECKS = [portHolder, orphans, closeWait, apiLog, apiAnswers] as const;

/** What explains a state, looked at after the steps. One more is a file and a line here, too. */
export const EXPLAINERS = [clients, workers, master, versions, settings] as const;

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

/** What decides, of a host that is well otherwise: its verdict waits for that. */
export const DECIDING = EXPLAINERS.filter(({ decides }) => decides).map(({ id }) => id);

type AnyExplainer = (typeof EXPLAINERS)[number];

/** What each of the explainers found, by its id. */
export type Explanations = {
  readonly [C in AnyExplainer as C['id']]: { readonly id: C['id'] } & Titled &
    ReturnType<C['judge']>;
};

/** A cause with the id of the explainer that names it. */
export interface NamedCause extends Cause {
  readonly id: AnyExplainer['id'];
}
