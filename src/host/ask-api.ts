import {
  type AnswerFacts,
  blind,
  type Look,
  type PortChoice,
  type ProcessTableFacts,
  type SaltConfigFacts,
  type SocketFacts,
  seen,
} from '../evidence/evidence.ts';
import { chooseAddress } from '../evidence/resolve.ts';

import type { AnswerRequest } from './local/answer.ts';

/** What is known of the port before it is asked. */
interface KnownOfPort {
  readonly sockets: Look<SocketFacts>;
  readonly config: Look<SaltConfigFacts>;
  readonly port: PortChoice;
  readonly processes: Look<ProcessTableFacts>;
}

/**
 * Asks salt-api with one `GET /`: at its own listener, in the protocol that the config names for
 * this port. Where nobody listens nothing is sent.
 *
 * @param timeoutMs how long it may take; null asks nothing
 * @param how how another host is reached, and when the ask is given up; see {@link AnswerRequest}
 */
export async function askApi(
  timeoutMs: number | null,
  { sockets, config, port, processes }: KnownOfPort,
  how: Pick<AnswerRequest, 'connect' | 'leave'> = {},
): Promise<Look<AnswerFacts>> {
  if (timeoutMs === null) return blind('not-asked', 'not asked (--no-probe)');
  const listeners = sockets.seen ? sockets.value.listeners : null;
  if (listeners?.length === 0) return seen({ kind: 'refused' });
  const netapi = config.seen ? config.value.netapi : null;
  const configured = netapi !== null && netapi.port === port.number ? netapi : null;
  const { probeAnswer } = await import('./local/answer.ts');
  const value = await probeAnswer({
    port: port.number,
    address: chooseAddress(listeners ?? [], configured?.host ?? null, processes),
    tls: configured?.tls ?? null,
    timeoutMs,
    path: '/',
    ...how,
  });
  return seen(value);
}
