/** When it began, was seen, and was over, as far as anything on record tells. */
import type { KeptLook } from '../../check/kept-looks.ts';
import { wordingInWords } from '../../diagnosis/checks/api-log.ts';
import type { Diagnosis } from '../../diagnosis/diagnosis.ts';
import type { VerdictCode } from '../../diagnosis/verdict.ts';
import type { IncidentSummary } from '../../trail/incidents.ts';
import { JOURNAL_FILE, type PostmortemCase } from './case.ts';
import { clientsJudged } from './clients.ts';

/** A moment, what was there then, and which file says so. */
export interface Moment {
  /** Epoch ms. */
  readonly at: number;
  readonly what: string;
  readonly source: string;
  /** Set where that is not the thing itself that was seen, but what speaks for it. */
  readonly inferred?: true;
}

export interface Course {
  /** The last look of a check that found it serving before it was silent. */
  readonly lastWell: Moment | null;
  /** The first sockets in CLOSE_WAIT that a check has recorded and that did not go again. */
  readonly firstCloseWait: Moment | null;
  /** The minute of the last request that its logs have, where they are silent from then on. */
  readonly lastCall: Moment | null;
  /** The first start that failed since the port was held. */
  readonly firstNotFree: Moment | null;
  /** The first look of anybody that found it not serving. */
  readonly firstSilent: Moment | null;
  /** The earliest of these signs. */
  readonly firstSign: Moment | null;
  /** The first look that found anything wrong, of a check or before a fix. */
  readonly noticed: Moment | null;
  readonly fixBegan: Moment | null;
  /** Fixes since the first sign that did not mend it, oldest first. */
  readonly triedBefore: readonly IncidentSummary[];
  readonly recovered: Moment | null;
}

const DOES_NOT_SERVE: ReadonlySet<VerdictCode | null> = new Set<VerdictCode>([
  'orphan-holds-port',
  'hung',
  'foreign-holder',
  'restart-loop',
  'down',
]);
const SERVES: ReadonlySet<VerdictCode | null> = new Set<VerdictCode>(['healthy', 'degraded']);

/** Verdicts that tell of no answer; of the others a server may be left that answers. */
const SILENT: ReadonlySet<VerdictCode | null> = new Set<VerdictCode>(['hung', 'down']);

/** Whether clients get no answer, most likely. */
export function doesNotServe(code: VerdictCode | null): boolean {
  return DOES_NOT_SERVE.has(code);
}

export function courseOf(about: PostmortemCase): Course {
  const { incident, before, files } = about;
  const fixBegan = momentOf(Date.parse(incident?.beganAt ?? ''), 'the fix began', JOURNAL_FILE);
  const lookAt = before?.evidence.host.now ?? null;
  const until = lookAt ?? fixBegan?.at ?? null;
  const recorded = recordedCourse(about, until ?? Number.POSITIVE_INFINITY);
  const look =
    lookAt === null || before === null
      ? null
      : momentOf(lookAt, `it was found ${before.verdict.code}`, files.before);
  const firstSilent = recorded.firstSilent ?? silentLook(before, look);
  const signs = {
    ...recorded,
    lastCall: lastCallOf(about),
    firstNotFree: firstNotFreeOf(about),
    firstSilent,
  };
  const { firstCloseWait, lastCall, firstNotFree } = signs;
  const since = mendedBefore(about);
  const firstSign = earliest(
    [firstCloseWait, lastCall, firstNotFree, firstSilent].filter((sign) => (sign?.at ?? 0) > since),
  );
  const triedBefore = about.earlier.filter(
    ({ beganAt, verdict }) =>
      verdict !== 'healthy' &&
      Date.parse(beganAt) >= Math.max(since, firstSign?.at ?? Number.POSITIVE_INFINITY),
  );
  return {
    ...signs,
    firstSign,
    triedBefore,
    noticed: earliest([
      recorded.firstWrong,
      before?.verdict.code === 'healthy' ? null : look,
      fixBegan,
      ...triedBefore.map(beginningOf),
    ]),
    fixBegan,
    recovered: recoveredIn(about),
  };
}

/** The look itself, where it found no answer or what speaks for that, and none was given. */
function silentLook(before: Diagnosis | null, look: Moment | null): Moment | null {
  if (before === null || look === null || !doesNotServe(before.verdict.code)) return null;
  const answer = before.findings['api-answers'];
  if (answer.evidence.answer?.kind === 'answered') return null;
  const isSeen = answer.status === 'fail' || SILENT.has(before.verdict.code);
  return isSeen ? look : { ...look, inferred: true };
}

