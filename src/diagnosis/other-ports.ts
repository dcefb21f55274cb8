/** The ports of an instance beside the examined one, and who has them. */
import type { Evidence } from '../evidence/evidence.ts';
import { configuredNetapis } from '../evidence/instance-ports.ts';
import { startedAt } from '../words.ts';
import { START_MS } from './orphan-signs.ts';
import { lineOf, type ProcessRoles } from './process-roles.ts';

/**
 * `served`: by the daemon. `stray`: by a salt-api that is not the daemon's. `foreign`: by a program
 * that is none, or by another instance. `free`: by nobody. `unknown`: that can't be told.
 */
type OtherPortState = 'served' | 'stray' | 'foreign' | 'free' | 'unknown';

export interface OtherPort {
  readonly port: number;
  /** The module that the config gives it to; null for one that is only listened on. */
  readonly module: string | null;
  readonly state: OtherPortState;
  readonly pids: readonly number[];
}

/** Every other port that the instance is configured for or listens on, ascending. */
export function otherPortsOf(
  evidence: Pick<Evidence, 'config' | 'port' | 'sockets' | 'processes'>,
  roles: ProcessRoles,
): readonly OtherPort[] {
  const examined = evidence.port.number;
  const modules = new Map<number, string | null>();
  for (const { facts, role } of roles.all) {
    if (role !== 'elsewhere') for (const port of facts.otherPorts) modules.set(port, null);
  }
  for (const { port, module } of configuredNetapis(evidence.config)) modules.set(port, module);
  modules.delete(examined);
  return [...modules]
    .sort(([a], [b]) => a - b)
    .map(([port, module]) => ({ port, module, ...stateOf(port, evidence, roles) }));
}

function stateOf(
  port: number,
  { sockets, processes }: Pick<Evidence, 'sockets' | 'processes'>,
  { all, daemon }: ProcessRoles,
): Pick<OtherPort, 'state' | 'pids'> {
  const holders = all.filter(({ facts }) => facts.otherPorts.includes(port));
  const pids = holders.map(({ facts }) => facts.pid);
  const ours = holders.filter(({ role }) => role !== 'elsewhere');
  const served = ours.some((one) => one.role !== 'orphan' && lineOf(one) === daemon?.facts.pid);
  if (served) return { state: 'served', pids };
  if (ours.length > 0) return { state: 'stray', pids };
  if (holders.length > 0) return { state: 'foreign', pids };
  const heard = sockets.seen ? sockets.value.alsoListening : undefined;
  if (heard === undefined) return { state: 'unknown', pids };
  if (!heard.includes(port)) return { state: 'free', pids };
  const allSeen = processes.seen && processes.value.deniedFds === 0 && !processes.value.hidden;
  return { state: allSeen ? 'foreign' : 'unknown', pids };
}

/**
 * The configured ports that the daemon does not serve though it should by now; none where no daemon
 * runs, which is the greater trouble.
 */
export function unservedPorts(
  others: readonly OtherPort[],
  { daemon }: ProcessRoles,
  host: Evidence['host'],
): readonly OtherPort[] {
  if (daemon === null) return [];
  const starting = host.now - startedAt(daemon.facts, host) < START_MS;
  return others.filter(({ module, state }) => {
    if (module === null || state === 'served' || state === 'unknown') return false;
    return state !== 'free' || !starting;
  });
}

/** `port 8000 of rest_tornado is held by salt-api 37, not by the daemon` */
export function describeOtherPort({ port, module, state, pids }: OtherPort): string {
  const name = `port ${port}${module === null ? '' : ` of ${module}`}`;
  const who = pids.join(', ');
  switch (state) {
    case 'served':
      return `${name} is held by ${who} of the daemon`;
    case 'stray':
      return `${name} is held by salt-api ${who}, not by the daemon`;
    case 'foreign':
      return `${name} is held by ${who === '' ? 'another program' : `salt-api ${who} of another instance`}`;
    case 'free':
      return `nobody listens on ${name}`;
    case 'unknown':
      return `who has ${name} can't be told`;
  }
}
