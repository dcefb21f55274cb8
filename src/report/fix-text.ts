import { inLocale } from '../characters.ts';
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import type { FixObserver } from '../fix/fix.ts';
import type { StepOutcome } from '../fix/fix-run.ts';
import type { FixResult, FixResultOf } from '../fix/result.ts';
import type { FixPlan, KillStep, PlanStep } from '../plan/plan.ts';
import type { ServiceManager } from '../plan/service-manager.ts';
import { commandLine } from '../shell-words.ts';
import { printable, stripControl } from '../untrusted.ts';
import { textReport } from './diagnosis-text.ts';
import { nextCommand, refusalAdvice } from './next-command.ts';
import { type Screen, type Standing, wrap } from './screen.ts';
import { waitingOn } from './waiting.ts';

const INDENT = 6;

const STANDING: Readonly<Record<StepOutcome['status'], Standing>> = {
  done: 'pass',
  'not-needed': 'skip',
  declined: 'skip',
  'not-started': 'skip',
  failed: 'fail',
  refused: 'fail',
};

/** A plan as text: every step with its command, as a dry run shows it. */
export function planText(screen: Screen, plan: FixPlan, manager: ServiceManager | null): string {
  const { chalk, columns } = screen;
  const lines = [chalk.bold(wrap(`Plan for ${plan.verdict}`, columns, 0))];
  if (manager !== null) lines.push(wrap(`service: ${manager.label}`, columns, 2));
  for (const [index, step] of plan.steps.entries()) {
    const number = String(index + 1).padStart(3);
    lines.push(`${number}  ${wrap(step.title, columns, INDENT - 1)}`);
    for (const detail of stepFacts(step)) {
      lines.push(`${' '.repeat(INDENT)}${wrap(detail, columns, INDENT + 2)}`);
    }
  }
  for (const remark of plan.remarks) {
    lines.push(`  ${screen.paint('warn', '!')} ${wrap(remark, columns, 4)}`);
  }
  return `${lines.join('\n')}\n`;
}

/** The lines under a step: what it runs, on whom, and what is lost by it. */
export function stepFacts(step: PlanStep): string[] {
  if (step.kind === 'kill') return killFacts(step);
  if (step.kind === 'stop' || step.kind === 'start-dependent')
    return [`$ ${commandLine(step.command)}`];
  if (step.kind === 'start') {
    const before = step.before === null ? [] : [`$ ${commandLine(step.before)}`];
    return [...before, `$ ${commandLine(step.command)}`];
  }
  return [];
}

function killFacts(step: KillStep): string[] {
  return [
    step.shownArgv.join(' '),
    ...step.facts,
    `why: ${step.reasons.join('; ')}`,
    ...(step.loss === null ? [] : [`loss: ${step.loss}`]),
  ].map(stripControl);
}

/**
 * Shows a fix as it goes.
 * @param options `brief`: steps of the plan, just shown in full, are named without their facts;
 *   under `--yes` nobody decides anything by them. `flags`: options that the next command must repeat
 */
export function fixReport(
  screen: Screen,
  { brief, flags }: { readonly brief: boolean; readonly flags: readonly string[] },
): FixObserver {
  const { chalk, columns } = screen;
  const waiting = waitingOn(screen);
  const report = textReport(screen, 'normal', flags);
  return {
    look: {
      ...report,
      begin(head) {
        waiting.end();
        report.begin?.(head);
      },
    },
    waiting: waiting.begin,
    waitsForStart() {
      screen.write('\nIt gets some time to come up.\n');
    },
    planned(plan, manager) {
      screen.write(`\n${planText(screen, plan, manager)}\n`);
    },
    stepBegins(step, position) {
      waiting.end();
      screen.write(`${chalk.bold(wrap(`${position}  ${step.title}`, columns, INDENT))}\n`);
      const planned = /^\d+\/\d+$/.test(position);
      for (const fact of brief && planned ? [] : stepFacts(step)) {
        screen.write(`${' '.repeat(INDENT)}${wrap(fact, columns, INDENT + 2)}\n`);
      }
    },
    stepEnds(outcome) {
      waiting.end();
      screen.write(outcomeText(screen, outcome));
    },
    warn(text) {
      screen.write(`    ${screen.paint('warn', '!')} ${wrap(text, columns, INDENT)}\n`);
    },
    end(result) {
      screen.write(endText(screen, result, flags));
    },
  };
}

