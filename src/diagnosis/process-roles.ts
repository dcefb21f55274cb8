/**
 * Who is who among the salt-api processes of a host: manager, child, fork, orphan.
 * No single sign proves an orphan (salt-facts §7), so every sign that spoke is kept as a reason.
 */
import type {
  Evidence,
  PidFileFacts,
  ProcessFacts,
  SystemdUnitFacts,
} from '../evidence/evidence.ts';
import { isDeadState } from '../evidence/proc-text.ts';
import {
  DEFAULT_CONFIG_DIRECTORY,
  isDrillDirectory,
  isNetapiChildTitle,
  namesDirectory,
  readSaltApiArgv,
  type SaltApiArgv,
  withEnvironment,
} from '../evidence/salt-api-argv.ts';
import { stripControl } from '../untrusted.ts';
import { count, describeDuration, startedAt } from '../words.ts';

/**
 * `manager`: a live daemon. `child`: its netapi child. `fork`: forked by a server (job forks,
 * ssh client), whoever that server is. `job`: double-forked by a live server and so without a
 * salt-api parent by design (`wheel_async`, salt-facts §1.1). `unclear`: salt-api, but nothing
 * proves which. `elsewhere`: another instance's or another namespace's.
 */
type Role = 'manager' | 'child' | 'fork' | 'job' | 'orphan' | 'unclear' | 'elsewhere';

/** A salt-api process with its part in the play and why we say so. */
export interface SaltApiProcess {
  readonly facts: ProcessFacts;
  readonly argv: SaltApiArgv;
  readonly role: Role;
  readonly reasons: readonly string[];
  /** The manager at the top of its line, or the orphan; null for roots of neither kind. */
  readonly under: number | null;
  /** Ports that its line listens on where none of the line has anything of the examined one. */
  readonly servesInstead: readonly number[];
  /** Its parent is dead, and it was given to pid 1 or to a sub-reaper (prctl(2)). */
  readonly reparented: boolean;
}

/** Every salt-api process with its role. */
export interface ProcessRoles {
  /** Oldest first. */
  readonly all: readonly SaltApiProcess[];
  /** The daemon that the pid file or systemd names, else the one that serves, else the youngest. */
  readonly daemon: SaltApiProcess | null;
}

type RoleEvidence = Pick<Evidence, 'host' | 'instance' | 'port' | 'processes' | 'service'>;

/** A pid file's time and a process's start are compared through two clocks (btime is whole seconds). */
const CLOCK_SLACK_MS = 3_000;
/** A `wheel_async` job of a real 3006 has four. */
const JOB_THREADS = 5;
/** How long a salt-api may take to be known as a daemon, by a child or by its pid file, ms. */
const STARTING_MS = 20_000;
/** A server with its pool has dozens of threads; managers and job forks have a few. */
const POOL_THREADS = 10;

/**
 * Tells the roles of the salt-api processes, once for a whole diagnosis.
 * @param evidence what was seen; a blind process table gives no process, which the
 *   steps must report as unknown, not as "no orphans"
 */
