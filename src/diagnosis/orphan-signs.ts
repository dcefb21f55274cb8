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

/** What orphans are told by, beside themselves. */
export interface OrphanContext {
  readonly evidence: RoleEvidence;
  readonly unit: SystemdUnitFacts | null;
  /** The live daemon; null where there is none. */
  readonly daemon: (Candidate & { readonly named: boolean }) | null;
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
  const { daemon, evidence } = context;
  const settled = evidence.host.now - startedAt(facts, evidence.host) >= START_MS;
  const telling: string[] = [];
  const supporting: string[] = [];
  const onceSettled = settled ? telling : supporting;
  if (facts.listens.length > 0) {
    telling.push('holds the listening socket, which a manager never does');
  }
  if (facts.portConnections > 0) {
    telling.push(`owns ${facts.portConnections} accepted connections on the port`);
  }
  if (isNetapiChildTitle(argv.title)) telling.push(`title says child: ${stripControl(argv.title)}`);
  if (daemon === null) {
    // One that names this very pid may be its own: a clock that was set would make it stale.
    const others = context.stale.filter(({ pid }) => pid !== facts.pid);
    onceSettled.push(...others.map(({ words }) => words));
  }
  if (daemon !== null) {
    const sameSession = facts.session === daemon.facts.session;
    if (facts.startTicks < daemon.facts.startTicks) {
      const gap = startedAt(daemon.facts, evidence.host) - startedAt(facts, evidence.host);
      telling.push(`started ${describeDuration(gap)} before the daemon ${daemon.facts.pid}`);
    } else if (sameSession) {
      telling.push(`in the session of the daemon ${daemon.facts.pid}, but not its child`);
    }
    if (!sameSession) {
      supporting.push(`session ${facts.session}, the daemon's is ${daemon.facts.session}`);
    }
    const untitled = lacksManagerTitle(argv.title, daemon) && !context.hasChildren(facts);
    if (untitled) {
      onceSettled.push(`no title of a manager, as the daemon ${daemon.facts.pid} has`);
    }
  }
  const [inUnit, tells] = unitSign(facts, context);
  if (inUnit !== null) (tells ? telling : supporting).push(inUnit);
  const threads = count(facts.threads, 'thread');
  if (hasPool(facts)) onceSettled.push(`${threads}, as a server has and a manager has not`);
  else if (looksLikeForkedJob(facts)) {
    supporting.push(`${threads}: a forked job rather than a server`);
  }
  return telling.length > 0 ? [...telling, ...supporting] : [];
}

/**
 * True beside a daemon that somebody names and whose title says manager: of the same Salt a second
 * manager would say so too, and a first child of 2016.3 to 3004 does not (salt-facts §1.3, §9).
 */
function lacksManagerTitle(title: string, daemon: Candidate & { readonly named: boolean }) {
  return daemon.named && title === '' && /(?:ProcessManager|MainProcess)$/.test(daemon.argv.title);
}

function unitSign(
  facts: ProcessFacts,
  { unit, daemon }: OrphanContext,
): readonly [sign: string | null, tells: boolean] {
  if (unit === null || unit.controlGroup === '' || facts.cgroup === null) return [null, false];
  const { controlGroup } = unit;
  const inside = facts.cgroup === controlGroup || facts.cgroup.startsWith(`${controlGroup}/`);
  if (!inside) return [`outside the cgroup of ${unit.unit}`, false];
  const headless = unit.mainPid !== facts.pid && daemon === null;
  return headless
    ? [`in the cgroup of ${unit.unit}, whose main process is not there`, true]
    : [null, false];
}
