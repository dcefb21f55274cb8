/** From an incident, or from evidence alone, to all that a report of it says. Pure. */

import { stacksFileName } from '../../trail/stacks-file.ts';
import { describeDuration } from '../../words.ts';
import { type ActionItem, actionsFor, contributingFactors } from './actions.ts';
import { endOfFix, JOURNAL_FILE, type PostmortemCase } from './case.ts';
import { type Clock, clockOf, clocksApart } from './clock.ts';
import { type Course, courseOf } from './course.ts';
import { impactOf } from './impact.ts';
import { callsPicture } from './pictures/calls.ts';
import { closeWaitPicture, peersPicture } from './pictures/close-wait.ts';
import type { Picture, TrackPicture } from './pictures/picture.ts';
import { trackPicture } from './pictures/track.ts';
import { censusPictures, stacksPicture } from './pictures/waits.ts';
import { type ProcessRow, processRows } from './processes.ts';
import { type AnsweredQuestion, fiveQuestions } from './questions.ts';
import { inferred, open, type Statement, safe, saw } from './statement.ts';
import { type TimelineEvent, timelineOf } from './timeline.ts';

export interface Postmortem {
  readonly title: string;
  /** Host, port, incident, versions: a name and what there is. */
  readonly about: readonly (readonly [name: string, text: string])[];
  readonly utcOffsetMinutes: number;
  readonly summary: readonly Statement[];
  readonly impact: readonly Statement[];
  readonly timeline: readonly TimelineEvent[];
  readonly track: TrackPicture | null;
  readonly processes: readonly ProcessRow[];
  readonly questions: readonly AnsweredQuestion[];
  readonly factors: readonly Statement[];
  readonly actions: readonly ActionItem[];
  readonly pictures: readonly Exclude<Picture, TrackPicture>[];
  /** The files that it was written from. */
  readonly files: readonly string[];
}

/** Writes a report; what nothing on record tells is in it as a question. */
export function writePostmortem(given: PostmortemCase): Postmortem {
  const clock = clockOf(given);
  const course = courseOf(given);
  const timeline = timelineOf(given, course, clock);
  return {
    title: titleOf(given, course, clock),
    about: aboutOf(given, clock),
    utcOffsetMinutes: clock.utcOffsetMinutes,
    summary: summaryOf(given, course, clock),
    impact: impactOf(given, course, clock),
    timeline,
    track: trackPicture(timeline),
    processes: processRows(given, clock),
    questions: fiveQuestions(given, course, clock),
    factors: contributingFactors(given, course),
    actions: actionsFor(given),
    pictures: [
      callsPicture(given, clock),
      closeWaitPicture(given, course, clock),
      peersPicture(given),
      ...censusPictures(given),
      ...given.stacks.map(stacksPicture),
    ].filter((picture) => picture !== null),
    files: filesOf(given, course),
  };
}

function titleOf({ before, incident }: PostmortemCase, course: Course, clock: Clock): string {
  const host = before?.evidence.host.name ?? incident?.host ?? 'a host';
  const at = course.firstSilent ?? course.fixBegan ?? course.noticed;
  const when = at === null ? '' : `, ${clock.moment(at.at).slice(0, 10)}`;
  return safe(`salt-api on ${host}${when}`);
}

function aboutOf(
  { before, incident }: Pick<PostmortemCase, 'before' | 'incident'>,
  clock: Clock,
): [string, string][] {
  const port = before?.evidence.port.number ?? incident?.port ?? null;
  const rows: [string, string | null][] = [
    ['Host', before?.evidence.host.name ?? incident?.host ?? null],
    ['Port', port === null ? null : String(port)],
    ['Incident', incident?.id ?? null],
    ['Looked at', before === null ? null : clock.moment(before.evidence.host.now)],
    ['Verdict', before?.verdict.code ?? incident?.verdict ?? null],
    ['Times', `those of the host, ${clock.zone}`],
    ['Clocks', clocksApart({ before, incident })],
  ];
  return rows.flatMap(([name, text]) => (text === null ? [] : [[name, safe(text)]]));
}

function summaryOf(given: PostmortemCase, course: Course, clock: Clock): Statement[] {
  const { before, incident, files } = given;
  const [cause] = before?.causes ?? [];
  const { firstSilent, recovered } = course;
  const parts: Statement[] = [];
  parts.push(
    before === null
      ? open(
          'What was found before anything was done? The evidence is not there, or cannot be read.',
        )
      : inferred(files.before, `${before.verdict.code}: ${before.verdict.summary}.`),
  );
  if (firstSilent !== null && recovered !== null) {
    const span = describeDuration(recovered.at - firstSilent.at);
    const text = `Seen to give no service from ${clock.moment(firstSilent.at)} to ${clock.moment(recovered.at)}, ${span}.`;
    parts.push(inferred(firstSilent.source, text));
  }
  if (incident !== null) parts.push(saw(JOURNAL_FILE, whatWasDone(given)));
  if (cause !== undefined) {
    const tell = cause.basis === 'seen' ? saw : inferred;
    parts.push(tell(files.before, `Bears on it most: ${cause.summary}.`));
  }
  return parts;
}

function whatWasDone({ incident }: PostmortemCase): string {
  const actions = incident?.actions.map(({ action }) => action) ?? [];
  const done = actions.length === 0 ? 'No action was taken' : `Done: ${actions.join(', ')}`;
  return `${done}. The fix ended: ${endOfFix(incident?.result ?? 'not known')}.`;
}

function filesOf(
  { incident, before, after, stacks, looks, files }: PostmortemCase,
  { triedBefore }: Course,
): string[] {
  return [
    ...(before === null ? [] : [files.before]),
    ...(after === null ? [] : [files.after]),
    ...(incident === null ? [] : [JOURNAL_FILE]),
    ...stacks.map(stacksFileName),
    ...(looks === null ? [] : [looks.file]),
    ...triedBefore.map(({ id }) => `${id}/${JOURNAL_FILE}`),
  ];
}
