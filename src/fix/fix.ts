/**
 * A guided fix, from the lock to the result. It shows nothing by itself: whoever runs it is told what
 * happens, and asked.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { pauseAfterLook } from '../backoff.ts';
import { type DiagnosisObserver, diagnoseHost } from '../diagnosis/diagnose.ts';
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import { ExitCode, TriageError } from '../errors.ts';
import type { LookRequest, Policy } from '../evidence/evidence.ts';
import type { Host, HostActions } from '../host/host.ts';
import { type FixPlan, type PlanOptions, planFix } from '../plan/plan.ts';
import { ordersOfRoot, ownersToKill } from '../plan/rights.ts';
import {
  chooseServiceManager,
  type ServiceManager,
  type ServiceOptions,
} from '../plan/service-manager.ts';
import { openTrail, type TrailOptions } from '../trail/trail.ts';
import { stripControl } from '../untrusted.ts';
import type { FixTarget, FixTimes, RunContext, StepObserver } from './fix-run.ts';
import { acquireLock } from './lock.ts';
import type { FixResult } from './result.ts';
import { runPlan } from './run-plan.ts';

/** For the Python stacks of all processes of one plan, ms: a recovery waits no longer for them. */
const STACKS_MS = 10_000;

/** What is looked at, and by which limits it is judged. */
interface FixLook extends Pick<ServiceOptions, 'unit' | 'unitNamed'> {
  readonly request: LookRequest;
  readonly policy: Policy;
}

interface FixOptions
  extends PlanOptions,
    FixTimes,
    Pick<ServiceOptions, 'service' | 'stopCommand' | 'startCommand'>,
    Pick<TrailOptions, 'stateDirectory' | 'keepIncidents' | 'keepMebibytes'> {
  /** `auto`: the Python stacks of what is killed are read before, where the host can. */
  readonly stacks: 'auto' | 'never';
  /** Ends with the plan: nothing is changed, nothing recorded, no lock taken. */
  readonly dryRun: boolean;
}

/** Who is told of a fix from its first look to its end; text and JSON are such. */
export interface FixObserver extends StepObserver {
  readonly look?: DiagnosisObserver;
  /** It comes up, and gets the time for that. */
  waitsForStart?(): void;
  planned?(plan: FixPlan, manager: ServiceManager | null): void;
  end?(result: FixResult): void;
}

/** Whoever runs a fix. */
export interface FixOperator {
  readonly observer: FixObserver;
  /** Called before the first step: from then on this one is asked, and may interrupt, until it leaves. */
  attend(before: Diagnosis): Pick<RunContext, 'consent' | 'interrupted'> & { leave(): void };
  /** The command that would do the same with the rights of root, as advice. */
  readonly asRoot: string;
}

/**
 * Diagnoses a host, plans, and carries the plan out, under the lock of its port. Where the port
 * was named the lock comes first: a second fix is turned away before it looks.
 *
 * @param already a diagnosis that was just made and shown, as the offer of `diagnose` has it
 * @throws TriageError for a fix that runs already, a program or a right that is missing, and a host
 *   that can't be reached before the first step
 */
export async function fix(
  there: FixTarget,
  look: FixLook,
  options: FixOptions,
  operator: FixOperator,
  already?: Diagnosis,
): Promise<FixResult> {
  const { sshName } = there;
  const locked = async (port: number, work: () => Promise<FixResult>): Promise<FixResult> => {
    if (options.dryRun) return work();
    const lock = await acquireLock({ port, sshName });
    return work().finally(() => lock.release());
  };
  const diagnose = () => diagnoseOnceUp(there.host, look, operator.observer, already);
  const act = async (before: Diagnosis): Promise<FixResult> => {
    return fixDiagnosed(there, look, options, operator, before);
  };
  if (look.request.port !== undefined) {
    return locked(look.request.port, async () => act(await diagnose()));
  }
  const before = await diagnose();
  return locked(before.evidence.port.number, () => act(before));
}

/**
 * What comes up by itself must not be fixed: it gets the time that the first look gives it, and what
 * is judged is the host after it.
 */