export function classifyProcesses(evidence: RoleEvidence): ProcessRoles {
  const table = evidence.processes.seen ? evidence.processes.value.processes : [];
  const candidates: { facts: ProcessFacts; argv: SaltApiArgv }[] = [];
  const aside: PartOf[] = [];
  const pids = new Set<number>();
  const saysOurs = table.some((facts) => {
    const named = readProcessArgv(facts)?.configDirectory ?? null;
    return named !== null && namesDirectory(named, evidence.instance.configDirectory);
  });
  for (const facts of [...table].sort((a, b) => a.startTicks - b.startTicks || a.pid - b.pid)) {
    const argv = readProcessArgv(facts);
    if (argv === null || isDead(facts) || pids.has(facts.pid)) continue;
    pids.add(facts.pid);
    const where = elsewhere(facts, argv, evidence, saysOurs);
    if (where !== null) aside.push(withRole('elsewhere', facts, argv, [where], null));
    else candidates.push({ facts, argv });
  }
  const line = new Lineage(
    candidates.map((candidate) => candidate.facts),
    table,
  );
  const named = namedDaemons(evidence, line);
  const servesInstead = portsInstead(
    candidates.map(({ facts }) => facts),
    line,
  );
  const roots = candidates.filter(({ facts }) => line.parent(facts) === null);
  const managers = roots.filter(({ facts, argv }) => isManager(facts, argv, named, line));
  const daemonFacts = chooseDaemon(
    managers.map(({ facts }) => facts),
    named,
    new Set(
      candidates.filter(({ facts }) => servesPort(facts)).map(({ facts }) => line.top(facts)),
    ),
  );
  const placed: PartOf[] = [];
  const context = { evidence, table, line, named, daemon: daemonFacts, managers, servesInstead };
  for (const { facts, argv } of candidates) {
    if (line.top(facts) !== facts) continue;
    const isOne = managers.some((manager) => manager.facts === facts);
    placed.push(
      isOne
        ? withRole('manager', facts, argv, managerReasons(facts, named, line), null)
        : roleOfRoot(facts, argv, context),
    );
  }
  for (const { facts, argv } of candidates) {
    const parent = line.parent(facts);
    if (parent === null) continue;
    const top = line.top(facts);
    const child = parent === top && managers.some((manager) => manager.facts === top);
    const reason = child ? `child of the manager ${top.pid}` : `forked by ${parent.pid}`;
    placed.push(withRole(child ? 'child' : 'fork', facts, argv, [reason], top.pid));
  }
  const all = [...placed, ...aside]
    .map((member): SaltApiProcess => {
      const { facts } = member;
      const reparented = isReparented(facts, table) && line.parent(facts) === null;
      return { ...member, servesInstead: servesInstead.get(facts) ?? [], reparented };
    })
    .sort((a, b) => a.facts.startTicks - b.facts.startTicks);
  return {
    all,
    daemon: all.find((member) => member.facts === daemonFacts) ?? null,
  };
}

/** True for a process that holds nothing and can't be killed any further. */
export function isDead(facts: ProcessFacts): boolean {
  return isDeadState(facts.state);
}

/**
 * True for a process that was probably forked by a server for a job, such as `wheel_async` or the
 * ssh client: it holds what the server held, with a few threads of its own (salt-facts §1.1).
 */
export function looksLikeForkedJob(facts: ProcessFacts): boolean {
  return facts.listens.length > 0 && facts.threads <= JOB_THREADS;
}

function hasPool(facts: ProcessFacts): boolean {
  return facts.threads >= POOL_THREADS;
}

/** A part, before what follows from the whole is known. */
type PartOf = Omit<SaltApiProcess, 'servesInstead' | 'reparented'>;

function withRole(
  role: Role,
  facts: ProcessFacts,
  argv: SaltApiArgv,
  reasons: readonly string[],
  under: number | null,
): PartOf {
  return { facts, argv, role, reasons, under };
}

/**
 * Why a salt-api process is none of this instance's business, or null.
 *
 * @param saysOurs whether some process names our directory in its argv
 */
function elsewhere(
  facts: ProcessFacts,
  argv: SaltApiArgv,
  { instance }: RoleEvidence,
  saysOurs: boolean,
): string | null {
  if (facts.pidNamespace === 'other') return 'lives in another PID namespace (a container)';
  if (facts.networkNamespace === 'other') return 'lives in another network namespace';
  if (facts.rootDirectory === 'other') return 'lives in another root directory (a container)';
  const { configDirectory: ours, defaultConfigured } = instance;
  const theirs = argv.configDirectory;
  if (theirs !== null && namesDirectory(theirs, ours)) return null;
  if (isDrillDirectory(ours)) return 'is no part of the drill';
  if (theirs !== null) {
    return isDrillDirectory(theirs)
      ? 'belongs to a salt-triage drill'
      : `runs with another configuration, ${stripControl(theirs)}`;
  }
  // Without `-c` and environment it is of /etc/salt, if that is anything to be of.
  if (ours !== DEFAULT_CONFIG_DIRECTORY && (saysOurs || defaultConfigured)) {
    return `runs with the default configuration, not ${ours}`;
  }
  return null;
}

