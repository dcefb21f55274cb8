/** The five questions of the first such incident (2018), each answered from evidence or asked on. */
import { waitOf } from '../../diagnosis/stacks/fold-stacks.ts';
import { type StacksFile, stacksFileName } from '../../trail/stacks-file.ts';
import { count, grouped } from '../../words.ts';
import { JOURNAL_FILE, type PostmortemCase } from './case.ts';
import type { Clock } from './clock.ts';
import { type Course, doesNotServe } from './course.ts';
import { inferred, open, type Statement, saw } from './statement.ts';

export interface AnsweredQuestion {
  readonly question: string;
  readonly answers: readonly Statement[];
}

export function fiveQuestions(
  about: PostmortemCase,
  course: Course,
  clock: Clock,
): AnsweredQuestion[] {
  return [
    { question: 'Why salt-api?', answers: whySaltApi(about) },
    { question: 'Why was it not noticed?', answers: whyUnnoticed(about, clock) },
    { question: 'Why did the restart fail?', answers: whyRestartFailed(about, clock) },
    { question: 'Why did it hang?', answers: whyItHung(about) },
    { question: 'Why was there no alarm?', answers: whyNoAlarm(about, course, clock) },
  ];
}

function whySaltApi({ before, files }: PostmortemCase): Statement[] {
  if (before === null) {
    return [open('What showed that it was salt-api, and not the network, the master or a client?')];
  }
  const { code, summary, evidence } = before.verdict;
  return [
    inferred(files.before, `${code}: ${summary}.`),
    ...evidence.map((line) => saw(files.before, line)),
  ];
}

function whyUnnoticed({ before, files, looks }: PostmortemCase, clock: Clock): Statement[] {
  const statements: Statement[] = [];
  if (before !== null && doesNotServe(before.verdict.code)) {
    const { listeners } = before.findings['port-holder'].evidence;
    const port = before.evidence.port.number;
    const answer = before.findings['api-answers'].evidence.answer?.kind;
    if (listeners.length > 0) {
      const connected = answer === 'no-reply' || answer === 'answered';
      const rest = connected
        ? ', and took connections: a check that only connects finds nothing wrong.'
        : ': a check that only looks for that finds nothing wrong.';
      const text = `Port ${port} was open when it was looked at${rest}`;
      statements.push(inferred(files.before, text));
    }
    const { count: waiting } = before.findings['close-wait'].evidence;
    if (waiting !== null && waiting > 0) {
      const text = `TCP told: ${grouped(waiting)} sockets in CLOSE_WAIT, of which a healthy salt-api has none.`;
      statements.push(saw(files.before, text));
    }
  }
  const until = before?.evidence.host.now ?? Number.POSITIVE_INFINITY;
  const earlier = looks?.looks.filter(({ at }) => at <= until) ?? [];
  const [first] = earlier;
  if (looks !== null && first !== undefined) {
    const text = `Checks of salt-triage had looked ${count(earlier.length, 'time')} since ${clock.moment(first.at)}.`;
    statements.push(saw(looks.file, text));
  }
  return [
    ...statements,
    open('What did the graphs of the host show meanwhile: CPU, memory, traffic, connections?'),
  ];
}

function whyRestartFailed(about: PostmortemCase, clock: Clock): Statement[] {
  const { before, files } = about;
  const log = before?.findings['api-log'].evidence;
  const statements: Statement[] = [];
  if (log !== undefined && (log.events ?? 0) > 0) {
    const [first, last] = [log.firstAt, log.lastAt].map((at) => clock.time(Date.parse(at ?? '')));
    const when = log.firstAt === null ? '' : `, ${first === last ? 'at' : `${first} to`} ${last}`;
    const text = `${count(log.events ?? 0, 'start')} failed${when}; the log is ${log.path ?? 'not known'}.`;
    statements.push(saw(files.before, text, log.samples));
  } else if (log?.startFailure) {
    statements.push(saw(files.before, 'The last start failed.', [log.startFailure.sample]));
  }
  statements.push(...ofOrphans(about), ...ofLeftovers(about));
  if (statements.length > 0) return statements;
  return [
    open('Was salt-api restarted before? How, and with what result? No failed start is on record.'),
  ];
}

