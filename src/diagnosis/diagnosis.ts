/** A whole diagnosis: evidence, what each step found in it, and the verdict. */
import type { Evidence } from '../evidence/evidence.ts';
import { CHECKS, type Findings, type Step } from './checks/checks.ts';
import { judgeVerdict, type Verdict } from './verdict.ts';

export interface Diagnosis {
  readonly evidence: Evidence;
  readonly findings: Findings;
  readonly steps: readonly Step[];
  readonly verdict: Verdict;
}

/** Judges evidence that is complete. @param flags see {@link judgeVerdict} */
export function diagnoseEvidence(evidence: Evidence, flags: readonly string[] = []): Diagnosis {
  const steps = CHECKS.map((check): Step => {
    return { id: check.id, title: check.title, ...check.judge(evidence) };
  });
  const findings = Object.fromEntries(steps.map((step) => [step.id, step])) as unknown as Findings;
  return { evidence, findings, steps, verdict: judgeVerdict(evidence, findings, flags) };
}