function readProcessArgv(facts: ProcessFacts): SaltApiArgv | null {
  const argv = readSaltApiArgv(facts.argv);
  return argv === null ? null : withEnvironment(argv, facts.environment);
}

/**
 * By process, the ports that its line listens on instead of the examined one: a daemon that serves
 * another port is not what holds this one down, and must not be mended for it.
 */
function portsInstead(
  processes: readonly ProcessFacts[],
  line: Lineage,
): ReadonlyMap<ProcessFacts, readonly number[]> {
  const byTop = new Map<ProcessFacts, number[]>();
  for (const facts of processes) {
    const top = line.top(facts);
    byTop.set(top, [...(byTop.get(top) ?? []), ...facts.otherPorts]);
  }
  for (const facts of processes) if (servesPort(facts)) byTop.delete(line.top(facts));
  return new Map(
    processes.map((facts) => {
      const ports = new Set(byTop.get(line.top(facts)) ?? []);
      return [facts, [...ports].sort((a, b) => a - b)];
    }),
  );
}

/**
 * True where the parent is dead. Pid 1 takes orphans, and so does a sub-reaper, which may be any
 * process (prctl(2), PR_SET_CHILD_SUBREAPER): what tells it from a parent that is alive, such as
 * the shell in which somebody has started salt-api, is that the session is another.
 */
function isReparented(facts: ProcessFacts, table: readonly ProcessFacts[]): boolean {
  if (facts.ppid <= 1) return true;
  const parent = table.find(({ pid }) => pid === facts.ppid);
  return parent === undefined || parent.session !== facts.session;
}

/** Parent and child among salt-api processes. */
class Lineage {
  readonly #byPid: ReadonlyMap<number, ProcessFacts>;
  readonly #parentsOfDead: ReadonlySet<number>;
  readonly #parentsOfLiving: ReadonlySet<number>;

  constructor(saltApi: readonly ProcessFacts[], table: readonly ProcessFacts[]) {
    this.#byPid = new Map(saltApi.map((facts) => [facts.pid, facts]));
    this.#parentsOfDead = new Set(table.filter(isDead).map((facts) => facts.ppid));
    this.#parentsOfLiving = new Set(
      saltApi.map((facts) => this.parent(facts)?.pid).filter((pid) => pid !== undefined),
    );
  }

  get(pid: number): ProcessFacts | undefined {
    return this.#byPid.get(pid);
  }

  /** A parent can't be younger than its child: such a pid was given out again. */
  parent(facts: ProcessFacts): ProcessFacts | null {
    const parent = this.#byPid.get(facts.ppid);
    if (parent === undefined || parent === facts || parent.startTicks > facts.startTicks) {
      return null;
    }
    return parent;
  }

  top(facts: ProcessFacts): ProcessFacts {
    let top = facts;
    for (let depth = 0; depth < 64; depth += 1) {
      const parent = this.parent(top);
      if (parent === null) return top;
      top = parent;
    }
    return top;
  }

  /** A zombie's argv is gone, but its parent is still on record. */
  hasChildren(facts: ProcessFacts): boolean {
    return this.#parentsOfLiving.has(facts.pid) || this.#parentsOfDead.has(facts.pid);
  }

  everyone(): Iterable<ProcessFacts> {
    return this.#byPid.values();
  }
}

interface NamedDaemons {
  /** Pids that systemd or a believable pid file names and that are salt-api now. */
  readonly pids: ReadonlyMap<number, string>;
  /** What was named and is not there: `the pid file … names 12603, which is dead`. */
  readonly stale: readonly string[];
  readonly unit: SystemdUnitFacts | null;
}

function namedDaemons({ host, service }: RoleEvidence, line: Lineage): NamedDaemons {
  const pids = new Map<number, string>();
  const stale: string[] = [];
  if (!service.seen) return { pids, stale, unit: null };
  const { systemd, pidFiles } = service.value;
  const unit = systemd.seen ? systemd.value : null;
  for (const file of pidFiles) {
    if (file.pid === null) continue;
    const facts = line.get(file.pid);
    if (facts === undefined) stale.push(`${file.path} names ${file.pid}, which is no salt-api`);
    else if (predates(file, facts, host)) {
      stale.push(`${file.path} is older than process ${file.pid}: the pid was given out again`);
    } else if (line.parent(facts) === null) pids.set(file.pid, `named by ${file.path}`);
  }
  if (unit !== null && unit.mainPid > 0 && line.get(unit.mainPid) !== undefined) {
    pids.set(unit.mainPid, `main process of ${unit.unit}`);
  }
  return { pids, stale, unit };
}

