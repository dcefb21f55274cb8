/** Which commands stop and start salt-api on this host. Pure: chosen from evidence and options. */
import type { Look, ServiceFacts, SystemdUnitFacts } from '../evidence/evidence.ts';
import { sameUnit, unitTroubles } from '../evidence/systemd-unit.ts';

type ServiceManagerKind = 'systemd' | 'sysv' | 'openrc' | 'commands';

/** A way to stop and start the service; commands are argv and never meet a shell. */
export interface ServiceManager {
  readonly kind: ServiceManagerKind;
  /** As shown to the operator. */
  readonly label: string;
  /** Somebody said that it is this one, by a unit, a kind of service or commands. */
  readonly named: boolean;
  /** Of systemd: the unit, and its LoadState, `not-found` included; null where it was not seen. */
  readonly unit: { readonly name: string; readonly loadState: string | null } | null;
  /** Null where `--start-cmd` came without `--stop-cmd`: there is nothing to stop with. */
  readonly stop: readonly string[] | null;
  /** Run before the start, its failure not being one: `systemctl reset-failed`. */
  readonly beforeStart: readonly string[] | null;
  readonly start: readonly string[];
  /** Units that the stop takes along and that run now: to be started again one by one. */
  readonly dependents: readonly string[];
  /** Prints the manager's own reason of a failure, as `unitFailure` reads it. */
  readonly reason: readonly string[] | null;
  /** Prints what the service and its manager logged; takes `--since=@SECONDS`. */
  readonly journal: readonly string[] | null;
  /** It may think that the service runs when it does not, and then ignore a start. */
  readonly believesRunning: boolean;
  /** What an operator should know before the service is stopped. */
  readonly remarks: readonly string[];
}

export interface ServiceOptions {
  readonly service: 'auto' | 'systemd' | 'sysv' | 'openrc';
  readonly unit: string;
  /** The unit was asked for, and is not only what it is usually called. */
  readonly unitNamed: boolean;
  readonly stopCommand: readonly string[] | undefined;
  readonly startCommand: readonly string[] | undefined;
}

/**
 * Chooses the service manager: commands that were given win, then `--service`, then what the
 * host has.
 * @returns null where nothing can start the service
 */
export function chooseServiceManager(
  look: Look<ServiceFacts>,
  options: ServiceOptions,
): ServiceManager | null {
  if (options.startCommand !== undefined) {
    return {
      ...WITHOUT_UNIT,
      kind: 'commands',
      label: 'commands of --stop-cmd and --start-cmd',
      named: true,
      stop: options.stopCommand ?? null,
      start: options.startCommand,
    };
  }
  const found = options.service === 'auto' ? detect(look, options) : options.service;
  const named =
    options.unitNamed || options.service !== 'auto' || options.stopCommand !== undefined;
  const manager = found === null ? null : { ...commandsOf(found, look, options), named };
  if (manager === null || options.stopCommand === undefined) return manager;
  return { ...manager, stop: options.stopCommand };
}

const WITHOUT_UNIT = {
  unit: null,
  beforeStart: null,
  dependents: [],
  reason: null,
  journal: null,
  believesRunning: false,
  remarks: [],
} as const satisfies Partial<ServiceManager>;

function detect(
  look: Look<ServiceFacts>,
  { unitNamed }: ServiceOptions,
): Exclude<ServiceManagerKind, 'commands'> | null {
  if (!look.seen) return null;
  const { systemd, systemdRuns, initScript, openRc } = look.value;
  // A systemctl that hangs or fails is still the way to stop what systemd started.
  if (!systemd.seen || systemd.value !== null) return 'systemd';
  if (initScript) return openRc ? 'openrc' : 'sysv';
  return systemdRuns && unitNamed ? 'systemd' : null;
}

