import type { ApiLogFacts, HostFacts, LogSource } from '../../evidence/evidence.ts';
import { redactSecrets, stripControl } from '../../untrusted.ts';
import {
  count,
  describeDuration,
  describeRecent,
  grouped,
  isoMoment,
  startedAt,
} from '../../words.ts';
import type { ProcessRoles } from '../process-roles.ts';
import type { Check, Finding, Known, StepStatus } from './finding.ts';

export interface ApiLogEvidence {
  /** The file, or `journal:UNIT`; null where none could be read. */
  readonly path: string | null;
  /** Failed starts in the window; null where the log could not be read. */
  readonly events: number | null;
  /** Of these, since the current server (or else daemon) started; null without one. */
  readonly eventsSinceDaemon: number | null;
  readonly firstAt: string | null;
  readonly lastAt: string | null;
  /** Median time between two failed starts, seconds; null with fewer than three. */
  readonly loopIntervalSeconds: number | null;
  /** True where the loop still runs: the last failure is as recent as its interval makes likely. */
  readonly looping: boolean;
  readonly pids: readonly number[];
  readonly wordings: ApiLogFacts['wordings'];
  readonly childDeaths: number;
  readonly samples: readonly string[];
  readonly notes: readonly string[];
}

type Needs = 'host' | 'port' | 'processes' | 'service' | 'roles' | 'apiLog';

/** A loop that has been silent for longer than this no longer turns: 10 s poll + 5 s start, thrice. */
const LOOP_SILENCE_MS = 45_000;
/** The same where systemd starts daemon after daemon, ms. */
const LOOP_SILENCE_WITHOUT_DAEMON_MS = 15_000;

/**
 * btime in /proc/stat has whole seconds, so a process seems to have started up to one earlier than
 * it did; and none fails within its first second.
 */
const BOOT_TIME_SLACK_MS = 1_000;

/** Step 4: whether the API log says that the port could not be bound. */
export const apiLog: Check<'api-log', Needs, ApiLogEvidence> = {
  id: 'api-log',
  title: 'API log',
  needs: ['host', 'port', 'processes', 'service', 'roles', 'apiLog'],
  judge,
};

function judge(evidence: Pick<Known, Needs>): Finding<ApiLogEvidence> {
  const { apiLog: look, host, port, roles } = evidence;
  if (!look.seen) {
    return {
      status: 'unknown',
      summary: `can't be read: ${stripControl(look.why)}`,
      details: [],
      evidence: {
        path: null,
        events: null,
        eventsSinceDaemon: null,
        firstAt: null,
        lastAt: null,
        loopIntervalSeconds: null,
        looping: false,
        pids: [],
        wordings: {},
        childDeaths: 0,
        samples: [],
        notes: [],
      },
    };
  }
  const log = look.value;
  const since = currentStart(roles, host);
  const eventsSinceDaemon = since === null ? null : log.times.filter((at) => at >= since).length;
  const interval = medianInterval(log.times);
  const silence = log.lastAt === null ? null : host.now - log.lastAt;
  const turner = turnerOf(evidence);
  const patience =
    turner === 'systemd'
      ? Math.max(LOOP_SILENCE_WITHOUT_DAEMON_MS, interval ?? 0)
      : Math.max(LOOP_SILENCE_MS, (interval ?? 0) * 3);
  const looping =
    turner !== 'nobody' &&
    log.events >= 2 &&
    silence !== null &&
    silence < patience &&
    (eventsSinceDaemon === null || eventsSinceDaemon > 0);
  const samples = log.samples.map((line) => redactSecrets(stripControl(line)));
  return {
    status: statusOf(log, eventsSinceDaemon),
    summary: summarize(evidence, log, { eventsSinceDaemon, interval, looping, silence }),
    details: [
      ...samples,
      ...(log.pids.length > 0 ? [`named by the log: ${log.pids.slice(-8).join(', ')}`] : []),
      ...(log.childDeaths > 0
        ? [`${count(log.childDeaths, 'child death')} logged by the manager`]
        : []),
      ...log.files.map(
        ({ path, bytesRead }) => `read ${count(bytesRead, 'byte')} of ${stripControl(path)}`,
      ),
      ...log.notes.map(stripControl),
      `log ${describeSource(log.source)}`,
      ...otherPorts(log, port.number),
    ],
    evidence: {
      path: log.source.kind === 'file' ? log.source.path : `journal:${log.source.unit}`,
      events: log.events,
      eventsSinceDaemon,
      firstAt: log.firstAt === null ? null : isoMoment(log.firstAt, host),
      lastAt: log.lastAt === null ? null : isoMoment(log.lastAt, host),
      loopIntervalSeconds: interval === null ? null : Math.round(interval / 100) / 10,
      looping,
      pids: log.pids,
      wordings: log.wordings,
      childDeaths: log.childDeaths,
      samples,
      notes: log.notes.map(stripControl),
    },
  };
}

