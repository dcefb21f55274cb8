/** From findings to one verdict. Pure: the same evidence gives the same verdict on any machine. */
import { ExitCode } from '../errors.ts';
import type { Evidence, StartFailureFacts } from '../evidence/evidence.ts';
import { configuredNetapis, otherConfiguredPorts } from '../evidence/instance-ports.ts';
import { unitOf, unitTroubles } from '../evidence/systemd-unit.ts';
import { stripControl } from '../untrusted.ts';
import { count, describeDuration, pidList, startedAt } from '../words.ts';
import { isWithoutSalt } from './absence.ts';
import {
  CHECKS,
  DECIDING,
  type Explanations,
  type Findings,
  type StepId,
} from './checks/checks.ts';
import type { StepStatus } from './checks/finding.ts';
import { START_MS } from './orphan-signs.ts';
import { describeOtherPort, otherPortsOf, unservedPorts } from './other-ports.ts';
import { isOwnDrill } from './own-drill.ts';
import {
  isDead,
  isServer,
  isStranger,
  type ProcessRoles,
  type SaltApiProcess,
} from './process-roles.ts';
import { describeStartFailure, reasonInWords, standingStartFailure } from './start-failure.ts';

export const VERDICT_CODES = [
  'healthy',
  'degraded',
  'orphan-holds-port',
  'orphan-stray',
  'hung',
  'foreign-holder',
  'restart-loop',
  'down',
  'unknown',
] as const;

export type VerdictCode = (typeof VERDICT_CODES)[number];

const CONFIG_UNREAD = "the Salt config can't be read";

/** How often a manager looks whether its child has died, and then starts the next (salt-facts §1.6). */
const RESTART_POLL_MS = 10_000;
/** A longer gap between two failed starts is not the pause of a loop. */
const LONGEST_RESTART_MS = 60_000;
/** Half-sent requests and silent TLS clients go within cheroot's own time-out (salt-facts §10). */
const LASTING_SILENCE_MS = 10_000;

export interface Verdict {
  readonly code: VerdictCode;
  readonly summary: string;
  /** Why: the findings that led here, most telling first. */
  readonly evidence: readonly string[];
  /** What would have to be seen for another verdict. */
  readonly wouldChange: string;
  /** The port to look at, where that is another than the examined one. */
  readonly portInstead?: number;
  /** Nothing of Salt is there: it may be another host that is meant. */
  readonly withoutSalt?: true;
  /** Why the last start failed, where that and no held port is what keeps the API down. */
  readonly startFailure?: StartFailureFacts;
  /** How much longer salt-api may take to come up by itself, ms; unset where it is not on its way. */
  readonly comesUpWithinMs?: number;
  /** A single silence speaks for a hang, and nothing else: a longer ask can tell. */
  readonly asksAgain?: true;
}

/** What a verdict is made from. */
interface Case {
  readonly evidence: Evidence;
  readonly findings: Findings;
  readonly roles: ProcessRoles;
  readonly explanations: Explanations;
}

/** Whether `salt-triage fix` has a plan for a verdict. */
export function isFixable(code: VerdictCode): boolean {
  return FIXABLE.has(code);
}

const FIXABLE: ReadonlySet<VerdictCode> = new Set([
  'orphan-holds-port',
  'orphan-stray',
  'hung',
  'restart-loop',
  'down',
]);

/** The exit code of a diagnosis. @param strict whether degraded counts as an incident */
export function verdictExitCode(code: VerdictCode, strict: boolean): ExitCode {
  if (code === 'healthy') return ExitCode.ok;
  if (code === 'degraded') return strict ? ExitCode.incident : ExitCode.ok;
  return code === 'unknown' ? ExitCode.unknown : ExitCode.incident;
}

