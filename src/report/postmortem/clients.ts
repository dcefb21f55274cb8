import type { Diagnosis } from '../../diagnosis/diagnosis.ts';

/** What of the clients a report draws and dates by. */
interface ClientsJudged {
  /** Beginning of the silence of the logs that lasts until the look, epoch ms; null where there is none. */
  readonly gapAt: number | null;
  readonly steps: readonly ClientStep[];
}

/** A client whose rate has changed for good. */
export interface ClientStep {
  readonly address: string;
  readonly agent: string | null;
  /** Epoch ms, on a whole minute. */
  readonly at: number;
  /** Medians of calls a minute. */
  readonly before: number;
  readonly after: number;
  /** Null where there was none before. */
  readonly factor: number | null;
}

/** What was judged of who called; null where nothing could be seen. */
export function clientsJudged({ evidence, explanations }: Diagnosis): ClientsJudged | null {
  if (!evidence.background.clients.seen) return null;
  const found: Partial<ClientsJudged> = explanations.clients.evidence as object;
  return { gapAt: found.gapAt ?? null, steps: found.steps ?? [] };
}

/** `10.2.3.4 (cmdb/2.1)`. */
export function nameOfClient({ address, agent }: Pick<ClientStep, 'address' | 'agent'>): string {
  return agent === null ? address : `${address} (${agent})`;
}

export function directionOf({ before, after }: Pick<ClientStep, 'before' | 'after'>): string {
  return after > before ? 'rose' : 'fell';
}
