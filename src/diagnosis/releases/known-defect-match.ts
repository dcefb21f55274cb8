/** Which known defects the running releases have, and which of these fit what is seen. */
import type { Component } from '../../evidence/versions-facts.ts';
import type { Known } from '../checks/finding.ts';
import {
  type Circumstance,
  KNOWN_DEFECTS,
  KNOWN_VULNERABILITIES,
  type KnownDefect,
  mendedPart,
  type Symptom,
  UPGRADE_TRAPS,
} from './known-defects.ts';
import { compareReleases, isWithin, saltLine } from './release-numbers.ts';
import type { RunningReleases } from './running-releases.ts';
import type { Symptoms } from './symptoms.ts';

export interface DefectMatch {
  readonly defect: KnownDefect;
  /** What of its symptoms is seen, the first that the defect names first. */
  readonly seen: readonly Symptom[];
}

const NAMES: Readonly<Record<Component | 'python', string>> = {
  salt: 'Salt',
  cherrypy: 'CherryPy',
  cheroot: 'cheroot',
  python: 'Python',
};

/** `Salt 3006.9`. */
export function releaseInWords(part: Component | 'python', version: string): string {
  return `${NAMES[part]} ${version}`;
}

/** The defects of the releases that are known to run, in the order of the table. */
export function matchDefects(
  running: RunningReleases,
  known: Pick<Known, 'config' | 'answer' | 'apiLog'>,
  symptoms: Symptoms,
): DefectMatch[] {
  const circumstances = circumstancesOf(known);
  return KNOWN_DEFECTS.flatMap((defect) => {
    const has = partsOf(defect).every((part) => {
      const release = running[part]?.version;
      return release !== undefined && isWithin(release, defect.affects[part] ?? []);
    });
    if (!has || (defect.only !== undefined && !circumstances.has(defect.only))) return [];
    const logged = defect.words !== undefined && isLogged(defect.words, known);
    return [{ defect, seen: defect.symptoms.filter((one) => logged || symptoms.has(one)) }];
  });
}

/** The holes of a release of Salt that are reached through the API. */
export function vulnerabilitiesOf(salt: string): string[] {
  return KNOWN_VULNERABILITIES.filter(({ fixedIn }) => {
    const own = fixedIn.find((fix) => saltLine(fix) === saltLine(salt));
    return isWithin(salt, [{ before: own ?? fixedIn.at(-1) ?? '0' }]);
  }).map(({ id }) => id);
}

/** Names the parts whose releases have the defect: `Salt 2017.7.2 with CherryPy 17.4.0`. */
export function affectedInWords(defect: KnownDefect, running: RunningReleases): string {
  return partsOf(defect)
    .map((part) => releaseInWords(part, running[part]?.version ?? ''))
    .join(' with ');
}

/** The release that cures it and what to know before; null where none is known to. */
export function cureOf(defect: KnownDefect, running: RunningReleases): string | null {
  const part = mendedPart(defect);
  const release = running[part]?.version ?? '0';
  const later = defect.fixedIn.filter((fix) => compareReleases(fix, release) > 0);
  const own = later.find((fix) => part === 'salt' && saltLine(fix) === saltLine(release));
  const target = own ?? later[0];
  if (target === undefined) return null;
  const cure = `upgrade to ${releaseInWords(part, target)} or later`;
  return [cure, ...trapsBetween(part, release, target)].join('; ');
}

/** What an upgrade from one release to another runs into. */
export function trapsBetween(part: Component, from: string, to: string): readonly string[] {
  // "Upgrade Salt" does not cure it: no package of Salt brings it (salt-advice §1).
  if (part === 'cheroot' && compareReleases(to, '10.0.1') >= 0) {
    return [
      "no package of Salt up to 3006.18 or 3007.10 brings it: in these salt-pip install 'cheroot>=10.0.1'",
    ];
  }
  if (part !== 'salt') return [];
  return UPGRADE_TRAPS.filter(({ since }) => {
    const own = since.find((first) => saltLine(first) === saltLine(from));
    // What runs asks for it already, whatever another line did later.
    if (own !== undefined && compareReleases(own, from) <= 0) return false;
    return since.some(
      (first) => compareReleases(first, from) > 0 && compareReleases(first, to) <= 0,
    );
  }).map(({ words }) => words);
}

function partsOf({ affects }: KnownDefect): (Component | 'python')[] {
  return Object.keys(affects) as (Component | 'python')[];
}

function circumstancesOf({ config, answer }: Pick<Known, 'config' | 'answer'>): Set<Circumstance> {
  const found = new Set<Circumstance>();
  const { netapi, options } = config.seen ? config.value : { netapi: null, options: undefined };
  const answers = answer.seen && 'tls' in answer.value ? answer.value.tls : netapi?.tls;
  if (answers === true) found.add('tls');
  if (options?.transport === 'tcp') found.add('tcp-transport');
  const backends = String(options?.external_auth ?? '').split(', ');
  if (backends.includes('rest')) found.add('eauth-rest');
  return found;
}

function isLogged(words: RegExp, { apiLog }: Pick<Known, 'apiLog'>): boolean {
  if (!apiLog.seen) return false;
  const failures = (apiLog.value.startFailures ?? []).map(({ sample }) => sample);
  return [...failures, ...apiLog.value.samples].some((line) => words.test(line));
}