/** Judges: the first rule that has something to say gives the verdict. */
export function judgeVerdict(facts: Case): Verdict {
  const scene = sceneOf(facts);
  const { daemon } = facts.roles;
  const salt = withoutSalt(scene);
  if (salt !== null) return salt;
  switch (scene.held.state) {
    case 'daemon':
      return (
        hung(scene) ??
        strayOrphan(scene) ??
        secondDaemon(scene) ??
        loneSilence(scene) ??
        notKnownToBeWell(scene) ??
        otherPortUnserved(scene) ??
        withSignsOfTrouble(scene) ??
        troubleBehind(scene) ??
        healthy(scene)
      );
    case 'free':
      return (
        strayOrphan(scene) ??
        notAllSeen(scene) ??
        servesInstead(scene) ??
        guessedPort(scene) ??
        wokenByLook(scene) ??
        (daemon === null ? withoutDaemon(scene) : idle(scene, daemon))
      );
    default:
      return heldByOther(scene);
  }
}

/** The case with what many rules ask of it. */
function sceneOf(facts: Case) {
  const { evidence, findings, roles } = facts;
  const port = evidence.port.number;
  const held = findings['port-holder'].evidence;
  const unit = unitOf(evidence.service);
  const troubles = unit === null ? [] : unitTroubles(unit);
  // A socket unit of its own may have the port without it.
  const asleep = held.state === 'free' && held.listeners.length > 0;
  const servers = roles.all.filter(isServer);
  return {
    ...facts,
    port,
    held,
    log: findings['api-log'].evidence,
    answers: findings['api-answers'],
    ours: roles.all.filter(({ role }) => role !== 'elsewhere'),
    servers,
    holding: `salt-api ${pidsOf(servers)} holds port ${port}`,
    asleep,
    nobody: `${asleep ? 'only systemd listens' : 'nobody listens'} on port ${port}`,
    troubles,
    /** The first trouble of the unit, to end a summary with. */
    trouble: troubles[0] === undefined ? '' : `; ${troubles[0]}`,
    because: (...ids: readonly StepId[]) =>
      ids
        .filter((id) => findings[id].status !== 'skip')
        .map((id) => `${findings[id].title}: ${findings[id].summary}`),
    stepsWith: (status: StepStatus) =>
      CHECKS.map(({ id }) => id).filter((id) => findings[id].status === status),
  };
}

type Scene = ReturnType<typeof sceneOf>;

function withoutSalt(scene: Scene): Verdict | null {
  const { evidence, roles, held } = scene;
  // Whoever names a port asks who has it, Salt or no Salt.
  const asked = held.state === 'free' || evidence.port.origin.kind === 'default';
  if (!asked || !isWithoutSalt(evidence, roles)) return null;
  const summary = `no Salt config, package or unit on ${stripControl(evidence.host.name)}, and no salt-api of this host is running: name the host that runs it with --host`;
  const verdict = undecided(scene, summary, 'a salt-api that is installed, or configured');
  return { ...verdict, withoutSalt: true };
}

/** Where another than the daemon's child has the port, or nobody that we may see. */
function heldByOther({ findings, roles, port, held, log, because }: Scene): Verdict {
  switch (held.state) {
    case 'orphan': {
      const daemon = log.looping ? 'the new daemon' : `the daemon ${held.daemonPid}`;
      const effect = held.daemonPid === null ? 'no daemon runs' : `${daemon} can't bind it`;
      return {
        code: 'orphan-holds-port',
        summary: `an orphaned salt-api child holds port ${port}; ${effect}`,
        evidence: because('port-holder', 'orphans', 'api-log', 'close-wait', 'api-answers'),
        wouldChange: 'a live salt-api manager as the parent of the holder',
      };
    }
    case 'foreign':
      return {
        code: 'foreign-holder',
        summary: `port ${port} is held by a program that is not this salt-api: ${pidList(held.holders.filter(isStranger).map(({ pid }) => pid))}`,
        evidence: because('port-holder', 'api-log', 'orphans'),
        wouldChange: 'a salt-api process of this instance as the holder',
      };
    case 'other-daemon': {
      const { daemon } = roles;
      // Of one configuration, so they want one port, unless that could not be told.
      const alike = daemon?.facts.environment != null && daemon.servesInstead.length === 0;
      const fights = alike || log.looping || (log.eventsSinceDaemon ?? 0) > 0;
      const other = fights ? "the other can't bind it" : 'and nothing says what the other is for';
      return {
        code: fights ? 'restart-loop' : 'unknown',
        summary: `two salt-api daemons: one has port ${port}, ${other}`,
        evidence: because('port-holder', 'api-log', 'orphans'),
        wouldChange: fights
          ? 'one daemon alone, with its own child on the port'
          : 'a failed bind in the log of the other (restart-loop), or one daemon alone',
      };
    }
    default:
      return {
        code: 'unknown',
        summary: `can't tell what keeps salt-api from answering: ${findings['port-holder'].summary}`,
        evidence: because('port-holder', 'orphans', 'close-wait', 'api-log', 'api-answers'),
        wouldChange: 'a look with enough rights to see the holder of the port',
      };
  }
}