/** When an earlier fix had mended it, epoch ms: what is older is no sign of this time. */
function mendedBefore({ earlier }: PostmortemCase): number {
  const mended = earlier.findLast(({ result }) => result === 'recovered');
  const at = Date.parse(mended?.endedAt ?? '');
  return Number.isNaN(at) ? 0 : at;
}

/** Of a fix that has a record of its own. */
export function beginningOf({ id, beganAt, verdict }: IncidentSummary): Moment | null {
  const what = `another fix began, for ${verdict ?? 'no verdict'}`;
  return momentOf(Date.parse(beganAt), what, `${id}/${JOURNAL_FILE}`);
}

/** As the fix verified it, or as the last look found it where a fix was ended before that. */
function recoveredIn({ incident, before, after, files }: PostmortemCase): Moment | null {
  const what = 'the API serves again';
  if (incident?.result === 'recovered') {
    return momentOf(Date.parse(incident.endedAt ?? ''), what, JOURNAL_FILE);
  }
  const answer = after?.findings['api-answers'].evidence.answer;
  if (after === null || answer?.kind !== 'answered' || !SERVES.has(after.verdict.code)) return null;
  if (!doesNotServe(before?.verdict.code ?? null)) return null;
  return momentOf(after.evidence.host.now, what, files.after);
}

/** What the looks of checks tell, back from the incident to where all was well. */
function recordedCourse({ looks: recorded }: PostmortemCase, until: number) {
  if (recorded === null) {
    return { lastWell: null, firstSilent: null, firstCloseWait: null, firstWrong: null };
  }
  const { file } = recorded;
  const looks = recorded.looks.filter(({ at }) => at <= until);
  const silent = streak(looks, ({ verdict }) => !SERVES.has(verdict)).find(({ verdict }) =>
    doesNotServe(verdict),
  );
  const waiting = streak(looks, ({ closeWait }) => closeWait > 0)[0];
  const wrong = streak(looks, ({ verdict }) => verdict !== 'healthy').find(
    ({ verdict }) => doesNotServe(verdict) || verdict === 'degraded' || verdict === 'orphan-stray',
  );
  const well = looks.findLast(
    ({ at, verdict }) => at < (silent?.at ?? until) && SERVES.has(verdict),
  );
  const told = (look: KeptLook | undefined, what: (look: KeptLook) => string) =>
    look === undefined ? null : momentOf(look.at, what(look), file);
  return {
    lastWell: told(well, ({ verdict }) => `the last check before that found it ${verdict}`),
    firstSilent: asSeen(
      silent,
      told(silent, ({ verdict }) => `a check found it ${verdict}`),
    ),
    firstCloseWait: told(waiting, (look) => `a check counted ${look.closeWait} in CLOSE_WAIT`),
    firstWrong: told(wrong, ({ verdict }) => `a check found it ${verdict}`),
  };
}

function asSeen(look: KeptLook | undefined, moment: Moment | null): Moment | null {
  if (moment === null || SILENT.has(look?.verdict ?? null)) return moment;
  return { ...moment, inferred: true };
}

/** The looks at the end of which each is so, oldest first. */
function streak(
  looks: readonly KeptLook[],
  isSo: (look: KeptLook) => boolean,
): readonly KeptLook[] {
  return looks.slice(looks.findLastIndex((look) => !isSo(look)) + 1);
}

function lastCallOf({ before, files }: PostmortemCase): Moment | null {
  const from = before === null ? null : (clientsJudged(before)?.silentFrom ?? null);
  return from === null ? null : momentOf(from, 'its log tells of no more requests', files.before);
}

function firstNotFreeOf({ before, files }: PostmortemCase): Moment | null {
  const evidence = before?.findings['api-log'].evidence;
  const port = before?.evidence.port.number;
  if (evidence === undefined || port === undefined || evidence.firstAt === null) return null;
  if ((evidence.events ?? 0) === 0) return null;
  // What failed before the server that runs now is of another day; a loop's next start may yet fail.
  if (evidence.eventsSinceDaemon === 0 && !evidence.looping) return null;
  const words = `"${wordingInWords(evidence, port)}" in the log`;
  return momentOf(Date.parse(evidence.firstAt), words, files.before);
}

function momentOf(at: number, what: string, source: string): Moment | null {
  return Number.isFinite(at) ? { at, what, source } : null;
}

function earliest(moments: readonly (Moment | null)[]): Moment | null {
  const known = moments.filter((moment) => moment !== null);
  return known.sort((a, b) => a.at - b.at)[0] ?? null;
}