function ofOrphans({ before, files }: PostmortemCase): Statement[] {
  const orphans = before?.roles.all.filter(({ role }) => role === 'orphan') ?? [];
  const statements = orphans.slice(0, 3).map(({ facts, reasons }) => {
    return saw(files.before, `${facts.pid} was left over, an orphan:`, reasons);
  });
  if (statements.length === 0) return [];
  const text =
    'A stop sends SIGTERM, which a salt-api that hangs does not act on; its child outlives the daemon and keeps the port, and the next daemon does not get it.';
  return [...statements, inferred(files.before, text)];
}

/** What was killed after a stop had reported its success. */
function ofLeftovers({ incident }: PostmortemCase): Statement[] {
  const done = (incident?.journal ?? []).filter(({ phase }) => phase === 'after');
  const stop = done.findIndex(({ action }) => action === 'stop the service');
  const left = stop === -1 ? [] : done.slice(stop + 1).filter(({ identity }) => identity);
  if (left.length === 0) return [];
  const result = done[stop]?.result ?? 'no result recorded';
  const pids = left.slice(0, 6).map(({ identity }) => identity?.pid);
  const text = `The stop of the fix reported "${result}" and left ${count(left.length, 'process', 'processes')} running: ${pids.join(', ')}.`;
  return [saw(JOURNAL_FILE, text)];
}

/** Causes that are shown with the question; the rest are among the factors. */
const MOST_CAUSES = 5;

function whyItHung({ before, files, stacks }: PostmortemCase): Statement[] {
  const causes = (before?.causes ?? []).slice(0, MOST_CAUSES).map((cause) => {
    const tell = cause.basis === 'seen' ? saw : inferred;
    return tell(files.before, cause.summary, cause.details.slice(0, 4));
  });
  const blind = Object.values(before?.explanations ?? {}).flatMap((one) => {
    const { title, status, summary } = one;
    // One that names a cause has said there what is not known.
    const asks = status === 'unknown' && one.causes.length === 0;
    return asks ? [open(`${title}: ${summary}. What is known of it?`)] : [];
  });
  const statements = [...stacks.map(ofStacks), ...causes, ...blind];
  if (statements.length > 0) return statements;
  return [
    open('Which clients call it, and did one of them change shortly before?'),
    open('Did the Salt master answer meanwhile?'),
  ];
}

function ofStacks(stacks: StacksFile): Statement {
  const { pid, tool, why, threads, unseen, folded } = stacks;
  if (tool === null) {
    const reason = why ?? 'no reason is recorded';
    return open(`Where did ${pid} stand? Its Python stacks were not seen: ${reason}.`);
  }
  const lines = folded.slice(0, 5).map(({ count: equal, frames }) => {
    const calls = frames.slice(0, 3).map((frame) => `${frame.function} (${frame.file})`);
    const words = waitOf(frames)?.words;
    return `${equal} × ${words === undefined ? '' : `${words}, `}in ${calls.join(', called by ')}`;
  });
  const rest = unseen > 0 ? `; ${count(unseen, 'thread')} not seen` : '';
  const text = `Where ${count(threads, 'thread')} of ${pid} stood before it was killed, by ${tool}${rest}:`;
  return saw(stacksFileName(stacks), text, lines);
}

function whyNoAlarm({ looks }: PostmortemCase, course: Course, clock: Clock): Statement[] {
  const question =
    'Does an alarm fire where a check gets no answer at all? One that only fires on a value stays silent without data.';
  const { fixBegan, noticed } = course;
  if (looks === null) {
    return [
      open('Which monitor looks at salt-api, and what did it print meanwhile?'),
      open(question),
    ];
  }
  const until = fixBegan?.at ?? Number.POSITIVE_INFINITY;
  const wrong = looks.looks.filter(({ at, verdict }) => at <= until && doesNotServe(verdict));
  const [first] = wrong;
  if (first === undefined) {
    const text = 'No check of salt-triage had found it silent before.';
    return [saw(looks.file, text), open(question)];
  }
  const told = `A check told of it ${count(wrong.length, 'time')}, first at ${clock.moment(first.at)}: ${first.verdict}.`;
  const who = noticed === null ? '' : ` since ${clock.moment(noticed.at)}`;
  return [
    saw(looks.file, told),
    open(`Whom did it reach${who}, and through what?`),
    open(question),
  ];
}
