import type { Component } from '../../evidence/versions-facts.ts';
import { stripControl } from '../../untrusted.ts';
import { count, describeRecent } from '../../words.ts';
import {
  affectedInWords,
  cureOf,
  type DefectMatch,
  matchDefects,
  releaseInWords,
  vulnerabilitiesOf,
} from '../releases/known-defect-match.ts';
import type { Symptom } from '../releases/known-defects.ts';
import {
  type Releases,
  type Replaced,
  type RunningReleases,
  releasesOf,
} from '../releases/running-releases.ts';
import { type Symptoms, symptomsOf } from '../releases/symptoms.ts';
import type { Cause, Explains } from './explanation.ts';
import type { Known } from './finding.ts';

export interface VersionsEvidence {
  /** Null where nobody looked, or nothing was found. */
  readonly releases: RunningReleases | null;
  /** What runs is not what is installed. */
  readonly replaced: Replaced | null;
  readonly defects: readonly {
    readonly id: string;
    readonly affects: string;
    readonly effect: string;
    readonly fixedIn: readonly string[];
    readonly source: string;
    /** What of it is seen on the host; empty where it merely applies to the release. */
    readonly seen: readonly Symptom[];
  }[];
  /** Holes that are reached through the API; never a cause. */
  readonly vulnerabilities: readonly string[];
}

/** Of what fits, how many have a line of their own. */
const MOST_TELLING = 2;
const MOST_NAMED = 4;

/** Which releases run, and which of their known defects fit what is seen (salt-advice §1, §2). */
export const versions: Explains<'versions', VersionsEvidence> = {
  id: 'versions',
  title: 'versions',
  decides: false,
  judge(known) {
    const look = known.background.versions;
    if (!look.seen && look.cause === 'not-asked') return unlooked('skip', look.why);
    const releases = releasesOf(known);
    const { running, replaced } = releases;
    const words = runningInWords(running);
    if (words.length === 0 && replaced === null) return unlooked('unknown', whyUnknown(known));
    const symptoms = symptomsOf(known);
    const matches = matchDefects(running, known, symptoms);
    const holes = running.salt === null ? [] : vulnerabilitiesOf(running.salt.version);
    const causes = [
      ...(replaced === null ? [] : [replacedCause(replaced, known)]),
      ...defectCauses(matches, running, symptoms),
    ];
    return {
      status: causes.some(({ weight }) => weight > APPLIES) ? 'warn' : 'pass',
      summary: words.length === 0 ? 'what runs is not what is installed' : words.join(', '),
      details: [...detailsOf(known, releases), ...holesInWords(holes, running)],
      evidence: {
        releases: running,
        replaced,
        defects: matches.map((match) => defectEvidence(match, running)),
        vulnerabilities: holes,
      },
      causes,
    };
  },
};

/** Weights; see `Cause`. A sign that many things give, such as silence, tells less. */
const [FITS, SILENCES, REPLACED, APPLIES] = [70, 55, 60, 40];

function unlooked(status: 'skip' | 'unknown', summary: string) {
  const evidence = { releases: null, replaced: null, defects: [], vulnerabilities: [] };
  return { status, summary: stripControl(summary), details: [], evidence, causes: [] };
}

function whyUnknown({ background: { versions: look } }: Known): string {
  if (!look.seen) return look.why;
  const [program] = look.value.programs;
  if (program === undefined) return 'no salt-api process told its files';
  if (program.interpreter === null) return `the files of process ${program.pid} can't be read`;
  return `process ${program.pid} runs ${program.interpreter}, and no release of Salt was found where it looks`;
}

function runningInWords(running: RunningReleases): string[] {
  return (['salt', 'cherrypy', 'cheroot', 'python'] as const).flatMap((part) => {
    const version = running[part]?.version;
    return version === undefined ? [] : [releaseInWords(part, stripControl(version))];
  });
}

const ORIGINS = {
  answer: 'the API says so (Server:)',
  installed: 'installed where its Python looks, from before it started',
  package: 'what the package of this Salt brings',
} as const;

function detailsOf({ background }: Known, { running, unclear }: Releases): string[] {
  const program = background.versions.seen ? background.versions.value.programs[0] : undefined;
  const origins = (['salt', 'cherrypy', 'cheroot'] as const).flatMap((part) => {
    const release = running[part];
    return release === null
      ? []
      : [`${releaseInWords(part, stripControl(release.version))}: ${ORIGINS[release.from]}`];
  });
  const twice = unclear.map((part: Component) => {
    const versions = (program?.packages ?? []).filter(({ name }) => name === part);
    return `${part} is installed more than once: ${versions.map(({ path }) => stripControl(path)).join(', ')}`;
  });
  if (program === undefined) return [...origins, ...twice];
  return [
    `process ${program.pid} runs ${program.interpreter ?? 'what can not be read'}`,
    ...origins,
    ...twice,
  ];
}