async function diagnoseOnceUp(
  host: Host,
  { request, policy }: FixLook,
  observer: FixObserver,
  already: Diagnosis | undefined,
): Promise<Diagnosis> {
  const diagnose = (told?: DiagnosisObserver) =>
    diagnoseHost(host, request, policy, told, 'verdict');
  const lookAgain = () => diagnoseHost(host, { ...request, background: [] }, policy, {}, 'verdict');
  const first = already ?? (await diagnose(observer.look));
  const withinMs = first.verdict.comesUpWithinMs ?? 0;
  const began = performance.now();
  let now = first;
  let lookMs = 0;
  for (let turn = 0; now.verdict.comesUpWithinMs !== undefined; turn += 1) {
    if (performance.now() - began >= withinMs) break;
    if (now === first) observer.waitsForStart?.();
    observer.waiting?.(`until it is up: ${now.verdict.summary}`, withinMs, began);
    await delay(pauseAfterLook(turn, lookMs));
    const lookedAt = performance.now();
    now = await lookAgain();
    lookMs = performance.now() - lookedAt;
  }
  return now === first ? first : diagnose(observer.look);
}

async function fixDiagnosed(
  there: FixTarget,
  look: FixLook,
  options: FixOptions,
  operator: FixOperator,
  before: Diagnosis,
): Promise<FixResult> {
  const { observer } = operator;
  const { unit, unitNamed, request, policy } = look;
  const manager = chooseServiceManager(before.evidence.service, { ...options, unit, unitNamed });
  const plan = planFix(before, manager, options);
  const ended = (result: FixResult): FixResult => {
    observer.end?.(result);
    return result;
  };
  const about = { before, manager, dryRun: options.dryRun };
  if (plan.kind === 'nothing-to-do') return ended({ ...about, kind: plan.kind, plan });
  if (plan.kind === 'refused') return ended({ ...about, kind: plan.kind, plan });
  observer.planned?.(plan, manager);
  if (options.dryRun) return ended({ ...about, kind: 'planned', plan });
  await requirePrograms(there.actions, plan);
  await requireRights(there.actions, plan, about, operator.asRoot);
  const { host, port } = before.evidence;
  const trail = await openTrail({ ...options, port: port.number, host: host.name });
  const { consent, interrupted, leave } = operator.attend(before);
  try {
    const { waitMs, commandTimeoutMs } = options;
    const stacksMs = options.stacks === 'never' ? 0 : STACKS_MS;
    const times = { waitMs, commandTimeoutMs, stacksMs };
    const means = { ...there, request, policy, manager, ...times, trail };
    const pause = (ms: number) => delay(ms);
    const ran = await runPlan(plan, before, { ...means, consent, observer, interrupted, pause });
    return ended({ ...about, kind: 'ran', plan, trail: trail.place, ...ran });
  } finally {
    leave();
    await trail.close();
  }
}

/**
 * A start command that is not there would be found out once the service is stopped.
 * @throws TriageError (usage) before anything was changed
 */
async function requirePrograms(actions: HostActions, { steps }: FixPlan): Promise<void> {
  for (const step of steps) {
    if (step.kind !== 'stop' && step.kind !== 'start') continue;
    const [program = '', ...rest] = step.command;
    if (await actions.hasProgram(program)) continue;
    throw new TriageError(
      stripControl(`${program} can't be run, which the plan needs to ${rest.at(-1) ?? 'restart'}`),
      'Correct --stop-cmd, --start-cmd or --service. Nothing was changed.',
      ExitCode.usage,
    );
  }
}

/** @throws TriageError (not permitted) before anything was changed */
async function requireRights(
  actions: HostActions,
  plan: FixPlan,
  { before, manager }: Pick<FixResult, 'before' | 'manager'>,
  asRoot: string,
): Promise<void> {
  const { host } = before.evidence;
  const why =
    (await actions.missingRights(ownersToKill(plan, before))) ??
    (host.uid === 0 ? null : ordersOfRoot(plan, manager));
  if (why === null) return;
  throw new TriageError(
    `not permitted to fix ${host.name}: ${why}`,
    'Nothing was changed.',
    ExitCode.notPermitted,
    { command: asRoot },
  );
}
