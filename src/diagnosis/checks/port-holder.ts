import type { Evidence, Listener, ProcessFacts } from '../../evidence/evidence.ts';
import { readSaltApiArgv } from '../../evidence/salt-api-argv.ts';
import { stripControl } from '../../untrusted.ts';
import { count, pidList } from '../../words.ts';
import { describeOtherPort, type OtherPort, otherPortsOf, unservedPorts } from '../other-ports.ts';
import type { ProcessRoles, SaltApiProcess } from '../process-roles.ts';
import type { Check, Finding, Known } from './finding.ts';
import { type ProcessEntry, processEntry } from './process-entry.ts';

/**
 * Who has the port. `daemon`: the right child. `other-daemon`: the child of a second live
 * daemon. `orphan`: a salt-api that should be gone. `foreign`: no salt-api of this instance.
 * `unproven`: a salt-api that nothing proves to be either. `unseen`: somebody we may not see.
 */
type HolderState =
  | 'free'
  | 'daemon'
  | 'other-daemon'
  | 'orphan'
  | 'foreign'
  | 'unproven'
  | 'unseen'
  | 'unknown';

export interface PortHolderEvidence {
  readonly state: HolderState;
  readonly port: number;
  readonly portOrigin: string;
  readonly listeners: readonly (Listener & { readonly pids: readonly number[] })[];
  readonly holders: readonly ProcessEntry[];
  readonly daemonPid: number | null;
  /** Processes whose fd tables could not be read: there may be more holders. */
  readonly deniedFds: number;
  /** Further ports that the instance is configured for or listens on; unset where unseen. */
  readonly otherPorts?: readonly OtherPort[];
}

type Needs =
  | 'host'
  | 'instance'
  | 'port'
  | 'config'
  | 'sockets'
  | 'processes'
  | 'service'
  | 'roles';

/** Step 1: which processes hold the listening socket of the port. */
export const portHolder: Check<'port-holder', Needs, PortHolderEvidence> = {
  id: 'port-holder',
  title: 'port holder',
  needs: ['host', 'instance', 'port', 'config', 'sockets', 'processes', 'service', 'roles'],
  judge,
};

function judge(evidence: Pick<Known, Needs>): Finding<PortHolderEvidence> {
  const { port, sockets, processes, roles } = evidence;
  const base = {
    port: port.number,
    portOrigin: describePortOrigin(port),
    listeners: [],
    holders: [],
    daemonPid: null,
    deniedFds: processes.seen ? processes.value.deniedFds : 0,
  };
  if (!sockets.seen) {
    return blindFinding(base, `can't read the socket tables: ${sockets.why}`);
  }
  const { listeners } = sockets.value;
  if (!processes.seen && listeners.length > 0) {
    return blindFinding(base, `${port.number} is held, by whom can't be seen: ${processes.why}`);
  }
  const table = processes.seen ? processes.value.processes : [];
  const holders = table.filter((facts) => facts.listens.length > 0);
  const pids = pidsByInode(holders);
  const byListener = listeners.map((listener) => {
    return { ...listener, pids: [...(pids.get(listener.inode) ?? [])] };
  });
  const units = socketUnits(evidence);
  const members = new Map(roles.all.map((member) => [member.facts.pid, member]));
  const roled = holders.map((facts) => roleOfHolder(facts, members.get(facts.pid), units));
  const servers = roled.filter(({ forService }) => !forService);
  // systemd has the socket so that the service can be started: without that nobody serves.
  const asleep = servers.length === 0 && roled.length > 0;
  const hindering = listeners.filter(({ address }) => hinders(address, boundAddress(evidence)));
  const state = asleep ? 'free' : stateOf(hindering, servers, roles);
  const shared = strangersBeside(byListener, servers);
  const beside =
    servers.length < roled.length ? `; systemd holds it too, for ${units.join(', ')}` : '';
  const others = otherPortsOf(evidence, roles);
  const unserved = unservedPorts(others, roles, evidence.host);
  const holding = asleep
    ? summarizeAsleep(evidence, units)
    : summarize(state, evidence, { holders: servers, shared }, roles) + beside;
  const summary = [holding, ...unserved.map(describeOtherPort)].join('; ');
  const served = unserved.length === 0 ? (shared.length > 0 ? 'warn' : 'pass') : 'fail';
  return {
    status: state === 'daemon' ? served : STATUS[state],
    summary,
    details: [
      ...details(evidence, byListener, roled, base.portOrigin),
      ...others.map(describeOtherPort),
    ],
    evidence: {
      otherPorts: others,
      ...base,
      state,
      listeners: byListener,
      holders: roled.map(({ facts, role, reasons }) => processEntry(facts, role, reasons)),
      daemonPid: roles.daemon?.facts.pid ?? null,
    },
  };
}

