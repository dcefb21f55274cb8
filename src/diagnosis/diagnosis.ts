/** A whole diagnosis: evidence, who is who in it, what each step found, and the verdict. */

import type { Background } from '../evidence/background.ts';
import type { Evidence } from '../evidence/evidence.ts';
import {
  CHECKS,
  EXPLAINERS,
  type Explanations,
  type Findings,
  type FindingsBeforeAnswer,
  type NamedCause,
  type Step,
} from './checks/checks.ts';
import type { Known } from './checks/finding.ts';
import { classifyProcesses, type ProcessRoles } from './process-roles.ts';
import { judgeVerdict, type Verdict } from './verdict.ts';

export interface Diagnosis {
  readonly evidence: Evidence;
  /** Told once; whoever plans or acts goes by these. */
  readonly roles: ProcessRoles;
  readonly findings: Findings;
  readonly steps: readonly Step[];
  readonly verdict: Verdict;
  readonly explanations: Explanations;
  /** What explains it, most telling first. */
  readonly causes: readonly NamedCause[];
}

/**
 * What of a diagnosis a plan and the next command go by. The answer of the API has a say in them
 * through the verdict alone, so where that is the same with any answer, they are.
 */
export interface ActionBasis {
  readonly evidence: Omit<Evidence, 'answer'>;
  readonly roles: ProcessRoles;
  readonly findings: FindingsBeforeAnswer;
  readonly verdict: Omit<Verdict, 'evidence'>;
  /** What no answer has a say in either. */
  readonly explanations: Pick<Explanations, 'master'>;
}

/** Judges evidence that is complete. */
export function diagnoseEvidence(evidence: Evidence): Diagnosis {
  const known = { ...evidence, roles: classifyProcesses(evidence) };
  return concludeDiagnosis(
    known,
    CHECKS.map((check) => stepOf(check, known)),
  );
}

/** What one check finds. @param known at least the sections that it needs */
export function stepOf(check: (typeof CHECKS)[number], known: Known): Step {
  return { id: check.id, title: check.title, ...check.judge(known) };
}

/** The verdict on what the checks found. @param steps one for each check, in their order */
export function concludeDiagnosis(known: Known, steps: readonly Step[]): Diagnosis {
  const { roles, ...evidence } = known;
  const findings = Object.fromEntries(steps.map((step) => [step.id, step])) as unknown as Findings;
  const explanations = explain(known);
  const causes = Object.values(explanations)
    .flatMap(({ id, causes: named }) => named.map((cause) => ({ id, ...cause })))
    .toSorted((a, b) => b.weight - a.weight);
  const verdict = judgeVerdict({ evidence, findings, roles, explanations });
  return { evidence, roles, findings, steps, verdict, explanations, causes };
}

function explain(known: Known): Explanations {
  const entries = EXPLAINERS.map((explainer) => {
    const { id, title } = explainer;
    return [id, { id, title, ...explainer.judge(known) }] as const;
  });
  return Object.fromEntries(entries) as unknown as Explanations;
}

/** The same once more of the background is known. */
export function withBackground(before: Diagnosis, seen: Partial<Background>): Diagnosis {
  const background = { ...before.evidence.background, ...seen };
  const known = { ...before.evidence, roles: before.roles, background };
  return concludeDiagnosis(known, before.steps);
}

/** True where an answer of the API may change what a check finds. */
export function goesByAnswer({ needs }: (typeof CHECKS)[number]): boolean {
  return needs.some((name) => name === 'answer');
}

/** The same after another answer: judged anew is what goes by that, and nothing else. */
export function withAnswer(before: Diagnosis, answer: Evidence['answer']): Diagnosis {
  const known = { ...before.evidence, roles: before.roles, answer };
  const anew = CHECKS.filter(goesByAnswer).map((check) => stepOf(check, known));
  const steps = before.steps.map((step) => anew.find(({ id }) => id === step.id) ?? step);
  return concludeDiagnosis(known, steps);
}
