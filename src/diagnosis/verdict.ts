/** From findings to one verdict. Pure: the same evidence gives the same verdict on any machine. */
import { ExitCode } from '../errors.ts';
import type { Evidence, ProcessFacts } from '../evidence/evidence.ts';
import { unitTroubles } from '../evidence/systemd-unit.ts';
import { stripControl } from '../untrusted.ts';
import { count, describeDuration, pidList, startedAt } from '../words.ts';
import { isWithoutSalt } from './absence.ts';
import type { Findings } from './checks/checks.ts';
import type { StepStatus } from './checks/finding.ts';
import { isOwnDrill } from './own-drill.ts';
import type { ProcessRoles, SaltApiProcess } from './process-roles.ts';

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

/** How long a start may take: Salt's imports, and CherryPy's check of the port, 5 s up to 9. */
export const COMING_UP_MS = 10_000;

export interface Verdict {
  readonly code: VerdictCode;
  readonly summary: string;
  /** Why: the findings that led here, most telling first. */
  readonly evidence: readonly string[];
  /** What would have to be seen for another verdict. */
  readonly wouldChange: string;
  /** The port that salt-api listens on, where that is another than the examined one. */
  readonly portInstead?: number;
  /** Nothing of Salt is there: it may be another host that is meant. */
  readonly withoutSalt?: true;
}

/** What a verdict is made from. */
export interface Case {
  readonly evidence: Evidence;
  readonly findings: Findings;
  readonly roles: ProcessRoles;
}

/** Whether `salt-triage fix` has a plan for a verdict. */
export function isMendable(code: VerdictCode): boolean {
  return MENDABLE.has(code);
}