function predates(file: PidFileFacts, facts: ProcessFacts, host: Evidence['host']): boolean {
  return startedAt(facts, host) > file.modifiedAt + CLOCK_SLACK_MS;
}

/**
 * A manager never holds the listening socket (salt-facts §7), unless it is the named daemon.
 * Nor has it a thread pool: a server whose fds we may not see can have forks of its own.
 */
function isManager(
  facts: ProcessFacts,
  argv: SaltApiArgv,
  named: NamedDaemons,
  line: Lineage,
): boolean {
  if (isNetapiChildTitle(argv.title)) return false;
  if (named.pids.has(facts.pid)) return true;
  return line.hasChildren(facts) && !servesPort(facts) && !hasPool(facts);
}

function servesPort(facts: ProcessFacts): boolean {
  return facts.listens.length > 0 || facts.portConnections > 0;
}

/** The one that pid file or systemd names, else the one that serves, else the youngest. */
function chooseDaemon(
  managers: readonly ProcessFacts[],
  named: NamedDaemons,
  serving: ReadonlySet<ProcessFacts>,
): ProcessFacts | null {
  return (
    managers.findLast((facts) => named.pids.has(facts.pid)) ??
    managers.findLast((facts) => serving.has(facts)) ??
    managers.at(-1) ??
    null
  );
}

function managerReasons(facts: ProcessFacts, named: NamedDaemons, line: Lineage): string[] {
  const reasons: string[] = [];
  const name = named.pids.get(facts.pid);
  if (name !== undefined) reasons.push(name);
  if (line.hasChildren(facts)) reasons.push('has salt-api children');
  return reasons;
}

interface RootContext {
  readonly evidence: RoleEvidence;
  readonly table: readonly ProcessFacts[];
  readonly line: Lineage;
  readonly named: NamedDaemons;
  readonly daemon: ProcessFacts | null;
  readonly managers: readonly { readonly facts: ProcessFacts }[];
  readonly servesInstead: ReadonlyMap<ProcessFacts, readonly number[]>;
}

/** The role of a salt-api process without a salt-api parent that is no manager. */
function roleOfRoot(facts: ProcessFacts, argv: SaltApiArgv, context: RootContext): PartOf {
  const { line, daemon, managers, evidence, table } = context;
  const older = daemon !== null && facts.startTicks < daemon.startTicks;
  const beside = [...line.everyone()].filter(
    (other) => other !== facts && other.listens.some((inode) => facts.listens.includes(inode)),
  );
  const server = beside.find((other) => {
    const top = line.top(other);
    return top !== other && managers.some((manager) => manager.facts === top);
  });
  if (server !== undefined && server.startTicks <= facts.startTicks && !older) {
    const reason = `shares the listening socket with the live server ${server.pid}, started after it`;
    return withRole('job', facts, argv, [reason, ...jobSigns(facts)], server.pid);
  }
  const elder = beside
    .filter((other) => line.parent(other) === null)
    .find((other) => isElder(other, facts));
  if (elder !== undefined && server === undefined && !hasPool(facts)) {
    const reason = `shares the listening socket with ${elder.pid}, which is older`;
    return withRole('fork', facts, argv, [reason, ...jobSigns(facts)], elder.pid);
  }
  const parent = parentSign(facts, table);
  const instead = context.servesInstead.get(facts) ?? [];
  if (instead.length > 0) {
    const reason = `listens on port ${instead.join(', ')}, not on ${evidence.port.number}`;
    return withRole('unclear', facts, argv, [parent, reason], null);
  }
  const proofs = isUnreadable(facts.ppid, table) ? [] : orphanProofs(facts, argv, context);
  if (proofs.length === 0) {
    return withRole('unclear', facts, argv, [parent, 'nothing proves an orphan'], null);
  }
  return withRole('orphan', facts, argv, [parent, ...proofs], null);
}

