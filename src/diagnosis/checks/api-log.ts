import {
  type ApiLogFacts,
  type BindFailureTally,
  type HostFacts,
  type LogSource,
  MAX_EVENT_TIMES,
  type StartFailureFacts,
} from '../../evidence/evidence.ts';
import { configuredNetapis } from '../../evidence/instance-ports.ts';
import { unitOf } from '../../evidence/systemd-unit.ts';
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
import { describeStartFailure, standingStartFailure } from '../start-failure.ts';
import type { Check, Finding, Known, StepStatus } from './finding.ts';

export interface ApiLogEvidence {
  /** The file, or `journal:UNIT`; null where none could be read. */
  readonly path: string | null;
  /** Failed binds of the examined port in the window; null where the log could not be read. */
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
  /** Failed binds of other ports; a null port is that of lines which name none. */
  readonly otherPorts: readonly OtherPortEvents[];
  /** Starts that failed for other reasons. */
  readonly startFailures: readonly StartFailureEvidence[];
  /** Of these the one that stands: none has come up since, as far as is seen. */
  readonly startFailure: StartFailureEvidence | null;
}

interface OtherPortEvents {
  readonly port: number | null;
  readonly events: number;
  readonly lastAt: string | null;
}

interface StartFailureEvidence extends Omit<StartFailureFacts, 'lastAt'> {
  readonly lastAt: string | null;
}

type Needs = 'host' | 'port' | 'config' | 'processes' | 'service' | 'roles' | 'apiLog';

/** A loop that has been silent for longer than this no longer turns: 10 s poll + 5 s start, thrice. */
const LOOP_SILENCE_MS = 45_000;
/** The same where systemd starts daemon after daemon, ms. */
const LOOP_SILENCE_WITHOUT_DAEMON_MS = 15_000;

/**
 * btime in /proc/stat has whole seconds, so a server seems to have started up to one earlier than it
 * did, and the failure of the child before it to be its own.
 */
const BOOT_TIME_SLACK_MS = 1_000;

/** Step 4: whether the API log says that the port could not be bound, or why a start failed else. */
export const apiLog: Check<'api-log', Needs, ApiLogEvidence> = {
  id: 'api-log',
  title: 'API log',
  needs: ['host', 'port', 'config', 'processes', 'service', 'roles', 'apiLog'],
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
        otherPorts: [],
        startFailures: [],
        startFailure: null,
      },
    };
  }
  const log = look.value;
  const binds = bindsOfPort(log, evidence);
  const since = currentStart(roles, host);
  const eventsSinceDaemon =
    since === null ? null : binds.mine.times.filter((at) => at >= since).length;
  const interval = medianInterval(binds.mine.times);
  const { lastAt } = binds.mine;
  const silence = lastAt === null ? null : host.now - lastAt;
  const turner = turnerOf(evidence);
  const patience =
    turner === 'systemd'
      ? Math.max(LOOP_SILENCE_WITHOUT_DAEMON_MS, interval ?? 0)
      : Math.max(LOOP_SILENCE_MS, (interval ?? 0) * 3);
  const looping =
    turner !== 'nobody' &&
    binds.mine.events >= 2 &&
    silence !== null &&
    silence < patience &&
    (eventsSinceDaemon === null || eventsSinceDaemon > 0);
  const startFailure = standingStartFailure(log, evidence, since);
  const reading = { eventsSinceDaemon, interval, looping, silence, startFailure };
  const samples = binds.mine.samples.map((line) => redactSecrets(stripControl(line)));
  return {
    status: worse(
      statusOf(binds.mine, log.dated, eventsSinceDaemon),
      startFailure === null ? 'pass' : startFailure.lastAt === null ? 'warn' : 'fail',
    ),
    summary: summarize(evidence, log, binds, reading),
    details: [
      ...samples,
      ...(log.startFailures ?? []).map((failure) => describeStartFailure(failure, host)),
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
      events: binds.mine.events,
      eventsSinceDaemon,
      firstAt: moment(binds.mine.firstAt, host),
      lastAt: moment(lastAt, host),
      loopIntervalSeconds: interval === null ? null : Math.round(interval / 100) / 10,
      looping,
      pids: binds.mine.pids,
      wordings: binds.mine.wordings,
      childDeaths: log.childDeaths,
      samples,
      notes: log.notes.map(stripControl),
      otherPorts: binds.others.map(({ port: other, events, lastAt: newest }) => {
        return { port: other, events, lastAt: moment(newest, host) };
      }),
      startFailures: (log.startFailures ?? []).map((failure) => shown(failure, host)),
      startFailure: startFailure === null ? null : shown(startFailure, host),
    },
  };
}

function moment(at: number | null, host: HostFacts): string | null {
  return at === null ? null : isoMoment(at, host);
}

function shown(failure: StartFailureFacts, host: HostFacts): StartFailureEvidence {
  const sample = redactSecrets(stripControl(failure.sample));
  const module = failure.module === null ? null : stripControl(failure.module);
  return { ...failure, module, sample, lastAt: moment(failure.lastAt, host) };
}

interface PortBinds {
  readonly mine: BindFailureTally;
  /** Of other ports, and of none where several modules could be meant. */
  readonly others: readonly (BindFailureTally & { readonly port: number | null })[];
}

/**
 * The failed binds of the examined port. A line that names no port is of it where one module alone
 * is configured; evidence of an older version does not tell ports apart.
 */
