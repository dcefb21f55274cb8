/** From findings to one verdict. Pure: the same evidence gives the same verdict on any machine. */
import { ExitCode } from '../errors.ts';
import type { Evidence, StartFailureFacts } from '../evidence/evidence.ts';
import { configuredNetapis, otherConfiguredPorts } from '../evidence/instance-ports.ts';
import { unitOf, unitTroubles } from '../evidence/systemd-unit.ts';
import { stripControl } from '../untrusted.ts';
import { count, describeDuration, pidList, startedAt } from '../words.ts';
import { isWithoutSalt } from './absence.ts';
import type { Findings } from './checks/checks.ts';
import type { StepStatus } from './checks/finding.ts';
import { START_MS } from './orphan-signs.ts';
import { describeOtherPort, otherPortsOf, unservedPorts } from './other-ports.ts';
import { isOwnDrill } from './own-drill.ts';
import { isDead, type ProcessRoles, type SaltApiProcess } from './process-roles.ts';
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
export interface Case {
  readonly evidence: Evidence;
  readonly findings: Findings;
  readonly roles: ProcessRoles;
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

/** Judges. */
export function judgeVerdict(facts: Case): Verdict {
  const { findings, evidence } = facts;
  const port = evidence.port.number;
  const { state, holders } = findings['port-holder'].evidence;
  const holder = findings['port-holder'].summary;
  // Whoever names a port asks who has it, Salt or no Salt.
  const asked = state === 'free' || evidence.port.origin.kind === 'default';
  if (asked && isWithoutSalt(evidence, facts.roles)) {
    return {
      code: 'unknown',
      summary: `no config, package or unit of Salt is on ${stripControl(evidence.host.name)}, and no salt-api of it runs: is salt-api installed here? did you mean --host?`,
      evidence: because(findings, 'port-holder', 'orphans', 'api-log'),
      wouldChange: 'a salt-api that is installed, or configured',
      withoutSalt: true,
    };
  }
  switch (state) {
    case 'orphan': {
      const looping = findings['api-log'].evidence.looping;
      const daemon = findings['port-holder'].evidence.daemonPid;
      const effect =
        daemon === null
          ? 'no daemon runs'
          : looping
            ? "the new daemon can't bind it"
            : `the daemon ${daemon} can't bind it`;
      return {
        code: 'orphan-holds-port',
        summary: `an orphaned salt-api child holds port ${port}; ${effect}`,
        evidence: because(
          findings,
          'port-holder',
          'orphans',
          'api-log',
          'close-wait',
          'api-answers',
        ),
        wouldChange: 'a live salt-api manager as the parent of the holder',
      };
    }
    case 'foreign':
      return {
        code: 'foreign-holder',
        summary: `port ${port} is held by a program that is not this salt-api: ${pidList(
          holders
            .filter(({ role }) => role === 'foreign' || role === 'elsewhere')
            .map(({ pid }) => pid),
        )}`,
        evidence: because(findings, 'port-holder', 'api-log', 'orphans'),
        wouldChange: 'a salt-api process of this instance as the holder',
      };
    case 'other-daemon': {
      const { looping, eventsSinceDaemon } = findings['api-log'].evidence;
      const { daemon } = facts.roles;
      // Of one configuration, so they want one port, unless that could not be told.
      const alike = daemon?.facts.environment != null && daemon.servesInstead.length === 0;
      const fights = alike || looping || (eventsSinceDaemon ?? 0) > 0;
      return {
        code: fights ? 'restart-loop' : 'unknown',
        summary: fights
          ? `two salt-api daemons: one has port ${port}, the other can't bind it`
          : `two salt-api daemons: one has port ${port}, and nothing says what the other is for`,
        evidence: because(findings, 'port-holder', 'api-log', 'orphans'),
        wouldChange: fights
          ? 'one daemon alone, with its own child on the port'
          : 'a failed bind in the log of the other (restart-loop), or one daemon alone',
      };
    }
    case 'daemon':
      return concludeHeld(facts);
    case 'free':
      return concludeFree(facts);
    case 'unproven':
    case 'unseen':
    case 'unknown':
      return {
        code: 'unknown',
        summary: `can't tell what holds salt-api down: ${holder}`,
        evidence: because(
          findings,
          'port-holder',
          'orphans',
          'close-wait',
          'api-log',
          'api-answers',
        ),
        wouldChange: 'a look with enough rights to see the holder of the port',
      };
  }
}

function concludeHeld({ evidence, findings, roles }: Case): Verdict {
  const port = evidence.port.number;
  const servers = roles.all.filter(
    ({ facts, role }) => facts.listens.length > 0 && (role === 'child' || role === 'manager'),
  );
  const pids = servers.map(({ facts }) => facts.pid).join(', ');
  const hang = hangOf(findings, servers);
  if (hang !== null) {
    return {
      code: 'hung',
      summary: `the right process, ${pids}${hang}, holds port ${port} and does not serve${trouble(evidence)}`,
      evidence: [
        ...because(findings, 'api-answers', 'close-wait', 'port-holder', 'orphans', 'api-log'),
        ...serviceTroubles(evidence),
      ],
      wouldChange: 'any HTTP status from GET /',
    };
  }
  if (findings.orphans.evidence.processes.length > 0) return strayOrphan(findings, port, true);
  const managers = roles.all.filter(({ role }) => role === 'manager');
  if (managers.length > 1 && findings['api-log'].evidence.looping) {
    return {
      code: 'restart-loop',
      summary: `a second salt-api daemon keeps trying to bind port ${port}, which ${pids} serves`,
      evidence: because(findings, 'api-log', 'port-holder', 'orphans'),
      wouldChange: 'one daemon alone',
    };
  }
  const answer = findings['api-answers'];
  if (answer.status === 'fail') {
    return {
      code: 'unknown',
      summary: `salt-api ${pids} holds port ${port}: ${answer.summary}, and nothing else says that it hangs`,
      evidence: because(findings, 'api-answers', 'close-wait', 'port-holder', 'orphans', 'api-log'),
      wouldChange: `any HTTP status from GET /, or none within ${describeDuration(LASTING_SILENCE_MS)} (hung)`,
      asksAgain: true,
    };
  }
  const blind = stepsWith(findings, 'unknown');
  if (blind.length > 0 || configUnread(evidence)) {
    const what =
      blind.length > 0
        ? blind.map(([id, step]) => `${TITLES[id]} ${step.summary}`).join('; ')
        : 'the port is a guess';
    return {
      code: 'unknown',
      summary: `not known to be healthy: ${what}`,
      evidence: [...blind.map(([id]) => line(findings, id)), ...because(findings, 'port-holder')],
      wouldChange: 'a look that reaches what this one could not',
    };
  }
  const doubtful = [...stepsWith(findings, 'fail'), ...stepsWith(findings, 'warn')];
  const unserved = unservedPorts(otherPortsOf(evidence, roles), roles, evidence.host);
  const [first] = unserved;
  if (first !== undefined) {
    return {
      code: 'degraded',
      summary: `salt-api holds port ${port}, but ${unserved.map(describeOtherPort).join('; ')}`,
      evidence: doubtful.map(([id]) => line(findings, id)),
      wouldChange: `the daemon's own child on port ${first.port}`,
      portInstead: first.port,
    };
  }
  const stopped = stoppedDaemon(roles);
  if (doubtful.length > 0 || stopped !== null) {
    const signs = [...(stopped === null ? [] : [stopped]), ...doubtful.map(([id]) => TITLES[id])];
    const lines = doubtful.map(([id]) => line(findings, id));
    return {
      code: 'degraded',
      summary: `salt-api holds port ${port}, with signs of trouble: ${signs.join(', ')}`,
      evidence:
        stopped === null ? lines : [`${stopped}: it starts no child and ends none`, ...lines],
      wouldChange: 'a silent GET / (hung), or none of these signs (healthy)',
    };
  }
  return {
    code: 'healthy',
    summary:
      answer.status === 'pass'
        ? `salt-api ${pids} holds port ${port} and answers`
        : `salt-api ${pids} holds port ${port}; it was not asked for an answer`,
    evidence: because(findings, 'port-holder', 'orphans', 'close-wait', 'api-log', 'api-answers'),
    wouldChange: 'a failing step',
  };
}

/**
 * Says how a server hangs, in words to go behind its pid, or null. A silence alone is none that a few
 * slow clients could not make: it takes a second witness, or has to last (salt-facts §10).
 */
function hangOf(findings: Findings, servers: readonly SaltApiProcess[]): string | null {
  const { status, evidence } = findings['api-answers'];
  const { acceptQueue, backlog } = findings['close-wait'].evidence;
  const queueFull = acceptQueue > 0 && acceptQueue > (backlog ?? acceptQueue);
  const piledUp = queueFull || findings['close-wait'].status === 'fail';
  const stopped = servers.some(({ facts }) => facts.state === 'T');
  const asleep = servers.some(({ facts }) => facts.state === 'D');
  const how = stopped ? ', stopped' : asleep ? ', in D state' : '';
  if (status === 'fail') {
    const { answer } = evidence;
    const brief = answer?.kind === 'no-reply' && answer.afterMs < LASTING_SILENCE_MS;
    return brief && !piledUp && !stopped ? null : how;
  }
  if (status !== 'skip' && status !== 'unknown') return null;
  // A sound server is in D for a moment at every disk write: that alone tells nothing.
  return piledUp || stopped || (asleep && acceptQueue > 0) ? how : null;
}

/** The daemon in words where it is stopped: it starts no child, and hears no SIGTERM. */
function stoppedDaemon({ daemon }: ProcessRoles): string | null {
  if (daemon?.facts.state !== 'T') return null;
  return `the daemon ${daemon.facts.pid} is stopped (SIGSTOP)`;
}

function concludeFree({ evidence, findings, roles }: Case): Verdict {
  const port = evidence.port.number;
  if (!evidence.processes.seen) {
    return {
      code: 'unknown',
      summary: `nobody listens on port ${port}, and the process table can't be read`,
      evidence: because(findings, 'port-holder', 'orphans', 'api-log'),
      wouldChange: 'a readable process table',
    };
  }
  if (findings.orphans.evidence.processes.length > 0) return strayOrphan(findings, port, false);
  const { hidden, deniedArgv } = evidence.processes.value;
  if ((hidden || deniedArgv > 0) && !isOwnDrill({ ...evidence, roles })) {
    return {
      code: 'unknown',
      summary: `nobody listens on port ${port}, and not every process can be seen`,
      evidence: because(findings, 'port-holder', 'orphans', 'api-log'),
      wouldChange: 'a look as root',
    };
  }
  const doubt = doubtWhoIsMeant({ evidence, findings, roles });
  if (doubt !== null) return doubt;
  if (configUnread(evidence)) {
    return {
      code: 'unknown',
      summary: `nobody listens on port ${port}, which is a guess: the salt config can't be read`,
      evidence: because(findings, 'port-holder', 'orphans', 'api-log'),
      wouldChange: 'a readable salt config, or --port',
    };
  }
  const { daemon } = roles;
  const told = toldOfFree({ evidence, findings, roles });
  if (isAsleep(findings) && findings['api-answers'].status === 'pass') {
    return {
      code: 'unknown',
      summary: `systemd starts salt-api when port ${port} is asked, as this look did: look again`,
      evidence: told,
      wouldChange: 'a look after the start',
    };
  }
  const failure = reasonOfFailure({ evidence, findings, roles });
  if (daemon !== null) return concludeIdle({ evidence, findings, roles }, daemon);
  const unclear = roles.all.filter(({ role }) => role === 'unclear');
  const young = unclear.find((one) => ageOf(one, evidence) < START_MS && !hasListened(one));
  if (young !== undefined && failure === null)
    return comingUp({ evidence, findings, roles }, young);
  const beside =
    unclear.length > 0 ? `, but salt-api ${pidList(unclear.map((one) => one.facts.pid))} runs` : '';
  const why = failure === null ? '' : `: ${describeStartFailure(failure, evidence.host)}`;
  return {
    code: 'down',
    summary: `no salt-api daemon runs, and ${nobody(findings)} on port ${port}${beside}${why}${trouble(evidence)}`,
    evidence: told,
    wouldChange: `a listener on port ${port}`,
    ...(failure === null ? {} : { startFailure: failure }),
  };
}

/** A daemon runs, and nobody listens. */
function concludeIdle(facts: Case, daemon: SaltApiProcess): Verdict {
  const { evidence, findings, roles } = facts;
  const port = evidence.port.number;
  const { pid } = daemon.facts;
  const told = toldOfFree(facts);
  // A child that serves another port of the instance is not the one that is missing.
  const others = new Set(otherConfiguredPorts(evidence.config, port));
  const children = roles.all
    .filter(({ role, under }) => role === 'child' && under === pid)
    .filter(({ facts: { otherPorts } }) => !otherPorts.some((other) => others.has(other)));
  const stopped = stoppedDaemon(roles);
  if (stopped !== null) {
    return {
      code: 'down',
      summary: `${stopped}, and ${nobody(findings)} on port ${port}`,
      evidence: told,
      wouldChange: 'SIGCONT to the daemon, and a child that listens',
    };
  }
  const closed = [...children, daemon].find(hasListened);
  if (closed !== undefined) {
    return {
      code: 'hung',
      summary: `salt-api ${closed.facts.pid} has closed its listener on port ${port} and stays, with ${count(closed.facts.portConnections, 'accepted connection')}`,
      evidence: told,
      wouldChange: 'its end, and a child that listens',
    };
  }
  const failure = reasonOfFailure(facts);
  if (failure !== null) {
    const restarts = children.length > 0 || hasZombie(facts, daemon);
    return {
      code: restarts ? 'restart-loop' : 'down',
      summary: `the daemon ${pid} runs, but its API does not come up on port ${port}: ${reasonInWords(failure)}`,
      evidence: because(findings, 'api-log', 'port-holder', 'orphans'),
      wouldChange: 'a start without that error',
      startFailure: failure,
    };
  }
  return retriesSoon(facts, daemon) ?? concludeChild(facts, daemon, children.at(-1));
}

/** @param child the youngest of the daemon */
function concludeChild(
  facts: Case,
  daemon: SaltApiProcess,
  child: SaltApiProcess | undefined,
): Verdict {
  const { evidence, findings } = facts;
  const port = evidence.port.number;
  const { pid } = daemon.facts;
  const shared = { evidence: toldOfFree(facts) };
  const loops = (summary: string): Verdict => {
    return {
      code: 'restart-loop',
      summary,
      ...shared,
      wouldChange: 'a child that stays and listens',
    };
  };
  if (findings['api-log'].evidence.looping) {
    return loops(`the daemon ${pid} keeps restarting its child, which never gets port ${port}`);
  }
  if (child === undefined) {
    if (hasZombie(facts, daemon)) {
      return loops(
        `a child of the daemon ${pid} has died, and ${nobody(findings)} on port ${port}`,
      );
    }
    if (ageOf(daemon, evidence) < START_MS) return comingUp(facts, daemon);
    return {
      code: 'down',
      summary: `the daemon ${pid} runs without an API child; ${nobody(findings)} on port ${port}${trouble(evidence)}`,
      ...shared,
      wouldChange: 'a child that listens',
    };
  }
  const age = ageOf(child, evidence);
  if (age >= START_MS) {
    return {
      code: 'hung',
      summary: `the API child ${child.facts.pid} runs and does not listen on port ${port}`,
      ...shared,
      wouldChange: 'a listener of that child',
    };
  }
  const before = diedBefore(facts, daemon);
  if (before === null) return comingUp(facts, child);
  return loops(
    `${before}; it has started ${child.facts.pid} ${describeDuration(age)} ago, and none listens on port ${port}`,
  );
}

/**
 * What proves that the daemon has lost a child already, in words; null where nothing does. That a
 * child is younger than its daemon proves nothing: a start may be slow (salt-facts §10).
 */
function diedBefore(facts: Case, daemon: SaltApiProcess): string | null {
  const { evidence, findings } = facts;
  const { pid } = daemon.facts;
  const failed = findings['api-log'].evidence.eventsSinceDaemon ?? 0;
  if (failed > 0) return `the daemon ${pid} has failed to bind ${count(failed, 'time')}`;
  const death = evidence.apiLog.seen ? (evidence.apiLog.value.lastChildDeathAt ?? null) : null;
  const logged = death !== null && death >= startedAt(daemon.facts, evidence.host);
  return logged || hasZombie(facts, daemon) ? `a child of the daemon ${pid} has died` : null;
}

function hasZombie({ evidence: { processes } }: Case, daemon: SaltApiProcess): boolean {
  const table = processes.seen ? processes.value.processes : [];
  return table.some((facts) => isDead(facts) && facts.ppid === daemon.facts.pid);
}

/** It accepted connections on the port, so it has had a listener there. */
function hasListened({ facts }: SaltApiProcess): boolean {
  return facts.listens.length === 0 && facts.portConnections > 0;
}

function comingUp({ evidence, findings }: Case, member: SaltApiProcess): Verdict {
  const { facts, role, under } = member;
  const who = role === 'child' ? `${facts.pid}, child of the daemon ${under},` : `${facts.pid}`;
  const age = ageOf(member, evidence);
  return {
    code: 'unknown',
    summary: `salt-api ${who} started ${describeDuration(age)} ago and does not listen on port ${evidence.port.number} yet`,
    evidence: because(findings, 'port-holder', 'orphans', 'api-log'),
    wouldChange: 'another look in half a minute',
    comesUpWithinMs: START_MS - age,
  };
}

/** A socket unit of its own may have the port without it. */
function isAsleep(findings: Findings): boolean {
  return findings['port-holder'].evidence.listeners.length > 0;
}

function nobody(findings: Findings): string {
  return isAsleep(findings) ? 'only systemd listens' : 'nobody listens';
}

function toldOfFree({ evidence, findings }: Case): string[] {
  const steps = because(findings, 'port-holder', 'api-log', 'orphans');
  return [...steps, ...serviceTroubles(evidence)];
}

/** The first trouble of the unit, to end a summary with. */
function trouble(evidence: Evidence): string {
  const [first] = serviceTroubles(evidence);
  return first === undefined ? '' : `; ${first}`;
}

function serviceTroubles({ service }: Evidence): string[] {
  const unit = unitOf(service);
  return unit === null ? [] : unitTroubles(unit);
}

/** The failed start that keeps the port free, where no later failed bind tells of another reason. */
function reasonOfFailure({ evidence, findings, roles }: Case): StartFailureFacts | null {
  const { apiLog, host } = evidence;
  if (!apiLog.seen || findings['api-log'].evidence.startFailure === null) return null;
  const since = roles.daemon === null ? null : startedAt(roles.daemon.facts, host);
  const failure = standingStartFailure(apiLog.value, evidence, since);
  if (failure === null) return null;
  const { times } = apiLog.value;
  const later = failure.lastAt !== null && times.some((at) => at > (failure.lastAt ?? 0));
  return later ? null : failure;
}

/**
 * Where what kept the daemon from the port has just gone: its next child will have it. A failed bind
 * that is older than a restart and a start take tells of something else.
 */
function retriesSoon({ evidence, findings, roles }: Case, daemon: SaltApiProcess): Verdict | null {
  const { eventsSinceDaemon, loopIntervalSeconds } = findings['api-log'].evidence;
  if (!evidence.apiLog.seen || (eventsSinceDaemon ?? 0) === 0 || isAsleep(findings)) return null;
  const { lastAt, ports } = evidence.apiLog.value;
  const port = evidence.port.number;
  if (lastAt === null || (ports.length > 0 && !ports.includes(port))) return null;
  const gap = Math.max(RESTART_POLL_MS, (loopIntervalSeconds ?? 0) * 1000);
  const interval = Math.min(gap, LONGEST_RESTART_MS);
  const silence = evidence.host.now - lastAt;
  const left = interval + START_MS - Math.max(0, silence);
  // A log of another clock tells no time.
  if (left <= 0 || silence < -START_MS) return null;
  const { pid } = daemon.facts;
  const trying = roles.all.some(({ role, under }) => role === 'child' && under === pid);
  const again = trying ? 'tries again now' : `tries again within ${describeDuration(interval)}`;
  return {
    code: 'unknown',
    summary: `port ${port} has come free: the daemon ${pid} failed to bind it ${describeDuration(silence)} ago and ${again}`,
    evidence: because(findings, 'port-holder', 'api-log', 'orphans'),
    wouldChange: 'another look in half a minute',
    comesUpWithinMs: left,
  };
}

/**
 * Where nobody listens but a salt-api runs: whether it may be meant for another port. Then nothing
 * is known to be broken, and nothing must be mended.
 */
function doubtWhoIsMeant({ evidence, findings, roles }: Case): Verdict | null {
  const port = evidence.port.number;
  const ours = roles.all.filter(({ role }) => role !== 'elsewhere');
  const facts = because(findings, 'port-holder', 'orphans', 'api-log');
  const { looping } = findings['api-log'].evidence;
  const named = evidence.apiLog.seen && evidence.apiLog.value.ports.includes(port);
  const [other] = ours.filter(({ servesInstead }) => servesInstead.length > 0);
  const [instead] = other?.servesInstead ?? [];
  const ownPorts = new Set(configuredNetapis(evidence.config).map((netapi) => netapi.port));
  // One that serves another port of its own has this one besides.
  const both = instead !== undefined && ownPorts.has(instead) && ownPorts.has(port);
  if (other !== undefined && instead !== undefined && !(looping && named) && !both) {
    return {
      code: 'unknown',
      summary: `salt-api ${other.facts.pid} listens on port ${instead}, not on ${port}`,
      evidence: facts,
      wouldChange: `a look at port ${instead}, or a listener on ${port}`,
      portInstead: instead,
    };
  }
  if (evidence.port.origin.kind === 'default' && ours.length > 0 && !looping) {
    const young = ours.find((one) => one.under === null && ageOf(one, evidence) < START_MS);
    return {
      ...(young === undefined ? {} : { comesUpWithinMs: START_MS - ageOf(young, evidence) }),
      code: 'unknown',
      summary: `salt-api ${ours[0]?.facts.pid} runs, and nobody listens on port ${port}, which is a guess`,
      evidence: facts,
      wouldChange: 'a port in the salt config, or --port',
    };
  }
  return null;
}

function ageOf({ facts }: SaltApiProcess, { host }: Pick<Evidence, 'host'>): number {
  return Math.max(0, host.now - startedAt(facts, host));
}

function strayOrphan(findings: Findings, port: number, served: boolean): Verdict {
  const pids = findings.orphans.evidence.processes.map(({ pid }) => pid);
  const rest = served ? `port ${port} is the daemon's` : `nobody listens on port ${port}`;
  return {
    code: 'orphan-stray',
    summary: `${count(pids.length, 'orphaned salt-api process', 'orphaned salt-api processes')}, ${pidList(pids)}, left behind; ${rest}`,
    evidence: because(findings, 'orphans', 'port-holder', 'close-wait', 'api-log', 'api-answers'),
    wouldChange: 'no salt-api process without a salt-api parent',
  };
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

const TITLES: Record<keyof Findings, string> = {
  'port-holder': 'port holder',
  orphans: 'orphans',
  'close-wait': 'CLOSE_WAIT',
  'api-log': 'API log',
  'api-answers': 'API answers',
};

function line(findings: Findings, id: keyof Findings): string {
  return `${TITLES[id]}: ${findings[id].summary}`;
}

function because(findings: Findings, ...ids: readonly (keyof Findings)[]): string[] {
  return ids.filter((id) => findings[id].status !== 'skip').map((id) => line(findings, id));
}

function stepsWith(findings: Findings, status: StepStatus) {
  const ids = Object.keys(TITLES) as (keyof Findings)[];
  return ids
    .filter((id) => findings[id].status === status)
    .map((id) => [id, findings[id]] as const);
}
