import type { Background, BackgroundSection } from '../../evidence/background.ts';
import type { Evidence, LookRequest } from '../../evidence/evidence.ts';
import type { RawHost } from '../raw-host.ts';

/** What a reader of a section goes by: the host, what was found there before, and what was asked for. */
export interface BackgroundBasis {
  readonly raw: RawHost;
  readonly evidence: Omit<Evidence, 'background'>;
  readonly request: Pick<LookRequest, 'sinceMs' | 'lookTimeoutMs'>;
}

/** Reads one section. What it throws makes the section blind. */
export type BackgroundReader<Name extends BackgroundSection> = (
  basis: BackgroundBasis,
) => Promise<Background[Name]>;
