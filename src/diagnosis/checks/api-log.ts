import { BIND_WORDINGS } from '../../evidence/api-log-wordings.ts';
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
import { isServer, lineOf, type ProcessRoles } from '../process-roles.ts';
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

function judge(known: Pick<Known, Needs>): Finding<ApiLogEvidence> {
  const { apiLog: look, host, port } = known;
  if (!look.seen) {
    const why = stripControl(look.why);
    const [status, summary] =
      look.cause === 'not-asked'
        ? (['skip', why] as const)
        : (['unknown', `can't be read: ${why}`] as const);
    return { status, summary, details: [], evidence: UNREAD };
  }
  const log = look.value;
  const { source, notes, childDeaths, startFailures = [] } = log;
  const reading = readingOf(known, log);
  const { mine, others, eventsSinceDaemon, interval, looping, startFailure } = reading;
  const samples = mine.samples.map(safeLine);
  return {
    status: statusOf(log, reading),
    summary: summarize(known, log, reading),
    details: [
      ...samples,
      ...startFailures.map((failure) => describeStartFailure(failure, host)),
      ...(log.pids.length > 0 ? [`pids in the log: ${log.pids.slice(-8).join(', ')}`] : []),
      ...(childDeaths > 0 ? [`${count(childDeaths, 'child death')} logged by the manager`] : []),
      ...logLines(log),
      ...notes.map(stripControl),
      ...otherPorts(log, port.number),
    ],
    evidence: {
      path: source.kind === 'file' ? source.path : `journal:${source.unit}`,
      events: mine.events,
      eventsSinceDaemon,
      firstAt: moment(mine.firstAt, host),
      lastAt: moment(mine.lastAt, host),
      loopIntervalSeconds: interval === null ? null : Math.round(interval / 100) / 10,
      looping,
      pids: mine.pids,
      wordings: mine.wordings,
      childDeaths,
      samples,
      notes: notes.map(stripControl),
      otherPorts: others.map((one) => {
        return { port: one.port, events: one.events, lastAt: moment(one.lastAt, host) };
      }),
      startFailures: startFailures.map((failure) => shown(failure, host)),
      startFailure: startFailure === null ? null : shown(startFailure, host),
    },
  };
}

const UNREAD: ApiLogEvidence = {
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
};

/** What the log comes to for the examined port and the salt-api that is there now. */
interface Reading extends PortBinds {
  readonly eventsSinceDaemon: number | null;
  /** The usual gap between two failed starts, ms. */
  readonly interval: number | null;
  readonly looping: boolean;
  /** Since the last failed start, ms. */
  readonly silence: number | null;
  readonly startFailure: StartFailureFacts | null;
}

function readingOf(known: Pick<Known, Needs>, log: ApiLogFacts): Reading {
  const { host, roles } = known;
  const binds = bindsOfPort(log, known);
  const { times, lastAt, events } = binds.mine;
  const since = currentStart(roles, host);
  const eventsSinceDaemon = since === null ? null : times.filter((at) => at >= since).length;
  const interval = medianInterval(times);
  const silence = lastAt === null ? null : host.now - lastAt;
  const patience = loopPatience(known, interval ?? 0);
  const recent = silence !== null && patience !== null && silence < patience;
  const looping = recent && events >= 2 && eventsSinceDaemon !== 0;
  const startFailure = standingStartFailure(log, known, since);
  return { ...binds, eventsSinceDaemon, interval, looping, silence, startFailure };
}

/**
 * How long a loop may be silent and still turn, ms: as who turns it takes. That is a daemon that lives
 * and is not stopped, or systemd while it restarts the unit (`activating`, with `auto-restart` between
 * two starts); once it has given up, nobody does: null.
 */
function loopPatience(
  { processes, roles: { daemon }, service }: Pick<Known, Needs>,
  interval: number,
): number | null {
  const byDaemon = Math.max(LOOP_SILENCE_MS, interval * 3);
  if (!processes.seen) return byDaemon;
  if (daemon !== null) return daemon.facts.state === 'T' ? null : byDaemon;
  const restarts = unitOf(service)?.activeState === 'activating';
  return restarts ? Math.max(LOOP_SILENCE_WITHOUT_DAEMON_MS, interval) : null;
}

function moment(at: number | null, host: HostFacts): string | null {
  return at === null ? null : isoMoment(at, host);
}