function hung(scene: Scene): Verdict | null {
  const { servers, port, trouble, troubles, because } = scene;
  const how = hangOf(scene);
  if (how === null) return null;
  const steps = because('api-answers', 'close-wait', 'port-holder', 'orphans', 'api-log');
  return {
    code: 'hung',
    summary: `salt-api ${pidsOf(servers)} holds port ${port} and ${how}${trouble}`,
    evidence: [...steps, ...troubles],
    wouldChange: 'any HTTP status from GET /',
  };
}

/**
 * Says how a server hangs, in words to go behind its port, or null. A silence alone is none that a few
 * slow clients could not make: it takes a second witness, or has to last (salt-facts §10).
 */
function hangOf({ findings, servers, answers }: Scene): string | null {
  const { answer } = answers.evidence;
  const { acceptQueue, backlog } = findings['close-wait'].evidence;
  const unasked = answers.status === 'skip' || answers.status === 'unknown';
  if (answers.status !== 'fail' && !unasked) return null;
  const piledUp =
    acceptQueue > (backlog ?? acceptQueue) || findings['close-wait'].status === 'fail';
  const stopped = servers.some(({ facts }) => facts.state === 'T');
  const asleep = servers.some(({ facts }) => facts.state === 'D');
  // A sound server is in D for a moment at every disk write: that alone tells nothing.
  const telling = unasked
    ? asleep && acceptQueue > 0
    : answer?.kind !== 'no-reply' || answer.afterMs >= LASTING_SILENCE_MS;
  if (!telling && !piledUp && !stopped) return null;
  const continued = pidsOf(servers.filter(({ facts }) => facts.state === 'T')).replaceAll(',', '');
  if (stopped) return `is suspended (state T): \`kill -CONT ${continued}\` may be enough`;
  return `does not answer${asleep ? '; it waits in the kernel (state D)' : ''}`;
}

function strayOrphan({ findings, port, held, because }: Scene): Verdict | null {
  const pids = findings.orphans.evidence.processes.map(({ pid }) => pid);
  if (pids.length === 0) return null;
  const left = count(pids.length, 'orphaned salt-api process', 'orphaned salt-api processes');
  const rest =
    held.state === 'free' ? `nobody listens on port ${port}` : `port ${port} is the daemon's`;
  return {
    code: 'orphan-stray',
    summary: `${left}, ${pidList(pids)}, left behind; ${rest}`,
    evidence: because('orphans', 'port-holder', 'close-wait', 'api-log', 'api-answers'),
    wouldChange: 'no salt-api process without a salt-api parent',
  };
}

function secondDaemon({ roles, servers, port, log, because }: Scene): Verdict | null {
  const managers = roles.all.filter(({ role }) => role === 'manager');
  if (managers.length < 2 || !log.looping) return null;
  return {
    code: 'restart-loop',
    summary: `a second salt-api daemon keeps trying to bind port ${port}, which ${pidsOf(servers)} serves`,
    evidence: because('api-log', 'port-holder', 'orphans'),
    wouldChange: 'one daemon alone',
  };
}

function loneSilence({ holding, answers, because }: Scene): Verdict | null {
  if (answers.status !== 'fail') return null;
  return {
    code: 'unknown',
    summary: `${holding}: ${answers.summary}, and nothing else points to a hang`,
    evidence: because('api-answers', 'close-wait', 'port-holder', 'orphans', 'api-log'),
    wouldChange: `any HTTP status from GET /, or none within ${describeDuration(LASTING_SILENCE_MS)} (hung)`,
    asksAgain: true,
  };
}

