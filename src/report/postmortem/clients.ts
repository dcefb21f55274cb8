import type { Diagnosis } from '../../diagnosis/diagnosis.ts';

/** What of the clients a report draws and dates by. */
interface ClientsJudged {
  /** Beginning of the silence of the logs that lasts until the look, epoch ms; null where there is none. */
  readonly silentFrom: number | null;
  readonly steps: readonly ClientStep[];
}

/** A client whose rate rose and stayed up. */
export interface ClientStep {
  /** Null is all clients together. */
  readonly address: string | null;
  readonly agent: string | null;
  /** Epoch ms, on a whole minute. */
  readonly at: number;
  /** Medians of calls a minute. */
  readonly before: number;
  readonly after: number;
  /** Null where there was none before. */
  readonly factor: number | null;
}

export const ALL_CLIENTS = 'all clients';

/** What was judged of who called; null where nothing could be seen. */
export function clientsJudged({ evidence, explanations }: Diagnosis): ClientsJudged | null {
  if (!evidence.background.clients.seen) return null;
  const { silentFrom, steps } = explanations.clients.evidence;
  return {
    silentFrom: silentFrom === null ? null : Date.parse(silentFrom),
    steps: steps.map((step) => ({ ...step, at: Date.parse(step.at) })),
  };
}

/** `10.2.3.4 (cmdb/2.1)`. */
export function nameOfClient({ address, agent }: Pick<ClientStep, 'address' | 'agent'>): string {
  if (address === null) return ALL_CLIENTS;
  return agent === null ? address : `${address} (${agent})`;
}
