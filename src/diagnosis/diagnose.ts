/** The way from a host to a diagnosis, one step at a time. */
import type { Evidence, Policy } from '../evidence/evidence.ts';
import { CHECKS, type Step } from './checks/checks.ts';
import type { Section } from './checks/finding.ts';
import { collectEvidence } from '../host/collect-evidence.ts';
import type { Host, LookRequest } from '../host/host.ts';
import { type Diagnosis, diagnoseEvidence } from './diagnosis.ts';

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
 * Looks at a host and judges what is there.
 *
 * @param request what to look at
 * @param policy thresholds, kept with the evidence
 * @param flags options that the next command must repeat
 * @param observer told of each step as soon as it and all before it are known
 * @throws TriageError where the host can't be reached at all
 */
export async function diagnoseHost(
  host: Host,
  request: LookRequest,
  policy: Policy,
  flags: readonly string[],
  observer: DiagnosisObserver = {},
): Promise<Diagnosis> {
  const look = host.look(request);
  const sections = { ...look, policy: Promise.resolve(policy) };
  // A look that fails as a whole rejects every part; the first one awaited reports it.
  for (const part of Object.values(sections)) part.catch(() => undefined);
  observer.begin?.({ host: await sections.host, port: await sections.port });
  for (const check of CHECKS) {
    observer.waiting?.(check.title);
    const known = await pick(sections, check.needs);
    // Each check is handed the sections that it names; the tuple's types can't be paired up here.
    const finding = check.judge(known as Evidence);
    observer.step?.({ id: check.id, title: check.title, ...finding } as Step);
  }
  const evidence = await collectEvidence(look, policy);
  const diagnosis = diagnoseEvidence(evidence, flags);
  observer.end?.(diagnosis);
  return diagnosis;
}

type Sections = { readonly [S in Section]: Promise<Evidence[S]> };

async function pick(
  sections: Sections,
  needs: readonly Section[],
): Promise<Partial<Pick<Evidence, Section>>> {
  const entries = await Promise.all(
    needs.map(async (name) => [name, await sections[name]] as const),
  );
  return Object.fromEntries(entries) as Partial<Pick<Evidence, Section>>;
}
