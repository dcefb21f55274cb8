/** Questions to a person, on standard error so that standard output stays data. */
import { setTimeout as delay } from 'node:timers/promises';
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
      if (!explained) screen.write(`    ${wrap(LEGEND, screen.columns, 4)}\n`);
      explained = true;
      if (!(await discardTypeAhead())) {
        screen.write(
          'salt-triage: that came faster than a person types and is not consent: use --yes\n',
        );
        return 'abort';
      }
      for (;;) {
        const answer = await askStep(step, screen, signal);
        if (answer !== 'details') return answer;
        const lines = await details(step);
        const wrapped = lines.map((line) => `    ${wrap(line, screen.columns, 6)}`);
        screen.write(`${wrapped.join('\n')}\n`);
      }
    },
  };
}

const LEGEND = 'y yes, s skip (or Enter alone), d details, a abort; each followed by Enter';

function askStep(
  { title }: PlanStep,
  screen: Screen,
  signal: AbortSignal,
): Promise<StepAnswer | Ended> {
  const question: Question<StepAnswer> = {
    message: `${title}? (y/S/d/a, Enter)`,
    read: readStepAnswer,
    again: 'type y, s, d or a, then Enter',
  };
  return typed(question, screen, signal);
}

/** How long typed-ahead input is waited for, ms: what the terminal has is there at once. */
const TYPE_AHEAD_MS = 30;
/** Nobody types so many characters before a question, as `yes | ssh -tt` does. */
const FLOOD_CHARACTERS = 12;

/**
 * Throws away what was typed before a question is shown, as it can't be an answer to it.
 * @returns false where it was so much that no person can be there
 */
async function discardTypeAhead(): Promise<boolean> {
  const { stdin } = process;
  if (stdin.isTTY !== true) return true;
  // Loaded before: what is typed while it loads is none, either.
  await import('inquirer');
  let discarded = 0;
  const onData = (chunk: Buffer) => {
    discarded += chunk.length;
  };
  try {
    stdin.setRawMode(true);
    stdin.on('data', onData);
    await delay(TYPE_AHEAD_MS);
  } catch {
    // A terminal that is gone: the question finds that out.
  } finally {
    stdin.off('data', onData);
    stdin.pause();
  }
  if (discarded > 0) {
    process.stderr.write('    (what was typed before the question does not count)\n');
  }
  return discarded < FLOOD_CHARACTERS;
}

/** A plain yes-or-no, No by default. @returns false for anything but a yes */
export async function askYesNo(message: string, options: ScreenOptions): Promise<boolean> {
  if (!(await discardTypeAhead())) return false;
  const question: Question<'yes' | 'no'> = {
    message: `${message} (y/N, Enter)`,
    read: readYesOrNo,
    again: 'type y or n, then Enter',
  };
  const never = new AbortController().signal;
  return (await typed(question, screenOn(process.stderr, options), never)) === 'yes';
}
