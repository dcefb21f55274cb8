import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import { verdictExitCode } from '../diagnosis/verdict.ts';
import { type FixResult, fixExitCode } from '../fix/result.ts';
import type { PlanStep } from '../plan/plan.ts';
import { isoMoment } from '../words.ts';
import { jsonDiagnosis } from './diagnosis-json.ts';
import {
  type FixDocument,
  JSON_SCHEMA_VERSION,
  type PlanDocument,
  type PlanStepDocument,
} from './json-documents.ts';
import { type Repeated, refusalAdvice } from './next-command.ts';

/**
 * A fix as the one JSON document that `help json` tells of.
 * @param repeated what the next command must repeat
 */
export function jsonFix(result: FixResult, repeated: Repeated): FixDocument {
  const { before, manager, dryRun } = result;
  const ran = result.kind === 'ran' ? result : null;
  const document = (diagnosis: Diagnosis) =>
    jsonDiagnosis(diagnosis, repeated, verdictExitCode(diagnosis.verdict.code, false));
  const { host } = before.evidence;
  return {
    schemaVersion: JSON_SCHEMA_VERSION,
    host: host.name,
    takenAt: isoMoment(host.now, host),
    port: before.evidence.port.number,
    dryRun,
    service: manager === null ? null : { kind: manager.kind, label: manager.label },
    plan: jsonPlan(result, repeated),
    steps:
      ran?.outcomes.map(({ step, status, detail, durationMs }) => {
        return { ...jsonStep(step), status, detail, durationMs };
      }) ?? [],
    result: result.kind !== 'ran' ? result.kind : result.recovered ? 'recovered' : 'not-recovered',
    before: document(before),
    after: ran?.after == null ? null : document(ran.after),
    trail: ran?.trail ?? null,
    exitCode: fixExitCode(result),
  };
}

function jsonPlan({ plan, before }: FixResult, repeated: Repeated): PlanDocument {
  switch (plan.kind) {
    case 'nothing-to-do':
      return plan;
    case 'refused': {
      const { kind, verdict, why } = plan;
      return { kind, verdict, why, advice: refusalAdvice(plan, before, repeated) };
    }
    case 'fix': {
      const { verdict, remarks, steps } = plan;
      // As schema 1 calls it.
      return { kind: 'mend', verdict, remarks, steps: steps.map(jsonStep) };
    }
  }
}

function jsonStep(step: PlanStep): PlanStepDocument {
  const { title } = step;
  switch (step.kind) {
    case 'kill': {
      const { identity } = step.target;
      const { role, reasons, facts, loss, shownArgv: argv } = step;
      const command = ['kill', '-9', String(identity.pid)];
      return { kind: step.kind, title, ...identity, argv, role, reasons, facts, loss, command };
    }
    case 'stop':
    case 'start':
    case 'start-dependent':
      return { kind: step.kind, title, command: step.command };
    default:
      return { kind: step.kind, title };
  }
}
