import type { ClientStep as RateStep } from '../../diagnosis/clients/client-steps.ts';
import type { Diagnosis } from '../../diagnosis/diagnosis.ts';

/** What of the clients a report draws and dates by. */
interface ClientsJudged {
  /** Beginning of the silence of the logs that lasts until the look, epoch ms; null where there is none. */
  readonly silentFrom: number | null;
  readonly steps: readonly ClientStep[];
}

/** As it was judged, and how many times as much. */
export interface ClientStep extends Omit<RateStep, 'calledBefore' | 'together'> {
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
