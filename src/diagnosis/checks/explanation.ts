import type { BackgroundSection } from '../../evidence/background.ts';
import type { Look } from '../../evidence/evidence.ts';
import { stripControl } from '../../untrusted.ts';
import type { Finding, Known } from './finding.ts';

/**
 * How sure a cause is. `seen`: its words say no more than what was read on the host. `inferred`: they
 * draw on what is known of such hosts, a defect of a release for example.
 */
export type Basis = 'seen' | 'inferred';

/** Something that bears on why it happened. Never said to have caused it: nobody saw that. */
export interface Cause {
  readonly basis: Basis;
  /** How telling, 0 to 100: the most telling are shown first, and beyond five none without `-v`. */
  readonly weight: number;
  /** One line, no control characters. */
  readonly summary: string;
  /** Further lines for `-v`: the evidence, and where each piece came from. */
  readonly details: readonly string[];
  /** What keeps it from coming back, as an order to the reader; null where nothing is known to. */
  readonly advice: string | null;
}

/** What a look at one section of the background found. */
interface Explanation<E extends object = object> extends Finding<E> {
  readonly causes: readonly Cause[];
  /** Set where a host that is well otherwise is degraded by what was found. */
  readonly degrades?: true;
}

/** One further check: it explains, and at most makes a host that is well otherwise degraded. */
export interface Explains<Id extends BackgroundSection, E extends object> {
  readonly id: Id;
  /** As shown at the start of its line; at most 13 characters. */
  readonly title: string;
  /** Whether it can make a healthy host degraded; the verdict then waits for it. */
  readonly decides: boolean;
  /** Pure. What was not looked at is `skip`, what could not be seen `unknown`. */
  judge(known: Known): Explanation<E>;
}

/** Of a section that was not looked at, or could not be seen: it tells nothing, and why. */
export function unseenSection<E extends object>(
  { cause, why }: Extract<Look<unknown>, { seen: false }>,
  evidence: E,
): Explanation<E> {
  const status = cause === 'not-asked' ? 'skip' : 'unknown';
  return { status, summary: stripControl(why), details: [], evidence, causes: [] };
}