const STATUS = {
  free: 'fail',
  daemon: 'pass',
  'other-daemon': 'fail',
  orphan: 'fail',
  foreign: 'fail',
  unproven: 'fail',
  unseen: 'unknown',
  unknown: 'unknown',
} as const satisfies Record<HolderState, Finding['status']>;

/** Where the port number came from, in words. */
export function describePortOrigin(port: Evidence['port']): string {
  const { origin } = port;
  if (origin.kind === 'option') return 'as asked, by --port or the settings';
  if (origin.kind === 'config') return `${origin.key} in ${stripControl(origin.file)}`;
  return `default: ${stripControl(origin.why)}`;
}

function blindFinding(
  base: Omit<PortHolderEvidence, 'state'>,
  summary: string,
): Finding<PortHolderEvidence> {
  const evidence = { state: 'unknown' as const, ...base };
  return { status: 'unknown', summary, details: [], evidence };
}

interface Holder {
  readonly facts: ProcessFacts;
  readonly role: SaltApiProcess['role'] | 'foreign';
  readonly reasons: readonly string[];
  readonly under: number | null;
  /** As of a {@link SaltApiProcess}. */
  readonly proven: boolean;
  /** It is systemd, which has the socket for the service to be started with (systemd.socket(5)). */
  readonly forService: boolean;
}

/** The socket units of the service that listen on the port. */
function socketUnits({ service, port }: Pick<Known, Needs>): string[] {
  if (!service.seen || !service.value.systemd.seen) return [];
  const sockets = service.value.systemd.value?.sockets ?? [];
  return service.value.relatedUnits
    .filter(({ unit, ports }) => sockets.includes(unit) && ports.includes(port.number))
    .filter(({ activeState }) => activeState === 'active')
    .map(({ unit }) => unit);
}

/** Once for all listeners: there may be thousands of either. */
function pidsByInode(holders: readonly ProcessFacts[]): Map<number, Set<number>> {
  const pids = new Map<number, Set<number>>();
  for (const { pid, listens } of holders) {
    for (const inode of listens) {
      const known = pids.get(inode);
      if (known === undefined) pids.set(inode, new Set([pid]));
      else known.add(pid);
    }
  }
  return pids;
}

function roleOfHolder(
  facts: ProcessFacts,
  member: SaltApiProcess | undefined,
  units: readonly string[],
): Holder {
  if (member !== undefined) {
    const { role, reasons, under, proven } = member;
    return { facts, role, reasons, under, proven, forService: false };
  }
  const stranger = { facts, role: 'foreign', under: null, proven: false } as const;
  if (facts.pid === 1 && units.length > 0) {
    const reasons = [`systemd itself, for ${units.join(', ')}`];
    return { ...stranger, reasons, forService: true };
  }
  const reason =
    readSaltApiArgv(facts.argv) === null ? 'its argv is not salt-api' : 'not to be judged';
  return { ...stranger, reasons: [reason], forService: false };
}

/** The address that the config has the service bind; null where it is silent about this port. */
function boundAddress({ config, port }: Pick<Known, 'config' | 'port'>): string | null {
  const netapi = config.seen ? config.value.netapi : null;
  return netapi?.port === port.number ? netapi.host : null;
}

const WILDCARDS = ['0.0.0.0', '::'];

/**
 * Whether a listener is in the way of a service that binds an address: not where both are addresses
 * of interfaces, and others. A name or an unknown address may be any.
 */
function hinders(listener: string, bound: string | null): boolean {
  if (bound === null || !/^[\d.]+$|:/.test(bound)) return true;
  return listener === bound || WILDCARDS.includes(listener) || WILDCARDS.includes(bound);
}

