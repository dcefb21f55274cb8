/**
 * Carries out a plan one confirmed step at a time. Every step is checked against a fresh look
 * before it acts and against another after it: neither the plan nor an exit code is trusted.
 */
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import { TriageError } from '../errors.ts';
import { writeEvidence } from '../evidence/evidence-file.ts';
import type { FixPlan, PlanStep } from '../plan/plan.ts';
import { EVIDENCE_AFTER, EVIDENCE_BEFORE } from '../trail/directory.ts';
import { FixRun, type RunContext, type Settled, settled } from './fix-run.ts';
import { kill } from './kill-step.ts';
import { killLeftovers } from './leftovers.ts';
import { seeTheEnd } from './see-the-end.ts';
import { start, startDependent, stop } from './service-steps.ts';
import { awaitRecovery, verify, waitPortFree } from './waiting-steps.ts';

/** What came of a run. */
export interface RunResult extends Pick<FixRun, 'outcomes' | 'ended' | 'recovered'> {
  /** The last look, a whole one but where `unseen` says why not; null where none was taken after the first. */
  readonly after: Diagnosis | null;
  /** Why the host could not be looked at after the last action; null where it was, or none was taken. */
  readonly unseen: string | null;
}

/**
 * Runs the steps of a plan.
 * @param before the diagnosis that the plan was made from
 */
export async function runPlan(
  plan: FixPlan,
  before: Diagnosis,
  context: RunContext,
): Promise<RunResult> {
  const { trail } = context;
  const run = new FixRun(plan, before, context);
  await trail.journal({ phase: 'note', action: 'begin', result: plan.verdict });
  for (const [index, step] of plan.steps.entries()) {
    run.heedInterrupt();
    if (run.ended === 'completed') {
      const act = () => carryOut(run, step).catch((error: unknown) => cutOff(run, error));
      await run.perform(step, `${index + 1}/${plan.steps.length}`, act);
    } else {
      run.settle(step, { status: 'not-started', detail: `the sequence was ${run.ended}` });
    }
  }
  // The last step may have been cut short: that is no verdict on the host.
  if (!run.recovered) run.heedInterrupt();
  const unseen = await seeTheEnd(run);
  const { outcomes, ended, recovered, latest: after } = run;
  if (after !== null) await trail.saveFile(EVIDENCE_AFTER, writeEvidence(after.evidence));
  const result = recovered ? 'recovered' : `not recovered, ${ended}`;
  await trail.journal({ phase: 'note', action: 'end', result });
  return { outcomes, after, unseen, ended, recovered };
}

/** A host that is gone ends the sequence where it is; what was done and what not is still told. */
function cutOff(run: FixRun, error: unknown): Settled {
  if (!(error instanceof TriageError)) throw error;
  run.ended = 'cut off';
  run.cutOffBy = error.message;
  return settled('failed', error.message);
}

/** What serves again is left alone. */
const MOOT_ONCE_SERVING = ['kill', 'stop', 'kill-leftovers', 'wait-port-free', 'start'];

async function carryOut(run: FixRun, step: PlanStep): Promise<Settled> {
  if (run.servesAgain !== null && MOOT_ONCE_SERVING.includes(step.kind)) {
    return settled('not-needed', 'the API serves again');
  }
  switch (step.kind) {
    case 'save-evidence':
      return saveEvidence(run);
    case 'kill':
      return kill(run, step);
    case 'await-recovery':
      return awaitRecovery(run);
    case 'stop':
      return stop(run, step);
    case 'kill-leftovers':
      return killLeftovers(run);
    case 'wait-port-free':
      return waitPortFree(run, step);
    case 'start':
      return start(run, step);
    case 'start-dependent':
      return startDependent(run, step);
    case 'verify':
      return verify(run, step);
  }
}

async function saveEvidence({ plan, before, context }: FixRun): Promise<Settled> {
  const { trail, actions } = context;
  await trail.saveFile(EVIDENCE_BEFORE, writeEvidence(before.evidence));
  for (const [name, text] of await actions.recordHost()) await trail.saveFile(name, text);
  await trail.saveFile('plan.json', planFile(plan));
  return settled('done', 'evidence and plan saved');
}

/** The plan for the trail: of a target what is shown of it, not its whole argv with its secrets. */
function planFile(plan: FixPlan): string {
  const shown = (key: string, value: unknown) => (key === 'argv' ? undefined : value);
  // As `fix --json` calls it.
  return `${JSON.stringify({ ...plan, kind: 'mend' }, shown, 2)}\n`;
}
