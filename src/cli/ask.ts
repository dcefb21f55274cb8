/** Questions to a person, on standard error so that standard output stays data. */
import type { Consent } from '../fix/fix-run.ts';
import type { PlanStep } from '../plan/plan.ts';
import { type Screen, type ScreenOptions, screenOn, wrap } from '../report/screen.ts';
import { readStepAnswer, readYesOrNo, type StepAnswer } from './answers.ts';
import { type Ended, type Question, typed } from './typed-line.ts';

/** `--yes`: everything is agreed to beforehand; the guards stay on. */
export const agreed: Consent = { label: '--yes', takesTime: false, ask: async () => 'yes' };

/** True where a person can be asked: both ends of the conversation are a terminal. */
export function personIsThere(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/**
 * A person at the terminal. Enter alone skips: the default is never the destructive answer.
 * Ctrl-C, Ctrl-D and the end of input abort.
 *
 * @param details the lines behind "details" for a step
 * @param signal aborts a question that is open, when the terminal goes away
 */
export function personAtTerminal(
  details: (step: PlanStep) => Promise<readonly string[]>,
  signal: AbortSignal,
  options: ScreenOptions,
): Consent {
  let explained = false;
  return {
    label: 'yes',
    takesTime: true,
    async ask(step) {
      const screen = screenOn(process.stderr, options);
      let above = explained ? '' : `    ${wrap(LEGEND, screen.columns, 4)}\n`;
      explained = true;
      for (;;) {
        const answer = await askStep({ step, above }, screen, signal);
        if (answer === 'flood') {
          screen.write(
            'salt-triage: that came faster than a person types, so it is not consent: use --yes\n',
          );
          return 'abort';
        }
        if (answer !== 'details') return answer;
        const lines = await details(step);
        above = lines.map((line) => `    ${wrap(line, screen.columns, 6)}\n`).join('');
      }
    },
  };
}

const LEGEND = 'y yes, s skip (or Enter alone), d details, a abort; each followed by Enter';

function askStep(
  { step, above }: { readonly step: PlanStep; readonly above: string },
  screen: Screen,
  signal: AbortSignal,
): Promise<StepAnswer | Ended> {
  const question: Question<StepAnswer> = {
    above,
    message: `${step.title}? (y/S/d/a, Enter)`,
    read: readStepAnswer,
    again: 'type y, s, d or a, then Enter',
  };
  return typed(question, screen, signal);
}

/** A plain yes-or-no, No by default. @returns false for anything but a yes */
export async function askYesNo(message: string, options: ScreenOptions): Promise<boolean> {
  const question: Question<'yes' | 'no'> = {
    above: '',
    message: `${message} (y/N, Enter)`,
    read: readYesOrNo,
    again: 'type y or n, then Enter',
  };
  const never = new AbortController().signal;
  return (await typed(question, screenOn(process.stderr, options), never)) === 'yes';
}