function outcomeText(screen: Screen, { step, status, detail }: StepOutcome): string {
  const { columns } = screen;
  const indent = INDENT + screen.markWidth - 1;
  const [first = '', ...rest] = detail.split('\n').map(stripControl);
  const text = status === 'done' ? first : `${status}: ${first}`;
  const title = status === 'not-started' ? `${step.title}: ` : '';
  const more = rest.map((line) => {
    return `${' '.repeat(indent)}${wrap(line, columns, indent + 2)}\n`;
  });
  return `    ${screen.mark(STANDING[status])} ${wrap(title + text, columns, indent)}\n${more.join('')}`;
}

function endText(screen: Screen, result: FixResult, flags: readonly string[]): string {
  switch (result.kind) {
    case 'nothing-to-do':
      return `\n${wrap(`Nothing to do: ${result.plan.why}`, screen.columns, 2)}\n`;
    case 'planned':
      return 'Dry run: nothing was changed, and nothing recorded.\n';
    case 'ran':
      return closing(screen, result, flags);
    case 'refused':
      // An error like any other: `refusalText` goes where those go.
      return '';
  }
}

/** What a refused fix says on standard error. @param where the name of a host behind ssh */
export function refusalText(
  { plan, before }: FixResultOf<'refused'>,
  flags: readonly string[],
  where: string | undefined,
): string {
  const name = where === undefined ? '' : `${where}: `;
  const advice = refusalAdvice(plan, before, flags);
  return inLocale(printable(`salt-triage: ${name}refused: ${plan.why}\n  ${advice}\n`));
}

function closing(screen: Screen, result: FixResultOf<'ran'>, flags: readonly string[]): string {
  const { columns } = screen;
  const { outcomes, recovered, ended, after, trail } = result;
  const orphansOnly = outcomes.some(
    ({ step }) => step.kind === 'verify' && step.goal !== 'serving',
  );
  const reached = orphansOnly
    ? 'Done: no orphan is left, and the API serves.'
    : 'Recovered: the API serves again.';
  const completed = ended === 'completed';
  const not = completed ? 'Not recovered.' : `Not recovered (${ended}).`;
  const lines = ['', recovered ? screen.paint('pass', reached) : screen.paint('fail', not)];
  if (!recovered) {
    const done = outcomes.filter(({ status }) => status === 'done');
    const open = outcomes.filter(({ status }) => !['done', 'not-needed'].includes(status));
    const did = done.map(({ step }) => step.title);
    const left = open.map(({ step, status }) => `${step.title} (${status})`);
    lines.push(wrap(`Done: ${did.join(', ') || 'nothing'}.`, columns, 2));
    lines.push(wrap(`Not done: ${left.join(', ') || 'nothing'}.`, columns, 2));
  }
  const next = after === null ? [] : [wrap(`Next: ${nextText(after, flags)}`, columns, 2)];
  // What another fix would not fix: the reason of a failed start, another port of the same salt-api.
  const { startFailure, portInstead } = after?.verdict ?? {};
  if (startFailure !== undefined || portInstead !== undefined) lines.push(...next);
  lines.push(wrap(`Trail: ${trail}`, columns, 2));
  // The half that was asked for is done, and was not enough.
  if (!recovered && orphansOnly && completed) lines.push(...next);
  return `${lines.join('\n')}\n`;
}

function nextText(after: Diagnosis, flags: readonly string[]): string {
  const { next, nextNote } = nextCommand(after, flags);
  return `${next}    ${nextNote}`;
}
