import type { FixObserver, StepOutcome } from '../fix/run-plan.ts';
import type { KillStep, Plan, PlanStep } from '../plan/plan.ts';
import type { ServiceManager } from '../plan/service-manager.ts';
import { commandLine } from '../shell-words.ts';
import { stripControl } from '../untrusted.ts';
import { type Screen, wrap } from './screen.ts';

const INDENT = 6;

/** A plan as text: every step with its command, as a dry run shows it. */
export function planText(
  screen: Screen,
  plan: Extract<Plan, { kind: 'mend' }>,
  manager: ServiceManager | null,
): string {
  const { chalk, columns } = screen;
  const lines = [chalk.bold(wrap(`Plan for ${plan.verdict}`, columns, 0))];
  if (manager !== null) lines.push(chalk.dim(wrap(`service: ${manager.label}`, columns, 2)));
  for (const [index, step] of plan.steps.entries()) {
    const number = String(index + 1).padStart(3);
    lines.push(`${number}  ${wrap(step.title, columns, INDENT - 1)}`);
    for (const detail of stepFacts(step)) {
      lines.push(`${' '.repeat(INDENT)}${chalk.dim(wrap(detail, columns, INDENT + 2))}`);
    }
  }
  for (const remark of plan.remarks) {
    lines.push(`  ${chalk.yellow(`! ${wrap(remark, columns, 4)}`)}`);
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
 *   under `--yes` nobody decides anything by them
 */
export function fixReport(
  screen: Screen,
  { brief }: { readonly brief: boolean } = { brief: false },
): FixObserver {
  const { chalk, columns, symbols } = screen;
  let progressShown = false;
  const clear = () => {
    if (progressShown) screen.clearLine();
    progressShown = false;
  };
  return {
    stepBegins(step, position) {
      screen.write(`${chalk.bold(wrap(`${position}  ${step.title}`, columns, INDENT))}\n`);
      const planned = /^\d+\/\d+$/.test(position);
      for (const fact of brief && planned ? [] : stepFacts(step)) {
        screen.write(`${' '.repeat(INDENT)}${chalk.dim(wrap(fact, columns, INDENT + 2))}\n`);
      }
    },
    stepEnds(outcome) {
      clear();
      const { symbol, paint } = mark(outcome, screen);
      const [first = '', ...rest] = outcome.detail.split('\n').map(stripControl);
      const text = outcome.status === 'done' ? first : `${outcome.status}: ${first}`;
      const title = outcome.status === 'not-started' ? `${outcome.step.title}: ` : '';
      screen.write(`    ${paint(symbol)} ${wrap(title + text, columns, INDENT)}\n`);
      for (const line of rest) {
        screen.write(`${' '.repeat(INDENT)}${chalk.dim(wrap(line, columns, INDENT + 2))}\n`);
      }
    },
    warn(text) {
      screen.write(`    ${chalk.yellow(`! ${wrap(text, columns, INDENT)}`)}\n`);
    },
    progress(text) {
      if (!screen.interactive) return;
      clear();
      screen.write(chalk.dim(`    … ${stripControl(text).slice(0, columns - 8)}`));
      progressShown = true;
    },
  };

  function mark({ status }: StepOutcome, { chalk: paintOf }: Screen) {
    if (status === 'done') return { symbol: symbols.pass, paint: paintOf.green };
    if (status === 'not-needed') return { symbol: symbols.skip, paint: paintOf.dim };
    if (status === 'failed' || status === 'refused') {
      return { symbol: symbols.fail, paint: paintOf.red };
    }
    return { symbol: symbols.skip, paint: paintOf.yellow };
  }
}
