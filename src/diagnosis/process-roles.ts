/**
 * Who is who among the salt-api processes of a host: manager, child, fork, orphan.
 * No single sign proves an orphan (salt-facts §7), so every sign that spoke is kept as a reason.
 * Linear in the number of processes: thousands of look-alikes must not keep a verdict waiting.
 */
import type {
  Evidence,
  PidFileFacts,
  ProcessFacts,
  SystemdUnitFacts,
} from '../evidence/evidence.ts';
import { isDeadState } from '../evidence/proc-text.ts';
import { mayNameFiles } from '../evidence/resolve.ts';
import {
  DEFAULT_CONFIG_DIRECTORY,
  isDrillDirectory,
  isNetapiChildTitle,
  namesDirectory,
  readSaltApiArgv,
  type SaltApiArgv,
  withEnvironment,
} from '../evidence/salt-api-argv.ts';
import { unitOf } from '../evidence/systemd-unit.ts';
import { stripControl } from '../untrusted.ts';
import { startedAt } from '../words.ts';
import {
  hasPool,
  orphanProofs,
  type Parentage,
  parentageOf,
  type StalePidFile,
} from './orphan-signs.ts';

/**
 * `manager`: a live daemon. `child`: its netapi child. `fork`: forked by a server (job forks,
 * ssh client), whoever that server is. `job`: double-forked by a live server and so without a
 * salt-api parent by design (`wheel_async`, salt-facts §1.1). `unclear`: named salt-api, but
 * nothing proves which, or that it is Salt's at all. `elsewhere`: another instance's, another
 * namespace's or an ordinary user's, and none of our business.
 */
type Role = 'manager' | 'child' | 'fork' | 'job' | 'orphan' | 'unclear' | 'elsewhere';

/** A process that is salt-api by its argv. */
export interface Candidate {
  readonly facts: ProcessFacts;
  readonly argv: SaltApiArgv;
}

/** A salt-api process with its role and why we say so. */
export interface SaltApiProcess extends Candidate {
  readonly role: Role;
  readonly reasons: readonly string[];
  /** The manager at the top of its line, or the orphan; null for roots of neither kind. */
  readonly under: number | null;
  /** Ports that its line listens on where none of the line has anything of the examined one. */
  readonly servesInstead: readonly number[];
  /** Its parent is dead, and it was given to pid 1 or to a sub-reaper (prctl(2)). */
  readonly reparented: boolean;
  /** Something beside its command line says that it, or one of its line, is this Salt's. */
  readonly proven: boolean;
}

/** Every salt-api process with its role. */
export interface ProcessRoles {
  /** Oldest first. */
  readonly all: readonly SaltApiProcess[];
  /** The daemon that the pid file or systemd names, else the one that serves, else the youngest. */
  readonly daemon: SaltApiProcess | null;
}

/** The sections that the roles are told from. */
export const ROLE_NEEDS = ['host', 'instance', 'port', 'config', 'processes', 'service'] as const;

export type RoleEvidence = Pick<Evidence, (typeof ROLE_NEEDS)[number]>;

/** A pid file's time and a process's start are compared through two clocks (btime is whole seconds). */
const CLOCK_SLACK_MS = 3_000;

/**
 * Tells the roles of the salt-api processes, once for a whole diagnosis.
 * @param evidence what was seen; a blind process table gives no process, which the
 *   steps must report as unknown, not as "no orphans"
 */
export function classifyProcesses(evidence: RoleEvidence): ProcessRoles {
  const table = evidence.processes.seen ? evidence.processes.value.processes : [];
  const { ours, aside } = setAside(table, evidence);
  const line = new Lineage(ours, table);
  const named = namedDaemons(evidence, line);
  const classifier = new Classifier(evidence, line, named);
  const all = [...ours.map((one) => classifier.classify(one)), ...aside].sort(
    (a, b) => a.facts.startTicks - b.facts.startTicks || a.facts.pid - b.facts.pid,
  );
  const { daemon } = classifier;
  return { all, daemon: all.find(({ facts }) => facts === daemon?.facts) ?? null };
}