function notKnownToBeWell({ evidence, findings, port, stepsWith, because }: Scene): Verdict | null {
  // An answer that nobody asked for is said to be none; what else was passed over may tell of trouble.
  const { answer } = evidence;
  const unasked = !answer.seen && answer.cause === 'not-asked';
  const unread = stepsWith('skip').filter((id) => id !== 'api-answers' || !unasked);
  const blind = [...stepsWith('unknown'), ...unread];
  if (blind.length === 0 && !configUnread(evidence)) return null;
  const steps = blind.map((id) => `${findings[id].title} ${findings[id].summary}`);
  return {
    code: 'unknown',
    summary: `not known to be healthy: ${steps.join('; ') || `port ${port} is the default: ${CONFIG_UNREAD}`}`,
    evidence: because(...blind, 'port-holder'),
    wouldChange: 'a look that reaches what this one could not',
  };
}

function otherPortUnserved(scene: Scene): Verdict | null {
  const { evidence, roles, port, stepsWith, because } = scene;
  const unserved = unservedPorts(otherPortsOf(evidence, roles), roles, evidence.host);
  const [first] = unserved;
  if (first === undefined) return null;
  return {
    code: 'degraded',
    summary: `salt-api holds port ${port}, but ${unserved.map(describeOtherPort).join('; ')}`,
    evidence: because(...stepsWith('fail'), ...stepsWith('warn')),
    wouldChange: `the daemon's own child on port ${first.port}`,
    portInstead: first.port,
  };
}

function withSignsOfTrouble({ findings, roles, port, stepsWith, because }: Scene): Verdict | null {
  const doubtful = [...stepsWith('fail'), ...stepsWith('warn')];
  const stopped = stoppedDaemon(roles);
  const signs = [...stopped, ...doubtful.map((id) => findings[id].title)];
  if (signs.length === 0) return null;
  const idle = stopped.map((words) => `${words}: it starts no child and ends none`);
  return {
    code: 'degraded',
    summary: `salt-api holds port ${port}, with signs of trouble: ${signs.join(', ')}`,
    evidence: [...idle, ...because(...doubtful)],
    wouldChange: 'a silent GET / (hung), or none of these signs (healthy)',
  };
}

/** It serves, but what it rests on does not. */
function troubleBehind({ explanations, holding, because }: Scene): Verdict | null {
  const told = DECIDING.map((id) => explanations[id]);
  const doubtful = told.filter(({ degrades }) => degrades);
  if (doubtful.length === 0) return null;
  return {
    code: 'degraded',
    summary: `${holding} and answers, but ${doubtful.map(({ summary }) => summary).join('; ')}`,
    evidence: [
      ...doubtful.map(({ title, summary }) => `${title}: ${summary}`),
      ...because('api-answers'),
    ],
    wouldChange: 'a silent GET / (hung), or none of these signs (healthy)',
  };
}

function healthy({ evidence, holding, answers, because }: Scene): Verdict {
  const rest = answers.status === 'pass' ? ' and answers' : '; GET / was not sent';
  // What was to be looked at and could not be is no part of that.
  const unseen = DECIDING.filter((id) => {
    const look = evidence.background[id];
    return !look.seen && look.cause !== 'not-asked';
  });
  const but = unseen.length === 0 ? '' : `; not known: ${unseen.join(', ')}`;
  return {
    code: 'healthy',
    summary: `${holding}${rest}${but}`,
    evidence: because('port-holder', 'orphans', 'close-wait', 'api-log', 'api-answers'),
    wouldChange: 'a failing step',
  };
}

