/** When the service that would be stopped is not one that a fix can or may stop. Pure. */
import type { ActionBasis } from '../diagnosis/diagnosis.ts';
import type { SaltApiProcess } from '../diagnosis/process-roles.ts';
import type { ProcessFacts } from '../evidence/evidence.ts';
import { DEFAULT_CONFIG_DIRECTORY, namesDirectory } from '../evidence/salt-api-argv.ts';
import { sameUnit, serviceOfCgroup, type UnitMembership } from '../evidence/systemd-unit.ts';
import type { Remedy } from './remedy.ts';
import type { ServiceManager } from './service-manager.ts';

/** Why nothing is stopped, and what to type instead. */
export interface ServiceRefusal {
  /** No option of ours would help: the host has to be changed first. */
  readonly ofHost?: true;
  readonly why: string;
  readonly remedy: Remedy;
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

function noManager({ roles: { all } }: ActionBasis): ServiceRefusal {
  const why = 'found no service manager that could start salt-api again';
  const its = itsUnit(all);
  if (its !== null) {
    return { why, remedy: { ...its, note: `${its.note}; or give --stop-cmd and --start-cmd` } };
  }
  if (all.some(({ role }) => role === 'orphan')) {
    const note = 'kills the orphans, starts nothing; --stop-cmd and --start-cmd, or --service, do';
    return { why, remedy: { kind: 'options', options: [['--only', 'kill']], note } };
  }
  // What does not run needs no stop.
  const options = OWN_COMMANDS.filter(([name]) => all.length > 0 || name === '--start-cmd');
  const note = 'COMMAND: what does that to salt-api here; or name its service with --service';
  return { why, remedy: { kind: 'options', options, note } };
}

/** For the person to fill in. */
const OWN_COMMANDS = [
  ['--stop-cmd', 'COMMAND'],
  ['--start-cmd', 'COMMAND'],
] as const;

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
    remedy: {
      kind: 'options',
      options: OWN_COMMANDS,
      note: 'COMMAND: what stops and starts this one; or --unit NAME, if it has a unit of its own',
    },
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
        remedy: itsUnit(roles.all) ?? {
          kind: 'command',
          command: ['systemctl', 'list-units', '*salt*'],
          note: 'lists its unit; then salt-triage fix --unit NAME',
        },
      };
    case 'masked':
      return {
        ofHost: true,
        why: `${name} is masked: systemd would refuse to start it again`,
        remedy: {
          kind: 'command',
          command: ['systemctl', 'unmask', name],
          note: 'only if it is meant to run; then fix again',
        },
      };
    default:
      return {
        ofHost: true,
        why: `systemd can't load ${name} (LoadState=${loadState}), so it could not start it again`,
        remedy: {
          kind: 'command',
          command: ['systemctl', 'status', start.at(-1) ?? name],
          note: 'shows what is wrong with its file',
        },
      };
  }
}

/** The option that names the unit that salt-api is in; null where it is in none. */
function itsUnit(all: readonly SaltApiProcess[]): Extract<Remedy, { kind: 'options' }> | null {
  const [found] = inSystemUnits(all);
  if (found === undefined) return null;
  const { service, member } = found;
  const { pid } = member.facts;
  return {
    kind: 'options',
    options: [['--unit', service.unit.replace(/\.service$/, '')]],
    note: `salt-api ${pid} is in ${service.unit} (/proc/${pid}/cgroup)`,
  };
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
    note: '`supervisorctl status` shows its name there',
  },
  {
    program: 'runsv',
    commands: (service) => [`sv -w 30 stop ${service}`, `sv -w 30 start ${service}`],
    note: 'sv takes the path of its directory, too',
  },
  {
    program: 's6-supervise',
    commands: (service) => [
      `s6-svc -wD -d /run/service/${service}`,
      `s6-svc -wu -u /run/service/${service}`,
    ],
    note: 'if /run/service holds its services',
  },
  {
    program: 'supervise',
    commands: (service) => [`svc -d /service/${service}`, `svc -u /service/${service}`],
    note: 'if /service holds its services',
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
    why: `${program} ${parent.pid} keeps salt-api ${facts.pid} and starts it again whatever else stops it`,
    remedy: through(commands(service), `goes through ${program}; ${note}`),
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
    why: `salt-api ${facts.pid} is in ${unit} of user ${user}'s own systemd, not in a unit of the system`,
    remedy: through([systemctl('stop'), systemctl('start')], `goes through that user's systemd`),
  };
}

/** The options are split at blanks again, which none of the commands' words has. */
function through([stop, start]: readonly [stop: string, start: string], note: string): Remedy {
  const options = [
    ['--stop-cmd', stop],
    ['--start-cmd', start],
  ] as const;
  return { kind: 'options', options, note };
}
