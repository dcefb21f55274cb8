/** Looks at what explains a state, section by section, each bounded in time. */
import type { Background, BackgroundSection } from '../../evidence/background.ts';
import { blind, type Look } from '../../evidence/evidence.ts';
import { stripControl } from '../../untrusted.ts';
import { within } from '../within.ts';
import type { BackgroundBasis, BackgroundReader } from './background-reader.ts';
import { readClients } from './clients.ts';
import { readMaster } from './master.ts';
import { readSettings } from './settings.ts';
import { readVersions } from './versions.ts';
import { readWorkers } from './workers.ts';

/** A reader of a section is one file and a line here. */
const READERS: { readonly [Name in BackgroundSection]: BackgroundReader<Name> } = {
  clients: readClients,
  workers: readWorkers,
  master: readMaster,
  versions: readVersions,
  settings: readSettings,
};

/**
 * Looks at the sections that are wanted. Never rejects: a section that can't be read is blind.
 * @returns these sections alone
 */
export async function lookBackground(
  basis: BackgroundBasis,
  wanted: readonly BackgroundSection[],
): Promise<Partial<Background>> {
  const sections = wanted.map(async (name) => {
    const read: (basis: BackgroundBasis) => Promise<Look<unknown>> = READERS[name];
    return [name, await inTime(read(basis), name, basis.request.lookTimeoutMs)] as const;
  });
  return Object.fromEntries(await Promise.all(sections)) as Partial<Background>;
}

async function inTime<T>(look: Promise<Look<T>>, name: string, ms: number): Promise<Look<T>> {
  try {
    return await within(look, ms, name);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return blind('unsupported', stripControl(why));
  }
}