function notAllSeen(scene: Scene): Verdict | null {
  const { evidence, port } = scene;
  const { processes } = evidence;
  if (!processes.seen) {
    const summary = `nobody listens on port ${port}, and the process table can't be read`;
    return undecided(scene, summary, 'a readable process table');
  }
  const allSeen = !processes.value.hidden && processes.value.deniedArgv === 0;
  if (allSeen || isOwnDrill({ ...evidence, roles: scene.roles })) return null;
  const summary = `nobody listens on port ${port}, and not every process can be seen`;
  return undecided(scene, summary, 'a look as root');
}

/** Where a salt-api serves another port, that one may be meant: then nothing must be mended. */
function servesInstead(scene: Scene): Verdict | null {
  const { evidence, ours, port, log } = scene;
  const other = ours.find((one) => one.servesInstead.length > 0);
  const [instead] = other?.servesInstead ?? [];
  if (other === undefined || instead === undefined) return null;
  const named = evidence.apiLog.seen && evidence.apiLog.value.ports.includes(port);
  // One that serves another port of its own has this one besides.
  const ownPorts = configuredNetapis(evidence.config).map((netapi) => netapi.port);
  const both = ownPorts.includes(instead) && ownPorts.includes(port);
  if ((log.looping && named) || both) return null;
  const summary = `salt-api ${other.facts.pid} listens on port ${instead}, not on ${port}`;
  const wouldChange = `a look at port ${instead}, or a listener on ${port}`;
  return { ...undecided(scene, summary, wouldChange), portInstead: instead };
}

function guessedPort(scene: Scene): Verdict | null {
  const { evidence, ours, port, log } = scene;
  const unheard = `nobody listens on port ${port}; that is the default`;
  const [first] = ours;
  if (evidence.port.origin.kind === 'default' && first !== undefined && !log.looping) {
    const summary = `salt-api ${first.facts.pid} runs, but ${unheard}, no port of the Salt config`;
    const verdict = undecided(scene, summary, 'a port in the Salt config, or --port');
    const young = ours.find((one) => one.under === null && startLeft(one, evidence) > 0);
    return young === undefined
      ? verdict
      : { ...verdict, comesUpWithinMs: startLeft(young, evidence) };
  }
  if (!configUnread(evidence)) return null;
  const summary = `${unheard}: ${CONFIG_UNREAD}`;
  return undecided(scene, summary, 'a readable Salt config, or --port');
}

function wokenByLook(scene: Scene): Verdict | null {
  if (!scene.asleep || scene.answers.status !== 'pass') return null;
  return {
    code: 'unknown',
    summary: `systemd starts salt-api when port ${scene.port} is asked, as this look did: look again`,
    evidence: toldOfFree(scene),
    wouldChange: 'a look after the start',
  };
}

function withoutDaemon(scene: Scene): Verdict {
  const { evidence, roles, port, nobody, trouble } = scene;
  const failure = reasonOfFailure(scene);
  const unclear = roles.all.filter(({ role }) => role === 'unclear');
  const young = unclear.find((one) => startLeft(one, evidence) > 0 && !hasListened(one));
  if (young !== undefined && failure === null) return comingUp(scene, young);
  const pids = pidList(unclear.map((one) => one.facts.pid));
  const beside = unclear.length > 0 ? `, but salt-api ${pids} runs` : '';
  const why = failure === null ? '' : `: ${describeStartFailure(failure, evidence.host)}`;
  return {
    code: 'down',
    summary: `no salt-api daemon runs, and ${nobody}${beside}${why}${trouble}`,
    evidence: toldOfFree(scene),
    wouldChange: `a listener on port ${port}`,
    ...(failure === null ? {} : { startFailure: failure }),
  };
}

