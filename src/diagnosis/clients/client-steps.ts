/** Whose rate rose, and when: over the minutes in which calls came in as they do. */
import type { CallsPerMinute, ClientFacts, ClientsFacts } from '../../evidence/clients-facts.ts';
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

/**
 * Steps of each address, whatever its agents: a new release may have a new name. Where all have the
 * same address, a proxy's most likely, those of each agent.
 * @returns the steepest first
 */
export function clientSteps(facts: ClientsFacts, traffic: Traffic): ClientStep[] {
  const minutes = wholeMinutes(facts.all, traffic);
  const addresses = new Set(facts.clients.map(({ address }) => address));
  const groups: (readonly ClientFacts[])[] =
    addresses.size === 1
      ? facts.clients.map((client) => [client])
      : [...addresses].map((one) => facts.clients.filter(({ address }) => address === one));
  const steps = groups.flatMap((group) => {
    return stepOf(group, minutes).map((step) => ({ ...busiestSince(group, step.at), ...step }));
  });
  if (steps.length > 0) return steps.toSorted((a, b) => b.after - b.before - (a.after - a.before));
  return stepOf([facts.all], minutes).map((step) => ({ address: null, agent: null, ...step }));
}

/** The client of a group that has called most since. */
function busiestSince(group: readonly ClientFacts[], at: number) {
  const since = ({ firstMinute, counts }: CallsPerMinute) =>
    counts
      .slice(Math.max(0, (at - firstMinute) / MINUTE))
      .reduce((total, number) => total + number, 0);
  const [client] = group.toSorted((a, b) => since(b) - since(a));
  return { address: client?.address ?? null, agent: client?.agent ?? null };
}

function stepOf(group: readonly CallsPerMinute[], minutes: readonly number[]) {
  const counts = minutes.map((at) => {
    const calls = group.map(
      ({ firstMinute, counts: own }) => own[(at - firstMinute) / MINUTE] ?? 0,
    );
    return calls.reduce((total, number) => total + number, 0);
  });
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
