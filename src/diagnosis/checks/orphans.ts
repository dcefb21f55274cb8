import type { Evidence, HostFacts } from '../../evidence/evidence.ts';
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
import type { Check, Finding, Known } from './finding.ts';
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
  const ours = all.filter((one) => one.role !== 'elsewhere' && !isNamesake(one));
  const namesakes = all.filter(isNamesake);
  const rest = [...ours, ...namesakes, ...all.filter(({ role }) => role === 'elsewhere')];
  const others = rest.filter(({ role }) => role !== 'orphan').slice(0, MOST_OTHERS);
  const unclear = ours.filter(({ role }) => role === 'unclear');
  const managers = new Set(ours.map(({ facts }) => facts.pid));
  const zombies = processes.value.processes.filter(
    (facts) => isDead(facts) && managers.has(facts.ppid),
  ).length;
  const { deniedFds, deniedArgv, hidden } = processes.value;
  const details = [
    ...found.map((member) => explain(member, host)),
    ...others.map((member) => explain(member, host)),
    ...(zombies > 0 ? [`${count(zombies, 'zombie child', 'zombie children')} not yet reaped`] : []),
    ...(service.seen ? serviceLines(service.value) : [`service: ${service.why}`]),
  ];
  const entries = {
    processes: found.map(entry),
    others: others.map(entry),
    daemonPid: daemon?.facts.pid ?? null,
    zombies,
  };
  if (found.length > 0) {
    return { status: 'fail', summary: summarize(found, host), details, evidence: entries };
  }
  const ownDrill = isOwnDrill(known);
  if ((hidden || deniedArgv > 0) && !ownDrill) {
    const why = hidden
      ? '/proc is mounted with hidepid'
      : `${count(deniedArgv, 'command line')} could not be read`;
    const summary = `can't tell: ${why}${host.uid === 0 ? '' : '; run as root'}`;
    return { status: 'unknown', summary, details, evidence: entries };
  }
  if (unclear.length > 0) {
    const pids = pidList(unclear.map(({ facts }) => facts.pid));
    const has = unclear.length === 1 ? 'has' : 'have';
    const summary = `salt-api ${pids} ${has} no salt-api parent, but nothing proves an orphan`;
    return { status: 'warn', summary, details, evidence: entries };
  }
  const blind = ours.filter(({ facts }) => facts.fds === 'denied');
  if (blind.length > 0) {
    const summary = `none proven, but the fds of ${count(blind.length, 'salt-api process', 'salt-api processes')} can't be read: run as root`;
    return { status: 'unknown', summary, details, evidence: entries };
  }
  if (!service.seen) {
    const summary = `none proven, but pid files and unit are unseen: ${stripControl(service.why)}`;
    return { status: 'unknown', summary, details, evidence: entries };
  }
  const total = deniedFds > 0 ? '' : `, ${processes.value.total} seen`;
  const among =
    ours.length === 0
      ? `none; no salt-api process runs${total}`
      : `none among ${count(ours.length, 'salt-api process', 'salt-api processes')}`;
  const summary = [among, ...namesakeWords(namesakes)].join('; ');
  return { status: 'pass', summary, details, evidence: entries };
}

/** Under a parent that lives, and with nothing of Salt's: somebody's program of that name. */
function isNamesake({ role, reparented, proven }: SaltApiProcess): boolean {
  return role === 'unclear' && !proven && !reparented;
}

function namesakeWords(namesakes: readonly SaltApiProcess[]): string[] {
  if (namesakes.length === 0) return [];
  const pids = pidList(namesakes.map(({ facts }) => facts.pid));
  return [`${pids} only ${namesakes.length === 1 ? 'has' : 'have'} the name`];
}

function entry({ facts, role, reasons }: SaltApiProcess): ProcessEntry {
  return processEntry(facts, role, reasons);
}

function summarize(found: readonly SaltApiProcess[], host: HostFacts): string {
  const [first] = found;
  if (first === undefined) return 'none';
  const { facts } = first;
  const parts = [
    `parent dead, started ${describeRecent(startedAt(facts, host), host)}`,
    `${describeCpuTime(facts.cpuTicks, host)} CPU`,
  ];
  const percent = averageCpuPercent(facts, host);
  if (percent !== null && percent >= 1) parts.push(`${percent}% of a core`);
  if (facts.state === 'D' || facts.state === 'T') parts.push(stateWord(facts.state));
  if (found.length === 1) return `1 orphan: ${facts.pid}, ${parts.join(', ')}`;
  const pids = pidList(found.map((member) => member.facts.pid));
  return `${count(found.length, 'orphan')}: ${pids}; ${facts.pid} is the oldest, ${parts.join(', ')}`;
}

function stateWord(state: string): string {
  return state === 'T' ? 'stopped (SIGSTOP)' : 'in uninterruptible sleep';
}

function explain({ facts, role, reasons }: SaltApiProcess, host: HostFacts): string {
  const parts = [
    `${facts.pid} ${role}: ${reasons.map(stripControl).join('; ')}`,
    `state ${facts.state}, ${count(facts.threads, 'thread')}, session ${facts.session}`,
    `started ${describeRecent(startedAt(facts, host), host)}`,
  ];
  if (facts.waitChannel !== null && facts.state === 'D')
    parts.push(`waits in ${facts.waitChannel}`);
  return parts.join('; ');
}

function serviceLines(service: Extract<Evidence['service'], { seen: true }>['value']): string[] {
  const lines = service.pidFiles.map(
    ({ path, pid }) => `pid file ${stripControl(path)}: ${pid ?? 'no pid in it'}`,
  );
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
