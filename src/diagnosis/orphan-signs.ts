/** What proves that a salt-api process is an orphan: a dead parent, and signs of having been a child. */
import type { ProcessFacts, SystemdUnitFacts } from '../evidence/evidence.ts';
import { isDeadState } from '../evidence/proc-text.ts';
import { isNetapiChildTitle } from '../evidence/salt-api-argv.ts';
import { stripControl } from '../untrusted.ts';
import { count, describeDuration, startedAt } from '../words.ts';
import { takesOrphans } from './orphan-takers.ts';
import type { Candidate, RoleEvidence } from './process-roles.ts';

/** A `wheel_async` job of a real 3006 has four. */
const JOB_THREADS = 5;
/** A server with its pool has dozens of threads; managers and job forks have a few. */
const POOL_THREADS = 10;
/**
 * How long a start may take, ms: Salt's imports and CherryPy's check of the port (salt-facts §10).
 * After it a daemon is known by a child or by its pid file, and its child listens.
 */
export const START_MS = 20_000;

/** True for a server: managers and job forks have no thread pool. */
export function hasPool(facts: ProcessFacts): boolean {
  return facts.threads >= POOL_THREADS;
}

/**
 * True for a process that was probably forked by a server for a job, such as `wheel_async` or the
 * ssh client: it holds what the server held, with a few threads of its own (salt-facts §1.1).
 */
export function looksLikeForkedJob(facts: ProcessFacts): boolean {
  return facts.listens.length > 0 && facts.threads <= JOB_THREADS;
}

/** What is known of the parent of a process without a salt-api parent. */
export interface Parentage {
  /** Its parent is dead, and it was given to whoever takes orphans. */
  readonly reparented: boolean;
  /** The same in words, for the list of reasons. */
  readonly sign: string;
}

/**
 * Whether the parent is dead, which only who has the process now can tell: pid 1, or a program that
 * is known to take orphans. With any other living parent it may be that one's own child, whatever
 * the sessions are; so may one that leads a process group or a service, since a netapi child does
 * neither (salt-facts §1.2).
 *
 * @param parent what has the pid of its parent, where that is known
 */
export function parentageOf(
  facts: ProcessFacts,
  parent: ProcessFacts | undefined,
  units: readonly string[],
): Parentage {
  const { ppid, pid } = facts;
  const name = parent === undefined ? '' : ` (${stripControl(parent.comm)})`;
  if (ppid <= 1) {
    const service = serviceOfItsOwn(facts, units);
    return service === null
      ? { reparented: true, sign: 'parent dead, reparented to pid 1' }
      : { reparented: false, sign: `started by pid 1 as ${service}` };
  }
  if (parent !== undefined && isUnreadable(parent)) {
    return { reparented: false, sign: `parent ${ppid}${name} can't be read` };
  }
  const taken = parent !== undefined && takesOrphans(parent) && facts.processGroup !== pid;
  return taken && serviceOfItsOwn(facts, units) === null
    ? { reparented: true, sign: `parent dead, reparented to ${ppid}${name}` }
    : { reparented: false, sign: `parent ${ppid}${name} lives` };
}

/** True for a live process whose argv could not be read: it may be the salt-api that is looked for. */
function isUnreadable({ argv, state }: ProcessFacts): boolean {
  return argv.length === 0 && !isDeadState(state);
}

/**
 * The service that a process is the first of, where that is none of salt-api's: systemd starts each
 * with a session of its own (systemd.exec(5)), and its parent, systemd, lives.
 *
 * @param units control groups of salt-api's own services
 */
function serviceOfItsOwn(facts: ProcessFacts, units: readonly string[]): string | null {
  const { cgroup, pid, session } = facts;
  if (cgroup === null || session !== pid) return null;
  const service = /\/([^/]+\.service)$/.exec(cgroup)?.[1];
  return service === undefined || units.includes(cgroup) ? null : stripControl(service);
}

/** A pid file that names no salt-api, or one that has been given that pid since. */
export interface StalePidFile {
  readonly pid: number;
  readonly words: string;
}

/** A daemon, and whether a pid file or systemd names it. */
type NamedCandidate = Candidate & { readonly named: boolean };