/**
 * Who turns a loop: a daemon that lives and is not stopped, or systemd while it restarts the unit
 * (`activating`, with `auto-restart` between two starts); once it has given up, nobody does.
 */
function turnerOf({
  processes,
  roles,
  service,
}: Pick<Known, Needs>): 'daemon' | 'systemd' | 'unseen' | 'nobody' {
  if (!processes.seen) return 'unseen';
  if (roles.daemon !== null) return roles.daemon.facts.state === 'T' ? 'nobody' : 'daemon';
  const unit = service.seen && service.value.systemd.seen ? service.value.systemd.value : null;
  return unit?.activeState === 'activating' ? 'systemd' : 'nobody';
}

/**
 * From when on a failed start still matters: the start of the server that holds the port now,
 * since what failed before it is history; without one, the start of the daemon.
 */
function currentStart({ daemon, all }: ProcessRoles, host: HostFacts): number | null {
  if (daemon === null) return null;
  const servers = all.filter(
    ({ facts, role, under }) =>
      facts.listens.length > 0 &&
      (role === 'child' || role === 'manager') &&
      (under ?? facts.pid) === daemon.facts.pid,
  );
  const orphaned = all.some(({ role, facts }) => role === 'orphan' && facts.listens.length > 0);
  const newest = orphaned ? undefined : servers.at(-1);
  return startedAt((newest ?? daemon).facts, host) + BOOT_TIME_SLACK_MS;
}

function statusOf(log: ApiLogFacts, eventsSinceDaemon: number | null): StepStatus {
  if (log.events === 0) return 'pass';
  if (!log.dated) return 'warn';
  return eventsSinceDaemon === 0 ? 'pass' : 'fail';
}

interface Reading {
  readonly eventsSinceDaemon: number | null;
  readonly interval: number | null;
  readonly looping: boolean;
  readonly silence: number | null;
}

function summarize(
  { host, port }: Pick<Known, Needs>,
  log: ApiLogFacts,
  { eventsSinceDaemon, interval, looping, silence }: Reading,
): string {
  const name =
    log.wordings['port-not-free'] === undefined && log.events > 0
      ? `"${wordingInWords(log)}"`
      : `"Port ${log.ports[0] ?? port.number} not free"`;
  if (log.events === 0) {
    const span =
      log.windowFrom === null
        ? 'in the whole log'
        : `in the last ${describeWindow(host.now - log.windowFrom)}`;
    return `no failed bind ${span}`;
  }
  const times = log.events === 1 ? 'once' : `${grouped(log.events)} times`;
  const parts = [`${name} ${times}`];
  if (log.firstAt !== null) parts[0] += ` since ${describeRecent(log.firstAt, host)}`;
  if (silence !== null && log.lastAt !== null) {
    parts.push(
      silence < 86_400_000
        ? `last ${describeDuration(silence)} ago`
        : `last ${describeRecent(log.lastAt, host)}`,
    );
  }
  if (eventsSinceDaemon === 0) parts.push('none since the server started');
  let text = parts.join(', ');
  if (looping && interval !== null) text += `; restart loop every ${describeDuration(interval)}`;
  if (!log.dated) text += '; the log carries no times';
  return text;
}

/** The log is counted whatever port it names, since it is this instance's; an odd one is pointed out. */
function otherPorts({ ports }: ApiLogFacts, asked: number): string[] {
  const others = ports.filter((number) => number !== asked);
  return others.length === 0 ? [] : [`the log names port ${others.join(', ')}, not ${asked} alone`];
}

/** `24 h` is what `--since` says; `1 d` would be read as a calendar day. */
function describeWindow(ms: number): string {
  const hours = ms / 3_600_000;
  return Number.isInteger(hours) && hours < 72 ? `${hours} h` : describeDuration(ms);
}

function wordingInWords({ wordings }: ApiLogFacts): string {
  if (wordings['no-socket-created'] !== undefined) return 'No socket could be created';
  if (wordings['tornado-unable'] !== undefined) return 'unable to bind to port';
  return 'Address already in use';
}

function describeSource(source: LogSource): string {
  if (source.kind === 'journal') return `from the journal of ${stripControl(source.unit)}`;
  const origin = {
    option: 'from --log',
    argv: 'from --log-file of the running process',
    config: 'from api_logfile of the salt config',
    default: 'at the default place',
  }[source.origin];
  return `${stripControl(source.path)}, ${origin}`;
}

/** The usual gap between two neighbouring events, ms; null with fewer than three events. */
function medianInterval(times: readonly number[]): number | null {
  if (times.length < 3) return null;
  const recent = times.slice(-200);
  const gaps = recent.slice(1).map((at, index) => at - (recent[index] ?? at));
  gaps.sort((a, b) => a - b);
  return gaps[Math.floor(gaps.length / 2)] ?? null;
}
