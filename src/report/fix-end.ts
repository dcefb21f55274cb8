/** The end of a fix: what came of it, how the host stands, what is not done, and the way on. */
import type { StepOutcome } from '../fix/fix-run.ts';
import { identityOf } from '../fix/fix-run.ts';
import { isWell, masterIsDeaf, masterTrouble } from '../fix/recovery.ts';
import type { FixResultOf } from '../fix/result.ts';
import type { PlanStep } from '../plan/plan.ts';
import { type Next, NO_NEXT, nextCommand, type Repeated } from './next-command.ts';
import { labelled, nextLines } from './next-lines.ts';
import type { Screen } from './screen.ts';
import { stateNow } from './state-now.ts';

type Ran = FixResultOf<'ran'>;

/** The block that a fix ends with. */
export function fixEnd(screen: Screen, result: Ran, repeated: Repeated): string {
  const { recovered, trail } = result;
  const lines = recovered ? masterLines(screen, result) : stateLines(screen, result);
  const next = recovered ? nextAfterRecovery(result, repeated) : nextAfter(result, repeated);
  const all = [
    headline(screen, result),
    ...lines,
    labelled(screen, 'Trail', trail),
    ...nextLines(screen, next),
  ];
  return `\n${all.join('\n')}\n`;
}

function headline(screen: Screen, { recovered, ended, outcomes, after, unseen }: Ran): string {
  if (recovered && after !== null && masterIsDeaf(after)) {
    return screen.paint('warn', 'The API answers GET /; the Salt master does not.');
  }
  if (recovered) {
    const goal = outcomes.find(({ step }) => step.kind === 'verify')?.step;
    const orphansOnly = goal?.kind === 'verify' && goal.goal === 'no-orphans';
    return screen.paint(
      'pass',
      orphansOnly
        ? 'Done: no orphan is left, and the API serves.'
        : 'Recovered: the API serves again.',
    );
  }
  const how = ended === 'completed' ? '' : ` (${ended})`;
  // What came back meanwhile is not called broken.
  const well = unseen === null && after !== null && isWell(after.verdict.code);
  return well
    ? screen.chalk.bold(`Ended before it was verified${how}; at the last look salt-api served.`)
    : screen.paint('fail', `Not recovered${how}.`);
}

function masterLines(screen: Screen, { after }: Ran): string[] {
  if (after === null || masterTrouble(after) === null) return [];
  return [labelled(screen, 'Now', after.explanations.master.summary)];
}

/** What another fix would not fix: the master, or another port of the same salt-api. */
function nextAfterRecovery({ after }: Ran, repeated: Repeated): Next {
  if (after === null) return NO_NEXT;
  if (masterTrouble(after) !== null) {
    const [cause] = after.explanations.master.causes;
    const next = ['salt-triage', 'diagnose', ...repeated.flags].join(' ');
    return { next, nextNote: cause?.advice ?? 'shows how the master is' };
  }
  return after.verdict.portInstead === undefined ? NO_NEXT : nextCommand(after, repeated);
}

function stateLines(screen: Screen, result: Ran): string[] {
  const done = result.outcomes.filter(({ step, status }) => status === 'done' && isTold(step));
  const open = notDone(result.outcomes);
  return [
    labelled(screen, 'Now', nowText(result)),
    ...(done.length === 0
      ? []
      : [labelled(screen, 'Done', done.map(({ step }) => step.title).join('; '))]),
    ...(open.length === 0 ? [] : [labelled(screen, 'Not done', open.join('; '))]),
  ];
}

/** How the host stands, as the last look has it. */
function nowText({ before, after, unseen, ended }: Ran): string {
  if (unseen !== null) return `not known: ${unseen}`;
  if (after !== null) return stateNow(after);
  const why = ended === 'completed' ? '' : 'nothing was changed; as first seen: ';
  return `${why}${stateNow(before)}`;
}

/** A step that only waits or keeps records is not worth a word at the end. */
function isTold({ kind }: PlanStep): boolean {
  return !['save-evidence', 'wait-port-free', 'await-recovery'].includes(kind);
}

/** What is still to do, each once: a process is named once, though it was put up twice. */
function notDone(outcomes: readonly StepOutcome[]): string[] {
  const last = new Map(outcomes.map((outcome) => [keyOf(outcome.step), outcome]));
  const open = [...last.values()].filter(({ step, status }) => {
    return isTold(step) && status !== 'done' && status !== 'not-needed';
  });
  const others = open.filter(({ step }) => step.kind !== 'verify');
  return (others.length > 0 ? others : open).map(({ step, status, detail }) => {
    return `${step.title}${WHY[status] ?? `: ${detail.split('\n')[0]}`}`;
  });
}

function keyOf(step: PlanStep): string {
  return step.kind === 'kill' ? `kill ${identityOf(step.target.identity)}` : step.title;
}

/** Beside what a person has said, which is the detail itself. */
const WHY: Readonly<Partial<Record<StepOutcome['status'], string>>> = {
  'not-started': '',
  failed: ': failed',
  refused: ': refused',
};

/** The command that goes on from there. */
function nextAfter({ before, after, unseen }: Ran, repeated: Repeated): Next {
  const again = { next: ['salt-triage', 'diagnose', ...repeated.flags].join(' ') };
  if (unseen !== null) return { ...again, nextNote: 'shows how the host stands now' };
  const next = nextCommand(after ?? before, repeated);
  return next.next === '' ? { ...again, nextNote: 'checks once more' } : next;
}
