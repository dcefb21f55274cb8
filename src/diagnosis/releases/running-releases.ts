/** Which releases run on a host, as far as its evidence tells, and which only lie on its disk. */
import type { ProcessFacts } from '../../evidence/evidence.ts';
import type { InstalledPackage, ProgramVersions } from '../../evidence/versions-facts.ts';
import { COMPONENTS, type Component, searchRank } from '../../evidence/versions-facts.ts';
import { startedAt } from '../../words.ts';
import type { Known } from '../checks/finding.ts';
import { ONEDIR_RELEASES } from './known-defects.ts';
import { isWithin } from './release-numbers.ts';

/**
 * A release that runs. `answer`: the server said so. `installed`: where its Python looks there is
 * this one, from before it started. `package`: the onedir package of its Salt brings this one.
 */
interface RunningRelease {
  readonly version: string;
  readonly from: 'answer' | 'installed' | 'package';
}

/** Null where it is not known. */
export type RunningReleases = Readonly<Record<Component | 'python', RunningRelease | null>>;

/** What says that something else is installed than what runs. */
export interface Replaced {
  readonly pid: number;
  readonly startedAt: number;
  /** Files that it has mapped and that are gone. */
  readonly files: readonly string[];
  /** What came to the host after it had started. */
  readonly packages: readonly InstalledPackage[];
  /** The release that answers where that is not the installed one. */
  readonly answers: { readonly runs: string; readonly installed: string } | null;
}

export interface Releases {
  readonly running: RunningReleases;
  /** Null where nothing was replaced since the start. */
  readonly replaced: Replaced | null;
  /** Parts that are installed more than once, with no telling which is used. */
  readonly unclear: readonly Component[];
}

/** Onedir packages live here, with a Python of their own (salt-facts §1.4). */
const ONEDIR = '/opt/saltstack/salt/';
/** A start is known to the second of the boot time, the clock may be stepped. */
const CLOCK_SLACK_MS = 3_000;

type Needed = 'background' | 'answer' | 'host' | 'processes' | 'roles';

/** @param known of which the versions, the answer and whose it is, and the host's clock are gone by */
export function releasesOf(known: Pick<Known, Needed>): Releases {
  const { versions } = known.background;
  const program = versions.seen ? (versions.value.programs[0] ?? null) : null;
  const answers = answeringCherryPy(known);
  if (program === null) return { running: { ...NOT_KNOWN, cherrypy: answers }, ...NOTHING };
  const since = startedAt(program, known.host) + CLOCK_SLACK_MS;
  const installed = COMPONENTS.map((name) => ({ name, found: installedOf(program, name) }));
  const of = (name: Component): RunningRelease | null => {
    const { first, unclear } = installedOf(program, name);
    if (first === null || unclear || first.changedAt > since) return null;
    return { version: first.version, from: 'installed' };
  };
  const salt = of('salt');
  const bundled = bundledWith(program, salt);
  const [cherrypy, cheroot] = (['cherrypy', 'cheroot'] as const).map((name) => {
    const { first } = installedOf(program, name);
    return of(name) ?? (first === null ? bundled(name) : null);
  });
  const python = program.python === null ? null : installedPython(program.python);
  return {
    running: { salt, cherrypy: answers ?? cherrypy ?? null, cheroot: cheroot ?? null, python },
    replaced: replacedOf(
      program,
      startedAt(program, known.host),
      since,
      isWhoAnswers(program, known) ? answers : null,
    ),
    unclear: installed.filter(({ found }) => found.unclear).map(({ name }) => name),
  };
}

const NOT_KNOWN: RunningReleases = { salt: null, cherrypy: null, cheroot: null, python: null };
const NOTHING = { replaced: null, unclear: [] } as const;

/** `Server: CherryPy/18.8.0`, which every answer of it has (salt-advice §1). */
function answeringCherryPy(known: Pick<Known, Needed>): RunningRelease | null {
  const holders = holdersOf(known);
  // Another program that has the port may be one of CherryPy as well.
  const isSalts = ({ pid }: { readonly pid: number }) =>
    known.roles.all.some(({ facts }) => facts.pid === pid);
  if (holders.length > 0 && !holders.some(isSalts)) return null;
  const { answer } = known;
  const server = answer.seen && answer.value.kind === 'answered' ? answer.value.server : undefined;
  const version = /^CherryPy\/(\d[\w.]{0,30})/.exec(server ?? '')?.[1];
  return version === undefined ? null : { version, from: 'answer' };
}

function holdersOf({ processes }: Pick<Known, 'processes'>): readonly ProcessFacts[] {
  if (!processes.seen) return [];
  return processes.value.processes.filter(({ listens }) => listens.length > 0);
}

function isWhoAnswers({ pid }: ProgramVersions, known: Pick<Known, 'processes'>): boolean {
  const holders = holdersOf(known);
  return holders.length === 0 || holders.some((one) => one.pid === pid);
}

function installedPython(version: string): RunningRelease {
  return { version, from: 'installed' };
}

/** The first that its Python finds; unclear where two directories alike have two releases. */
function installedOf(
  { packages }: ProgramVersions,
  name: Component,
): { readonly first: InstalledPackage | null; readonly unclear: boolean } {
  const found = packages.filter((one) => one.name === name);
  const [first = null] = found;
  const alike = found.filter(({ path }) => searchRank(path) === searchRank(first?.path ?? ''));
  return { first, unclear: alike.some(({ version }) => version !== first?.version) };
}

function bundledWith(
  { interpreter }: ProgramVersions,
  salt: RunningRelease | null,
): (name: 'cherrypy' | 'cheroot') => RunningRelease | null {
  const row =
    salt !== null && interpreter?.startsWith(ONEDIR)
      ? ONEDIR_RELEASES.find((range) => isWithin(salt.version, [range]))
      : undefined;
  return (name) => (row === undefined ? null : { version: row[name], from: 'package' });
}

function replacedOf(
  program: ProgramVersions,
  started: number,
  since: number,
  answers: RunningRelease | null,
): Replaced | null {
  const packages = COMPONENTS.flatMap((name) => {
    const { first, unclear } = installedOf(program, name);
    return first !== null && !unclear && first.changedAt > since ? [first] : [];
  });
  const { first, unclear } = installedOf(program, 'cherrypy');
  const other = first !== null && !unclear && answers !== null && answers.version !== first.version;
  const { pid, replaced: files } = program;
  if (packages.length === 0 && files.length === 0 && !other) return null;
  const told = other ? { runs: answers.version, installed: first.version } : null;
  return { pid, startedAt: started, files, packages, answers: told };
}
