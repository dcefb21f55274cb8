import type { Evidence, Listener, ProcessFacts } from '../../evidence/evidence.ts';
import { readSaltApiArgv } from '../../evidence/salt-api-argv.ts';
import { unitOf } from '../../evidence/systemd-unit.ts';
import { stripControl } from '../../untrusted.ts';
import { count, pidList } from '../../words.ts';
import { describeOtherPort, type OtherPort, otherPortsOf, unservedPorts } from '../other-ports.ts';
import { isServer, isStranger, lineOf, type SaltApiProcess } from '../process-roles.ts';
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

function judge(known: Pick<Known, Needs>): Finding<PortHolderEvidence> {
  const { port, sockets, processes, roles, host } = known;
  if (!sockets.seen) return unseen(known, `can't read the socket tables: ${sockets.why}`);
  if (!processes.seen && sockets.value.listeners.length > 0) {
    return unseen(
      known,
      `${port.number} is held, but its holder can't be identified: ${processes.why}`,
    );
  }
  const table = processes.seen ? processes.value.processes : [];
  const holding = table.filter((facts) => facts.listens.length > 0);
  const pids = pidsByInode(holding);
  const listeners = sockets.value.listeners.map((listener) => {
    return { ...listener, pids: [...(pids.get(listener.inode) ?? [])] };
  });
  const units = socketUnits(known);
  const members = new Map(roles.all.map((member) => [member.facts.pid, member]));
  const holders = holding.map((facts) => holderOf(facts, members.get(facts.pid), units));
  const scene = sceneOf(known, listeners, holders);
  const others = otherPortsOf(known, roles);
  const unserved = unservedPorts(others, roles, host);
  const served = unserved.length > 0 ? 'fail' : scene.shared.length > 0 ? 'warn' : 'pass';
  return {
    status: scene.state === 'daemon' ? served : STATUS[scene.state],
    summary: [summarize(scene, units), ...unserved.map(describeOtherPort)].join('; '),
    details: [
      ...details(known, listeners, holders),
      ...others.filter((one) => !unserved.includes(one)).map(describeOtherPort),
    ],
    evidence: {
      otherPorts: others,
      port: port.number,
      portOrigin: describePortOrigin(port),
      listeners,
      holders: holders.map(({ facts, role, reasons }) => processEntry(facts, role, reasons)),
      daemonPid: scene.daemon,
      deniedFds: processes.seen ? processes.value.deniedFds : 0,
      state: scene.state,
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

function unseen(
  { port, processes }: Pick<Known, Needs>,
  summary: string,
): Finding<PortHolderEvidence> {
  const evidence = {
    state: 'unknown',
    port: port.number,
    portOrigin: describePortOrigin(port),
    listeners: [],
    holders: [],
    daemonPid: null,
    deniedFds: processes.seen ? processes.value.deniedFds : 0,
  } as const;
  return { status: 'unknown', summary, details: [], evidence };
}

type Holder = Pick<SaltApiProcess, 'facts' | 'reasons' | 'under' | 'proven'> & {
  readonly role: SaltApiProcess['role'] | 'foreign';
  /** It is systemd, which has the socket for the service to be started with (systemd.socket(5)). */
  readonly forService: boolean;
};

/** The socket units of the service that listen on the port. */
function socketUnits({ service, port }: Pick<Known, Needs>): string[] {
  const sockets = unitOf(service)?.sockets ?? [];
  if (!service.seen) return [];
  return service.value.relatedUnits
    .filter(({ unit, ports }) => sockets.includes(unit) && ports.includes(port.number))
    .filter(({ activeState }) => activeState === 'active')
    .map(({ unit }) => unit);
}

/** Once for all listeners: there may be thousands of either. */
function pidsByInode(holders: readonly ProcessFacts[]): Map<number, Set<number>> {
  const pids = new Map<number, Set<number>>();
  for (const { pid, listens } of holders) {
    for (const inode of listens) pids.set(inode, (pids.get(inode) ?? new Set()).add(pid));
  }
  return pids;
}

function holderOf(
  facts: ProcessFacts,
  member: SaltApiProcess | undefined,
  units: readonly string[],
): Holder {
  if (member !== undefined) return { ...member, facts, forService: false };
  const forService = facts.pid === 1 && units.length > 0;
  const named = readSaltApiArgv(facts.argv) !== null;
  const stranger = named ? 'can not be judged' : 'its command line is not that of salt-api';
  const reasons = [forService ? `systemd itself, for ${units.join(', ')}` : stranger];
  return { facts, role: 'foreign', reasons, under: null, proven: false, forService };
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
  const strangers = holders.filter(isStranger);
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

/** Who has the port, for those who put it into words. */
interface Scene {
  readonly known: Pick<Known, Needs>;
  readonly state: HolderState;
  readonly daemon: number | null;
  /** Without systemd where it has the socket so that the service can be started. */
  readonly holders: readonly Holder[];
  /** Of these, programs beside salt-api at an address of it. */
  readonly shared: readonly Holder[];
  /** systemd has the socket, alone or besides. */
  readonly forService: boolean;
}

function sceneOf(
  known: Pick<Known, Needs>,
  listeners: PortHolderEvidence['listeners'],
  all: readonly Holder[],
): Scene {
  const holders = all.filter(({ forService }) => !forService);
  const forService = holders.length < all.length;
  const hindering = listeners.filter(({ address }) => hinders(address, boundAddress(known)));
  const shared = strangersBeside(listeners, holders);
  const daemon = known.roles.daemon?.facts.pid ?? null;
  // A socket that only systemd has serves nobody.
  const state = forService && holders.length === 0 ? 'free' : stateOf(known, hindering, holders);
  return { known, state, daemon, holders, shared, forService };
}

/** @param listeners those in the way of the service */
function stateOf(
  { roles }: Pick<Known, 'roles'>,
  listeners: readonly Listener[],
  holders: readonly Holder[],
): HolderState {
  if (listeners.length === 0 && holders.every(isStranger)) return 'free';
  const orphans = new Set(
    roles.all.filter(({ role }) => role === 'orphan').map(({ facts }) => facts.pid),
  );
  if (holders.some((one) => orphans.has(one.facts.pid) || orphans.has(lineOf(one))))
    return 'orphan';
  const isRight = (one: Holder) => lineOf(one) === roles.daemon?.facts.pid;
  const servers = holders.filter(isServer);
  if (servers.some(isRight)) return 'daemon';
  if (servers.length > 0) return 'other-daemon';
  if (holders.some(isStranger)) return 'foreign';
  if (holders.some((one) => one.role === 'fork' && isRight(one))) return 'daemon';
  return holders.length > 0 ? 'unproven' : 'unseen';
}

/** @param units socket units that systemd has the port for */
function summarize(scene: Scene, units: readonly string[]): string {
  const { known, state, daemon, holders, shared, forService } = scene;
  const { number } = known.port;
  const listed = units.join(', ');
  if (forService && holders.length === 0) {
    const salt = daemon === null ? noDaemon(known.processes) : `not the daemon ${daemon}`;
    return `only systemd itself listens on ${number}, for ${listed}, and ${salt}`;
  }
  const held = state === 'free' ? nobody(scene) : `${number} is held by ${HOLDER[state](scene)}`;
  const told = shared.length > 0 && (state === 'daemon' || state === 'orphan');
  const beside = told ? `; shared with ${who(shared)}, no salt-api of ours` : '';
  return `${held}${beside}${forService ? `; systemd holds it too, for ${listed}` : ''}`;
}

function nobody({ known, daemon, holders }: Scene): string {
  const elsewhere = holders.length > 0;
  const at = elsewhere ? ` at ${boundAddress(known)}` : '';
  const runs =
    daemon === null ? `, and ${noDaemon(known.processes)}` : `, though the daemon ${daemon} runs`;
  const beside = elsewhere ? `; another address of it by ${who(holders)}` : '';
  return `nobody listens on ${known.port.number}${at}${runs}${beside}`;
}

/** That none runs is only said where every command line was seen. */
function noDaemon(processes: Known['processes']): string {
  const all = processes.seen && !processes.value.hidden && processes.value.deniedArgv === 0;
  return all ? 'no salt-api daemon runs' : 'no salt-api daemon is seen';
}

/** By whom a port is held, in words. */
const HOLDER: Record<Exclude<HolderState, 'free'>, (scene: Scene) => string> = {
  daemon: servedBy,
  'other-daemon': ({ holders, daemon }) => {
    const servers = holders.filter(isServer);
    const [manager] = servers.map(lineOf);
    return `${who(servers)} of another daemon, ${manager}, not of ${daemon}`;
  },
  orphan: ({ known, holders, daemon }) => {
    const orphans = holders.filter(({ role }) => role === 'orphan');
    const not =
      daemon === null ? `; ${noDaemon(known.processes)}` : ` (not by the daemon ${daemon})`;
    return orphans.length > 0
      ? `${who(orphans)}, an orphaned salt-api child${not}`
      : `${who(holders)}, a fork of an orphan${not}`;
  },
  foreign: ({ holders }) => {
    const first = holders.find(isStranger);
    if (first === undefined) return 'another program';
    const { pid } = first.facts;
    return first.role === 'elsewhere'
      ? `salt-api ${pid}, which ${first.reasons[0] ?? 'is another'}`
      : `${pid} (${programName(first.facts)}), which is not this salt-api`;
  },
  unproven: ({ holders }) =>
    holders.some(({ proven }) => proven)
      ? `salt-api ${who(holders)}, whose role nothing proves`
      : `${who(holders)}: salt-api by name, but nothing else says that it is`,
  unseen: somebodyUnseen,
  unknown: somebodyUnseen,
};

function somebodyUnseen({ known: { processes, sockets, host } }: Scene): string {
  if (!processes.seen || (processes.value.deniedFds === 0 && !processes.value.hidden)) {
    return "a process we can't see: the kernel, or another PID namespace";
  }
  const owner = sockets.seen ? sockets.value.listeners[0]?.uid : undefined;
  const of = owner === undefined ? '' : owner === 0 ? ' of root' : ` of uid ${owner}`;
  // Of what root itself can't see no rights would tell more.
  const help = host.uid === 0 ? 'it can not be identified' : 'run with sudo to identify it';
  return `a process${of}; ${help}`;
}

/** Who of the daemon's line has the port, and who else has its socket or another address of it. */
function servedBy({ holders, shared, daemon }: Scene): string {
  const servers = holders.filter(isServer);
  const forks = holders.filter(({ role }) => role === 'fork' || role === 'job');
  if (servers.length === 0) return `${who(forks)}, forked by the daemon ${daemon}`;
  const strangers = holders.filter(isStranger);
  const ours = new Set([...servers, ...forks].flatMap(({ facts }) => facts.listens));
  const inherited = strangers.filter(({ facts }) => facts.listens.some((inode) => ours.has(inode)));
  const apart = strangers.filter((one) => !inherited.includes(one) && !shared.includes(one));
  const children = servers.filter(({ role }) => role === 'child');
  const have = inherited.length === 1 ? 'has' : 'have';
  return [
    children.length > 0
      ? `${who(children)}, child of the daemon ${daemon}`
      : `the daemon ${daemon} itself`,
    forks.length > 0 ? `, and ${count(forks.length, 'fork')} of it` : '',
    inherited.length > 0 ? `; ${who(inherited)} ${have} its socket too, inherited` : '',
    apart.length > 0 ? `; another address of it by ${who(apart)}` : '',
  ].join('');
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
): string[] {
  const lines = [`Salt config ${stripControl(instance.configDirectory)} (${instance.origin})`];
  if (config.seen) {
    lines.push(...config.value.problems.map((problem) => `config: ${stripControl(problem)}`));
  } else lines.push(`config: ${stripControl(config.why)}`);
  for (const { address, family, inode, pids } of listeners) {
    const held = pids.length > 0 ? `held by ${pids.join(', ')}` : 'no visible holder';
    lines.push(`${family} ${address} inode ${inode}: ${held} (/proc/net/tcp, /proc/PID/fd)`);
  }
  for (const { facts, role, reasons } of holders) {
    // What reads as salt-api is told of in the next step.
    if (role === 'foreign') lines.push(`${facts.pid} ${role}: ${reasons.join('; ')}`);
  }
  if (processes.seen && processes.value.deniedFds > 0) {
    lines.push(`${count(processes.value.deniedFds, 'fd table')} could not be read: not root`);
  }
  return lines;
}