const MENDABLE: ReadonlySet<VerdictCode> = new Set([
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
        summary: `port ${port} is held by a program that is not this salt-api: ${holders
          .filter(({ role }) => role === 'foreign' || role === 'elsewhere')
          .map(({ pid }) => pid)
          .join(', ')}`,
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
  const answer = findings['api-answers'];
  const { acceptQueue, backlog } = findings['close-wait'].evidence;
  const queueFull = acceptQueue > 0 && acceptQueue > (backlog ?? acceptQueue);
  const notAsked = answer.status === 'skip' || answer.status === 'unknown';
  const silent =
    answer.status === 'fail' ||
    (notAsked && (queueFull || findings['close-wait'].status === 'fail'));
  // A sound server is in D for a moment at every disk write: that alone tells nothing.
  const frozen = servers.find(
    ({ facts }) => facts.state === 'T' || (facts.state === 'D' && (silent || acceptQueue > 0)),
  );
  if (silent || (notAsked && frozen !== undefined)) {
    const why =
      frozen === undefined ? '' : frozen.facts.state === 'T' ? ', stopped' : ', in D state';
    return {
      code: 'hung',
      summary: `the right process, ${pids}${why}, holds port ${port} and does not serve`,
      evidence: because(findings, 'api-answers', 'close-wait', 'port-holder', 'orphans', 'api-log'),
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
  if (doubtful.length > 0) {
    return {
      code: 'degraded',
      summary: `salt-api holds port ${port}, with signs of trouble: ${doubtful.map(([id]) => TITLES[id]).join(', ')}`,
      evidence: doubtful.map(([id]) => line(findings, id)),
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

function concludeFree({ evidence, findings, roles }: Case): Verdict {
  const port = evidence.port.number;
  const log = findings['api-log'].evidence;
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
  const troubles = serviceTroubles(evidence);
  const facts = [...because(findings, 'port-holder', 'api-log', 'orphans'), ...troubles];
  // A socket unit of its own may have the port without it.
  const asleep = findings['port-holder'].evidence.listeners.length > 0;
  if (asleep && findings['api-answers'].status === 'pass') {
    return {
      code: 'unknown',
      summary: `systemd starts salt-api when port ${port} is asked, as this look did: look again`,
      evidence: facts,
      wouldChange: 'a look after the start',
    };
  }
  const nobody = asleep ? 'only systemd listens' : 'nobody listens';
  const trouble = troubles[0] === undefined ? '' : `; ${troubles[0]}`;
  if (daemon === null) {
    const unclear = roles.all.filter(({ role }) => role === 'unclear');
    const beside =
      unclear.length > 0
        ? `, but salt-api ${pidList(unclear.map((one) => one.facts.pid))} runs`
        : '';
    return {
      code: 'down',
      summary: `no salt-api daemon runs, and ${nobody} on port ${port}${beside}${trouble}`,
      evidence: facts,
      wouldChange: `a listener on port ${port}`,
    };
  }
  const children = roles.all.filter(
    ({ role, under }) => role === 'child' && under === daemon.facts.pid,
  );
  if (log.looping || (findings.orphans.evidence.zombies > 0 && children.length === 0)) {
    return {
      code: 'restart-loop',
      summary: `the daemon ${daemon.facts.pid} keeps restarting its child, which never gets port ${port}`,
      evidence: facts,
      wouldChange: 'a child that stays and listens',
    };
  }
  const child = children.at(-1);
  if (child !== undefined) {
    // The daemon is older than a start takes, so this is not its first child.
    const age = ageOf(child.facts, evidence);
    return age < COMING_UP_MS
      ? {
          code: 'restart-loop',
          summary: `the daemon ${daemon.facts.pid} keeps restarting its child, ${child.facts.pid} ${describeDuration(age)} ago, and none listens on port ${port}`,
          evidence: facts,
          wouldChange: 'a child that stays and listens',
        }
      : {
          code: 'hung',
          summary: `the API child ${child.facts.pid} runs and does not listen on port ${port}`,
          evidence: facts,
          wouldChange: 'a listener of that child',
        };
  }
  return {
    code: 'down',
    summary: `the daemon ${daemon.facts.pid} runs without an API child; ${nobody} on port ${port}${trouble}`,
    evidence: facts,
    wouldChange: 'a child that listens',
  };
}

function serviceTroubles({ service }: Evidence): string[] {
  if (!service.seen || !service.value.systemd.seen || service.value.systemd.value === null)
    return [];
  return unitTroubles(service.value.systemd.value);
}

/**
 * Where nobody listens but a salt-api runs: whether it may be meant for another port, or be on its
 * way up. Then nothing is known to be broken, and nothing must be mended.
 */
function doubtWhoIsMeant({ evidence, findings, roles }: Case): Verdict | null {
  const port = evidence.port.number;
  const ours = roles.all.filter(({ role }) => role !== 'elsewhere');
  const facts = because(findings, 'port-holder', 'orphans', 'api-log');
  const { looping } = findings['api-log'].evidence;
  const named = evidence.apiLog.seen && evidence.apiLog.value.ports.includes(port);
  const [other] = ours.filter(({ servesInstead }) => servesInstead.length > 0);
  const [instead] = other?.servesInstead ?? [];
  if (other !== undefined && instead !== undefined && !(looping && named)) {
    return {
      code: 'unknown',
      summary: `salt-api ${other.facts.pid} listens on port ${instead}, not on ${port}`,
      evidence: facts,
      wouldChange: `a look at port ${instead}, or a listener on ${port}`,
      portInstead: instead,
    };
  }
  if (evidence.port.origin.kind === 'default' && ours.length > 0 && !looping) {
    return {
      code: 'unknown',
      summary: `salt-api ${ours[0]?.facts.pid} runs, and nobody listens on port ${port}, which is a guess`,
      evidence: facts,
      wouldChange: 'a port in the salt config, or --port',
    };
  }
  const root = ours.find((member) => isComingUp(member, evidence) && member.role !== 'orphan');
  // A child that has died already is more than a slow start.
  if (root !== undefined && !looping && findings.orphans.evidence.zombies === 0) {
    return {
      code: 'unknown',
      summary: `salt-api ${root.facts.pid} started ${describeDuration(ageOf(root.facts, evidence))} ago and does not listen on port ${port} yet`,
      evidence: facts,
      wouldChange: 'another look in half a minute',
    };
  }
  return null;
}

/** True where a salt-api was on its way up when it was looked at: a later look may tell more. */
export function isStartingUp({ evidence, findings, roles }: Case): boolean {
  if (findings['port-holder'].evidence.state !== 'free') return false;
  const ours = roles.all.filter(({ role }) => role !== 'elsewhere');
  if (ours.some(({ servesInstead }) => servesInstead.length > 0)) return false;
  return ours.some((member) => isComingUp(member, evidence));
}

function isComingUp({ facts, under }: SaltApiProcess, evidence: Evidence): boolean {
  return under === null && ageOf(facts, evidence) < COMING_UP_MS;
}

function ageOf(facts: ProcessFacts, { host }: Pick<Evidence, 'host'>): number {
  return host.now - startedAt(facts, host);
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
