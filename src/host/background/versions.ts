import { blind, type ProcessFacts, seen } from '../../evidence/evidence.ts';
import { parseProcessStat } from '../../evidence/proc-text.ts';
import { saltPrograms } from '../../evidence/salt-programs.ts';
import {
  installedPackage,
  type ProgramVersions,
  type PythonPlaces,
  packagePatterns,
  pythonPlaces,
} from '../../evidence/versions-facts.ts';
import type { FileFacts, RawHost } from '../raw-host.ts';
import type { BackgroundReader } from './background-reader.ts';

const MOST_PACKAGES = 50;

/**
 * Reads which releases the salt-api processes run: their own Python by what they have mapped, and
 * what is installed where it looks. What `PATH` names is another matter.
 */
export const readVersions: BackgroundReader<'versions'> = async ({ raw, evidence }) => {
  const chosen = saltPrograms(evidence);
  if (chosen.length === 0) return blind('missing', 'no salt-api runs that could tell');
  const found = await readPlaces(raw, chosen);
  if (found.length === 0) return blind('missing', 'salt-api ended meanwhile');
  const directories = new Set(found.flatMap(({ places }) => places.directories));
  const files = await raw.stat(packagePatterns([...directories]));
  const programs = found.map(({ facts, places }) => programOf(facts, places, files));
  return seen({ programs });
};

interface Found {
  readonly facts: ProcessFacts;
  readonly places: PythonPlaces;
}

async function readPlaces(raw: RawHost, chosen: readonly ProcessFacts[]): Promise<Found[]> {
  const of = (name: string) => chosen.map(({ pid }) => `/proc/${pid}/${name}`);
  const [links, texts] = await Promise.all([
    raw.readLinks(of('exe')),
    raw.readTexts([...of('maps'), ...of('stat')]),
  ]);
  return chosen.flatMap((facts) => {
    const path = `/proc/${facts.pid}`;
    const now = parseProcessStat(texts.get(`${path}/stat`) ?? '');
    if (now?.startTicks !== facts.startTicks) return [];
    const executable = links.get(`${path}/exe`) ?? null;
    const maps = texts.get(`${path}/maps`) ?? null;
    return [{ facts, places: pythonPlaces(facts.argv, executable, maps) }];
  });
}

function programOf(
  { pid, startTicks }: ProcessFacts,
  { directories, ...python }: PythonPlaces,
  files: ReadonlyMap<string, FileFacts>,
): ProgramVersions {
  const packages = directories.flatMap((directory) =>
    [...files].flatMap(([path, { changedAt }]) => {
      const within = matchesDirectory(directory, path.slice(0, path.lastIndexOf('/')));
      return within ? (installedPackage(path, changedAt) ?? []) : [];
    }),
  );
  return { pid, startTicks, ...python, packages: packages.slice(0, MOST_PACKAGES) };
}

/** @param directory may hold one `*` for a component that nothing told */
function matchesDirectory(directory: string, path: string): boolean {
  const [before = '', after] = directory.split('*');
  if (after === undefined) return path === directory;
  const between = path.slice(before.length, path.length - after.length);
  return path === `${before}${between}${after}` && !between.includes('/');
}
