import type { FixResult } from '../fix/run-plan.ts';
import type { ExitCode } from '../errors.ts';
import { isoMoment } from '../words.ts';
import type { Plan, PlanStep } from '../plan/plan.ts';
import type { ServiceManager } from '../plan/service-manager.ts';
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import { verdictExitCode } from '../diagnosis/verdict.ts';
import { JSON_SCHEMA_VERSION, jsonDiagnosis } from './diagnosis-json.ts';

/** Everything about one fix as the one document that README documents. */
export function jsonFix(parts: {
  readonly before: Diagnosis;
  readonly plan: Plan;
  readonly manager: ServiceManager | null;
  /** Null for a dry run, a refusal, and where nothing was to do. */
  readonly result: FixResult | null;
  readonly trail: string | null;
  readonly dryRun: boolean;
  readonly exitCode: ExitCode;
}): object {
  const { before, plan, manager, result, exitCode } = parts;
  const { host } = before.evidence;
  return {
    schemaVersion: JSON_SCHEMA_VERSION,
    host: host.name,
    takenAt: isoMoment(host.now, host),
    port: before.evidence.port.number,
    dryRun: parts.dryRun,
    service: manager === null ? null : { kind: manager.kind, label: manager.label },
    plan: jsonPlan(plan),
    steps:
      result?.outcomes.map(({ step, status, detail, durationMs }) => {
        return { ...jsonStep(step), status, detail, durationMs };
      }) ?? [],
    result: resultWord(parts),
    before: jsonDiagnosis(before, verdictExitCode(before.verdict.code, false)),
    after:
      result?.after == null
        ? null
        : jsonDiagnosis(result.after, verdictExitCode(result.after.verdict.code, false)),
    trail: parts.trail,
    exitCode,
  };
}

function resultWord({ plan, result, dryRun }: Parameters<typeof jsonFix>[0]): string {
  if (plan.kind !== 'mend') return plan.kind;
  if (dryRun || result === null) return 'planned';
  return result.recovered ? 'recovered' : `not-recovered`;
}

function jsonPlan(plan: Plan): object {
  if (plan.kind !== 'mend') return plan;
  const { kind, verdict, remarks, steps } = plan;
  return { kind, verdict, remarks, steps: steps.map(jsonStep) };
}

function jsonStep(step: PlanStep): object {
  const { kind, title } = step;
  switch (step.kind) {
    case 'kill': {
      const { pid, startTicks, bootId } = step.target.identity;
      const { role, reasons, facts, loss, shownArgv } = step;
      const command = ['kill', '-9', String(pid)];
      return {
        kind,
        title,
        pid,
        startTicks,
        bootId,
        argv: shownArgv,
        role,
        reasons,
        facts,
        loss,
        command,
      };
    }
    case 'stop':
    case 'start':
      return { kind, title, command: step.command };
    default:
      return { kind, title };
  }
}
