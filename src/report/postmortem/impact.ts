/** What the incident meant to those who call the API: from evidence alone, and a question for the rest. */
import { count, describeDuration, grouped } from '../../words.ts';
import { endOfFix, JOURNAL_FILE, type PostmortemCase } from './case.ts';
import type { Clock } from './clock.ts';
import { type Course, doesNotServe } from './course.ts';
import { inferred, open, type Statement, saw } from './statement.ts';

export function impactOf(about: PostmortemCase, course: Course, clock: Clock): Statement[] {
  return [
    ...silence(about, course, clock),
    ...recovery(about, course, clock),
    ...spans(about, course, clock),
    ...callers(about),
    open('Which services, jobs or people went without answers meanwhile, and how did they notice?'),
  ];
}

function silence({ before, files }: PostmortemCase, course: Course, clock: Clock): Statement[] {
  const { firstSilent, lastWell, lastCall } = course;
  if (firstSilent === null) {
    const code = before?.verdict.code ?? null;
    const answer = before?.findings['api-answers'];
    if (before !== null && answer?.evidence.answer?.kind === 'answered' && doesNotServe(code)) {
      const at = clock.moment(before.evidence.host.now);
      return [saw(files.before, `GET / was still answered at ${at}: ${answer.summary}.`)];
    }
    return code === null || doesNotServe(code) || code === 'unknown'
      ? [open('When did salt-api begin to give no answer? Nothing on record tells.')]
      : [];
  }
  const at = clock.moment(firstSilent.at);
  const text = `At ${at} it gave no service: ${firstSilent.what}.`;
  const tell = firstSilent.inferred ? inferred : saw;
  const statements = [tell(firstSilent.source, text)];
  if (lastWell !== null) {
    const since = `Seen to serve until ${clock.moment(lastWell.at)}: ${lastWell.what}.`;
    return [...statements, saw(lastWell.source, since)];
  }
  if (lastCall !== null) {
    const since = `The last request that its log tells of ended before ${clock.moment(lastCall.at)}; it has been silent since then at the latest, or nobody called.`;
    return [...statements, inferred(lastCall.source, since)];
  }
  return [
    ...statements,
    open(`It was silent by then; since when? The first caller that got no answer can tell.`),
  ];
}

function recovery(about: PostmortemCase, { recovered }: Course, clock: Clock): Statement[] {
  const { incident, after, files } = about;
  if (incident === null) return [open('When did it serve again? No fix is on record here.')];
  const ended = saw(JOURNAL_FILE, `The fix on record ended with: ${endOfFix(incident.result)}.`);
  if (recovered === null) return [ended, open('When did it serve again, and through what?')];
  const answer = after?.findings['api-answers'];
  const seen = answer?.status === 'pass' ? [saw(files.after, `The API: ${answer.summary}.`)] : [];
  const again = saw(recovered.source, `Served again at ${clock.moment(recovered.at)}.`);
  return [...(recovered.source === JOURNAL_FILE ? [] : [ended]), again, ...seen];
}

function spans(about: PostmortemCase, course: Course, clock: Clock): Statement[] {
  const { firstSign, noticed, fixBegan, recovered } = course;
  const statements = detection(about, course, clock);
  if (fixBegan === null || recovered === null) return statements;
  if (noticed !== null && fixBegan.at - noticed.at > UNHEEDED_MS) {
    const span = describeDuration(fixBegan.at - noticed.at);
    statements.push(saw(noticed.source, `From then until the fix began: ${span}.`));
  }
  // The journal may have another clock than the host.
  if (recovered.source === JOURNAL_FILE) {
    const fix = describeDuration(recovered.at - fixBegan.at);
    statements.push(saw(JOURNAL_FILE, `Time to recover: ${fix} from the beginning of the fix.`));
  }
  if (firstSign !== null && firstSign.at < fixBegan.at) {
    const all = describeDuration(recovered.at - firstSign.at);
    const text = `From the first sign on record until it served again: ${all}.`;
    statements.push(inferred(firstSign.source, text));
  }
  return statements;
}

/** Somebody who has just looked fixes it sooner, ms. */
const UNHEEDED_MS = 10 * 60_000;

function detection({ looks }: PostmortemCase, course: Course, clock: Clock): Statement[] {
  const { firstSign, noticed } = course;
  if (firstSign === null || noticed === null) return [];
  if (noticed.at > firstSign.at) {
    const span = describeDuration(noticed.at - firstSign.at);
    const sign = `the first sign on record (${firstSign.what})`;
    const text = `Time to detect: at least ${span}, from ${sign} to the first look that told of it: ${noticed.what}.`;
    return [inferred(firstSign.source, text)];
  }
  if (noticed.source === looks?.file) {
    const text = `A check saw the first sign on record itself, at ${clock.moment(noticed.at)}: ${noticed.what}.`;
    return [saw(noticed.source, text)];
  }
  return [
    open('How long did it take until somebody knew? Nothing on record is older than that look.'),
  ];
}

function callers({ before, files }: PostmortemCase): Statement[] {
  if (before === null) return [];
  const { count: waiting, byPeer } = before.findings['close-wait'].evidence;
  if (waiting === null || waiting === 0) return [];
  const text = `${grouped(waiting)} connections whose clients had hung up stood open (CLOSE_WAIT), from ${count(byPeer.length, 'address', 'addresses')}.`;
  return [saw(files.before, text)];
}
