/** When the service that would be stopped is not one that a fix can or may stop. Pure. */
import type { ActionBasis } from '../diagnosis/diagnosis.ts';
import type { SaltApiProcess } from '../diagnosis/process-roles.ts';
import type { ProcessFacts } from '../evidence/evidence.ts';
import { DEFAULT_CONFIG_DIRECTORY, namesDirectory } from '../evidence/salt-api-argv.ts';
import { sameUnit, serviceOfCgroup, type UnitMembership } from '../evidence/systemd-unit.ts';
import { commandLine } from '../shell-words.ts';
import { stripControl } from '../untrusted.ts';
import type { ServiceManager } from './service-manager.ts';

/** Why nothing is stopped, and what to do instead. */
export interface ServiceRefusal {
  /** No option of ours would help: the host has to be changed first. */
  readonly ofHost?: true;
  readonly why: string;
  readonly advice: string;
}

/**
 * Whether the service can't be stopped and started, or is not this instance's.
 * @returns null where nothing speaks against it
 */
export function refuseService(
  diagnosis: ActionBasis,
  manager: ServiceManager | null,
): ServiceRefusal | null {
  return (
    strangersService(diagnosis, manager) ??
    keptByAnother(diagnosis, manager) ??
    (manager === null ? noManager(diagnosis) : unusableUnit(diagnosis, manager))
  );
}

function noManager({ roles }: ActionBasis): ServiceRefusal {
  const its = itsUnit(roles.all);
  const first = its === null ? 'Name one with --service, or' : `${its} Else`;
  return {
    why: 'no service manager was found that could start salt-api again',
    advice: `${first} give --stop-cmd and --start-cmd; --only kill does without.`,
  };
}

/**
 * Why the service is not this instance's: with configuration directories of their own two salt-apis
 * can run on a host, and a stop of the wrong one would end the one that is well.
 */
function strangersService(
  { evidence, roles }: ActionBasis,
  manager: ServiceManager | null,
): ServiceRefusal | null {
  if (manager === null || manager.named || !evidence.service.seen) return null;
  const { systemd } = evidence.service.value;
  const unit = systemd.seen ? systemd.value : null;
  const main =
    unit === null ? undefined : roles.all.find(({ facts }) => facts.pid === unit.mainPid);
  const { configDirectory } = evidence.instance;
  const strangers = main === undefined ? defaultNeighbours(configDirectory, roles.all) : [main];
  const others = strangers.filter(({ role }) => role === 'elsewhere');
  if (others.length === 0) return null;
  const pids = others.map(({ facts }) => facts.pid).join(', ');
  return {
    why: `${manager.label} may be that of another salt-api, ${pids}, and not of ${configDirectory}`,
    advice: 'Say which service this one is: --unit NAME, or --stop-cmd and --start-cmd.',
  };
}

/** A service that nobody has named is the default instance's, if that runs. */
function defaultNeighbours(
  configDirectory: string,
  all: readonly SaltApiProcess[],
): readonly SaltApiProcess[] {
  if (configDirectory === DEFAULT_CONFIG_DIRECTORY) return [];
  return all.filter(({ argv }) => {
    return namesDirectory(
      argv.configDirectory ?? DEFAULT_CONFIG_DIRECTORY,
      DEFAULT_CONFIG_DIRECTORY,
    );
  });
}

/** A unit that systemd can't start: a stop would be the last that is heard of salt-api. */
function unusableUnit(
  { roles }: ActionBasis,
  { unit, start }: ServiceManager,
): ServiceRefusal | null {
  const loadState = unit?.loadState ?? null;
  if (unit === null || loadState === null || loadState === 'loaded') return null;
  const { name } = unit;
  switch (loadState) {
    case 'not-found':
      return {
        why: `systemd has no unit ${name}`,
        advice:
          itsUnit(roles.all) ?? "Find it with `systemctl list-units '*salt*'`, then --unit NAME.",
      };
    case 'masked':
      return {
        ofHost: true,
        why: `${name} is masked: systemd would refuse to start it again`,
        advice: `If it is meant to run: ${commandLine(['systemctl', 'unmask', name])}; then fix again.`,
      };
    default:
      return {
        ofHost: true,
        why: `systemd can't load ${name} (LoadState=${loadState}), so it could not start it again`,
        advice: `\`${commandLine(['systemctl', 'status', start.at(-1) ?? name])}\` says what is wrong with its file.`,
      };
  }
}

/** Names the unit that salt-api is in; null where it is in none. */
function itsUnit(all: readonly SaltApiProcess[]): string | null {
  const [found] = inSystemUnits(all);
  if (found === undefined) return null;
  const { service, member } = found;
  const { pid } = member.facts;
  const name = service.unit.replace(/\.service$/, '');
  return `salt-api ${pid} is in ${service.unit} (/proc/${pid}/cgroup): --unit ${name}, if that is its service.`;
}

interface Membership {
  readonly member: SaltApiProcess;
  readonly service: UnitMembership;
}

function inSystemUnits(all: readonly SaltApiProcess[]): Membership[] {
  return membersOf(all).filter(({ service }) => service.user === null);
}