function commandsOf(
  kind: Exclude<ServiceManagerKind, 'commands'>,
  look: Look<ServiceFacts>,
  options: ServiceOptions,
): Omit<ServiceManager, 'named'> {
  if (kind === 'systemd') return systemdManager(look, options);
  const { unit } = options;
  const words = kind === 'sysv' ? ['service', unit] : ['rc-service', unit];
  return {
    ...WITHOUT_UNIT,
    kind,
    label: kind === 'sysv' ? `SysV init (service ${unit})` : `OpenRC (rc-service ${unit})`,
    stop: [...words, 'stop'],
    beforeStart: kind === 'openrc' ? [...words, 'zap'] : null,
    start: [...words, 'start'],
    remarks:
      kind === 'sysv'
        ? ['the SysV stop ends only the pid in the pid file: expect something left behind']
        : ['OpenRC may not find a salt-api that has changed its title: "none killed", exit 1'],
  };
}

/** The facts of the unit that is meant; null where it does not exist or could not be seen. */
function unitFacts(look: Look<ServiceFacts>, options: ServiceOptions): SystemdUnitFacts | null {
  if (!look.seen || !look.value.systemd.seen) return null;
  const { systemd, otherUnits } = look.value;
  if (!options.unitNamed) return systemd.value;
  const all = [...(systemd.value === null ? [] : [systemd.value]), ...otherUnits];
  return all.find(({ unit }) => sameUnit(unit, options.unit)) ?? null;
}

function systemdManager(
  look: Look<ServiceFacts>,
  options: ServiceOptions,
): Omit<ServiceManager, 'named'> {
  const facts = unitFacts(look, options);
  const name = facts?.unit ?? options.unit;
  const answered = look.seen && look.value.systemd.seen && look.value.systemdRuns;
  const related = look.seen ? look.value.relatedUnits : [];
  const stateOf = (wanted: string) => related.find(({ unit }) => unit === wanted)?.activeState;
  const sockets = (facts?.sockets ?? []).filter((socket) => stateOf(socket) !== 'inactive');
  const runs = ({ activeState }: { activeState: string }) => RUNNING.includes(activeState);
  const dependents = related.filter(runs).filter(({ unit }) => !facts?.sockets.includes(unit));
  // systemd refuses a socket whose service runs, so both go down and come up together.
  const units = [...sockets, name];
  return {
    kind: 'systemd',
    label: `systemd (unit ${name})`,
    unit: { name, loadState: facts?.loadState ?? (answered ? 'not-found' : null) },
    stop: ['systemctl', 'stop', ...units],
    beforeStart: ['systemctl', 'reset-failed', ...units],
    start: ['systemctl', 'start', ...units],
    dependents: dependents.map(({ unit }) => unit),
    reason: reasonOf(name),
    journal: ['journalctl', '-u', name, '-n', '10', '--no-pager', '-o', 'short-iso'],
    believesRunning:
      facts === null || sockets.length > 0 || !['inactive', 'failed'].includes(facts.activeState),
    remarks: facts === null ? [] : unitRemarks(facts, sockets, options),
  };
}

/** Prints why a unit of systemd failed, for `unitFailure`. */
export function reasonOf(unit: string): readonly string[] {
  return ['systemctl', 'show', unit, '-p', 'Result,ExecMainStatus,StatusText'];
}

/** ActiveState of a unit that somebody counts on (systemctl(1)). */
const RUNNING = ['active', 'activating', 'reloading', 'refreshing'];

function unitRemarks(
  facts: SystemdUnitFacts,
  sockets: readonly string[],
  asked: ServiceOptions,
): string[] {
  const { unit, stopsAlso, partOf, killMode, dropIns } = facts;
  const remarks = unitTroubles(facts);
  if (!sameUnit(unit, asked.unit)) {
    remarks.push(`salt-api runs in ${unit} here, not in ${asked.unit}; --unit names another`);
  }
  if (stopsAlso.length > 0) remarks.push(`stopping ${unit} also stops ${stopsAlso.join(', ')}`);
  if (partOf.length > 0) {
    remarks.push(
      `${unit} is part of ${partOf.join(', ')}: to stop or restart that does the same to it`,
    );
  }
  if (sockets.length > 0) {
    remarks.push(
      `systemd itself holds the listening socket for ${sockets.join(', ')}, which is stopped and started with it`,
    );
  }
  if (killMode === 'process' || killMode === 'none') {
    remarks.push(`KillMode=${killMode} ends only the main process at a stop: it makes orphans`);
  }
  for (const { path, sets } of dropIns) remarks.push(`${path} sets ${sets.join(', ')}`);
  return remarks;
}
