/** Adds up the reduced lines of logs: who called how often in each minute. */
import { redactSecrets, stripControl } from '../untrusted.ts';
import type { LogClock } from './api-log-lines.ts';
import { type CallLine, readReducedLine } from './call-lines.ts';
import {
  CALL_KINDS,
  type CallKind,
  type CallsPerMinute,
  type ClientFacts,
  type ClientsFacts,
  MAX_CLIENTS,
  MAX_MINUTES,
} from './clients-facts.ts';

const MINUTE = 60_000;

/** A log as it was reduced, with what it is. */
export interface TalliedLog {
  readonly kind: 'api-log' | 'access-file';
  readonly lines: ReadonlyMap<string, number>;
}

type Counted = Pick<
  ClientsFacts,
  'lastCallAt' | 'all' | 'clients' | 'furtherClients' | 'logins' | 'processLogins' | 'syncCalls'
>;

type Call = Extract<CallLine, { tells: 'call' }> & { readonly at: number };

/**
 * @param logs in any order; where an access file has calls, those of the API log count only for the time
 * before it: both have the same
 * @returns with `calls`, the lines with calls of each log, and `tooOld`, whether there were calls that
 * lie further back than is counted
 */
export function tallyCalls(
  logs: readonly TalliedLog[],
  clock: LogClock,
): Counted & {
  readonly calls: readonly number[];
  readonly tooOld: boolean;
  readonly from: number | null;
} {
  const read = logs.map(({ kind, lines }) => ({ kind, lines: readLines(lines, clock) }));
  const timesOf = (lines: readonly Counting[]) => sum(lines.map(({ times }) => times));
  const callsIn = (kind: TalliedLog['kind']) =>
    read.filter((log) => log.kind === kind).flatMap(({ lines }) => lines.filter(isCall));
  const fromFile = callsIn('access-file');
  const fileFrom = earliest(fromFile) ?? Number.POSITIVE_INFINITY;
  const calls = [...fromFile, ...callsIn('api-log').filter(({ line }) => line.at < fileFrom)];
  const last = calls.reduce((latest, { line }) => Math.max(latest, line.at), 0);
  const counted = calls.filter(({ line }) => line.at > last - MAX_MINUTES * MINUTE);
  const lines = read.flatMap((log) => log.lines);
  return {
    ...clientsOf(counted),
    ...loginsOf(lines),
    calls: read.map((log) => timesOf(log.lines.filter(isCall))),
    tooOld: counted.length < calls.length,
    from: earliest(counted),
    lastCallAt: counted.length === 0 ? null : last,
    syncCalls: sum(lines.filter(({ line }) => line.tells === 'sync').map(({ times }) => times)),
  };
}

interface Counting<Line = CallLine> {
  readonly line: Line;
  readonly times: number;
}

function readLines(lines: ReadonlyMap<string, number>, clock: LogClock): Counting[] {
  return [...lines].flatMap(([reduced, times]) => {
    const line = readReducedLine(reduced, clock);
    return line === null ? [] : [{ line, times }];
  });
}

function isCall(counting: Counting): counting is Counting<Call> {
  return counting.line.tells === 'call' && counting.line.at !== null;
}

function earliest(calls: readonly Counting<Call>[]): number | null {
  if (calls.length === 0) return null;
  return calls.reduce((first, { line }) => Math.min(first, line.at), Number.POSITIVE_INFINITY);
}

function clientsOf(
  calls: readonly Counting<Call>[],
): Pick<Counted, 'all' | 'clients' | 'furtherClients'> {
  const byClient = new Map<string, Counting<Call>[]>();
  for (const call of calls) {
    const key = `${call.line.address} ${call.line.agent}`;
    const before = byClient.get(key);
    if (before === undefined) byClient.set(key, [call]);
    else before.push(call);
  }
  const clients = [...byClient.values()]
    .map(clientOf)
    .toSorted((a, b) => b.calls - a.calls || (a.address < b.address ? -1 : 1));
  return {
    all: perMinute(calls),
    clients: clients.slice(0, MAX_CLIENTS),
    furtherClients: Math.max(0, clients.length - MAX_CLIENTS),
  };
}

function clientOf(calls: readonly Counting<Call>[]): ClientFacts {
  const { address = '', agent = '' } = calls[0]?.line ?? {};
  const kinds = Object.fromEntries(CALL_KINDS.map((kind) => [kind, 0])) as Record<CallKind, number>;
  for (const { line, times } of calls) kinds[line.kind] += times;
  return {
    address: stripControl(address),
    agent: agent === '' ? null : redactSecrets(stripControl(agent)),
    calls: sum(calls.map(({ times }) => times)),
    kinds,
    ...perMinute(calls),
  };
}

function perMinute(calls: readonly Counting<Call>[]): CallsPerMinute {
  const firstMinute = earliest(calls) ?? 0;
  const counts: number[] = [];
  for (const { line, times } of calls) {
    const index = Math.round((line.at - firstMinute) / MINUTE);
    counts[index] = (counts[index] ?? 0) + times;
  }
  return { firstMinute, counts: Array.from(counts, (count) => count ?? 0) };
}

function loginsOf(lines: readonly Counting[]): Pick<Counted, 'logins' | 'processLogins'> {
  const byUser = new Map<string, { address: string; user: string; count: number }>();
  const byProcess = new Map<number | null, { begun: number; ended: number; lastBegunAt: number }>();
  for (const { line, times } of lines) {
    if (line.tells === 'sync' || (line.tells === 'call' && line.kind !== 'login')) continue;
    const process = byProcess.get(line.pid) ?? { begun: 0, ended: 0, lastBegunAt: 0 };
    byProcess.set(line.pid, process);
    if (line.tells === 'call') {
      process.ended += times;
      continue;
    }
    process.begun += times;
    process.lastBegunAt = Math.max(process.lastBegunAt, line.at ?? 0);
    const { address, user } = line;
    const key = `${address} ${user}`;
    const entry = byUser.get(key) ?? {
      address: stripControl(address),
      user: stripControl(user),
      count: 0,
    };
    byUser.set(key, { ...entry, count: entry.count + times });
  }
  return {
    logins: [...byUser.values()].toSorted((a, b) => b.count - a.count).slice(0, MAX_CLIENTS),
    processLogins: [...byProcess]
      .filter(([, { begun }]) => begun > 0)
      .map(([pid, counts]) => ({ pid, ...counts }))
      .toSorted((a, b) => a.lastBegunAt - b.lastBegunAt)
      .slice(-MAX_CLIENTS),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
