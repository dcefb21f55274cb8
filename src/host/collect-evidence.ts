import type { Evidence, Policy } from '../evidence/evidence.ts';
import type { LookInProgress } from './host.ts';

/**
 * Waits for a whole look.
 * @throws what the first part that failed throws, for a host that can't be reached
 */
export async function collectEvidence(look: LookInProgress, policy: Policy): Promise<Evidence> {
  const [host, instance, port, config, sockets, processes, service, apiLog, answer] =
    await Promise.all([
      look.host,
      look.instance,
      look.port,
      look.config,
      look.sockets,
      look.processes,
      look.service,
      look.apiLog,
      look.answer,
    ]);
  return {
    schemaVersion: 1,
    host,
    instance,
    port,
    policy,
    config,
    sockets,
    processes,
    service,
    apiLog,
    answer,
  };
}
