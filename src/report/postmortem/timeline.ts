/** What happened when: each line with the file that says so. */
import { startedAt } from '../../words.ts';
import { endOfFix, JOURNAL_FILE, type PostmortemCase } from './case.ts';
import { clientsJudged, nameOfClient } from './clients.ts';
import type { Clock } from './clock.ts';
import { beginningOf, type Course, type Moment } from './course.ts';
import { type Basis, safe } from './statement.ts';

/** `sign`: of the trouble; `look`: at it; `action`: what was done; `end`: what that led to. */
export type EventKind = 'sign' | 'look' | 'action' | 'end';

export interface TimelineEvent {
  /** Epoch ms. */
  readonly at: number;
  /** The same in the host's zone. */
  readonly moment: string;
  readonly kind: EventKind;
  readonly text: string;
  readonly basis: Exclude<Basis, 'not known'>;
  readonly source: string;
}

type Told = Omit<TimelineEvent, 'moment' | 'basis'> & Partial<Pick<TimelineEvent, 'basis'>>;

/** Oldest first. What happened at the same time stays in the order in which it was recorded. */
export function timelineOf(about: PostmortemCase, course: Course, clock: Clock): TimelineEvent[] {
  return [
    ...processStarts(about),
    ...signs(about, course),
    ...looksAt(about, course),
    ...triesBefore(course),
    ...actions(about),
  ]
    .filter(({ at }) => Number.isFinite(at))
    .map((event) => ({
      basis: 'seen' as const,
      ...event,
      text: safe(event.text),
      moment: clock.moment(event.at),
    }))
    .sort((a, b) => a.at - b.at);
}

/** When those that matter began: the orphans, and the daemon after them. */
function processStarts({ before, files }: PostmortemCase): Told[] {
  if (before === null) return [];
  const { roles, evidence } = before;
  const orphans = roles.all.filter(({ role }) => role === 'orphan').slice(0, 10);
  const told = orphans.map(({ facts }) => ({
    facts,
    text: `${facts.pid} started, later an orphan`,
  }));
  if (roles.daemon !== null) {
    const { facts } = roles.daemon;
    told.push({ facts, text: `the daemon ${facts.pid} started` });
  }
  return told.map(({ facts, text }) => ({
    at: startedAt(facts, evidence.host),
    kind: 'sign' as const,
    text,
    source: files.before,
  }));
}

function signs(about: PostmortemCase, course: Course): Told[] {
  const { before, files } = about;
  const sign = (moment: Moment | null): Told[] =>
    moment === null
      ? []
      : [{ at: moment.at, kind: 'sign', text: moment.what, source: moment.source }];
  const steps = before === null ? [] : (clientsJudged(before)?.steps ?? []);
  const log = before?.findings['api-log'].evidence;
  const events = log?.events ?? 0;
  return [
    ...steps.map((step): Told => {
      const rate = `from ${step.before} to ${step.after} requests a minute`;
      const text = `${nameOfClient(step)} rose ${rate}`;
      return { at: step.at, kind: 'sign', text, source: files.before };
    }),
    ...sign(course.firstCloseWait),
    ...sign(course.lastCall),
    ...sign(course.firstNotFree),
    ...(events > 1 && log?.lastAt
      ? sign({
          at: Date.parse(log.lastAt),
          what: `the last of ${events} starts that failed so${log.looping ? '; the loop still runs' : ''}`,
          source: files.before,
        })
      : []),
  ];
}

function looksAt({ before, after, files }: PostmortemCase, course: Course): Told[] {
  const { lastWell, firstSilent } = course;
  const look = (moment: Moment | null): Told[] =>
    moment === null || moment.source === files.before
      ? []
      : [{ at: moment.at, kind: 'look', text: moment.what, source: moment.source }];
  const diagnosis = (found: PostmortemCase['before'], source: string): Told[] => {
    if (found === null) return [];
    const { code, summary } = found.verdict;
    const at = found.evidence.host.now;
    return [{ at, kind: 'look', text: `${code}: ${summary}`, basis: 'inferred', source }];
  };
  return [
    ...look(lastWell),
    ...look(firstSilent),
    ...diagnosis(before, files.before),
    ...diagnosis(after, files.after),
  ];
}

/** Each in a line: it has a record, and a report, of its own. */
function triesBefore({ triedBefore }: Course): Told[] {
  return triedBefore.flatMap((fix): Told[] => {
    const began = beginningOf(fix);
    if (began === null) return [];
    const done = fix.actions.map(({ action }) => action).join(', ') || 'no action';
    const text = `${began.what}: ${done}; it ended: ${endOfFix(fix.result)}`;
    return [{ at: began.at, kind: 'action', text, source: began.source }];
  });
}

function actions({ incident }: PostmortemCase): Told[] {
  if (incident === null) return [];
  return incident.journal.flatMap((line): Told[] => {
    const { time, phase, action, answer, result } = line;
    const event = (kind: EventKind, text: string): Told[] => [
      { at: Date.parse(time), kind, text, source: JOURNAL_FILE },
    ];
    if (phase === 'after') return event('action', `${action}: ${result ?? 'no result recorded'}`);
    if (phase === 'before') return [];
    if (action === 'begin') return event('action', `the fix began, for ${result ?? 'no verdict'}`);
    if (action === 'end')
      return event('end', `the fix ended: ${endOfFix(result ?? 'no result recorded')}`);
    const came = [answer, result].filter((part) => part !== undefined).join(', ');
    return event('action', came === '' ? action : `${action}: ${came}`);
  });
}