/** This instance's processes that are in a service, those of a live daemon first. */
function membersOf(all: readonly SaltApiProcess[]): Membership[] {
  const order = ['manager', 'child', 'unclear', 'fork', 'job', 'orphan'];
  return all
    .filter(({ role }) => role !== 'elsewhere')
    .toSorted((a, b) => order.indexOf(a.role) - order.indexOf(b.role))
    .flatMap((member) => {
      const { cgroup } = member.facts;
      const service = cgroup === null ? null : serviceOfCgroup(cgroup);
      return service === null ? [] : [{ member, service }];
    });
}

/**
 * Words for a service that was named and is not the one that the daemon is in; none where it is, or
 * where nothing tells.
 */
export function daemonIsBeside(
  { roles }: Pick<ActionBasis, 'roles'>,
  { unit }: ServiceManager,
): readonly string[] {
  if (unit === null || roles.daemon === null) return [];
  return inSystemUnits([roles.daemon])
    .filter(({ service }) => !sameUnit(service.unit, unit.name))
    .map(({ service, member }) => {
      return `the daemon ${member.facts.pid} is in ${service.unit}, which a stop of ${unit.name} does not reach`;
    });
}

/** A program that keeps services, and how one of them is stopped and started through it. */
interface Supervisor {
  readonly program: string;
  readonly commands: (service: string) => readonly [stop: string, start: string];
  readonly note: string;
}

/** salt-facts §10, "Supervisors". */
const SUPERVISORS: readonly Supervisor[] = [
  {
    program: 'supervisord',
    commands: () => ['supervisorctl stop salt-api', 'supervisorctl start salt-api'],
    note: '`supervisorctl status` tells the name it goes by',
  },
  {
    program: 'runsv',
    commands: (service) => [`sv -w 30 stop ${service}`, `sv -w 30 start ${service}`],
    note: 'or the path of its directory',
  },
  {
    program: 's6-supervise',
    commands: (service) => [
      `s6-svc -wD -d /run/service/${service}`,
      `s6-svc -wu -u /run/service/${service}`,
    ],
    note: 'if /run/service is the directory of its services',
  },
  {
    program: 'supervise',
    commands: (service) => [`svc -d /service/${service}`, `svc -u /service/${service}`],
    note: 'if /service is the directory of its services',
  },
];

/** Whoever keeps salt-api would start it again beside ours, or is asked for in another way. */
function keptByAnother(
  { evidence, roles }: ActionBasis,
  manager: ServiceManager | null,
): ServiceRefusal | null {
  if (manager?.named === true) return null;
  const table = evidence.processes.seen ? evidence.processes.value.processes : [];
  // To pid 1 comes also what nobody has kept.
  const roots = roles.all.filter(({ role, facts }) => {
    return role === 'manager' || (role === 'unclear' && facts.ppid !== 1);
  });
  for (const { facts } of roots) {
    if (isInUnit(facts, manager)) continue;
    const parent = table.find(({ pid }) => pid === facts.ppid);
    const refusal = (parent && supervisedBy(facts, parent)) ?? userUnit(facts);
    if (refusal !== null) return refusal;
  }
  return null;
}

function isInUnit({ cgroup }: ProcessFacts, manager: ServiceManager | null): boolean {
  const service = cgroup === null ? null : serviceOfCgroup(cgroup);
  if (service === null || service.user !== null || manager?.unit == null) return false;
  return sameUnit(service.unit, manager.unit.name);
}

function supervisedBy(facts: ProcessFacts, parent: ProcessFacts): ServiceRefusal | null {
  const [first = '', ...rest] = parent.argv;
  const words = rest.length === 0 ? first.split(' ') : parent.argv;
  const named = words.map((word) => word.slice(word.lastIndexOf('/') + 1));
  // supervisord is a Python script, the others are programs.
  const at = /^python[\d.]*$/.test(named[0] ?? '') ? 1 : 0;
  const supervisor = SUPERVISORS.find(({ program }) => program === named[at]);
  if (supervisor === undefined) return null;
  const { program, commands, note } = supervisor;
  const service = /^[\w@.+-]{1,100}$/.exec(named[at + 1] ?? '')?.[0] ?? 'salt-api';
  return {
    why: `salt-api ${facts.pid} is kept by ${program} ${parent.pid}, which starts it again whatever else stops it`,
    advice: `Go through that one: ${asOptions(...commands(service))} (${note}).`,
  };
}

function userUnit(facts: ProcessFacts): ServiceRefusal | null {
  const service = facts.cgroup === null ? null : serviceOfCgroup(facts.cgroup);
  if (service === null || service.user === null) return null;
  const { unit, user } = service;
  // A root without sudo has setpriv(1) of util-linux.
  const asUser = `setpriv --reuid=${user} --clear-groups env XDG_RUNTIME_DIR=/run/user/${user}`;
  const systemctl = (verb: string) => `${asUser} systemctl --user ${verb} ${unit}`;
  return {
    why: `salt-api ${facts.pid} is in ${unit} of user ${user}'s own systemd, which is no unit of the system`,
    advice: `Go through that one: ${asOptions(systemctl('stop'), systemctl('start'))}.`,
  };
}

/** The options that would take them; they are split at blanks again, which none of their words has. */
function asOptions(stop: string, start: string): string {
  return stripControl(commandLine(['--stop-cmd', stop, '--start-cmd', start]));
}