/** Programs with a listener of their own on an address that salt-api has: SO_REUSEPORT (socket(7)). */
function strangersBeside(
  listeners: PortHolderEvidence['listeners'],
  holders: readonly Holder[],
): Holder[] {
  const strangers = holders.filter(({ role }) => role === 'foreign' || role === 'elsewhere');
  const strange = new Set(strangers.map(({ facts }) => facts.pid));
  const isOurs = ({ pids }: { readonly pids: readonly number[] }) =>
    pids.some((pid) => !strange.has(pid));
  const ours = new Set(listeners.filter(isOurs).map(({ address }) => address));
  const shared = new Set(
    listeners
      .filter((listener) => ours.has(listener.address) && !isOurs(listener))
      .flatMap(({ pids }) => pids),
  );
  return strangers.filter(({ facts }) => shared.has(facts.pid));
}

/** @param listeners those in the way of the service */
function stateOf(
  listeners: readonly Listener[],
  holders: readonly Holder[],
  roles: ProcessRoles,
): HolderState {
  const held = holders.some(({ role }) => role !== 'foreign' && role !== 'elsewhere');
  if (listeners.length === 0 && !held) return 'free';
  const orphans = new Set(
    roles.all.filter((member) => member.role === 'orphan').map((member) => member.facts.pid),
  );
  const ofOrphan = ({ facts, under }: Holder) =>
    orphans.has(facts.pid) || (under !== null && orphans.has(under));
  if (holders.some(ofOrphan)) return 'orphan';
  const servers = holders.filter(({ role }) => role === 'child' || role === 'manager');
  const daemonPid = roles.daemon?.facts.pid ?? null;
  const right = ({ facts, under }: Holder) => (under ?? facts.pid) === daemonPid;
  if (servers.some(right)) return 'daemon';
  if (servers.length > 0) return 'other-daemon';
  if (holders.some(({ role }) => role === 'foreign' || role === 'elsewhere')) return 'foreign';
  const forks = holders.filter(({ role }) => role === 'fork');
  if (forks.some(right)) return 'daemon';
  return holders.length > 0 ? 'unproven' : 'unseen';
}

function summarizeAsleep(
  { port, processes, roles }: Pick<Known, 'port' | 'processes' | 'roles'>,
  units: readonly string[],
): string {
  const daemon = roles.daemon?.facts.pid ?? null;
  const salt = daemon === null ? noDaemon(processes) : `not the daemon ${daemon}`;
  return `only systemd itself listens on ${port.number}, for ${units.join(', ')}, and ${salt}`;
}

/** That none runs is only said where every command line was seen. */
function noDaemon(processes: Known['processes']): string {
  const all = processes.seen && !processes.value.hidden && processes.value.deniedArgv === 0;
  return all ? 'no salt-api daemon runs' : 'no salt-api daemon is seen';
}

function summarize(
  state: HolderState,
  evidence: Pick<Known, Needs>,
  { holders, shared }: { readonly holders: readonly Holder[]; readonly shared: readonly Holder[] },
  roles: ProcessRoles,
): string {
  const { processes, sockets, host } = evidence;
  const { number } = evidence.port;
  const daemon = roles.daemon?.facts.pid ?? null;
  const alsoShared = shared.length === 0 ? '' : `; shared with ${who(shared)}, no salt-api of ours`;
  switch (state) {
    case 'free': {
      const at = holders.length === 0 ? '' : ` at ${boundAddress(evidence)}`;
      const beside = holders.length === 0 ? '' : `; another address of it by ${who(holders)}`;
      return daemon === null
        ? `nobody listens on ${number}${at}, and ${noDaemon(processes)}${beside}`
        : `nobody listens on ${number}${at}, though the daemon ${daemon} runs${beside}`;
    }
    case 'daemon':
      return `${number} is held by ${servedBy(holders, shared, daemon)}${alsoShared}`;
    case 'other-daemon': {
      const servers = holders.filter(({ role }) => role === 'child' || role === 'manager');
      const manager = servers[0]?.under ?? servers[0]?.facts.pid;
      return `${number} is held by ${who(servers)} of another daemon, ${manager}, not of ${daemon}`;
    }
    case 'orphan': {
      const orphans = holders.filter(({ role }) => role === 'orphan');
      const named = orphans.length > 0 ? orphans : holders;
      const kind = orphans.length > 0 ? 'an orphaned salt-api child' : 'a fork of an orphan';
      const not = daemon === null ? `; ${noDaemon(processes)}` : ` (not by the daemon ${daemon})`;
      return `${number} is held by ${who(named)}, ${kind}${not}${alsoShared}`;
    }
    case 'foreign': {
      const [first] = holders.filter(({ role }) => role === 'foreign' || role === 'elsewhere');
      if (first === undefined) return `${number} is held by another program`;
      const { pid } = first.facts;
      return first.role === 'elsewhere'
        ? `${number} is held by salt-api ${pid}, which ${first.reasons[0] ?? 'is another'}`
        : `${number} is held by ${pid} (${programName(first.facts)}), which is not this salt-api`;
    }
    case 'unproven': {
      const nameAlone = holders.every(({ proven }) => !proven);
      return nameAlone
        ? `${number} is held by ${who(holders)}: salt-api by name, but nothing else says that it is`
        : `${number} is held by salt-api ${who(holders)}, whose part nothing proves`;
    }
    case 'unseen':
    case 'unknown': {
      if (processes.seen && (processes.value.deniedFds > 0 || processes.value.hidden)) {
        const owner = sockets.seen ? sockets.value.listeners[0]?.uid : undefined;
        const of = owner === undefined ? '' : ` of uid ${owner}`;
        return `${number} is held by a process${of} that uid ${host.uid} may not see: run as root`;
      }
      return `${number} is held by a process we can't see: the kernel, or another PID namespace`;
    }
  }
}

