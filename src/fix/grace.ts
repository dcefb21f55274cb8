/**
 * Who of those that a stop has left gets time before a kill -9, and how much: those that have something
 * to finish, or may be ending. Pure.
 */
import { looksLikeForkedJob } from '../diagnosis/orphan-signs.ts';
import { type SaltApiProcess, servesPort } from '../diagnosis/process-roles.ts';
import type { Look, SocketFacts } from '../evidence/evidence.ts';
import { identityOf } from './fix-run.ts';

/** So long CherryPy waits for its threads at a stop, `shutdown_timeout` (salt-facts §3). */
export const FINISH_MS = 5_000;
/** A server without work is gone 0.5 s after its SIGTERM, most of it with its listener closed (§10). */
const ENDING_MS = 1_000;
/** A manager that waits for no child ends at once, if SIGTERM ends it at all (§10). */
const ALONE_MS = 250;

/** What is known beside the processes themselves. */
export interface GraceBasis {
  readonly sockets: Look<SocketFacts>;
  /** Of the servers that were judged to hang before the stop, by {@link identityOf}. */
  readonly hung: ReadonlySet<string>;
  /** Of those that had another port of salt-api's before the stop; nothing tells of its connections. */
  readonly aside: ReadonlySet<string>;
  /** Of what ran when the stop went out. */
  readonly stopped: ReadonlySet<string>;
}

/**
 * How long all of those that are left may take to end by themselves, ms; 0 where one is stopped: it
 * never ends, and others may wait for it. It gets no SIGCONT either, which would run what queued for
 * clients long gone before it came to its SIGTERM (salt-facts §10).
 */
export function graceOf(left: readonly SaltApiProcess[], basis: GraceBasis): number {
  if (left.some(isStopped)) return 0;
  return Math.max(0, ...left.map((member) => graceOfOne(member, basis)));
}

/** True for a process that SIGSTOP has stopped. */
export function isStopped({ facts }: SaltApiProcess): boolean {
  return facts.state === 'T';
}

function graceOfOne(member: SaltApiProcess, basis: GraceBasis): number {
  const { role, facts } = member;
  const identity = identityOf(facts);
  // What it holds can't be seen: it may be at work.
  if (facts.fds === 'denied') return FINISH_MS;
  // It runs a job, whatever its sockets say: they are inherited. So does one whose server has ended.
  const runsJob = role === 'fork' || role === 'job' || looksLikeForkedJob(facts);
  if (runsJob || basis.aside.has(identity)) return FINISH_MS;
  if (!servesPort(facts)) return graceOfIdle(role, basis.stopped.has(identity));
  const hangs = basis.hung.has(identity);
  if (hasWork(member, hangs, basis.sockets)) return FINISH_MS;
  // A stop reaches it no more, as its manager is dead: what listens goes on listening.
  if (role === 'orphan') return 0;
  // It may serve whoever comes next, and close its listener any moment.
  return hangs ? ENDING_MS : FINISH_MS;
}

/** Neither listener nor connection: it serves nobody, but may have just closed them, or come since. */
function graceOfIdle(role: SaltApiProcess['role'], wasStopped: boolean): number {
  if (role === 'manager') return ALONE_MS;
  if (role === 'child') return ENDING_MS;
  // Somebody's start may have come this far; as a daemon it shows with its pid file, or a child.
  return wasStopped ? 0 : FINISH_MS;
}

/**
 * Whether a request may be in work. Of a server that hangs those alone count whose clients still wait:
 * CLOSE_WAIT is what the others have left.
 */
function hasWork({ facts }: SaltApiProcess, hangs: boolean, sockets: Look<SocketFacts>): boolean {
  if (facts.portConnections === 0) return false;
  if (!hangs || !sockets.seen) return true;
  const { peers, overflow } = sockets.value;
  return [...peers, ...overflow].some((one) => one.state === 'ESTABLISHED' && one.accepted > 0);
}