/** Parts those that have no say in the roles from those that have, each kind oldest first. */
function setAside(
  table: readonly ProcessFacts[],
  evidence: RoleEvidence,
): { readonly ours: readonly Candidate[]; readonly aside: readonly SaltApiProcess[] } {
  const ours: Candidate[] = [];
  const aside: SaltApiProcess[] = [];
  const pids = new Set<number>();
  const trusted = serviceUsers(table, evidence);
  const candidates = [...table]
    .sort((a, b) => a.startTicks - b.startTicks || a.pid - b.pid)
    .flatMap((facts) => {
      const argv = isDead(facts) || pids.has(facts.pid) ? null : readProcessArgv(facts);
      if (argv === null) return [];
      pids.add(facts.pid);
      return [{ facts, argv }];
    });
  const saysOurs = candidates.some(({ argv: { configDirectory } }) => {
    return (
      configDirectory !== null && namesDirectory(configDirectory, evidence.instance.configDirectory)
    );
  });
  for (const one of candidates) {
    const where = strangersUser(one, evidence, trusted) ?? elsewhere(one, evidence, saysOurs);
    if (where === null) ours.push(one);
    else aside.push({ ...ownRole('elsewhere', one, [where], null), ...NOBODY });
  }
  return { ours, aside };
}

const NOBODY = { servesInstead: [], reparented: false, proven: false } as const;

/**
 * The uids that salt-api may run as beside root, services and ourselves: that of `user:` in the
 * config, and those of the processes that systemd or a pid file names (salt-facts §2).
 */
function serviceUsers(
  table: readonly ProcessFacts[],
  { host, service, config }: RoleEvidence,
): ReadonlySet<number> {
  const byPid = new Map(table.map((facts) => [facts.pid, facts]));
  const main = byPid.get(unitOf(service)?.mainPid ?? 0);
  const named = (service.seen ? service.value.pidFiles : []).flatMap((file) => {
    const facts = byPid.get(file.pid ?? 0);
    return facts === undefined || predates(file, facts, host) ? [] : [facts];
  });
  const configured = config.seen ? config.value.user?.uid : null;
  const uids = [configured, main?.uid, ...named.map(({ uid }) => uid)];
  return new Set(uids.flatMap((uid) => uid ?? []));
}

/**
 * Anybody can run what is salt-api by its argv. What an ordinary user runs has no part in the
 * roles, or it would make orphans of root's processes; in a drill there are none but its own.
 */
function strangersUser(
  { facts: { uid } }: Candidate,
  { host, instance }: RoleEvidence,
  trusted: ReadonlySet<number>,
): string | null {
  if (mayNameFiles(uid, host.uid) || trusted.has(uid)) return null;
  if (isDrillDirectory(instance.configDirectory)) return null;
  return uid < 0
    ? 'belongs to an owner who can not be told'
    : `belongs to uid ${uid}, an ordinary user`;
}

/** True for a process that holds nothing and can't be killed any further. */
export function isDead(facts: ProcessFacts): boolean {
  return isDeadState(facts.state);
}

/**
 * Why a salt-api process is none of this instance's business, or null.
 *
 * @param saysOurs whether some process names our directory in its argv
 */
