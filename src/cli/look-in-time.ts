/** A diagnosis that has to be there at a given time, with as much of it as can be known by then. */
import { runningMs } from '../clock.ts';
import { DECIDING } from '../diagnosis/checks/checks.ts';
import { diagnoseHost } from '../diagnosis/diagnose.ts';
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import { type AnswerFacts, blind, type Look, type LookRequest } from '../evidence/evidence.ts';
import type { Host, LookInProgress } from '../host/host.ts';
import type { LookOptions } from './look-options.ts';

/** How far a look has come. */
export interface Progress {
  /** Title of the step that is waited for. */
  step: string;
  /** Null until the API was asked and has answered, or has not. */
  answer: Look<AnswerFacts> | null;
}

/** How much time there is, as runningMs() counts it. */
export interface Time {
  readonly endsAt: number;
  readonly progress: Progress;
}

/** What is kept for the judgement, ms. */
const TO_JUDGE_MS = 100;
/** An API that answers does so sooner, ms. */
const LEAST_ASK_MS = 250;

/**
 * Looks and judges; the API is asked last, for as long as there is time left then, and once: a
 * monitor comes again by itself.
 * @param suffices whether a verdict that no answer can change is enough; the ask is left then
 * @throws TriageError where the host can't be reached at all
 */
export async function diagnoseInTime(
  host: Host,
  { request, policy }: LookOptions,
  time: Time,
  suffices: (early: Diagnosis) => boolean,
): Promise<Diagnosis> {
  const leave = new AbortController();
  return new Promise((resolve, reject) => {
    const observer = {
      waiting(what: string) {
        time.progress.step = what;
      },
      end(diagnosis: Diagnosis) {
        if (!suffices(diagnosis)) return;
        leave.abort();
        resolve(diagnosis);
      },
    };
    const asked = askedLast(host, time, leave.signal);
    diagnoseHost(asked, withinTime(request, time), policy, observer).then(resolve, reject);
  });
}

function askedLast(host: Host, { endsAt, progress }: Time, leave: AbortSignal): Host {
  const look: Host['look'] = (request): LookInProgress => {
    const { askAgain, ...parts } = host.look({ ...request, probeTimeoutMs: null }, leave);
    const { probeTimeoutMs } = request;
    const ask = async (): Promise<Look<AnswerFacts>> => {
      if (probeTimeoutMs === null || askAgain === null) return parts.answer;
      await Promise.all([parts.sockets, parts.config, parts.port, parts.processes]);
      const left = endsAt - TO_JUDGE_MS - runningMs();
      if (left < LEAST_ASK_MS) return blind('timeout', 'no time was left to ask it');
      progress.answer = await askAgain(Math.min(probeTimeoutMs, left));
      return progress.answer;
    };
    return { ...parts, answer: ask(), askAgain: null };
  };
  const lookBehind: Host['lookBehind'] = (found, wanted, request) => {
    const left = Math.max(0, endsAt - TO_JUDGE_MS - runningMs());
    const lookTimeoutMs = Math.min(request.lookTimeoutMs, left);
    return host.lookBehind(found, wanted, { ...request, lookTimeoutMs });
  };
  return { name: host.name, look, lookBehind };
}

/** Every look ends before the whole has to, so that what was seen is told. */
function withinTime(request: LookRequest, { endsAt }: Time): LookRequest {
  const room = Math.max(500, 0.8 * (endsAt - runningMs()));
  return { ...request, lookTimeoutMs: Math.min(request.lookTimeoutMs, room), background: DECIDING };
}

/** What is known of an API that did not answer; null where it did, or was not asked. */
export function silenceOf({ answer }: Progress): string | null {
  if (answer === null || !answer.seen) return null;
  const { kind } = answer.value;
  return kind === 'answered' || kind === 'refused' ? null : `the API does not answer (${kind})`;
}
