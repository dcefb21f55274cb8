import { NO_BACKGROUND } from '../evidence/background.ts';
import { type Evidence, type Policy, SECTIONS, type Sections } from '../evidence/evidence.ts';
import type { LookInProgress } from './host.ts';

/**
 * Waits for a whole look.
 * @throws what the first section that failed throws, for a host that can't be reached
 */
export async function collectEvidence(
  look: Omit<LookInProgress, 'askAgain'>,
  policy: Policy,
): Promise<Evidence> {
  const entries = SECTIONS.map(async (name) => [name, await look[name]] as const);
  const sections = Object.fromEntries(await Promise.all(entries)) as unknown as Sections;
  return { schemaVersion: 1, policy, ...sections, background: NO_BACKGROUND };
}
