/** Questions to a person, on standard error so that standard output stays data. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Answer, Consent } from '../fix/fix-run.ts';
import type { PlanStep } from '../plan/plan.ts';
import { type ScreenOptions, screenOn, wrap } from '../report/screen.ts';

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
      if (!explained) process.stderr.write('    y yes, s or Enter skip, d details, a abort\n');
      explained = true;
      if (!(await discardTypeAhead())) {
        process.stderr.write('salt-triage: input that nobody types is no consent: use --yes\n');
        return 'abort';
      }
      for (;;) {
        const answer = await expand(`${step.title}?`, signal);
        if (answer !== 'details') return answer;
        const lines = await details(step);
        const { columns } = screenOn(process.stderr, options);
        const wrapped = lines.map((line) => `    ${wrap(line, columns, 6)}`);
        process.stderr.write(`${wrapped.join('\n')}\n`);
      }
    },
  };
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
export async function askYesNo(message: string): Promise<boolean> {
  if (!(await discardTypeAhead())) return false;
  return (await prompt({ type: 'confirm', message, default: false })) === true;
}

async function expand(message: string, signal: AbortSignal): Promise<Answer | 'details'> {
  const choices = [
    { key: 'y', name: 'yes, do it', value: 'yes' },
    { key: 's', name: 'skip this step', value: 'skip' },
    { key: 'd', name: 'details first', value: 'details' },
    { key: 'a', name: 'abort the whole fix', value: 'abort' },
  ];
  const answer = await prompt({ type: 'expand', message, default: 's', choices }, signal);
  return answer as Answer | 'details';
}

/** @returns what was answered; `abort` or `interrupted` where nothing was */
async function prompt(
  question: { type: 'confirm' | 'expand'; message: string; default: unknown; choices?: unknown },
  signal = new AbortController().signal,
): Promise<unknown> {
  const { createPromptModule } = (await import('inquirer')).default;
  const ask = createPromptModule({ output: process.stderr, signal });
  const hungUp = gone(signal);
  try {
    const asked = ask([{ name: 'answer', ...question }]).then(({ answer }) => answer as unknown);
    return await Promise.race([asked, hungUp.promise]);
  } catch (error) {
    if (!endsThePrompt(error)) throw error;
    return /SIGINT/.test(error.message) ? 'interrupted' : 'abort';
  } finally {
    hungUp.forget();
  }
}

/**
 * Settles when no answer can come any more. Inquirer leaves its promise open after Ctrl-D and
 * after the end of input: the event loop would run dry and the process end with 0.
 */
function gone(signal: AbortSignal): { promise: Promise<Answer>; forget: () => void } {
  let settle: (answer: Answer) => void = () => undefined;
  const promise = new Promise<Answer>((resolve) => {
    settle = resolve;
  });
  const onEnd = () => settle('abort');
  const onAbort = () => settle('interrupted');
  process.on('beforeExit', onEnd);
  process.stdin.on('end', onEnd);
  process.stdin.on('error', onEnd);
  signal.addEventListener('abort', onAbort);
  return {
    promise,
    forget() {
      process.off('beforeExit', onEnd);
      process.stdin.off('end', onEnd);
      process.stdin.off('error', onEnd);
      signal.removeEventListener('abort', onAbort);
    },
  };
}

/** Inquirer's errors for Ctrl-C, Ctrl-D, end of input and an aborted signal. */
function endsThePrompt(error: unknown): error is Error {
  return error instanceof Error && ['ExitPromptError', 'AbortPromptError'].includes(error.name);
}
