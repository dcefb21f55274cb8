/** From a diagnosis to the steps that fix it. Pure: a dry run, the prompts and --yes share it. */

import type { ActionBasis } from '../diagnosis/diagnosis.ts';
import { looksLikeForkedJob } from '../diagnosis/orphan-signs.ts';
import type { SaltApiProcess } from '../diagnosis/process-roles.ts';
import { describeStartFailure, startAdvice } from '../diagnosis/start-failure.ts';
import type { VerdictCode } from '../diagnosis/verdict.ts';
import type { ProcessFacts } from '../evidence/evidence.ts';
import type { KillTarget } from '../host/host.ts';
import { redactArgv, stripControl } from '../untrusted.ts';
import { averageCpuPercent, count, describeCpuTime, describeRecent, startedAt } from '../words.ts';
import type { Remedy } from './remedy.ts';
import { reasonOf, type ServiceManager } from './service-manager.ts';
import { daemonIsBeside, refuseService } from './service-refusals.ts';

/** A process to end, with what a person needs to decide. */
export interface KillStep {
  readonly kind: 'kill';
  readonly target: KillTarget;
  readonly uid: number;
  /** `orphan`, `fork`, `manager`, … */
  readonly role: string;
  readonly reasons: readonly string[];
  readonly title: string;
  /** Start, CPU, what it holds. */
  readonly facts: readonly string[];
  /** Without its end the port does not become free. */
  readonly holdsPort: boolean;
  /** What its end takes along, or null. */
  readonly loss: string | null;
  /** Masked, for the screen. */
  readonly shownArgv: readonly string[];
}

/** One step of a plan, in the order it is carried out. */
export type PlanStep =
  | { readonly kind: 'save-evidence'; readonly title: string }
  | KillStep
  /** `if-needed`: whether the daemon recovers by itself once the port is free. */
  | { readonly kind: 'await-recovery'; readonly title: string }
  | { readonly kind: 'stop'; readonly title: string; readonly command: readonly string[] }
  | { readonly kind: 'kill-leftovers'; readonly title: string }
  | { readonly kind: 'wait-port-free'; readonly title: string; readonly port: number }
  | {
      readonly kind: 'start';
      readonly title: string;
      readonly command: readonly string[];
      readonly before: readonly string[] | null;
    }
  /** A unit that the stop takes along, and that nothing else starts again. */
  | {
      readonly kind: 'start-dependent';
      readonly title: string;
      readonly unit: string;
      readonly command: readonly string[];
      /** Exits 0 where it runs already (systemctl(1), is-active). */
      readonly check: readonly string[];
      /** Prints why it does not run, as `unitFailure` reads it. */
      readonly reason: readonly string[];
    }
  /**
   * `serving`: the daemon's new child serves, and nothing else is wrong. `no-orphans`: no orphan is
   * left and the API serves, though its process may be the one from before.
   */
  | { readonly kind: 'verify'; readonly title: string; readonly goal: 'serving' | 'no-orphans' };

/** The step of one kind. */
export type StepOf<Kind extends PlanStep['kind']> = Extract<PlanStep, { kind: Kind }>;

/** A plan that has something to do. */
export interface FixPlan {
  readonly kind: 'fix';
  readonly verdict: VerdictCode;
  readonly steps: readonly PlanStep[];
  /** What to know before the first question. */
  readonly remarks: readonly string[];
}

export type Plan =
  | FixPlan
  | { readonly kind: 'nothing-to-do'; readonly verdict: VerdictCode; readonly why: string }
  | {
      readonly kind: 'refused';
      readonly verdict: VerdictCode;
      readonly why: string;
      /** What to type instead; null where the diagnosis's own next command is that. */
      readonly remedy: Remedy | null;
      /** No option of ours would help: the host has to be changed first. */
      readonly ofHost?: true;
    };

export interface PlanOptions {
  /** `kill`: the orphans alone. */
  readonly only: 'kill' | undefined;
  readonly restart: 'always' | 'if-needed';
}

/** True for a step that changes the host and therefore asks first. */
export function changesHost(step: PlanStep): boolean {
  return ['kill', 'stop', 'start', 'start-dependent'].includes(step.kind);
}

/**
 * Plans.
 * @param manager how the service is stopped and started; null where nothing can
 */
export function planFix(
  diagnosis: ActionBasis,
  manager: ServiceManager | null,
  options: PlanOptions,
): Plan {
  const { code: verdict, summary } = diagnosis.verdict;
  switch (verdict) {
    case 'healthy':
    case 'degraded':
      return { kind: 'nothing-to-do', verdict, why: summary };
    case 'foreign-holder':
      return { kind: 'refused', verdict, why: summary, remedy: null };
    case 'unknown': {
      const why = `the cause is not known, so nothing is changed: ${summary}`;
      return { kind: 'refused', verdict, why, remedy: null };
    }
    default:
      return planIncident(diagnosis, manager, options);
  }
}

