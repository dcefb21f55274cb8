import type { Evidence, SocketFacts, TcpState } from '../../evidence/evidence.ts';
import { isLoopback } from '../../evidence/tcp-table.ts';
import { count, grouped } from '../../words.ts';
import type { Check, Finding } from './finding.ts';

export interface CloseWaitEvidence {
  /** CLOSE_WAIT sockets with this local port, whoever owns them; null where unseen. */
  readonly count: number | null;
  /** Of these, still in the accept queue: no process owns them. */
  readonly unaccepted: number;
  /** Of these, from this host itself: failed starts of salt-api make such. */
  readonly loopback: number;
  readonly unreadBytes: number;
  readonly byPeer: readonly { readonly address: string; readonly count: number }[];
  /** Sockets on the port in every state. */
  readonly states: Readonly<Partial<Record<TcpState, number>>>;
  /** Longest accept queue among the port's listeners. */
  readonly acceptQueue: number;
  readonly backlog: number | null;
  readonly thresholds: { readonly warn: number; readonly fail: number };
}

type Needs = 'port' | 'policy' | 'sockets' | 'config';

/**
 * Step 3: connections whose client has closed and whose server has not.
 * Counted by local port, not by process: a socket that was never accepted belongs to nobody.
 */
export const closeWait: Check<'close-wait', Needs, CloseWaitEvidence> = {
  id: 'close-wait',
  title: 'CLOSE_WAIT',
  needs: ['port', 'policy', 'sockets', 'config'],
  judge,
};

function judge({
  port,
  policy,
  sockets,
  config,
}: Pick<Evidence, Needs>): Finding<CloseWaitEvidence> {
  const thresholds = { warn: policy.closeWaitWarn, fail: policy.closeWaitFail };
  const backlog = config.seen ? (config.value.netapi?.backlog ?? null) : null;
  const look = sockets.seen ? sockets.value : { peers: [], overflow: [], listeners: [] };
  const counted = countSockets(look);
  const evidence = { ...counted, backlog, thresholds };
  if (!sockets.seen) {
    const summary = `can't be counted: ${sockets.why}`;
    return { status: 'unknown', summary, details: [], evidence: { ...evidence, count: null } };
  }
  const { count: total, unaccepted } = counted;
  // Clients that came and went before anyone accepted them: nobody is accepting.
  const failed = total >= thresholds.fail || unaccepted >= thresholds.warn;
  return {
    status: failed ? 'fail' : total >= thresholds.warn ? 'warn' : 'pass',
    summary: summarize(counted, port.number),
    details: details(evidence, sockets.value.ipv6),
    evidence,
  };
}

type Counted = Omit<CloseWaitEvidence, 'backlog' | 'thresholds'> & { readonly count: number };

function countSockets({
  peers,
  overflow,
  listeners,
}: Pick<SocketFacts, 'peers' | 'overflow' | 'listeners'>): Counted {
  const all = [...peers, ...overflow].map((row) => {
    return { ...row, count: row.accepted + row.unaccepted };
  });
  const waiting = all.filter(({ state }) => state === 'CLOSE_WAIT');
  const states: Partial<Record<TcpState, number>> = {};
  for (const { state, count } of all) states[state] = (states[state] ?? 0) + count;
  const byPeer = waiting
    .filter(({ address }) => address !== '')
    .map((row) => ({ address: row.address, count: row.count }))
    .sort((a, b) => b.count - a.count || (a.address < b.address ? -1 : 1));
  return {
    count: sum(waiting.map((row) => row.count)),
    unaccepted: sum(waiting.map((row) => row.unaccepted)),
    loopback: sum(byPeer.filter(({ address }) => isLoopback(address)).map((row) => row.count)),
    unreadBytes: sum(waiting.map((row) => row.unreadBytes)),
    byPeer,
    states,
    acceptQueue: Math.max(0, ...listeners.map((listener) => listener.acceptQueue)),
  };
}

function summarize({ count: total, unaccepted, loopback, byPeer }: Counted, port: number): string {
  const parts = [`${grouped(total)} on port ${port}`];
  if (unaccepted > 0) parts[0] += ` (${grouped(unaccepted)} not yet accepted)`;
  const top = byPeer.find(({ address }) => !isLoopback(address));
  if (top !== undefined) parts.push(`${top.address} owns ${share(top.count, total)}`);
  if (loopback > 0) parts.push(`${share(loopback, total)} from this host`);
  return parts.join('; ');
}

function details(found: CloseWaitEvidence & Counted, ipv6: boolean): string[] {
  const { count: total, byPeer, unreadBytes, acceptQueue, backlog, states, thresholds } = found;
  const { warn, fail } = thresholds;
  return [
    ...byPeer
      .slice(0, 10)
      .map((row) => `${row.address}: ${count(row.count, 'socket')}, ${share(row.count, total)}`),
    ...(byPeer.length > 10 ? [`and ${count(byPeer.length - 10, 'more client')}`] : []),
    `unread ${count(unreadBytes, 'byte')}; accept queue ${acceptQueue}${backlog === null ? '' : ` of ${backlog}`}`,
    `other states: ${otherStates(states)}`,
    `warns from ${warn}, fails from ${fail} or ${warn} not accepted; healthy is 0`,
    ipv6 ? 'counted in /proc/net/tcp and /proc/net/tcp6' : 'counted in /proc/net/tcp; IPv6 is off',
  ];
}

function otherStates(states: CloseWaitEvidence['states']): string {
  const others = Object.entries(states).filter(([state]) => state !== 'CLOSE_WAIT');
  if (others.length === 0) return 'none';
  return others.map(([state, number]) => `${state} ${number}`).join(', ');
}

function share(part: number, whole: number): string {
  return `${Math.round((part * 100) / Math.max(1, whole))}%`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