function holesInWords(holes: readonly string[], { salt }: RunningReleases): string[] {
  if (salt === null || holes.length === 0) return [];
  const release = releaseInWords('salt', stripControl(salt.version));
  return [`${release} has holes that are reached through the API: ${holes.join(', ')}`];
}

/** Mapped files that are gone and another release that answers are seen; times alone are not. */
function replacedCause(replaced: Replaced, { host }: Known): Cause {
  const { pid, startedAt, files, packages, answers } = replaced;
  const started = `process ${pid} started at ${describeRecent(startedAt, host)}`;
  const installed = packages.map(({ name, version, changedAt }) => {
    return `${releaseInWords(name, stripControl(version))} came to this host at ${describeRecent(changedAt, host)}`;
  });
  const gone = files.map(
    (file) => `it still uses ${stripControl(file)}, which was replaced or removed`,
  );
  const answering =
    answers === null
      ? []
      : [
          `CherryPy ${stripControl(answers.runs)} answers, ${stripControl(answers.installed)} is installed`,
        ];
  const [first = started, ...more] = [...answering, ...installed, ...gone];
  return {
    basis: answers !== null || files.length > 0 ? 'seen' : 'inferred',
    weight: REPLACED,
    summary: `updated and not restarted: ${started}; since then ${first}`,
    details: more,
    advice: 'restart salt-api with every update of Salt or of its Python packages',
  };
}

function defectCauses(
  matches: readonly DefectMatch[],
  running: RunningReleases,
  symptoms: Symptoms,
): Cause[] {
  const causing = matches.filter(({ defect }) => defect.symptoms.length > 0);
  const telling = causing.filter(({ seen }) => seen.some((one) => one !== 'unanswered'));
  const silencing = causing
    .filter(({ seen }) => seen.length > 0)
    .filter((one) => !telling.includes(one));
  // A start that fails would have said so: what runs has started.
  const unseen = causing.filter(
    ({ seen, defect }) => seen.length === 0 && defect.words === undefined,
  );
  const own = telling.slice(0, MOST_TELLING);
  return [
    ...own.map((match) => tellingCause(match, running, symptoms)),
    ...together(telling.slice(MOST_TELLING), FITS - 1, 'more of what is seen here', running),
    ...(silencing.length === 1
      ? silencing.map((match) => ({ ...tellingCause(match, running, symptoms), weight: SILENCES }))
      : together(silencing, SILENCES, 'that can silence an API', running)),
    ...together(unseen, APPLIES, 'of which nothing is seen here', running),
  ];
}

function tellingCause(
  { defect, seen }: DefectMatch,
  running: RunningReleases,
  symptoms: Symptoms,
): Cause {
  const here = seen.flatMap((one) => symptoms.get(one) ?? []);
  return {
    basis: 'inferred',
    weight: FITS,
    summary: `${affectedInWords(defect, running)}: ${defect.effect} (${defect.id})`,
    details: [
      ...(here.length === 0 ? [] : [`seen here: ${here.join('; ')}`]),
      `source: ${defect.source}`,
    ],
    advice: cureOf(defect, running),
  };
}

/** One line for many that tell little each. @param what they are, after their number and name */
function together(
  matches: readonly DefectMatch[],
  weight: number,
  what: string,
  running: RunningReleases,
): Cause[] {
  if (matches.length === 0) return [];
  const releases = new Set(matches.map(({ defect }) => affectedInWords(defect, running)));
  const ids = matches.map(({ defect }) => defect.id);
  const named = [...ids.slice(0, MOST_NAMED), ...(ids.length > MOST_NAMED ? ['…'] : [])].join(', ');
  const number = count(matches.length, 'known defect');
  return [
    {
      basis: 'inferred',
      weight,
      summary: `${[...releases].slice(0, 2).join(', ')}: ${number} ${what} (${named})`,
      details: matches.map(({ defect }) => {
        const cure =
          cureOf(defect, running) ?? defect.mendedElsewhere ?? 'no release is known to mend it';
        return `${affectedInWords(defect, running)}: ${defect.effect} (${defect.source}); ${cure}`;
      }),
      advice: null,
    },
  ];
}

function defectEvidence({ defect, seen }: DefectMatch, running: RunningReleases) {
  const { id, effect, fixedIn, source } = defect;
  return { id, affects: affectedInWords(defect, running), effect, fixedIn, source, seen };
}
