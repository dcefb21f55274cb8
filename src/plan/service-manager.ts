/** Which commands stop and start salt-api on this host. Pure: chosen from evidence and options. */
import type { Look, ServiceFacts } from '../evidence/evidence.ts';

type ServiceManagerKind = 'systemd' | 'sysv' | 'openrc' | 'commands';

/** A way to stop and start the service; commands are argv and never meet a shell. */
export interface ServiceManager {
  readonly kind: ServiceManagerKind;
  /** As shown to the operator. */
  readonly label: string;
  /** Somebody said that it is this one, by a unit, a kind of service or commands. */
  readonly named: boolean;
  /** Null where `--start-cmd` came without `--stop-cmd`: there is nothing to stop with. */
  readonly stop: readonly string[] | null;
  /** Run before the start, its failure not being one: `systemctl reset-failed`. */
  readonly beforeStart: readonly string[] | null;
  readonly start: readonly string[];
  /** Prints what the manager knows after a failure. */
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
      kind: 'commands',
      label: 'commands of --stop-cmd and --start-cmd',
      named: true,
      stop: options.stopCommand ?? null,
      beforeStart: null,
      start: options.startCommand,
      journal: null,
      believesRunning: false,
      remarks: [],
    };
  }
  const found = options.service === 'auto' ? detect(look) : options.service;
  const named =
    options.unitNamed || options.service !== 'auto' || options.stopCommand !== undefined;
  const manager = found === null ? null : { ...commandsOf(found, options.unit, look), named };
  if (manager === null || options.stopCommand === undefined) return manager;
  return { ...manager, stop: options.stopCommand };
}

function detect(look: Look<ServiceFacts>): Exclude<ServiceManagerKind, 'commands'> | null {
  if (!look.seen) return null;
  const { systemd, initScript, openRc } = look.value;
  // A systemctl that hangs or fails is still the way to stop what systemd started.
  if (!systemd.seen || systemd.value !== null) return 'systemd';
  if (!initScript) return null;
  return openRc ? 'openrc' : 'sysv';
}

function commandsOf(
  kind: Exclude<ServiceManagerKind, 'commands'>,
  unit: string,
  look: Look<ServiceFacts>,
): Omit<ServiceManager, 'named'> {
  if (kind === 'systemd') return systemdManager(unit, look);
  const words = kind === 'sysv' ? ['service', unit] : ['rc-service', unit];
  return {
    kind,
    label: kind === 'sysv' ? `SysV init (service ${unit})` : `OpenRC (rc-service ${unit})`,
    stop: [...words, 'stop'],
    beforeStart: kind === 'openrc' ? [...words, 'zap'] : null,
    start: [...words, 'start'],
    journal: null,
    believesRunning: false,
    remarks:
      kind === 'sysv'
        ? ['the SysV stop ends only the pid in the pid file: expect something left behind']
        : [],
  };
}

function systemdManager(unit: string, look: Look<ServiceFacts>): Omit<ServiceManager, 'named'> {
  const facts = look.seen && look.value.systemd.seen ? look.value.systemd.value : null;
  const remarks: string[] = [];
  if (facts !== null && facts.stopsAlso.length > 0) {
    remarks.push(`stopping ${unit} also stops ${facts.stopsAlso.join(', ')}`);
  }
  if (facts?.killMode === 'process' || facts?.killMode === 'none') {
    remarks.push(
      `KillMode=${facts.killMode} ends only the main process at a stop: it makes orphans`,
    );
  }
  return {
    kind: 'systemd',
    label: `systemd (unit ${unit})`,
    stop: ['systemctl', 'stop', unit],
    beforeStart: ['systemctl', 'reset-failed', unit],
    start: ['systemctl', 'start', unit],
    journal: ['journalctl', '-u', unit, '-n', '10', '--no-pager', '-o', 'short-iso'],
    believesRunning: facts === null || !['inactive', 'failed'].includes(facts.activeState),
    remarks,
  };
}
