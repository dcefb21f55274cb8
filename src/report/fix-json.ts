import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import { verdictExitCode } from '../diagnosis/verdict.ts';
import type { ExitCode } from '../errors.ts';
import type { FixResult } from '../fix/run-plan.ts';
import type { Plan, PlanStep } from '../plan/plan.ts';
import type { ServiceManager } from '../plan/service-manager.ts';
import { isoMoment } from '../words.ts';
import { JSON_SCHEMA_VERSION, jsonDiagnosis } from './diagnosis-json.ts';
import { refusalAdvice } from './next-command.ts';

/** Everything about one fix as the one document that README documents. */
export function jsonFix(parts: {
  readonly before: Diagnosis;
  readonly plan: Plan;
  readonly manager: ServiceManager | null;
  /** Null for a dry run, a refusal, and where nothing was to do. */
  readonly result: FixResult | null;
  readonly trail: string | null;
  /** Options that the next command must repeat. */
  readonly flags: readonly string[];
  readonly dryRun: boolean;
  readonly exitCode: ExitCode;
}): object {
  const { before, manager, result, flags, exitCode } = parts;
  const document = (diagnosis: Diagnosis) =>
    jsonDiagnosis(diagnosis, flags, verdictExitCode(diagnosis.verdict.code, false));
  const { host } = before.evidence;
  return {
    schemaVersion: JSON_SCHEMA_VERSION,
    host: host.name,
    takenAt: isoMoment(host.now, host),
    port: before.evidence.port.number,
    dryRun: parts.dryRun,
    service: manager === null ? null : { kind: manager.kind, label: manager.label },
    plan: jsonPlan(parts),
    steps:
      result?.outcomes.map(({ step, status, detail, durationMs }) => {
        return { ...jsonStep(step), status, detail, durationMs };
      }) ?? [],
    result: resultWord(parts),
    before: document(before),
    after: result?.after == null ? null : document(result.after),
    trail: parts.trail,
    exitCode,
  };
}

function resultWord({ plan, result }: Parameters<typeof jsonFix>[0]): string {
  if (plan.kind !== 'mend') return plan.kind;
  if (result === null) return 'planned';
  return result.recovered ? 'recovered' : `not-recovered`;
}

function jsonPlan({ plan, before, flags }: Parameters<typeof jsonFix>[0]): object {
  if (plan.kind === 'refused') {
    const { kind, verdict, why } = plan;
    return { kind, verdict, why, advice: refusalAdvice(plan, before, flags) };
  }
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
    case 'start-dependent':
      return { kind, title, command: step.command };
    default:
      return { kind, title };
  }
}
