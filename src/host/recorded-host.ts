import type { Background } from '../evidence/background.ts';
import { type Evidence, SECTIONS } from '../evidence/evidence.ts';
import { eachOf, type Host, type LookInProgress } from './host.ts';

/** A host as it was when its evidence was saved: every look is over before it begins. */
export class RecordedHost implements Host {
  readonly name: string;
  readonly #evidence: Evidence;

  constructor(evidence: Evidence) {
    this.name = evidence.host.name;
    this.#evidence = evidence;
  }

  /** Gives what was recorded; a request can't make it look at anything else. */
  look(): LookInProgress {
    return { ...eachOf(SECTIONS, Promise.resolve(this.#evidence)), askAgain: null };
  }

  async lookBehind(): Promise<Background> {
    return this.#evidence.background;
  }
}