function shown(failure: StartFailureFacts, host: HostFacts): StartFailureEvidence {
  const sample = safeLine(failure.sample);
  const module = failure.module === null ? null : stripControl(failure.module);
  return { ...failure, module, sample, lastAt: moment(failure.lastAt, host) };
}

function safeLine(line: string): string {
  return redactSecrets(stripControl(line));
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

/**
 * From when on a failed start still matters: the start of the server that holds the port now,
 * since what failed before it is history; without one, the start of the daemon.
 */
function currentStart({ daemon, all }: ProcessRoles, host: HostFacts): number | null {
  if (daemon === null) return null;
  const servers = all.filter((one) => isServer(one) && lineOf(one) === daemon.facts.pid);
  const orphaned = all.some(({ role, facts }) => role === 'orphan' && facts.listens.length > 0);
  const newest = orphaned ? undefined : servers.at(-1);
  if (newest === undefined) return startedAt(daemon.facts, host);
  return startedAt(newest.facts, host) + BOOT_TIME_SLACK_MS;
}

function statusOf(
  { dated }: ApiLogFacts,
  { mine, eventsSinceDaemon, startFailure }: Reading,
): StepStatus {
  const failed = mine.events > 0 && dated && eventsSinceDaemon !== 0;
  if (failed || (startFailure?.lastAt ?? null) !== null) return 'fail';
  return (mine.events > 0 && !dated) || startFailure !== null ? 'warn' : 'pass';
}

function summarize({ host, port }: Pick<Known, Needs>, log: ApiLogFacts, reading: Reading): string {
  const { mine, others, startFailure } = reading;
  const failed = startFailure === null ? null : describeStartFailure(startFailure, host);
  const elsewhere = others.map(({ port: other, events }) => {
    const name = other === null ? 'that name no port' : `of port ${other}`;
    return `${count(events, 'failed bind')} ${name}`;
  });
  const beside = elsewhere.length === 0 ? '' : `; ${elsewhere.join(', ')}`;
  if (mine.events > 0) {
    const binds = describeBinds({ host, port }, log, reading);
    return `${binds}${beside}${failed === null ? '' : `; ${failed}`}`;
  }
  const { windowFrom } = log;
  const span = windowFrom === null ? 'whole log' : `last ${describeWindow(host.now - windowFrom)}`;
  const of = others.length === 0 ? '' : ` of ${port.number}`;
  return `no failed bind${of} in the ${span}${beside}${failed === null ? '' : `, but ${failed}`}`;
}

function describeBinds(
  { host, port }: Pick<Known, 'host' | 'port'>,
  log: ApiLogFacts,
  { mine, eventsSinceDaemon, interval, looping, silence }: Reading,
): string {
  const number = mine === log ? (log.ports[0] ?? port.number) : port.number;
  const times = mine.events === 1 ? 'once' : `${grouped(mine.events)} times`;
  const parts = [`"${wordingInWords(mine, number)}" ${times}`];
  if (mine.firstAt !== null) parts[0] += ` since ${describeRecent(mine.firstAt, host)}`;
  if (silence !== null && mine.lastAt !== null) {
    const today = silence < 86_400_000;
    const last = today ? `${describeDuration(silence)} ago` : describeRecent(mine.lastAt, host);
    parts.push(`last ${last}`);
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

/** The words of the log for a failed bind. */
export function wordingInWords(
  { wordings }: Pick<BindFailureTally, 'wordings'>,
  port: number,
): string {
  const first = BIND_WORDINGS.find(({ wording }) => wordings[wording] !== undefined);
  return (first?.words ?? 'Address already in use').replace('PORT', String(port));
}

/** Where the log is, and how much of which files was read. */
function logLines({ source, files }: ApiLogFacts): string[] {
  const read = (bytes: number) => `${count(bytes, 'byte')} read`;
  const main = source.kind === 'file' ? files.find(({ path }) => path === source.path) : undefined;
  return [
    `log ${describeSource(source)}${main === undefined ? '' : `; ${read(main.bytesRead)}`}`,
    ...files
      .filter((file) => file !== main)
      .map(({ path, bytesRead }) => `log ${stripControl(path)}; ${read(bytesRead)}`),
  ];
}

function describeSource(source: LogSource): string {
  if (source.kind === 'journal') return `from the journal of ${stripControl(source.unit)}`;
  const origin = {
    option: 'from --log',
    argv: 'from --log-file of the running process',
    config: 'from api_logfile of the Salt config',
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
