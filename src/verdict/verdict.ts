/** From findings to one verdict. Pure: the same evidence gives the same verdict on any machine. */
import { ExitCode } from '../errors.ts';
import type { Evidence } from '../evidence/evidence.ts';
import type { Findings } from '../findings/checks.ts';
import type { StepStatus } from '../findings/finding.ts';
import { castRoster, type Roster } from '../findings/roster.ts';
import { count, describeDuration, startedAt } from '../findings/wording.ts';

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

export interface Verdict {
  readonly code: VerdictCode;
  readonly summary: string;
  /** Why: the findings that led here, most telling first. */
  readonly evidence: readonly string[];
  /** What would have to be seen for another verdict. */
  readonly wouldChange: string;
  /** The next command, or what to do where no command of ours helps; empty when healthy. */
  readonly next: string;
  /** What the next command does, in a few words. */
  readonly nextNote: string;
}

/** A server that began within this time may still be on its way up. */
const STARTING_MS = 20_000;

/**
 * Judges.
 * @param evidence what was seen
 * @param findings what the steps made of it
 * @param flags options that the next command must repeat, such as `--port 8443`
 */
export function judgeVerdict(
  evidence: Evidence,
  findings: Findings,
  flags: readonly string[] = [],
): Verdict {
  const roster = castRoster(evidence);
  const conclusion = conclude({ evidence, findings, roster });
  return { ...conclusion, ...nextFor(conclusion.code, evidence, findings, flags) };
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

interface Case {
  readonly evidence: Evidence;
  readonly findings: Findings;
  readonly roster: Roster;
}

type Conclusion = Pick<Verdict, 'code' | 'summary' | 'evidence' | 'wouldChange'>;

function conclude(facts: Case): Conclusion {
  const { findings, evidence } = facts;
  const port = evidence.port.number;
  const { state, holders } = findings['port-holder'].evidence;
  const holder = findings['port-holder'].summary;
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
    case 'other-daemon':
      return {
        code: 'restart-loop',
        summary: `two salt-api daemons: one has port ${port}, the other can't bind it`,
        evidence: because(findings, 'port-holder', 'api-log', 'orphans'),
        wouldChange: 'one daemon alone, with its own child on the port',
      };
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

function concludeHeld({ evidence, findings, roster }: Case): Conclusion {
  const port = evidence.port.number;
  const servers = roster.cast.filter(
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
  const managers = roster.cast.filter(({ role }) => role === 'manager');
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
    const what = blind.length > 0 ? blind.map(([, step]) => step.summary).join('; ') : 'the port';
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

function concludeFree({ evidence, findings, roster }: Case): Conclusion {
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
  if (hidden || deniedArgv > 0) {
    return {
      code: 'unknown',
      summary: `nobody listens on port ${port}, and not every process can be seen`,
      evidence: because(findings, 'port-holder', 'orphans', 'api-log'),
      wouldChange: 'a look as root',
    };
  }
  if (configUnread(evidence)) {
    return {
      code: 'unknown',
      summary: `nobody listens on port ${port}, which is a guess: the salt config can't be read`,
      evidence: because(findings, 'port-holder', 'orphans', 'api-log'),
      wouldChange: 'a readable salt config, or --port',
    };
  }
  const { daemon } = roster;
  const facts = because(findings, 'port-holder', 'api-log', 'orphans');
  if (daemon === null) {
    const unclear = roster.cast.filter(({ role }) => role === 'unclear');
    const beside =
      unclear.length > 0
        ? `, but salt-api ${unclear.map((one) => one.facts.pid).join(', ')} runs`
        : '';
    return {
      code: 'down',
      summary: `no salt-api daemon runs, and nobody listens on port ${port}${beside}`,
      evidence: facts,
      wouldChange: `a listener on port ${port}`,
    };
  }
  const children = roster.cast.filter(
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
  const [child] = children;
  if (child !== undefined) {
    const age = evidence.host.now - startedAt(child.facts, evidence.host);
    const starting = age < STARTING_MS ? `, started ${describeDuration(age)} ago` : '';
    return {
      code: 'hung',
      summary: `the API child ${child.facts.pid}${starting} runs and does not listen on port ${port}`,
      evidence: facts,
      wouldChange: starting === '' ? 'a listener of that child' : 'another look in half a minute',
    };
  }
  return {
    code: 'down',
    summary: `the daemon ${daemon.facts.pid} runs without an API child; nobody listens on port ${port}`,
    evidence: facts,
    wouldChange: 'a child that listens',
  };
}

function strayOrphan(findings: Findings, port: number, served: boolean): Conclusion {
  const pids = findings.orphans.evidence.processes.map(({ pid }) => pid);
  const rest = served ? `port ${port} is the daemon's` : `nobody listens on port ${port}`;
  return {
    code: 'orphan-stray',
    summary: `${count(pids.length, 'orphaned salt-api process', 'orphaned salt-api processes')}, ${pids.join(', ')}, left behind; ${rest}`,
    evidence: because(findings, 'orphans', 'port-holder', 'close-wait', 'api-log', 'api-answers'),
    wouldChange: 'no salt-api process without a salt-api parent',
  };
}

/** The port is only a guess where the config that names it exists and could not be read. */
function configUnread({ port, config }: Evidence): boolean {
  if (port.origin.kind !== 'default') return false;
  return config.seen ? config.value.problems.length > 0 : config.cause !== 'missing';
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

function nextFor(
  code: VerdictCode,
  evidence: Evidence,
  findings: Findings,
  flags: readonly string[],
): Pick<Verdict, 'next' | 'nextNote'> {
  const again = ['salt-triage', 'diagnose', ...flags];
  switch (code) {
    case 'healthy':
      return { next: '', nextNote: '' };
    case 'degraded':
      return { next: [...again, '-v'].join(' '), nextNote: 'shows the evidence of each step' };
    case 'unknown':
      return evidence.host.uid === 0
        ? { next: [...again, '-v'].join(' '), nextNote: 'shows what could not be read, and why' }
        : { next: ['sudo', ...again].join(' '), nextNote: 'root sees every holder and every log' };
    case 'foreign-holder': {
      const { holders } = findings['port-holder'].evidence;
      const pid = holders.find(({ role }) => role === 'foreign' || role === 'elsewhere')?.pid;
      return {
        next: `ps -fp ${pid ?? ''}`.trim(),
        nextNote: 'then stop that program, or give salt-api another port; fix never kills it',
      };
    }
    default:
      return {
        next: ['salt-triage', 'fix', ...flags].join(' '),
        nextNote: fixNote(code, findings),
      };
  }
}

function fixNote(code: VerdictCode, findings: Findings): string {
  const pids = findings.orphans.evidence.processes.map(({ pid }) => pid).join(' ');
  if (code === 'orphan-holds-port') return `kill -9 ${pids}, then restart, asking before each step`;
  if (code === 'orphan-stray') return `kill -9 ${pids}, asking first`;
  if (code === 'down') return 'start the service, asking first';
  return 'stop, kill what stays, start, asking before each step';
}
