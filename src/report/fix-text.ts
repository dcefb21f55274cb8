import type { FixObserver } from '../fix/fix.ts';
import type { StepOutcome } from '../fix/fix-run.ts';
import type { FixResult, FixResultOf } from '../fix/result.ts';
import type { FixPlan, KillStep, PlanStep } from '../plan/plan.ts';
import type { ServiceManager } from '../plan/service-manager.ts';
import { commandLine } from '../shell-words.ts';
import { stripControl } from '../untrusted.ts';
import { textReport } from './diagnosis-text.ts';
import type { ErrorWords } from './error-text.ts';
import { fixEnd } from './fix-end.ts';
import {
  NO_NEXT,
  nextAfterDryRun,
  nextAfterRefusal,
  nextCommand,
  nextIsFix,
  type Repeated,
} from './next-command.ts';
import { nextLines } from './next-lines.ts';
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
  if (manager !== null) lines.push(`  ${wrap(`service: ${manager.label}`, columns, 4)}`);
  for (const [index, step] of plan.steps.entries()) {
    const number = String(index + 1).padStart(3);
    const title = wrap(step.title, columns, INDENT - 1);
    lines.push(`${number}  ${step.kind === 'kill' ? chalk.bold(title) : title}`);
    lines.push(...factLines(screen, step));
  }
  for (const remark of plan.remarks) {
    lines.push(`  ${screen.paint('warn', '!')} ${wrap(remark, columns, 4)}`);
  }
  return `${lines.join('\n')}\n`;
}

/** The same as lines; why a process is killed and what is lost by it stand out as much as the kill. */
function factLines({ chalk, columns }: Screen, step: PlanStep): string[] {
  return stepFacts(step).map((fact) => {
    const decides = /^(?:why|loss): /.test(fact);
    const text = wrap(fact, columns, INDENT + 2);
    return `${' '.repeat(INDENT)}${decides ? chalk.bold(text) : text}`;
  });
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
 *   under `--yes` nobody decides anything by them. `repeated`: what the next command must repeat
 */
export function fixReport(
  screen: Screen,
  { brief, repeated }: { readonly brief: boolean; readonly repeated: Repeated },
): FixObserver {
  const { chalk, columns } = screen;
  const waiting = waitingOn(screen);
  // Where the next command is a fix, this is it.
  const report = textReport(screen, 'normal', (diagnosis) => {
    return nextIsFix(diagnosis, repeated) ? NO_NEXT : nextCommand(diagnosis, repeated);
  });
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
      screen.write('\nsalt-api is still starting: waiting for it before judging.\n');
    },
    planned(plan, manager) {
      screen.write(`\n${planText(screen, plan, manager)}\n`);
    },
    stepBegins(step, position) {
      waiting.end();
      screen.write(`${chalk.bold(wrap(`${position}  ${step.title}`, columns, INDENT))}\n`);
      const planned = /^\d+\/\d+$/.test(position);
      for (const line of brief && planned ? [] : factLines(screen, step)) screen.write(`${line}\n`);
    },
    stepEnds(outcome) {
      waiting.end();
      // The end tells what is not done.
      if (outcome.status !== 'not-started') screen.write(outcomeText(screen, outcome));
    },
    warn(text) {
      screen.write(`    ${screen.paint('warn', '!')} ${wrap(text, columns, INDENT)}\n`);
    },
    end(result) {
      screen.write(endText(screen, result, repeated));
    },
  };
}

function outcomeText(screen: Screen, { status, detail }: StepOutcome): string {
  const { columns } = screen;
  const indent = INDENT + screen.markWidth - 1;
  const [first = '', ...rest] = detail.split('\n').map(stripControl);
  const text = wrap(`${LEADING[status] ?? ''}${first}`, columns, indent);
  const more = rest.map((line) => {
    return `${' '.repeat(indent)}${wrap(line, columns, indent + 2)}\n`;
  });
  return `    ${screen.mark(STANDING[status])} ${text}\n${more.join('')}`;
}

const LEADING: Readonly<Partial<Record<StepOutcome['status'], string>>> = {
  'not-needed': 'not needed: ',
  failed: 'failed: ',
  refused: 'refused: ',
};

function endText(screen: Screen, result: FixResult, repeated: Repeated): string {
  switch (result.kind) {
    case 'nothing-to-do':
      return `\n${wrap(`Nothing to do: ${result.plan.why}`, screen.columns, 2)}\n`;
    case 'planned':
      return `${['Dry run: nothing was changed, and nothing recorded.', ...nextLines(screen, nextAfterDryRun(result, repeated))].join('\n')}\n`;
    case 'ran':
      return fixEnd(screen, result, repeated);
    case 'refused':
      // An error like any other: `refusalWords` go where those go.
      return '';
  }
}

/** What a refused fix says on standard error. @param where the name of a host behind ssh */
export function refusalWords(
  { plan, before }: FixResultOf<'refused'>,
  repeated: Repeated,
  where: string | undefined,
): ErrorWords {
  const name = where === undefined ? '' : `${where}: `;
  const { next, nextNote } = nextAfterRefusal(plan, before, repeated);
  return { message: `${name}refused: ${plan.why}`, advice: sentence(nextNote), command: next };
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
