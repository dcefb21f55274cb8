/** Whose rate rose, and when: over the minutes in which calls came in as they do. */
import type { CallsPerMinute, ClientFacts, ClientsFacts } from '../../evidence/clients-facts.ts';
import { findRateStep, type RateStep, ratesAround } from './rate-step.ts';
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
  /** Whether there were any calls at all before it. */
  readonly calledBefore: boolean;
  /** The same medians of all clients: what moves from one address to another is no rise of theirs. */
  readonly together: Pick<RateStep, 'before' | 'after'>;
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
  const all = countsIn([facts.all], minutes);
  const steps = groups.flatMap((group) => stepOf(group, minutes, all));
  if (steps.length > 0) return steps.toSorted((a, b) => b.after - b.before - (a.after - a.before));
  return stepOf([facts.all], minutes, all);
}

function stepOf(
  group: readonly (CallsPerMinute & Partial<Pick<ClientFacts, 'address' | 'agent'>>)[],
  minutes: readonly number[],
  all: readonly number[],
): ClientStep[] {
  const counts = countsIn(group, minutes);
  const step = findRateStep(counts);
  const at = step === null ? undefined : minutes[step.at];
  if (step === null || at === undefined) return [];
  const rises = group.map((one) => {
    const { before, after } = ratesAround(countsIn([one], minutes), step.at);
    return { one, rise: after - before };
  });
  const [most] = rises.toSorted((a, b) => b.rise - a.rise);
  // The rise of an address by several of its programs is none of theirs.
  const isOne = most !== undefined && most.rise * 2 > step.after - step.before;
  return [
    {
      address: group[0]?.address ?? null,
      agent: isOne ? (most.one.agent ?? null) : null,
      at,
      before: step.before,
      after: step.after,
      calledBefore: counts.slice(0, step.at).some((calls) => calls > 0),
      together: ratesAround(all, step.at),
    },
  ];
}

function countsIn(group: readonly CallsPerMinute[], minutes: readonly number[]): number[] {
  return minutes.map((at) => {
    const calls = group.map(
      ({ firstMinute, counts: own }) => own[(at - firstMinute) / MINUTE] ?? 0,
    );
    return calls.reduce((total, number) => total + number, 0);
  });
}

/** Beginnings of the minutes, epoch ms; those in which a stretch begins or ends are not whole. */
function wholeMinutes({ firstMinute }: CallsPerMinute, { stretches }: Traffic): number[] {
  return stretches.flatMap(([from, to]: Stretch) => {
    const count = Math.max(0, to - from - 2);
    return Array.from({ length: count }, (_, index) => firstMinute + (from + 1 + index) * MINUTE);
  });
}