/** What orphans are told by, beside themselves. */
export interface OrphanContext {
  readonly evidence: RoleEvidence;
  readonly unit: SystemdUnitFacts | null;
  /** The live daemon; null where there is none. */
  readonly daemon: NamedCandidate | null;
  /** Pid files that name what is not there. */
  readonly stale: readonly StalePidFile[];
  hasChildren(facts: ProcessFacts): boolean;
}

/**
 * What tells a child whose parent is dead from a daemon, the telling signs first; the weakest count
 * once a daemon would have had the time to be known by a child or a pid file.
 *
 * @param candidate its parent is dead for sure
 * @returns empty where none of the telling ones is there
 */
export function orphanProofs({ facts, argv }: Candidate, context: OrphanContext): string[] {
  const { daemon, stale, evidence } = context;
  const { listens, portConnections } = facts;
  const settled = evidence.host.now - startedAt(facts, evidence.host) >= START_MS;
  const threads = count(facts.threads, 'thread');
  const signs: readonly Sign[] = [
    [listens.length > 0, 'tells', 'holds the listening socket, which a manager never does'],
    [portConnections > 0, 'tells', `owns ${portConnections} accepted connections on the port`],
    [isNetapiChildTitle(argv.title), 'tells', `title says child: ${stripControl(argv.title)}`],
    ...(daemon === null ? staleSigns(facts, stale) : signsBeside(daemon, { facts, argv }, context)),
    ...unitSigns(facts, context),
    [hasPool(facts), 'settled', `${threads}, as a server has and a manager has not`],
    [looksLikeForkedJob(facts), 'supports', `${threads}: a forked job rather than a server`],
  ];
  const there = signs.filter(([isThere]) => isThere);
  const tells = ([, weight]: Sign) => weight === 'tells' || (weight === 'settled' && settled);
  const telling = there.filter(tells);
  if (telling.length === 0) return [];
  return [...telling, ...there.filter((sign) => !tells(sign))].map(([, , words]) => words);
}

/** A sign tells by itself, or once a start is over, or only supports those that do. */
type Sign = readonly [isThere: boolean, weight: 'tells' | 'settled' | 'supports', words: string];

/** One that names this very pid may be its own: a clock that was set would make it stale. */
function staleSigns({ pid }: ProcessFacts, stale: readonly StalePidFile[]): Sign[] {
  return stale.map((file) => [file.pid !== pid, 'settled', file.words]);
}

function signsBeside(
  daemon: NamedCandidate,
  { facts, argv }: Candidate,
  { evidence, hasChildren }: OrphanContext,
): Sign[] {
  const { pid, session, startTicks } = daemon.facts;
  const alike = facts.session === session;
  const older = facts.startTicks < startTicks;
  const gap = startedAt(daemon.facts, evidence.host) - startedAt(facts, evidence.host);
  const untitled = lacksManagerTitle(argv.title, daemon) && !hasChildren(facts);
  return [
    [older, 'tells', `started ${describeDuration(gap)} before the daemon ${pid}`],
    [!older && alike, 'tells', `in the session of the daemon ${pid}, but not its child`],
    [!alike, 'supports', `session ${facts.session}, the daemon's is ${session}`],
    [untitled, 'settled', `no title of a manager, as the daemon ${pid} has`],
  ];
}

/**
 * True beside a daemon that somebody names and whose title says manager: of the same Salt a second
 * manager would say so too, and a first child of 2016.3 to 3004 does not (salt-facts §1.3, §9).
 */
function lacksManagerTitle(title: string, daemon: NamedCandidate) {
  return daemon.named && title === '' && /(?:ProcessManager|MainProcess)$/.test(daemon.argv.title);
}

function unitSigns({ pid, cgroup }: ProcessFacts, { unit, daemon }: OrphanContext): Sign[] {
  if (unit === null || unit.controlGroup === '' || cgroup === null) return [];
  const inside = `${cgroup}/`.startsWith(`${unit.controlGroup}/`);
  const headless = inside && unit.mainPid !== pid && daemon === null;
  return [
    [!inside, 'supports', `outside the cgroup of ${unit.unit}`],
    [headless, 'tells', `in the cgroup of ${unit.unit}, whose main process is not there`],
  ];
}
