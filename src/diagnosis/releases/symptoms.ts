/** What is seen on a host that a known defect of a release could explain. */
import type { ProcessFacts } from '../../evidence/evidence.ts';
import { averageCpuPercent, count, describeDuration, grouped, startedAt } from '../../words.ts';
import type { Known } from '../checks/finding.ts';
import { hasPool } from '../orphan-signs.ts';
import { isServer } from '../process-roles.ts';
import { threadPoolOf } from '../thread-pool.ts';
import type { Symptom } from './known-defects.ts';

/** Each that is seen, in words. */
export type Symptoms = ReadonlyMap<Symptom, string>;

/** By then a server has started all of its threads, ms. */
const STARTED_MS = 60_000;
/** Of its limit on open files. */
const NEAR = 0.8;
/** A salt-api has some 100 to 300 MiB. */
const MUCH_MEMORY = 2 * 1024 ** 3;
/** Percent of one core, since the start. */
const MUCH_CPU = 80;

/** @param known the log's words are matched by whoever knows which are meant */
export function symptomsOf(known: Known): Symptoms {
  const found: readonly (readonly [Symptom, string | null])[] = [
    ['unanswered', unanswered(known)],
    ['workers-died', lostWorkers(known)],
    ['orphan', orphans(known)],
    ['open-files', openFiles(known)],
    ['memory', memory(known)],
    ['cpu', busy(known)],
  ];
  return new Map(
    found.flatMap(([name, words]) => (words === null ? [] : [[name, words] as const])),
  );
}

function unanswered({ answer, sockets, policy }: Known): string | null {
  if (answer.seen) {
    const { kind } = answer.value;
    if (kind === 'no-connection') return 'the API takes no connection';
    if (kind === 'no-reply') return `no reply within ${describeDuration(answer.value.afterMs)}`;
  }
  const peers = sockets.seen ? [...sockets.value.peers, ...sockets.value.overflow] : [];
  const waiting = peers.filter(({ state }) => state === 'CLOSE_WAIT');
  const number = waiting.reduce((sum, { accepted, unaccepted }) => sum + accepted + unaccepted, 0);
  return number >= policy.closeWaitFail ? count(number, 'CLOSE_WAIT socket') : null;
}

function lostWorkers(known: Known): string | null {
  const pool = threadPoolOf(known);
  if (pool === null) return null;
  const { host, roles } = known;
  const short = roles.all.find(({ role, facts }) => {
    const serves = (role === 'child' && facts.listens.length > 0) || isOrphanServer(role, facts);
    return serves && host.now - startedAt(facts, host) >= STARTED_MS && facts.threads < pool;
  });
  if (short === undefined) return null;
  const { pid, threads } = short.facts;
  return `process ${pid} has ${count(threads, 'thread')} for a pool of ${pool}`;
}

/** A forked job holds the socket as well, with a few threads of its own. */
function isOrphanServer(role: string, facts: ProcessFacts): boolean {
  return role === 'orphan' && facts.listens.length > 0 && hasPool(facts);
}

function orphans({ roles }: Known): string | null {
  const number = roles.all.filter(({ role }) => role === 'orphan').length;
  return number === 0 ? null : count(number, 'orphan');
}

function openFiles({ background: { settings } }: Known): string | null {
  for (const { pid, openFiles: open, mostFiles } of settings.seen ? settings.value.programs : []) {
    if (open === null || mostFiles === null || open < NEAR * mostFiles) continue;
    return `process ${pid} has ${grouped(open)} of at most ${grouped(mostFiles)} files open`;
  }
  return null;
}

function memory({ background: { settings } }: Known): string | null {
  for (const { pid, residentBytes: bytes } of settings.seen ? settings.value.programs : []) {
    if (bytes === null || bytes < MUCH_MEMORY) continue;
    return `process ${pid} holds ${(bytes / 1024 ** 3).toFixed(1)} GiB of memory`;
  }
  return null;
}

function busy({ host, roles }: Known): string | null {
  for (const one of roles.all) {
    const { facts, role } = one;
    if (role === 'elsewhere' || role === 'unclear') continue;
    if (host.now - startedAt(facts, host) < STARTED_MS) continue;
    const percent = averageCpuPercent(facts, host) ?? 0;
    const who = isServer(one) ? 'server' : 'process';
    if (percent >= MUCH_CPU)
      return `${who} ${facts.pid} took ${percent} % of a CPU since its start`;
  }
  return null;
}