/** A daemon runs, and nobody listens. */
function idle(scene: Scene, daemon: SaltApiProcess): Verdict {
  const { evidence, roles, port, nobody, because } = scene;
  // A child that serves another port of the instance is not the one that is missing.
  const others = new Set(otherConfiguredPorts(evidence.config, port));
  const children = childrenOf(daemon, roles).filter(
    ({ facts }) => !facts.otherPorts.some((other) => others.has(other)),
  );
  const [stopped] = stoppedDaemon(roles);
  if (stopped !== undefined) {
    return {
      code: 'down',
      summary: `${stopped}, and ${nobody}`,
      evidence: toldOfFree(scene),
      wouldChange: 'SIGCONT to the daemon, and a child that listens',
    };
  }
  const closed = [...children, daemon].find(hasListened);
  if (closed !== undefined) {
    const { pid, portConnections } = closed.facts;
    return {
      code: 'hung',
      summary: `salt-api ${pid} has closed its listener on port ${port} and stays, with ${count(portConnections, 'accepted connection')}`,
      evidence: toldOfFree(scene),
      wouldChange: 'its end, and a child that listens',
    };
  }
  const failure = reasonOfFailure(scene);
  if (failure !== null) {
    return {
      code: children.length > 0 || hasZombie(scene, daemon) ? 'restart-loop' : 'down',
      summary: `the daemon ${daemon.facts.pid} runs, but its API does not come up on port ${port}: ${reasonInWords(failure)}`,
      evidence: because('api-log', 'port-holder', 'orphans'),
      wouldChange: 'a start without that error',
      startFailure: failure,
    };
  }
  return retriesSoon(scene, daemon) ?? lacksListener(scene, daemon, children.at(-1));
}

/**
 * Where what kept the daemon from the port has just gone: its next child will have it. A failed bind
 * that is older than a restart and a start take tells of something else.
 */
function retriesSoon(scene: Scene, daemon: SaltApiProcess): Verdict | null {
  const { evidence, roles, port, log, asleep, because } = scene;
  if (!evidence.apiLog.seen || (log.eventsSinceDaemon ?? 0) === 0 || asleep) return null;
  const { lastAt, ports } = evidence.apiLog.value;
  if (lastAt === null || (ports.length > 0 && !ports.includes(port))) return null;
  const gap = Math.max(RESTART_POLL_MS, (log.loopIntervalSeconds ?? 0) * 1000);
  const interval = Math.min(gap, LONGEST_RESTART_MS);
  const silence = evidence.host.now - lastAt;
  const left = interval + START_MS - Math.max(0, silence);
  // A log of another clock tells no time.
  if (left <= 0 || silence < -START_MS) return null;
  const trying = childrenOf(daemon, roles).length > 0;
  const again = trying ? 'tries again now' : `tries again within ${describeDuration(interval)}`;
  return {
    code: 'unknown',
    summary: `port ${port} has come free: the daemon ${daemon.facts.pid} failed to bind it ${describeDuration(silence)} ago and ${again}`,
    evidence: because('port-holder', 'api-log', 'orphans'),
    wouldChange: ANOTHER_LOOK,
    comesUpWithinMs: left,
  };
}

/** @param child the youngest of the daemon */
function lacksListener(scene: Scene, daemon: SaltApiProcess, child?: SaltApiProcess): Verdict {
  const { evidence, port, nobody, log, trouble } = scene;
  const { pid } = daemon.facts;
  const shared = { evidence: toldOfFree(scene) };
  const loops = (summary: string): Verdict => {
    const wouldChange = 'a child that stays and listens';
    return { code: 'restart-loop', summary, ...shared, wouldChange };
  };
  if (log.looping) {
    return loops(`the daemon ${pid} keeps restarting its child, which never gets port ${port}`);
  }
  if (child === undefined) {
    if (hasZombie(scene, daemon))
      return loops(`a child of the daemon ${pid} has died, and ${nobody}`);
    if (startLeft(daemon, evidence) > 0) return comingUp(scene, daemon);
    return {
      code: 'down',
      summary: `the daemon ${pid} runs without an API child; ${nobody}${trouble}`,
      ...shared,
      wouldChange: 'a child that listens',
    };
  }
  if (startLeft(child, evidence) <= 0) {
    return {
      code: 'hung',
      summary: `the API child ${child.facts.pid} runs and does not listen on port ${port}`,
      ...shared,
      wouldChange: 'a listener of that child',
    };
  }
  const before = diedBefore(scene, daemon);
  if (before === null) return comingUp(scene, child);
  const age = describeDuration(ageOf(child, evidence));
  return loops(
    `${before}; it has started ${child.facts.pid} ${age} ago, and none listens on port ${port}`,
  );
}

