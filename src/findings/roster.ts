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
import {
  isDrillDirectory,
  isNetapiChildTitle,
  readSaltApiArgv,
  type SaltApiArgv,
} from '../evidence/salt-api-argv.ts';
import { stripControl } from '../output/untrusted.ts';
import { describeDuration, startedAt } from './wording.ts';

/**
 * `manager`: a live daemon. `child`: its netapi child. `fork`: forked by a server (job forks,
 * ssh client), whoever that server is. `job`: double-forked by a live server and so without a
 * salt-api parent by design (`wheel_async`, salt-facts §1.1). `unclear`: salt-api, but nothing
 * proves which. `elsewhere`: another instance's or another namespace's.
 */
type Role = 'manager' | 'child' | 'fork' | 'job' | 'orphan' | 'unclear' | 'elsewhere';

/** A salt-api process with its part in the play and why we say so. */
export interface CastProcess {
  readonly facts: ProcessFacts;
  readonly argv: SaltApiArgv;
  readonly role: Role;
  readonly reasons: readonly string[];
  /** The manager at the top of its line, or the orphan; null for roots of neither kind. */
  readonly under: number | null;
}

/** Every salt-api process, cast. */
export interface Roster {
  readonly cast: readonly CastProcess[];
  /** The daemon that the pid file or systemd names, else the youngest live manager. */
  readonly daemon: CastProcess | null;
}

type RosterEvidence = Pick<Evidence, 'host' | 'instance' | 'processes' | 'service'>;

/** A pid file's time and a process's start are compared through two clocks (btime is whole seconds). */
const CLOCK_SLACK_MS = 3_000;
/** A server with its pool has dozens of threads; managers and job forks have a few. */
const POOL_THREADS = 10;
/** A salt-api on its way up has no child and no pid file of its own yet, so weak signs wait. */
const STARTING_MS = 20_000;
/** Where a salt-api without `-c` reads its configuration. */
const DEFAULT_CONFIG_DIRECTORY = '/etc/salt';

/**
 * Casts the salt-api processes.
 * @param evidence what was seen; a blind process table gives an empty roster, which the
 *   steps must report as unknown, not as "no orphans"
 */
export function castRoster(evidence: RosterEvidence): Roster {
  const table = evidence.processes.seen ? evidence.processes.value.processes : [];
  const candidates: { facts: ProcessFacts; argv: SaltApiArgv }[] = [];
  const aside: CastProcess[] = [];
  const pids = new Set<number>();
  const ours = normalize(evidence.instance.configDirectory);
  const saysOurs = table.some((facts) => {
    const named = readSaltApiArgv(facts.argv)?.configDirectory ?? null;
    return named !== null && normalize(named) === ours;
  });
  for (const facts of [...table].sort((a, b) => a.startTicks - b.startTicks || a.pid - b.pid)) {
    const argv = readSaltApiArgv(facts.argv);
    if (argv === null || isDead(facts) || pids.has(facts.pid)) continue;
    pids.add(facts.pid);
    const where = elsewhere(facts, argv, evidence, saysOurs);
    if (where !== null) aside.push(castAs('elsewhere', facts, argv, [where], null));
    else candidates.push({ facts, argv });
  }
  const line = new Lineage(
    candidates.map((candidate) => candidate.facts),
    table,
  );
  const named = namedDaemons(evidence, line);
  const roots = candidates.filter(({ facts }) => line.parent(facts) === null);
  const managers = roots.filter(({ facts, argv }) => isManager(facts, argv, named, line));
  const daemonFacts = chooseDaemon(
    managers.map(({ facts }) => facts),
    named,
  );
  const cast: CastProcess[] = [];
  for (const { facts, argv } of candidates) {
    const top = line.top(facts);
    if (top === facts) {
      const isOne = managers.some((manager) => manager.facts === facts);
      cast.push(
        isOne
          ? castAs('manager', facts, argv, managerReasons(facts, named, line), null)
          : castRoot(facts, argv, { evidence, line, named, daemon: daemonFacts, managers }),
      );
    }
  }
  for (const { facts, argv } of candidates) {
    const parent = line.parent(facts);
    if (parent === null) continue;
    const top = line.top(facts);
    const child = parent === top && managers.some((manager) => manager.facts === top);
    const reason = child ? `child of the manager ${top.pid}` : `forked by ${parent.pid}`;
    cast.push(castAs(child ? 'child' : 'fork', facts, argv, [reason], top.pid));
  }
  const all = [...cast, ...aside].sort((a, b) => a.facts.startTicks - b.facts.startTicks);
  return {
    cast: all,
    daemon: all.find((member) => member.facts === daemonFacts) ?? null,
  };
}