function elsewhere(
  { facts, argv }: Candidate,
  { instance }: RoleEvidence,
  saysOurs: boolean,
): string | null {
  if (facts.pidNamespace === 'other') return 'lives in another PID namespace (a container)';
  if (facts.networkNamespace === 'other') return 'lives in another network namespace';
  if (facts.rootDirectory === 'other') {
    return 'reads other files than we do (a container, a chroot or a mount namespace)';
  }
  const { configDirectory: ours, defaultConfigured } = instance;
  const theirs = argv.configDirectory;
  if (theirs !== null && namesDirectory(theirs, ours)) return null;
  if (isDrillDirectory(ours)) return 'is not part of the drill';
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

/** Parent and child among salt-api processes, and what a whole line has. */
class Lineage {
  readonly #ours: readonly Candidate[];
  readonly #parents: ReadonlySet<number>;
  readonly #tops = new Map<ProcessFacts, ProcessFacts>();
  readonly #holders = new Map<number, ProcessFacts[]>();
  readonly #lines = new Map<ProcessFacts, Line>();
  readonly byPid: ReadonlyMap<number, ProcessFacts>;
  /** Any process of the evidence, salt-api or not. */
  readonly table: ReadonlyMap<number, ProcessFacts>;

  /** @param ours oldest first */
  constructor(ours: readonly Candidate[], table: readonly ProcessFacts[]) {
    this.#ours = ours;
    this.byPid = new Map(ours.map(({ facts }) => [facts.pid, facts]));
    this.table = new Map(table.map((facts) => [facts.pid, facts]));
    const dead = table.filter(isDead).map(({ ppid }) => ppid);
    const living = ours.map(({ facts }) => this.parent(facts)?.pid ?? -1);
    this.#parents = new Set([...dead, ...living]);
    for (const { facts } of ours) this.#gather(facts);
  }

  #gather(facts: ProcessFacts): void {
    const line = this.of(facts);
    line.serves ||= servesPort(facts);
    // Evidence of before these signs were looked for has the benefit of the doubt.
    line.saysSalt ||= facts.saltSigns === null || facts.saltSigns.length > 0;
    for (const port of facts.otherPorts) line.otherPorts.add(port);
    for (const inode of facts.listens) {
      const holders = this.#holders.get(inode) ?? [];
      holders.push(facts);
      this.#holders.set(inode, holders);
    }
  }

  /** What the line of a process has, from its root down. */
  of(facts: ProcessFacts): Line {
    const top = this.top(facts);
    const line = this.#lines.get(top) ?? { serves: false, saysSalt: false, otherPorts: new Set() };
    this.#lines.set(top, line);
    return line;
  }

  /** Those without a salt-api parent, oldest first. */
  roots(): Candidate[] {
    return this.#ours.filter(({ facts }) => this.parent(facts) === null);
  }

  /** A parent can't be younger than its child: such a pid was given out again. */
  parent(facts: ProcessFacts): ProcessFacts | null {
    const parent = this.byPid.get(facts.ppid);
    if (parent === undefined || parent === facts || parent.startTicks > facts.startTicks) {
      return null;
    }
    return parent;
  }

  top(facts: ProcessFacts): ProcessFacts {
    const known = this.#tops.get(facts);
    if (known !== undefined) return known;
    let top = facts;
    for (let depth = 0; depth < 64; depth += 1) {
      const parent = this.parent(top);
      if (parent === null) break;
      top = parent;
    }
    this.#tops.set(facts, top);
    return top;
  }

  /** A zombie's argv is gone, but its parent is still on record. */
  hasChildren(facts: ProcessFacts): boolean {
    return this.#parents.has(facts.pid);
  }

  /** The holders of a listening socket of the port, oldest first. */
  holdersOf(inode: number): readonly ProcessFacts[] {
    return this.#holders.get(inode) ?? [];
  }

  /**
   * The ports that a line listens on instead of the examined one: a daemon that serves another port
   * is not what holds this one down, and must not be mended for it.
   */
  portsInstead(facts: ProcessFacts): readonly number[] {
    const { serves, otherPorts } = this.of(facts);
    return serves ? [] : [...otherPorts].sort((a, b) => a - b);
  }
}

interface Line {
  /** Something of it has to do with the examined port. */
  serves: boolean;
  /** Something beside a command line says that it is Salt's. */
  saysSalt: boolean;
  readonly otherPorts: Set<number>;
}

interface NamedDaemons {
  /** Pids that systemd or a believable pid file names and that are salt-api now. */
  readonly pids: ReadonlyMap<number, string>;
  /** What was named and is not there: `the pid file … names 12603, which is dead`. */
  readonly stale: readonly StalePidFile[];
  readonly unit: SystemdUnitFacts | null;
}

function namedDaemons({ host, service }: RoleEvidence, line: Lineage): NamedDaemons {
  const pids = new Map<number, string>();
  const stale: StalePidFile[] = [];
  const unit = unitOf(service);
  for (const file of service.seen ? service.value.pidFiles : []) {
    const { path, pid } = file;
    if (pid === null) continue;
    const facts = line.byPid.get(pid);
    if (facts === undefined) {
      stale.push({ pid, words: `${path} names ${pid}, which is not salt-api` });
    } else if (predates(file, facts, host)) {
      const words = `${path} is older than process ${pid}: the pid was given out again`;
      stale.push({ pid, words });
    } else if (line.parent(facts) === null) pids.set(pid, `named by ${path}`);
  }
  if (unit !== null && unit.mainPid > 0 && line.byPid.has(unit.mainPid)) {
    pids.set(unit.mainPid, `main process of ${unit.unit}`);
  }
  return { pids, stale, unit };
}

