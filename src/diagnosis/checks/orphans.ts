import type { Evidence, HostFacts, ProcessTableFacts } from '../../evidence/evidence.ts';
import { stripControl } from '../../untrusted.ts';
import {
  averageCpuPercent,
  count,
  describeCpuTime,
  describeRecent,
  pidList,
  startedAt,
} from '../../words.ts';
import { isOwnDrill } from '../own-drill.ts';
import { isDead, type SaltApiProcess } from '../process-roles.ts';
import type { Check, Finding, Known, StepStatus } from './finding.ts';
import { type ProcessEntry, processEntry } from './process-entry.ts';

export interface OrphansEvidence {
  /** The orphans alone, oldest first. */
  readonly processes: readonly ProcessEntry[];
  /** The other salt-api processes with their parts, those of no part in this last; at most 200. */
  readonly others: readonly ProcessEntry[];
  readonly daemonPid: number | null;
  readonly zombies: number;
}

type Needs = 'host' | 'instance' | 'processes' | 'service' | 'roles';

/** Anybody may run thousands of look-alikes. */
const MOST_OTHERS = 200;

/** Step 2: salt-api processes whose salt-api parent has died. */
export const orphans: Check<'orphans', Needs, OrphansEvidence> = {
  id: 'orphans',
  title: 'orphans',
  needs: ['host', 'instance', 'processes', 'service', 'roles'],
  judge,
};

function judge(known: Pick<Known, Needs>): Finding<OrphansEvidence> {
  const { processes, host, service, roles } = known;
  if (!processes.seen) {
    return {
      status: 'unknown',
      summary: `can't read the process table: ${processes.why}`,
      details: [],
      evidence: { processes: [], others: [], daemonPid: null, zombies: 0 },
    };
  }
  const { all, daemon } = roles;
  const found = all.filter(({ role }) => role === 'orphan');
  const ours = all.filter(isOurs);
  const rest = [...ours, ...all.filter(isNamesake), ...all.filter(isElsewhere)];
  const others = rest.filter(({ role }) => role !== 'orphan').slice(0, MOST_OTHERS);
  const pids = new Set(ours.map(({ facts }) => facts.pid));
  const zombies = processes.value.processes.filter(
    (facts) => isDead(facts) && pids.has(facts.ppid),
  ).length;
  const [status, summary] = conclude(known, processes.value);
  return {
    status,
    summary,
    details: [
      ...[...found, ...others].map((member) =>
        explain(member, host, member === found[0] ? summary : ''),
      ),
      ...(zombies > 0
        ? [`${count(zombies, 'zombie child', 'zombie children')} not yet reaped`]
        : []),
      ...(service.seen ? serviceLines(service.value, all) : [`service: ${service.why}`]),
    ],
    evidence: {
      processes: found.map(entry),
      others: others.map(entry),
      daemonPid: daemon?.facts.pid ?? null,
      zombies,
    },
  };
}

function conclude(
  known: Pick<Known, Needs>,
  { hidden, deniedArgv, deniedFds, total }: ProcessTableFacts,
): [StepStatus, string] {
  const { host, service, roles } = known;
  const ours = roles.all.filter(isOurs);
  const withRole = (wanted: string) => ours.filter(({ role }) => role === wanted);
  const [orphaned, unclear] = [withRole('orphan'), withRole('unclear')];
  if (orphaned.length > 0) return ['fail', summarize(orphaned, host)];
  if ((hidden || deniedArgv > 0) && !isOwnDrill(known)) {
    const denied = `${count(deniedArgv, 'command line')} could not be read`;
    const why = hidden ? '/proc is mounted with hidepid' : denied;
    return ['unknown', `can't tell: ${why}${host.uid === 0 ? '' : '; run as root'}`];
  }
  if (unclear.length > 0) {
    const has = `salt-api ${pidsOf(unclear)} ${haveOrHas(unclear)}`;
    return ['warn', `${has} no salt-api parent, but nothing proves an orphan`];
  }
  const blind = ours.filter(({ facts }) => facts.fds === 'denied');
  if (blind.length > 0) {
    return [
      'unknown',
      `none proven, but the open files of ${number(blind)} can't be read: run as root`,
    ];
  }
  if (!service.seen) {
    const why = stripControl(service.why);
    return ['unknown', `none proven, but pid files and unit could not be read: ${why}`];
  }
  const seen = deniedFds > 0 ? '' : ` (${count(total, 'process', 'processes')} seen)`;
  const nobody = `none: no salt-api process runs${seen}`;
  const none = ours.length === 0 ? nobody : `none among ${number(ours)}`;
  return ['pass', `${none}${namesakes(roles.all.filter(isNamesake))}`];
}