/** True for a process that holds nothing and can't be killed any further. */
export function isDead(facts: ProcessFacts): boolean {
  return facts.state === 'Z' || facts.state === 'X' || facts.state === 'x';
}

/**
 * True for a salt-api process that has no thread pool: a job that a server forked, such as
 * `wheel_async` or the ssh client, holds what the server held (salt-facts §1.1).
 */
export function mayBeForkedJob(facts: ProcessFacts): boolean {
  return facts.threads < POOL_THREADS;
}

function castAs(
  role: Role,
  facts: ProcessFacts,
  argv: SaltApiArgv,
  reasons: readonly string[],
  under: number | null,
): CastProcess {
  return { facts, argv, role, reasons, under };
}

/**
 * Why a salt-api process is none of this instance's business, or null.
 * One without `-c` may still be ours through SALT_CONFIG_DIR, unless others name our directory.
 *
 * @param saysOurs whether some process names our directory in its argv
 */
function elsewhere(
  facts: ProcessFacts,
  argv: SaltApiArgv,
  { instance }: RosterEvidence,
  saysOurs: boolean,
): string | null {
  if (facts.pidNamespace === 'other') return 'lives in another PID namespace (a container)';
  if (facts.networkNamespace === 'other') return 'lives in another network namespace';
  const ours = normalize(instance.configDirectory);
  const theirs = argv.configDirectory === null ? null : normalize(argv.configDirectory);
  if (theirs === ours) return null;
  if (isDrillDirectory(ours)) return 'is no part of the drill';
  if (theirs !== null && isDrillDirectory(theirs)) return 'belongs to a salt-triage drill';
  if (theirs?.startsWith('/')) return `runs with another configuration, ${theirs}`;
  if (theirs === null && saysOurs && ours !== DEFAULT_CONFIG_DIRECTORY) {
    return `runs with the default configuration, not ${ours}`;
  }
  return null;
}

function normalize(directory: string): string {
  return directory.replace(/\/+/g, '/').replace(/(?<=.)\/$/, '');
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

function namedDaemons({ host, service }: RosterEvidence, line: Lineage): NamedDaemons {
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
  return line.hasChildren(facts) && !servesPort(facts) && mayBeForkedJob(facts);
}

function servesPort(facts: ProcessFacts): boolean {
  return facts.listens.length > 0 || facts.portConnections > 0;
}

function chooseDaemon(managers: readonly ProcessFacts[], named: NamedDaemons): ProcessFacts | null {
  const named1 = managers.filter((facts) => named.pids.has(facts.pid));
  return (named1.length > 0 ? named1 : managers).at(-1) ?? null;
}

function managerReasons(facts: ProcessFacts, named: NamedDaemons, line: Lineage): string[] {
  const reasons: string[] = [];
  const name = named.pids.get(facts.pid);
  if (name !== undefined) reasons.push(name);
  if (line.hasChildren(facts)) reasons.push('has salt-api children');
  return reasons;
}

interface RootContext {
  readonly evidence: RosterEvidence;
  readonly line: Lineage;
  readonly named: NamedDaemons;
  readonly daemon: ProcessFacts | null;
  readonly managers: readonly { readonly facts: ProcessFacts }[];
}

/** Casts a salt-api process without a salt-api parent that is no manager. */
function castRoot(facts: ProcessFacts, argv: SaltApiArgv, context: RootContext): CastProcess {
  const { line, daemon, managers } = context;
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
    return castAs('job', facts, argv, [reason, ...jobSigns(facts)], server.pid);
  }
  const elder = beside
    .filter((other) => line.parent(other) === null)
    .find((other) => isElder(other, facts));
  if (elder !== undefined && server === undefined && mayBeForkedJob(facts)) {
    const reason = `shares the listening socket with ${elder.pid}, which is older`;
    return castAs('fork', facts, argv, [reason, ...jobSigns(facts)], elder.pid);
  }
  const proofs = orphanProofs(facts, argv, context);
  if (proofs.length === 0) {
    return castAs('unclear', facts, argv, [parentSign(facts, context), 'no other sign'], null);
  }
  return castAs('orphan', facts, argv, [parentSign(facts, context), ...proofs], null);
}