function bindsOfPort(
  log: ApiLogFacts,
  { config, port }: Pick<Known, 'config' | 'port'>,
): PortBinds {
  const { byPort } = log;
  if (byPort === undefined) return { mine: log, others: [] };
  const several = configuredNetapis(config).length > 1;
  const isMine = (named: number | null) => named === port.number || (named === null && !several);
  const mine = byPort.filter((one) => isMine(one.port));
  const others = byPort.filter((one) => !isMine(one.port));
  return { mine: others.length === 0 ? log : mine.reduce(added, NO_BINDS), others };
}

const NO_BINDS: BindFailureTally = {
  events: 0,
  firstAt: null,
  lastAt: null,
  times: [],
  pids: [],
  wordings: {},
  samples: [],
};

function added(a: BindFailureTally, b: BindFailureTally): BindFailureTally {
  const times = [...a.times, ...b.times].toSorted((x, y) => x - y).slice(-MAX_EVENT_TIMES);
  const wordings = { ...a.wordings };
  for (const [wording, number] of Object.entries(b.wordings)) {
    const key = wording as keyof typeof wordings;
    wordings[key] = (wordings[key] ?? 0) + number;
  }
  return {
    events: a.events + b.events,
    firstAt: times[0] ?? null,
    lastAt: times.at(-1) ?? null,
    times,
    pids: [...new Set([...a.pids, ...b.pids])],
    wordings,
    samples: [...a.samples, ...b.samples],
  };
}

function worse(a: StepStatus, b: StepStatus): StepStatus {
  const order: readonly StepStatus[] = ['pass', 'warn', 'fail'];
  return order.indexOf(a) >= order.indexOf(b) ? a : b;
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
  return unitOf(service)?.activeState === 'activating' ? 'systemd' : 'nobody';
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
  if (newest === undefined) return startedAt(daemon.facts, host);
  return startedAt(newest.facts, host) + BOOT_TIME_SLACK_MS;
}

function statusOf(
  { events }: BindFailureTally,
  dated: boolean,
  eventsSinceDaemon: number | null,
): StepStatus {
  if (events === 0) return 'pass';
  if (!dated) return 'warn';
  return eventsSinceDaemon === 0 ? 'pass' : 'fail';
}

interface Reading {
  readonly eventsSinceDaemon: number | null;
  readonly interval: number | null;
  readonly looping: boolean;
  readonly silence: number | null;
  readonly startFailure: StartFailureFacts | null;
}

function summarize(
  { host, port }: Pick<Known, Needs>,
  log: ApiLogFacts,
  { mine, others }: PortBinds,
  reading: Reading,
): string {
  const { startFailure } = reading;
  const failed = startFailure === null ? '' : describeStartFailure(startFailure, host);
  const elsewhere = others.map(({ port: other, events }) => {
    const name = other === null ? 'that name no port' : `of port ${other}`;
    return `${count(events, 'failed bind')} ${name}`;
  });
  const beside = elsewhere.length === 0 ? '' : `; ${elsewhere.join(', ')}`;
  if (mine.events > 0) {
    const binds = describeBinds({ host, port }, log, mine, reading);
    return binds + beside + (failed === '' ? '' : `; ${failed}`);
  }
  const span =
    log.windowFrom === null
      ? 'in the whole log'
      : `in the last ${describeWindow(host.now - log.windowFrom)}`;
  const of = others.length === 0 ? '' : ` of ${port.number}`;
  return `no failed bind${of} ${span}${beside}${failed === '' ? '' : `, but ${failed}`}`;
}

function describeBinds(
  { host, port }: Pick<Known, 'host' | 'port'>,
  log: ApiLogFacts,
  mine: BindFailureTally,
  { eventsSinceDaemon, interval, looping, silence }: Reading,
): string {
  const number = mine === log ? (log.ports[0] ?? port.number) : port.number;
  const name =
    mine.wordings['port-not-free'] === undefined
      ? `"${wordingInWords(mine)}"`
      : `"Port ${number} not free"`;
  const times = mine.events === 1 ? 'once' : `${grouped(mine.events)} times`;
  const parts = [`${name} ${times}`];
  if (mine.firstAt !== null) parts[0] += ` since ${describeRecent(mine.firstAt, host)}`;
  if (silence !== null && mine.lastAt !== null) {
    parts.push(
      silence < 86_400_000
        ? `last ${describeDuration(silence)} ago`
        : `last ${describeRecent(mine.lastAt, host)}`,
    );
  }
  if (eventsSinceDaemon === 0) parts.push('none since the server started');
  let text = parts.join(', ');
  if (looping && interval !== null) text += `; restart loop every ${describeDuration(interval)}`;
  if (!log.dated) text += '; the log carries no times';
  return text;
}

/** An odd port is pointed out: the log is this instance's, whatever it names. */
function otherPorts({ ports }: ApiLogFacts, asked: number): string[] {
  const others = ports.filter((number) => number !== asked);
  return others.length === 0 ? [] : [`the log names port ${others.join(', ')}, not ${asked} alone`];
}

/** `24 h` is what `--since` says; `1 d` would be read as a calendar day. */
function describeWindow(ms: number): string {
  const hours = ms / 3_600_000;
  return Number.isInteger(hours) && hours < 72 ? `${hours} h` : describeDuration(ms);
}

function wordingInWords({ wordings }: BindFailureTally): string {
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