/**
 * What proves that the daemon has lost a child already, in words; null where nothing does. That a
 * child is younger than its daemon proves nothing: a start may be slow (salt-facts §10).
 */
function diedBefore(scene: Scene, daemon: SaltApiProcess): string | null {
  const { apiLog, host } = scene.evidence;
  const { pid } = daemon.facts;
  const failed = scene.log.eventsSinceDaemon ?? 0;
  if (failed > 0) return `the daemon ${pid} has failed to bind ${count(failed, 'time')}`;
  const death = apiLog.seen ? (apiLog.value.lastChildDeathAt ?? null) : null;
  const logged = death !== null && death >= startedAt(daemon.facts, host);
  return logged || hasZombie(scene, daemon) ? `a child of the daemon ${pid} has died` : null;
}

function hasZombie({ evidence: { processes } }: Case, daemon: SaltApiProcess): boolean {
  const table = processes.seen ? processes.value.processes : [];
  return table.some((facts) => isDead(facts) && facts.ppid === daemon.facts.pid);
}

function childrenOf({ facts }: SaltApiProcess, { all }: ProcessRoles): SaltApiProcess[] {
  return all.filter(({ role, under }) => role === 'child' && under === facts.pid);
}

/** It accepted connections on the port, so it has had a listener there. */
function hasListened({ facts }: SaltApiProcess): boolean {
  return facts.listens.length === 0 && facts.portConnections > 0;
}

const ANOTHER_LOOK = 'another look in half a minute';

function comingUp(scene: Scene, member: SaltApiProcess): Verdict {
  const { facts, role, under } = member;
  const who = role === 'child' ? `${facts.pid}, child of the daemon ${under},` : `${facts.pid}`;
  const age = describeDuration(ageOf(member, scene.evidence));
  const summary = `salt-api ${who} started ${age} ago and does not listen on port ${scene.port} yet`;
  const comesUpWithinMs = startLeft(member, scene.evidence);
  return { ...undecided(scene, summary, ANOTHER_LOOK), comesUpWithinMs };
}

/** The failed start that keeps the port free, where no later failed bind tells of another reason. */
function reasonOfFailure({ evidence, roles, log }: Scene): StartFailureFacts | null {
  const { apiLog, host } = evidence;
  if (!apiLog.seen || log.startFailure === null) return null;
  const since = roles.daemon === null ? null : startedAt(roles.daemon.facts, host);
  const failure = standingStartFailure(apiLog.value, evidence, since);
  const failedAt = failure?.lastAt ?? null;
  return failedAt !== null && apiLog.value.times.some((at) => at > failedAt) ? null : failure;
}

/** The daemon in words where it is stopped: it starts no child, and hears no SIGTERM. */
function stoppedDaemon({ daemon }: ProcessRoles): string[] {
  return daemon?.facts.state === 'T'
    ? [`the daemon ${daemon.facts.pid} is suspended (state T)`]
    : [];
}

function pidsOf(members: readonly SaltApiProcess[]): string {
  return members.map(({ facts }) => facts.pid).join(', ');
}

function ageOf({ facts }: SaltApiProcess, { host }: Evidence): number {
  return Math.max(0, host.now - startedAt(facts, host));
}

/** How much longer its start may take, ms. */
function startLeft(member: SaltApiProcess, evidence: Evidence): number {
  return START_MS - ageOf(member, evidence);
}

/**
 * The port is only a guess where the config that names it could not be read, or was named by
 * somebody and is not there.
 */
function configUnread({ port, config, instance }: Evidence): boolean {
  if (port.origin.kind !== 'default') return false;
  if (config.seen) return config.value.problems.length > 0;
  return config.cause !== 'missing' || instance.origin !== 'default';
}

function undecided({ because }: Scene, summary: string, wouldChange: string): Verdict {
  const evidence = because('port-holder', 'orphans', 'api-log');
  return { code: 'unknown', summary, evidence, wouldChange };
}

function toldOfFree({ because, troubles }: Scene): string[] {
  return [...because('port-holder', 'api-log', 'orphans'), ...troubles];
}