function planIncident(
  diagnosis: ActionBasis,
  manager: ServiceManager | null,
  { only, restart }: PlanOptions,
): Plan {
  const { findings, roles, evidence } = diagnosis;
  const { code: verdict } = diagnosis.verdict;
  const orphans = orphansAndForks(roles.all);
  const served = findings['port-holder'].evidence.state === 'daemon';
  const restarts = only !== 'kill' && !(verdict === 'orphan-stray' && served);
  const recovers = roles.daemon !== null && orphans.size > 0;
  const waitsFirst = restarts && restart === 'if-needed' && recovers;
  // A daemon that recovers by itself needs no manager; where it does not, the wait for it fails.
  const needsNone = waitsFirst && manager === null;
  const refusal = restarts && !needsNone ? refuseService(diagnosis, manager) : null;
  if (refusal !== null) return { kind: 'refused', verdict, ...refusal };
  if (only === 'kill' && orphans.size === 0) {
    return { kind: 'nothing-to-do', verdict, why: 'there is no orphan to kill' };
  }
  const again = restarts ? planRestart(diagnosis, manager, orphans) : { steps: [], remarks: [] };
  const steps: PlanStep[] = [
    { kind: 'save-evidence', title: 'save the evidence' },
    ...[...orphans].map((member) => killStep(member, diagnosis)),
    ...(waitsFirst ? [awaitRecovery(evidence.port.number)] : []),
    ...again.steps,
    verify(restarts ? 'serving' : 'no-orphans'),
  ];
  const remarks = [...again.remarks];
  if (recovers && restarts && !waitsFirst) {
    remarks.push(
      `once the port is free, daemon ${roles.daemon.facts.pid} may recover by itself; --restart if-needed waits for that first`,
    );
  }
  return { kind: 'fix', verdict, steps, remarks };
}

/** What serves again and can't hand on its calls may jam as it did. */
function masterRemarks({ explanations: { master } }: ActionBasis): readonly string[] {
  return master.causes.map(({ summary, advice }) => {
    // Seen to take calls and answer none. One that is not there may not be meant to be.
    const lasts = master.degrades
      ? ': a restart of salt-api alone lasts until its calls jam it again'
      : '';
    return [`${summary}${lasts}`, ...(advice === null ? [] : [advice])].join('; ');
  });
}

function verify(goal: keyof typeof GOALS): PlanStep {
  return { kind: 'verify', title: `verify that ${GOALS[goal]}`, goal };
}

const GOALS = {
  serving: 'the API serves again',
  'no-orphans': 'the orphans are gone and that the API serves',
};

function awaitRecovery(port: number): PlanStep {
  return { kind: 'await-recovery', title: `wait for the daemon to take port ${port} by itself` };
}

/** The orphans, and then what they have forked: a kill -9 of its own for each. */
function orphansAndForks(all: readonly SaltApiProcess[]): ReadonlySet<SaltApiProcess> {
  const orphans = all.filter(({ role }) => role === 'orphan');
  const pids = new Set(orphans.map(({ facts }) => facts.pid));
  const forks = all.filter(({ role, under }) => {
    return role === 'fork' && under !== null && pids.has(under);
  });
  return new Set([...orphans, ...forks]);
}

/** The steps of a restart, and what to know before it. */
function planRestart(
  diagnosis: ActionBasis,
  manager: ServiceManager | null,
  orphans: ReadonlySet<SaltApiProcess>,
): Pick<FixPlan, 'steps' | 'remarks'> {
  const { verdict, roles, evidence } = diagnosis;
  const failed = [...masterRemarks(diagnosis), ...whyStartFailed(diagnosis)];
  if (manager === null) {
    const none = 'found no service manager: the daemon has to recover by itself';
    return { steps: [], remarks: [...failed, none] };
  }
  const { start: command, beforeStart: before } = manager;
  const remarks = [...manager.remarks, ...daemonIsBeside(diagnosis, manager), ...failed];
  const port = evidence.port.number;
  const start: PlanStep[] = [
    { kind: 'wait-port-free', title: `wait until port ${port} is free`, port },
    { kind: 'start', title: 'start the service', command, before },
  ];
  const nothingRuns = verdict.code === 'down' && roles.daemon === null;
  // What nobody has stopped can't have stayed.
  if (nothingRuns && !manager.believesRunning) return { steps: start, remarks };
  const steps: PlanStep[] = [
    ...stopSteps(diagnosis, manager, orphans),
    { kind: 'kill-leftovers', title: 'check for leftover salt-api processes' },
    ...start,
    ...manager.dependents.map(startAgain),
  ];
  return { steps, remarks: [...remarks, ...jobsEnd(roles.all, orphans)] };
}

