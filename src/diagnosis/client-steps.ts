/** Whose rate rose, and when: over the minutes in which calls came in as they do. */
import type { CallsPerMinute, ClientsFacts } from '../evidence/clients-facts.ts';
import { findRateStep } from './rate-step.ts';
import type { Stretch, Traffic } from './silence.ts';

const MINUTE = 60_000;

/** A rate that rose and stayed up. */
export interface ClientStep {
  /** Null for all clients together, of which no single one rose. */
  readonly address: string | null;
  readonly agent: string | null;
  /** Beginning of the first minute of the higher rate, epoch ms. */
  readonly at: number;
  /** Medians, calls a minute. */
  readonly before: number;
  readonly after: number;
}

/** @returns the steepest first */
export function clientSteps(facts: ClientsFacts, traffic: Traffic): ClientStep[] {
  const minutes = wholeMinutes(facts.all, traffic);
  const steps = facts.clients.flatMap(({ address, agent, ...calls }) => {
    return stepOf(calls, minutes).map((step) => ({ address, agent, ...step }));
  });
  if (steps.length > 0) return steps.toSorted((a, b) => b.after - b.before - (a.after - a.before));
  return stepOf(facts.all, minutes).map((step) => ({ address: null, agent: null, ...step }));
}

function stepOf(calls: CallsPerMinute, minutes: readonly number[]) {
  const counts = minutes.map((at) => calls.counts[(at - calls.firstMinute) / MINUTE] ?? 0);
  const step = findRateStep(counts);
  const at = step === null ? undefined : minutes[step.at];
  return step === null || at === undefined ? [] : [{ ...step, at }];
}

/** Beginnings of the minutes, epoch ms; those in which a stretch begins or ends are not whole. */
function wholeMinutes({ firstMinute }: CallsPerMinute, { stretches }: Traffic): number[] {
  return stretches.flatMap(([from, to]: Stretch) => {
    const count = Math.max(0, to - from - 2);
    return Array.from({ length: count }, (_, index) => firstMinute + (from + 1 + index) * MINUTE);
  });
}
