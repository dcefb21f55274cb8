/** One line that a person types at a terminal, as an answer to a question. */
import { inLocale } from '../characters.ts';
import type { Screen } from '../report/screen.ts';
import { stripControl } from '../untrusted.ts';
import { discardTypeAhead } from './type-ahead.ts';

export interface Question<T extends string> {
  /** Lines above it, with its line breaks; empty for none. */
  readonly above: string;
  readonly message: string;
  /** Null for what is no answer. */
  read(line: string): T | null;
  /** What is said then. */
  readonly again: string;
}

/** No answer came: Ctrl-D or the end of input, Ctrl-C or a signal, more than a person can type. */
export type Ended = 'abort' | 'interrupted' | 'flood';

/** How a line ended that was not typed to its end. */
type LineEnded = Exclude<Ended, 'flood'>;
/** A line as it was typed. */
type Line = { readonly text: string };

/**
 * Asks until there is an answer; question and answer stay on the screen. What was typed before the
 * question stood there is none: each time that it is asked, also behind a line that was no answer.
 * @param signal ends the question, when the terminal goes away
 */
export async function typed<T extends string>(
  question: Question<T>,
  screen: Screen,
  signal: AbortSignal,
): Promise<T | Ended> {
  const line = process.env['TERM'] === 'dumb' ? plainLine : inquirerLine;
  let { above } = question;
  for (;;) {
    if (!(await discardTypeAhead())) return 'flood';
    screen.write(above);
    const came = await line(question, screen, signal);
    if (typeof came === 'string') return came;
    const said = question.read(came.text);
    if (said !== null) return said;
    above = `    ${question.again}\n`;
  }
}

async function inquirerLine(
  { message, read }: Question<string>,
  screen: Screen,
  signal: AbortSignal,
): Promise<Line | LineEnded> {
  const { createPromptModule } = (await import('inquirer')).default;
  const ask = createPromptModule({ output: process.stderr, signal });
  const hungUp = gone(signal);
  try {
    const asked = ask([
      {
        type: 'input',
        name: 'line',
        message: inLocale(stripControl(message)),
        theme: themeOf(screen),
        // What was understood, once it is settled.
        transformer: (line: string, { isFinal }: { isFinal: boolean }) =>
          (isFinal ? read(line) : null) ?? line,
      },
    ]).then(({ line }) => ({ text: String(line) }));
    return await Promise.race([asked, hungUp.promise]);
  } catch (error) {
    if (!endsThePrompt(error)) throw error;
    return /SIGINT/.test(error.message) ? 'interrupted' : 'abort';
  } finally {
    hungUp.forget();
  }
}

/** The same where a terminal takes no cursor codes: Node's own readline sends none to such. */
async function plainLine(
  { message }: Question<string>,
  _screen: Screen,
  signal: AbortSignal,
): Promise<Line | LineEnded> {
  const { createInterface } = await import('node:readline');
  const { stdin: input, stderr: output } = process;
  const lines = createInterface({ input, output, terminal: true });
  lines.setPrompt(`? ${inLocale(stripControl(message))} `);
  let onEnd: () => void = () => undefined;
  let onAbort: () => void = () => undefined;
  const answer = new Promise<Line | LineEnded>((resolve) => {
    const leave = (ended: LineEnded) => {
      output.write('\n');
      resolve(ended);
    };
    onEnd = () => leave('abort');
    onAbort = () => leave('interrupted');
    lines.once('line', (text) => resolve({ text }));
    lines.once('SIGINT', onAbort);
    lines.once('close', onEnd);
  });
  signal.addEventListener('abort', onAbort);
  lines.prompt();
  return answer.finally(() => {
    signal.removeEventListener('abort', onAbort);
    // Its own listeners stay until it is closed: it takes those off the terminal then.
    lines.off('close', onEnd);
    lines.close();
  });
}

/** Inquirer colours by itself, whatever --no-color says, and draws beyond ASCII. */
function themeOf({ chalk }: Screen) {
  const mark = chalk.bold('?');
  return {
    prefix: { idle: mark, done: mark },
    spinner: { interval: 80, frames: [mark] },
    style: {
      message: (text: string) => chalk.bold(text),
      answer: (text: string) => text,
      defaultAnswer: (text: string) => text,
    },
  };
}

/**
 * Settles when no answer can come any more. Inquirer leaves its promise open after Ctrl-D and
 * after the end of input: the event loop would run dry and the process end with 0.
 */
function gone(signal: AbortSignal): { promise: Promise<LineEnded>; forget: () => void } {
  let settle: (answer: LineEnded) => void = () => undefined;
  const promise = new Promise<LineEnded>((resolve) => {
    settle = resolve;
  });
  const onEnd = () => {
    // The cursor stands behind the question still.
    process.stderr.write('\n');
    settle('abort');
  };
  const onAbort = () => settle('interrupted');
  process.once('beforeExit', onEnd);
  process.stdin.once('end', onEnd);
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