/** Who of the daemon's line has the port, and who else has its socket or another address of it. */
function servedBy(
  holders: readonly Holder[],
  shared: readonly Holder[],
  daemon: number | null,
): string {
  const servers = holders.filter(({ role }) => role === 'child' || role === 'manager');
  const forks = holders.filter(({ role }) => role === 'fork' || role === 'job');
  if (servers.length === 0) return `${who(forks)}, forked by the daemon ${daemon}`;
  const strangers = holders.filter(({ role }) => role === 'foreign' || role === 'elsewhere');
  const ours = new Set([...servers, ...forks].flatMap(({ facts }) => facts.listens));
  const inherited = strangers.filter(({ facts }) => facts.listens.some((inode) => ours.has(inode)));
  const apart = strangers.filter((one) => !inherited.includes(one) && !shared.includes(one));
  const beside = [
    forks.length > 0 ? `, and ${count(forks.length, 'fork')} of it` : '',
    inherited.length > 0
      ? `; ${who(inherited)} ${inherited.length === 1 ? 'has' : 'have'} its socket too, inherited`
      : '',
    apart.length > 0 ? `; another address of it by ${who(apart)}` : '',
  ].join('');
  const children = servers.filter(({ role }) => role === 'child');
  return children.length > 0
    ? `${who(children)}, child of the daemon ${daemon}${beside}`
    : `the daemon ${daemon} itself${beside}`;
}

function who(holders: readonly Holder[]): string {
  return pidList(holders.map(({ facts }) => facts.pid));
}

/** A short, safe name for a foreign program: its argv[0] without the directory. */
function programName(facts: ProcessFacts): string {
  const first = facts.argv[0] ?? facts.comm;
  const word = first.split(/\s/)[0] ?? first;
  // `nginx: master process` and the like end the name with a colon.
  const name = word.slice(word.lastIndexOf('/') + 1).replace(/:$/, '');
  return stripControl(name || facts.comm).slice(0, 40);
}

function details(
  { config, processes, instance }: Pick<Known, Needs>,
  listeners: PortHolderEvidence['listeners'],
  holders: readonly Holder[],
  origin: string,
): string[] {
  const lines = [
    `port ${origin}; salt config ${stripControl(instance.configDirectory)} (${instance.origin})`,
  ];
  if (config.seen) {
    lines.push(...config.value.problems.map((problem) => `config: ${stripControl(problem)}`));
  } else lines.push(`config: ${stripControl(config.why)}`);
  for (const { address, family, inode, acceptQueue, pids } of listeners) {
    const held = pids.length > 0 ? `held by ${pids.join(', ')}` : 'no visible holder';
    lines.push(
      `${family} ${address} inode ${inode}: accept queue ${acceptQueue}, ${held} (/proc/net/tcp, /proc/PID/fd)`,
    );
  }
  for (const { facts, role, reasons } of holders) {
    lines.push(`${facts.pid} ${role}: ${reasons.join('; ')}`);
  }
  if (processes.seen && processes.value.deniedFds > 0) {
    lines.push(`${count(processes.value.deniedFds, 'fd table')} could not be read: not root`);
  }
  return lines;
}
