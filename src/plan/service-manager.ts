/** Which commands stop and start salt-api on this host. Pure: chosen from evidence and options. */
import type { Look, ServiceFacts, SystemdUnitFacts } from '../evidence/evidence.ts';
import { sameUnit, unitTroubles } from '../evidence/systemd-unit.ts';

/** A way to stop and start the service; commands are argv and never meet a shell. */
export interface ServiceManager {
  readonly kind: ServiceKind | 'commands';
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
  readonly service: 'auto' | ServiceKind;
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
  const { service, unitNamed, stopCommand } = options;
  const row = MANAGERS.find(({ kind, runs }) => {
    return service === 'auto' ? look.seen && runs(look.value, options) : kind === service;
  });
  if (row === undefined) return null;
  const { kind, commands } = row;
  const named = unitNamed || service !== 'auto' || stopCommand !== undefined;
  const manager = { ...WITHOUT_UNIT, kind, named, ...commands(options, look) };
  return stopCommand === undefined ? manager : { ...manager, stop: stopCommand };
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

type Commands = Omit<ServiceManager, 'kind' | 'named'>;

/** One kind of service manager. */
interface ManagerRow {
  readonly kind: string;
  /** Whether it is the one that keeps salt-api on a host. */
  runs(facts: ServiceFacts, options: ServiceOptions): boolean;
  /** What it is told; what is left out is as in `WITHOUT_UNIT`. */
  commands(
    options: ServiceOptions,
    look: Look<ServiceFacts>,
  ): Partial<Commands> & Pick<Commands, 'label' | 'stop' | 'start'>;
}

/** The kinds of service managers; of those that run on a host the first counts. */
const MANAGERS = [
  {
    kind: 'systemd',
    // A systemctl that hangs or fails is still the way to stop what systemd started.
    runs: ({ systemd, systemdRuns, initScript }, { unitNamed }) =>
      !systemd.seen || systemd.value !== null || (systemdRuns && unitNamed && !initScript),
    commands: systemdCommands,
  },
  {
    kind: 'sysv',
    runs: ({ initScript, openRc }) => initScript && !openRc,
    commands: ({ unit }) => ({
      label: `SysV init (service ${unit})`,
      stop: ['service', unit, 'stop'],
      start: ['service', unit, 'start'],
      remarks: ['the SysV stop ends only the process in the pid file: expect leftovers'],
    }),
  },
  {
    kind: 'openrc',
    runs: ({ initScript, openRc }) => initScript && openRc,
    commands: ({ unit }) => ({
      label: `OpenRC (rc-service ${unit})`,
      stop: ['rc-service', unit, 'stop'],
      beforeStart: ['rc-service', unit, 'zap'],
      start: ['rc-service', unit, 'start'],
      remarks: ['OpenRC may not find a salt-api that has changed its title: "none killed", exit 1'],
    }),
  },
] as const satisfies readonly ManagerRow[];

type ServiceKind = (typeof MANAGERS)[number]['kind'];

/** What `--service` and the settings may name besides `auto`. */
export const SERVICE_KINDS: readonly ServiceKind[] = MANAGERS.map(({ kind }) => kind);

/** The facts of the unit that is meant; null where it does not exist or could not be seen. */
function unitFacts(look: Look<ServiceFacts>, options: ServiceOptions): SystemdUnitFacts | null {
  if (!look.seen || !look.value.systemd.seen) return null;
  const { systemd, otherUnits } = look.value;
  if (!options.unitNamed) return systemd.value;
  const all = [...(systemd.value === null ? [] : [systemd.value]), ...otherUnits];
  return all.find(({ unit }) => sameUnit(unit, options.unit)) ?? null;
}

function systemdCommands(options: ServiceOptions, look: Look<ServiceFacts>): Commands {
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
