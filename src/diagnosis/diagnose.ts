/** The way from a host to a diagnosis, one step at a time. */
import type { Evidence, LookRequest, Policy } from '../evidence/evidence.ts';
import { collectEvidence } from '../host/collect-evidence.ts';
import type { Host } from '../host/host.ts';
import { CHECKS, type Step } from './checks/checks.ts';
import type { Known, Section } from './checks/finding.ts';
import { concludeDiagnosis, type Diagnosis, goesByAnswer, stepOf } from './diagnosis.ts';
import { classifyProcesses, ROLE_NEEDS, type RoleEvidence } from './process-roles.ts';
import { settledDiagnosis } from './second-ask.ts';

/** Who wants to know as things become known; every output format is one of these. */
export interface DiagnosisObserver {
  /** The head of the report: what is examined. */
  begin?(head: Pick<Evidence, 'host' | 'port'>): void;
  /** A step is being waited for. */
  waiting?(title: string): void;
  /** A step is known; called in the order of the steps. */
  step?(step: Step): void;
  end?(diagnosis: Diagnosis): void;
}

/**
 * Looks at a host and judges what is there, everything once.
 *
 * @param request what to look at
 * @param policy thresholds, kept with the evidence
 * @param observer told of each step as soon as it and all before it are known
 * @throws TriageError where the host can't be reached at all
 */
export async function diagnoseHost(
  host: Host,
  request: LookRequest,
  policy: Policy,
  observer: DiagnosisObserver = {},
): Promise<Diagnosis> {
  const look = host.look(request);
  const { askAgain, ...parts } = look;
  const evidence = collectEvidence(look, policy);
  const roles = pick(parts, ROLE_NEEDS).then((known) => classifyProcesses(known as RoleEvidence));
  const sections = { ...parts, policy: Promise.resolve(policy), roles };
  // A look that fails as a whole rejects every part; the first one awaited reports it.
  for (const part of [...Object.values(sections), evidence]) part.catch(() => undefined);
  observer.begin?.({ host: await sections.host, port: await sections.port });
  const steps: Step[] = [];
  // Told when all is known: it, and what comes after it, may wait for a second ask.
  const held = CHECKS.findIndex(goesByAnswer);
  for (const check of CHECKS) {
    observer.waiting?.(check.title);
    const known = await pick(sections, check.needs);
    // Each check is handed the sections that it names; the tuple's types can't be paired up here.
    const step = stepOf(check, known as Known);
    steps.push(step);
    if (steps.length <= held) observer.step?.(step);
  }
  const first = concludeDiagnosis({ ...(await evidence), roles: await roles }, steps);
  const diagnosis = await settledDiagnosis(first, { askAgain });
  for (const step of diagnosis.steps.slice(held)) observer.step?.(step);
  observer.end?.(diagnosis);
  return diagnosis;
}

type Sections = { readonly [S in Section]: Promise<Known[S]> };

async function pick<Name extends Section>(
  sections: Pick<Sections, Name>,
  needs: readonly Name[],
): Promise<Partial<Pick<Known, Section>>> {
  const entries = await Promise.all(
    needs.map(async (name) => [name, await sections[name]] as const),
  );
  return Object.fromEntries(entries) as Partial<Pick<Known, Section>>;
}