function isElder(other: ProcessFacts, facts: ProcessFacts): boolean {
  if (other.startTicks !== facts.startTicks) return other.startTicks < facts.startTicks;
  return other.pid < facts.pid;
}

function jobSigns(facts: ProcessFacts): string[] {
  return facts.threads === 1 ? ['single thread: a job fork'] : [];
}

function parentSign(facts: ProcessFacts, { evidence }: RootContext): string {
  const table = evidence.processes.seen ? evidence.processes.value.processes : [];
  const parent = table.find((other) => other.pid === facts.ppid);
  if (facts.ppid === 1) return 'parent dead, reparented to pid 1';
  if (parent === undefined) return `parent dead, now under ${facts.ppid}`;
  return `parent ${facts.ppid} (${stripControl(parent.comm)}) is not salt-api`;
}

function orphanProofs(facts: ProcessFacts, argv: SaltApiArgv, context: RootContext): string[] {
  const { daemon, named, evidence } = context;
  const settled = evidence.host.now - startedAt(facts, evidence.host) >= STARTING_MS;
  const proofs: string[] = [];
  if (facts.listens.length > 0) {
    proofs.push('holds the listening socket, which a manager never does');
  }
  if (facts.portConnections > 0) {
    proofs.push(`owns ${facts.portConnections} accepted connections on the port`);
  }
  if (isNetapiChildTitle(argv.title)) proofs.push(`title says child: ${stripControl(argv.title)}`);
  if (daemon !== null) {
    const before = facts.startTicks < daemon.startTicks;
    if (before) {
      proofs.push(`started ${gap(facts, daemon, evidence)} before the daemon ${daemon.pid}`);
    } else if (facts.session === daemon.session) {
      proofs.push(`in the session of the daemon ${daemon.pid}, but not its child`);
    }
    if (proofs.length > 0 && facts.session !== daemon.session) {
      proofs.push(`session ${facts.session}, the daemon's is ${daemon.session}`);
    }
  } else if (settled) proofs.push(...named.stale);
  const { unit } = named;
  if (unit !== null && unit.controlGroup !== '' && facts.cgroup !== null) {
    const inside =
      facts.cgroup === unit.controlGroup || facts.cgroup.startsWith(`${unit.controlGroup}/`);
    if (inside && unit.mainPid !== facts.pid && daemon === null) {
      proofs.push(`in the cgroup of ${unit.unit}, whose main process is not there`);
    } else if (!inside && proofs.length > 0) proofs.push(`outside the cgroup of ${unit.unit}`);
  }
  if (!mayBeForkedJob(facts)) {
    if (proofs.length > 0 || settled) proofs.push(`${facts.threads} threads, as a server has`);
  } else if (facts.listens.length > 0) {
    proofs.push(`${facts.threads} threads: a forked job, or a server without its pool`);
  }
  return proofs;
}

function gap(facts: ProcessFacts, daemon: ProcessFacts, { host }: RosterEvidence): string {
  return describeDuration(startedAt(daemon, host) - startedAt(facts, host));
}