function isElder(other: ProcessFacts, facts: ProcessFacts): boolean {
  if (other.startTicks !== facts.startTicks) return other.startTicks < facts.startTicks;
  return other.pid < facts.pid;
}

function jobSigns(facts: ProcessFacts): string[] {
  return facts.threads === 1 ? ['single thread: a job fork'] : [];
}

/** True for a live process whose argv could not be read: it may be the salt-api that is looked for. */
function isUnreadable(pid: number, table: readonly ProcessFacts[]): boolean {
  const found = table.find((facts) => facts.pid === pid);
  return pid > 1 && found !== undefined && found.argv.length === 0 && !isDead(found);
}

function parentSign(facts: ProcessFacts, table: readonly ProcessFacts[]): string {
  if (facts.ppid === 1) return 'parent dead, reparented to pid 1';
  const parent = table.find((other) => other.pid === facts.ppid);
  const name = parent === undefined ? '' : ` (${stripControl(parent.comm)})`;
  if (isUnreadable(facts.ppid, table)) return `parent ${facts.ppid}${name} can't be read`;
  return isReparented(facts, table)
    ? `parent dead, reparented to ${facts.ppid}${name}`
    : `parent ${facts.ppid}${name} is not salt-api`;
}

/**
 * What speaks for an orphan beside a parent that is no salt-api, the telling signs first: each of
 * these tells a child from a daemon. What doesn't show on the port counts only where the parent is
 * dead for sure, and the weakest once a daemon would have had the time to be known by a child or a
 * pid file.
 *
 * @returns empty where none of the telling ones is there
 */
function orphanProofs(facts: ProcessFacts, argv: SaltApiArgv, context: RootContext): string[] {
  const { daemon, named, evidence, table } = context;
  const reparented = isReparented(facts, table);
  const age = evidence.host.now - startedAt(facts, evidence.host);
  const settled = reparented && age >= STARTING_MS;
  const telling: string[] = [];
  const supporting: string[] = [];
  if (facts.listens.length > 0) {
    telling.push('holds the listening socket, which a manager never does');
  }
  if (facts.portConnections > 0) {
    telling.push(`owns ${facts.portConnections} accepted connections on the port`);
  }
  if (isNetapiChildTitle(argv.title)) telling.push(`title says child: ${stripControl(argv.title)}`);
  // Under a parent that lives it may be a second manager between two of its children.
  const ofItself = reparented ? telling : supporting;
  if (daemon === null) (settled ? telling : supporting).push(...named.stale);
  else {
    const before = facts.startTicks < daemon.startTicks;
    if (before) {
      ofItself.push(`started ${gap(facts, daemon, evidence)} before the daemon ${daemon.pid}`);
    } else if (facts.session === daemon.session) {
      ofItself.push(`in the session of the daemon ${daemon.pid}, but not its child`);
    }
    if (facts.session !== daemon.session) {
      supporting.push(`session ${facts.session}, the daemon's is ${daemon.session}`);
    }
  }
  const { unit } = named;
  if (unit !== null && unit.controlGroup !== '' && facts.cgroup !== null) {
    const inside =
      facts.cgroup === unit.controlGroup || facts.cgroup.startsWith(`${unit.controlGroup}/`);
    if (inside && unit.mainPid !== facts.pid && daemon === null) {
      ofItself.push(`in the cgroup of ${unit.unit}, whose main process is not there`);
    } else if (!inside) supporting.push(`outside the cgroup of ${unit.unit}`);
  }
  const pool = `${facts.threads} threads, as a server has and a manager has not`;
  if (hasPool(facts)) (settled ? telling : supporting).push(pool);
  else if (looksLikeForkedJob(facts)) {
    supporting.push(`${count(facts.threads, 'thread')}: a forked job rather than a server`);
  }
  return telling.length > 0 ? [...telling, ...supporting] : [];
}

function gap(facts: ProcessFacts, daemon: ProcessFacts, { host }: RoleEvidence): string {
  return describeDuration(startedAt(daemon, host) - startedAt(facts, host));
}