function predates(file: PidFileFacts, facts: ProcessFacts, host: Evidence['host']): boolean {
  return startedAt(facts, host) > file.modifiedAt + CLOCK_SLACK_MS;
}

/** The one that pid file or systemd names, else the one that serves, else the youngest. */
function chooseDaemon(
  managers: readonly Candidate[],
  named: NamedDaemons,
  line: Lineage,
): Candidate | null {
  return (
    managers.findLast(({ facts }) => named.pids.has(facts.pid)) ??
    managers.findLast(({ facts }) => line.of(facts).serves) ??
    managers.at(-1) ??
    null
  );
}

/** The roles, once it is known who manages whom. */
class Classifier {
  readonly daemon: Candidate | null;
  readonly #evidence: RoleEvidence;
  readonly #line: Lineage;
  readonly #named: NamedDaemons;
  readonly #managers: ReadonlySet<ProcessFacts>;
  readonly #besides = new Map<number, Beside>();
  /** Control groups of salt-api's own services. */
  readonly #units: readonly string[];

  constructor(evidence: RoleEvidence, line: Lineage, named: NamedDaemons) {
    this.#evidence = evidence;
    this.#line = line;
    this.#named = named;
    const managers = line.roots().filter((one) => this.#isManager(one));
    this.#managers = new Set(managers.map(({ facts }) => facts));
    this.daemon = chooseDaemon(managers, named, line);
    const groups = [named.unit?.controlGroup, ...managers.map(({ facts }) => facts.cgroup)];
    this.#units = groups.flatMap((group) => group || []);
  }

  /** The role of one process, with what follows for it from the whole. */
  classify(one: Candidate): SaltApiProcess {
    const line = this.#line;
    const { facts } = one;
    const isRoot = line.parent(facts) === null;
    const parentage = parentageOf(facts, line.table.get(facts.ppid), this.#units);
    const servesInstead = line.portsInstead(facts);
    const top = line.top(facts);
    const proven = this.#isProven(top) && whyUntold(top, this.#evidence) === null;
    const role = isRoot ? this.#rootRole(one, parentage) : this.#descendantRole(one);
    const reparented = isRoot && parentage.reparented;
    return { ...role, servesInstead, reparented, proven };
  }

  #isProven(top: ProcessFacts): boolean {
    return this.#named.pids.has(top.pid) || this.#line.of(top).saysSalt;
  }

  /**
   * A manager never holds the listening socket (salt-facts §7), unless it is the named daemon.
   * Nor has it a thread pool: a server whose fds we may not see can have forks of its own.
   */
  #isManager({ facts, argv }: Candidate): boolean {
    if (isNetapiChildTitle(argv.title) || whyUntold(facts, this.#evidence) !== null) return false;
    if (this.#named.pids.has(facts.pid)) return true;
    if (!this.#isProven(facts)) return false;
    return this.#line.hasChildren(facts) && !servesPort(facts) && !hasPool(facts);
  }

  #descendantRole(one: Candidate): OwnRole {
    const { facts } = one;
    const top = this.#line.top(facts);
    const untold = this.#isProven(top) ? whyUntold(top, this.#evidence) : UNPROVEN;
    if (untold !== null) return ownRole('unclear', one, [`forked by ${facts.ppid}`, untold], null);
    const child = facts.ppid === top.pid && this.#managers.has(top);
    return child
      ? ownRole('child', one, [`child of the manager ${top.pid}`], top.pid)
      : ownRole('fork', one, [`forked by ${facts.ppid}`], top.pid);
  }

  /** A salt-api process without a salt-api parent. */
  #rootRole(one: Candidate, parentage: Parentage): OwnRole {
    const { facts } = one;
    if (this.#managers.has(facts)) {
      const named = this.#named.pids.get(facts.pid) ?? [];
      const children = this.#line.hasChildren(facts) ? 'has salt-api children' : [];
      return ownRole('manager', one, [named, children].flat(), null);
    }
    if (!this.#isProven(facts)) return ownRole('unclear', one, [parentage.sign, UNPROVEN], null);
    const beside = this.#forkedBeside(one);
    if (beside !== null) return beside;
    const { sign } = parentage;
    const instead = this.#line.portsInstead(facts);
    if (instead.length > 0) {
      const reason = `listens on port ${instead.join(', ')}, not on ${this.#evidence.port.number}`;
      return ownRole('unclear', one, [sign, reason], null);
    }
    const untold = whyUntold(facts, this.#evidence);
    if (untold !== null) return ownRole('unclear', one, [sign, untold], null);
    const proofs = parentage.reparented ? orphanProofs(one, this.#orphanContext()) : [];
    return proofs.length === 0
      ? ownRole('unclear', one, [sign, 'nothing proves an orphan'], null)
      : ownRole('orphan', one, [sign, ...proofs], null);
  }

  /** The role of one that shares its listening socket with who has forked it. */
  #forkedBeside(one: Candidate): OwnRole | null {
    const { facts } = one;
    const { daemon } = this;
    const older = daemon !== null && facts.startTicks < daemon.facts.startTicks;
    const beside = facts.listens.map((inode) => this.#beside(inode));
    const server = beside.find((holders) => holders.server !== undefined)?.server;
    if (server !== undefined && server.startTicks <= facts.startTicks && !older) {
      const reason = `shares the listening socket with the live server ${server.pid}, started after it`;
      return ownRole('job', one, [reason, ...jobSigns(facts)], server.pid);
    }
    if (server !== undefined || hasPool(facts)) return null;
    const elder = beside.find(({ eldest }) => eldest !== facts)?.eldest;
    if (elder === undefined) return null;
    const reason = `shares the listening socket with ${elder.pid}, which is older`;
    return ownRole('fork', one, [reason, ...jobSigns(facts)], elder.pid);
  }

  /** Who else holds a listening socket: the live server, and the eldest without a salt-api parent. */
  #beside(inode: number): Beside {
    const known = this.#besides.get(inode);
    if (known !== undefined) return known;
    const holders = this.#line.holdersOf(inode);
    const isRoot = (facts: ProcessFacts) => this.#line.parent(facts) === null;
    const server = holders.find((one) => !isRoot(one) && this.#managers.has(this.#line.top(one)));
    const beside = { server, eldest: holders.find(isRoot) };
    this.#besides.set(inode, beside);
    return beside;
  }

  #orphanContext() {
    const { daemon } = this;
    const named = this.#named;
    return {
      evidence: this.#evidence,
      unit: named.unit,
      stale: named.stale,
      daemon: daemon === null ? null : { ...daemon, named: named.pids.has(daemon.facts.pid) },
      hasChildren: (facts: ProcessFacts) => this.#line.hasChildren(facts),
    };
  }
}

interface Beside {
  readonly server: ProcessFacts | undefined;
  readonly eldest: ProcessFacts | undefined;
}

const UNPROVEN = 'nothing but its command line says that it is Salt';

/** Why it can't be told whether a process is of this instance although we are root, or null. */
function whyUntold(facts: ProcessFacts, { host }: RoleEvidence): string | null {
  return host.uid === 0 && facts.rootDirectory === 'unseen'
    ? "its root directory is another way to our files, or can't be read"
    : null;
}

/** True for a process that holds anything of the examined port: a listener, or a connection. */
export function servesPort(facts: ProcessFacts): boolean {
  return facts.listens.length > 0 || facts.portConnections > 0;
}

/** True for a child or a daemon that has the listening socket, as only one of those should. */
export function isServer(one: { readonly role: string; readonly facts: ProcessFacts }): boolean {
  return one.facts.listens.length > 0 && (one.role === 'child' || one.role === 'manager');
}

/** True for whoever is no salt-api of this instance. */
export function isStranger({ role }: { readonly role: string }): boolean {
  return role === 'foreign' || role === 'elsewhere';
}

/** The manager or the orphan at the top of a process's line, itself where none is above it. */
export function lineOf({ under, facts }: Pick<SaltApiProcess, 'under' | 'facts'>): number {
  return under ?? facts.pid;
}

function jobSigns(facts: ProcessFacts): string[] {
  return facts.threads === 1 ? ['single thread: a job fork'] : [];
}

/** A role, before what follows from the whole is known. */
type OwnRole = Omit<SaltApiProcess, keyof typeof NOBODY>;

function ownRole(
  role: Role,
  { facts, argv }: Candidate,
  reasons: readonly string[],
  under: number | null,
): OwnRole {
  return { facts, argv, role, reasons, under };
}