function whyStartFailed({ verdict, evidence }: ActionBasis): readonly string[] {
  const { startFailure: failure } = verdict;
  if (failure === undefined) return [];
  const { note } = startAdvice(failure, evidence);
  return [`${describeStartFailure(failure, evidence.host)}: ${note}`];
}

function jobsEnd(
  all: readonly SaltApiProcess[],
  orphans: ReadonlySet<SaltApiProcess>,
): readonly string[] {
  const jobs = all.filter((one) => ['job', 'fork'].includes(one.role) && !orphans.has(one));
  if (jobs.length === 0) return [];
  const which = jobs.map(({ facts }) => facts.pid).join(', ');
  return [`the restart ends ${count(jobs.length, 'running job')} unfinished: ${which}`];
}

/** Without a stop command kill -9 is the stop: then each process is named beforehand. */
function stopSteps(
  diagnosis: ActionBasis,
  { stop }: ServiceManager,
  orphans: ReadonlySet<SaltApiProcess>,
): PlanStep[] {
  if (stop !== null) return [{ kind: 'stop', title: 'stop the service', command: stop }];
  return leftoversOf(diagnosis)
    .filter((member) => !orphans.has(member) && member.role !== 'unclear')
    .map((member) => killStep(member, diagnosis));
}

function startAgain(unit: string): PlanStep {
  return {
    kind: 'start-dependent',
    title: `start ${unit} again`,
    unit,
    command: ['systemctl', 'start', unit],
    check: ['systemctl', 'is-active', '--quiet', unit],
    reason: reasonOf(unit),
  };
}

/** The step that ends one process. */
export function killStep(
  member: SaltApiProcess,
  { evidence }: Pick<ActionBasis, 'evidence'>,
): KillStep {
  const { facts, role, reasons } = member;
  const { host } = evidence;
  const identity = { pid: facts.pid, startTicks: facts.startTicks, bootId: host.bootId };
  const percent = averageCpuPercent(facts, host);
  const cpu = `${describeCpuTime(facts.cpuTicks, host)} CPU${percent === null ? '' : ` (${percent}%)`}`;
  return {
    kind: 'kill',
    // What makes it an orphan is its parent; that of the others may be ended before them.
    target: { identity, argv: facts.argv, ...(role === 'orphan' ? { parent: facts.ppid } : {}) },
    uid: facts.uid,
    role,
    reasons,
    title: `kill -9 ${facts.pid} (${role})`,
    facts: [
      `started ${describeRecent(startedAt(facts, host), host)}, ${cpu}, state ${facts.state}`,
      holds(facts, evidence.port.number),
    ],
    holdsPort: facts.listens.length > 0,
    loss: lossOf(member),
    shownArgv: redactArgv(facts.argv).map(stripControl),
  };
}

function holds(facts: ProcessFacts, port: number): string {
  const parts: string[] = [];
  if (facts.listens.length > 0) parts.push(`the listening socket of port ${port}`);
  if (facts.portConnections > 0) parts.push(count(facts.portConnections, 'connection'));
  return parts.length > 0 ? `holds ${parts.join(' and ')}` : `holds nothing of port ${port}`;
}

/** Forks run jobs: a salt-ssh call, an asynchronous wheel function (salt-facts §1.1). */
function lossOf({ role, facts }: SaltApiProcess): string | null {
  if (role === 'fork' || role === 'job') return 'the job that it runs';
  if (role === 'child') return 'the requests that it is still serving';
  if (role === 'orphan' && looksLikeForkedJob(facts)) {
    return 'if it is a forked job (wheel_async, salt-ssh), that job';
  }
  return facts.portConnections > 0 ? 'the requests that it is still serving' : null;
}

/**
 * Processes that a stop should have ended, managers first so that they can't fork anew. What nothing
 * proves to be Salt's, or a parent that lives has started, no stop of salt-api was meant for, nor for
 * what that has forked.
 */
export function leftoversOf({ roles }: Pick<ActionBasis, 'roles'>): SaltApiProcess[] {
  const order = ['manager', 'orphan', 'child', 'unclear', 'fork', 'job'];
  const spared = new Set(
    roles.all
      .filter(({ role, reparented, proven }) => role === 'unclear' && !(reparented && proven))
      .map(({ facts }) => facts.pid),
  );
  return roles.all
    .filter(({ role, servesInstead }) => role !== 'elsewhere' && servesInstead.length === 0)
    .filter(({ facts, under }) => !spared.has(facts.pid) && !spared.has(under ?? 0))
    .toSorted((a, b) => order.indexOf(a.role) - order.indexOf(b.role));
}
