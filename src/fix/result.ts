/** What came of a fix, as plain data, and the exit code of it. */
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import { ExitCode } from '../errors.ts';
import { changesHost, type FixPlan, type Plan } from '../plan/plan.ts';
import type { ServiceManager } from '../plan/service-manager.ts';
import { isWell } from './recovery.ts';
import type { RunResult } from './run-plan.ts';

type PlanOf<Kind extends Plan['kind']> = Extract<Plan, { kind: Kind }>;

/** `planned`: a dry run, which ends with its plan. */
export type FixResult = {
  readonly before: Diagnosis;
  readonly manager: ServiceManager | null;
  readonly dryRun: boolean;
} & (
  | { readonly kind: 'nothing-to-do'; readonly plan: PlanOf<'nothing-to-do'> }
  | { readonly kind: 'refused'; readonly plan: PlanOf<'refused'> }
  | { readonly kind: 'planned'; readonly plan: FixPlan }
  | ({
      readonly kind: 'ran';
      readonly plan: FixPlan;
      /** Where it was recorded. */
      readonly trail: string;
    } & RunResult)
);

/** One kind of result. */
export type FixResultOf<Kind extends FixResult['kind']> = Extract<FixResult, { kind: Kind }>;

/** See `help exit-codes`. */
export function fixExitCode(result: FixResult): ExitCode {
  switch (result.kind) {
    case 'nothing-to-do':
      return isWell(result.before.verdict.code) ? ExitCode.ok : ExitCode.incident;
    case 'refused':
      return refusalExitCode(result.plan);
    case 'planned':
      return ExitCode.ok;
    case 'ran':
      return runExitCode(result);
  }
}

function refusalExitCode({ verdict, ofHost }: PlanOf<'refused'>): ExitCode {
  if (verdict === 'unknown') return ExitCode.unknown;
  return verdict === 'foreign-holder' || ofHost === true ? ExitCode.refused : ExitCode.usage;
}

function runExitCode({ outcomes, ended, recovered }: RunResult): ExitCode {
  if (ended === 'interrupted') return ExitCode.interrupted;
  if (ended === 'cut off') return ExitCode.unknown;
  if (recovered) return ExitCode.ok;
  if (ended === 'aborted') return ExitCode.declined;
  if (outcomes.some(({ notPermitted }) => notPermitted)) return ExitCode.notPermitted;
  const changes = outcomes.filter(({ step }) => changesHost(step));
  const said = new Set(changes.map(({ status }) => status));
  if (said.has('done')) return ExitCode.incident;
  // A kill that a guard has refused counts before what a person has declined.
  const guarded = changes.some(({ step, status }) => step.kind === 'kill' && status === 'refused');
  if (guarded) return ExitCode.refused;
  if (said.has('declined')) return ExitCode.declined;
  return said.has('refused') ? ExitCode.refused : ExitCode.incident;
}