function namesakes(members: readonly SaltApiProcess[]): string {
  return members.length === 0 ? '' : `; ${pidsOf(members)} only ${haveOrHas(members)} the name`;
}

function haveOrHas(members: readonly SaltApiProcess[]): string {
  return members.length === 1 ? 'has' : 'have';
}

function number(members: readonly SaltApiProcess[]): string {
  return count(members.length, 'salt-api process', 'salt-api processes');
}

function pidsOf(members: readonly SaltApiProcess[]): string {
  return pidList(members.map(({ facts }) => facts.pid));
}

function isElsewhere({ role }: SaltApiProcess): boolean {
  return role === 'elsewhere';
}

function isOurs(one: SaltApiProcess): boolean {
  return !isElsewhere(one) && !isNamesake(one);
}

/** Under a parent that lives, and with nothing of Salt's: somebody's program of that name. */
function isNamesake({ role, reparented, proven }: SaltApiProcess): boolean {
  return role === 'unclear' && !proven && !reparented;
}

function entry({ facts, role, reasons }: SaltApiProcess): ProcessEntry {
  return processEntry(facts, role, reasons);
}

function summarize(found: readonly SaltApiProcess[], host: HostFacts): string {
  const [first] = found;
  if (first === undefined) return 'none';
  const { facts } = first;
  const percent = averageCpuPercent(facts, host) ?? 0;
  const parts = [
    `parent dead, started ${describeRecent(startedAt(facts, host), host)}`,
    `${describeCpuTime(facts.cpuTicks, host)} CPU`,
    ...(percent >= 1 ? [`${percent}% of a core`] : []),
    ...(facts.state === 'T' ? ['suspended (state T)'] : []),
    ...(facts.state === 'D' ? ['waiting in the kernel (state D)'] : []),
  ].join(', ');
  if (found.length === 1) return `1 orphan: ${facts.pid}, ${parts}`;
  return `${count(found.length, 'orphan')}: ${pidsOf(found)}; ${facts.pid} is the oldest, ${parts}`;
}

/** Why a process is what it is, and what neither that nor the summary has said of it. */
function explain(
  { facts, role, reasons }: SaltApiProcess,
  host: HostFacts,
  summary: string,
): string {
  const said = new Set([summary, ...reasons].flatMap((text) => text.split(/[,;:] /)));
  const known = [
    `state ${facts.state}`,
    count(facts.threads, 'thread'),
    `session ${facts.session}`,
    `started ${describeRecent(startedAt(facts, host), host)}`,
    ...(facts.waitChannel !== null && facts.state === 'D' ? [`waits in ${facts.waitChannel}`] : []),
  ];
  const rest = known.filter((one) => !said.has(one));
  return `${facts.pid} ${role}: ${reasons.map(stripControl).join('; ')}; ${rest.join(', ')}`;
}

function serviceLines(
  service: Extract<Evidence['service'], { seen: true }>['value'],
  members: readonly SaltApiProcess[],
): string[] {
  const lines = service.pidFiles
    .filter(({ path }) => !members.some(({ reasons }) => reasons.join('; ').includes(path)))
    .map(({ path, pid }) => `pid file ${stripControl(path)}: ${pid ?? 'no pid in it'}`);
  const { systemd } = service;
  if (!systemd.seen) lines.push(`systemd: ${systemd.why}`);
  else if (systemd.value !== null) {
    const { unit, activeState, subState, mainPid, killMode } = systemd.value;
    lines.push(`${unit}: ${activeState} (${subState}), main pid ${mainPid}, KillMode=${killMode}`);
    if (killMode === 'process' || killMode === 'none') {
      lines.push(`KillMode=${killMode} leaves children behind at every stop: it makes orphans`);
    }
  }
  return lines;
}
