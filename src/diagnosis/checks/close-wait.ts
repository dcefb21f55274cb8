import type { Evidence, PeerSockets, TcpState } from '../../evidence/evidence.ts';
import { isLoopback } from '../../evidence/tcp-table.ts';
import { count, grouped } from '../../words.ts';
import type { Check, Finding, StepStatus } from './finding.ts';

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
  if (!sockets.seen) {
    return {
      status: 'unknown',
      summary: `can't be counted: ${sockets.why}`,
      details: [],
      evidence: {
        count: null,
        unaccepted: 0,
        loopback: 0,
        unreadBytes: 0,
        byPeer: [],
        states: {},
        acceptQueue: 0,
        backlog,
        thresholds,
      },
    };
  }
  const { peers, overflow, listeners, ipv6 } = sockets.value;
  const all = [...peers, ...overflow];
  const waiting = all.filter(({ state }) => state === 'CLOSE_WAIT');
  const total = sum(waiting, (row) => row.accepted + row.unaccepted);
  const unaccepted = sum(waiting, (row) => row.unaccepted);
  const byPeer = waiting
    .filter(({ address }) => address !== '')
    .map((row) => ({ address: row.address, count: row.accepted + row.unaccepted }))
    .sort((a, b) => b.count - a.count || (a.address < b.address ? -1 : 1));
  const loopback = sum(
    byPeer.filter(({ address }) => isLoopback(address)),
    (row) => row.count,
  );
  const states: Partial<Record<TcpState, number>> = {};
  for (const row of all) {
    states[row.state] = (states[row.state] ?? 0) + row.accepted + row.unaccepted;
  }
  const acceptQueue = Math.max(0, ...listeners.map((listener) => listener.acceptQueue));
  const unreadBytes = sum(waiting, (row) => row.unreadBytes);
  // Clients that came and went before anyone accepted them: nobody is accepting.
  const failed = total >= thresholds.fail || unaccepted >= thresholds.warn;
  const status: StepStatus = failed ? 'fail' : total >= thresholds.warn ? 'warn' : 'pass';
  const peerLines = byPeer
    .slice(0, 10)
    .map((row) => `${row.address}: ${count(row.count, 'socket')}, ${share(row.count, total)}`);
  return {
    status,
    summary: summarize(total, unaccepted, loopback, port.number, byPeer),
    details: [
      ...peerLines,
      ...(byPeer.length > 10 ? [`and ${count(byPeer.length - 10, 'more client')}`] : []),
      `unread ${count(unreadBytes, 'byte')}; accept queue ${acceptQueue}${backlog === null ? '' : ` of ${backlog}`}`,
      `other states: ${otherStates(states)}`,
      `warns from ${thresholds.warn}, fails from ${thresholds.fail} or ${thresholds.warn} not accepted; healthy is 0`,
      ipv6
        ? 'counted in /proc/net/tcp and /proc/net/tcp6'
        : 'counted in /proc/net/tcp; IPv6 is off',
    ],
    evidence: {
      count: total,
      unaccepted,
      loopback,
      unreadBytes,
      byPeer,
      states,
      acceptQueue,
      backlog,
      thresholds,
    },
  };
}

function summarize(
  total: number,
  unaccepted: number,
  loopback: number,
  port: number,
  byPeer: CloseWaitEvidence['byPeer'],
): string {
  const parts = [`${grouped(total)} on port ${port}`];
  if (unaccepted > 0) parts[0] += ` (${grouped(unaccepted)} not yet accepted)`;
  const remote = byPeer.filter(({ address }) => !isLoopback(address));
  const [top] = remote;
  if (top !== undefined) parts.push(`${top.address} owns ${share(top.count, total)}`);
  if (loopback > 0) parts.push(`${share(loopback, total)} from this host`);
  return parts.join('; ');
}

function otherStates(states: CloseWaitEvidence['states']): string {
  const others = Object.entries(states).filter(([state]) => state !== 'CLOSE_WAIT');
  if (others.length === 0) return 'none';
  return others.map(([state, number]) => `${state} ${number}`).join(', ');
}

function share(part: number, whole: number): string {
  return `${Math.round((part * 100) / Math.max(1, whole))}%`;
}

function sum(rows: readonly PeerSockets[], of: (row: PeerSockets) => number): number;
function sum<T>(rows: readonly T[], of: (row: T) => number): number;
function sum<T>(rows: readonly T[], of: (row: T) => number): number {
  return rows.reduce((total, row) => total + of(row), 0);
}
