/** One line that a person types at a terminal, as an answer to a question. */
import { inLocale } from '../characters.ts';
import type { Screen } from '../report/screen.ts';
import { stripControl } from '../untrusted.ts';

export interface Question<T extends string> {
  readonly message: string;
  /** Null for what is no answer. */
  read(line: string): T | null;
  /** What is said then. */
  readonly again: string;
}

/** No answer came: Ctrl-D or the end of input, Ctrl-C or a signal. */
export type Ended = 'abort' | 'interrupted';

/**
 * Asks until there is an answer; question and answer stay on the screen.
 * @param signal ends the question, when the terminal goes away
 */
export async function typed<T extends string>(
  question: Question<T>,
  screen: Screen,
  signal: AbortSignal,
): Promise<T | Ended> {
  if (process.env['TERM'] === 'dumb') return typedPlainly(question, signal);
  const { message, read, again } = question;
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
        validate: (line: string) => read(line) !== null || again,
        // What was understood, once it is settled.
        transformer: (line: string, { isFinal }: { isFinal: boolean }) =>
          (isFinal ? read(line) : null) ?? line,
      },
    ]).then(({ line }) => read(String(line)) ?? 'abort');
    return await Promise.race([asked, hungUp.promise]);
  } catch (error) {
    if (!endsThePrompt(error)) throw error;
    return /SIGINT/.test(error.message) ? 'interrupted' : 'abort';
  } finally {
    hungUp.forget();
  }
}

/** The same where a terminal takes no cursor codes: Node's own readline sends none to such. */
async function typedPlainly<T extends string>(
  { message, read, again }: Question<T>,
  signal: AbortSignal,
): Promise<T | Ended> {
  const { createInterface } = await import('node:readline');
  const { stdin: input, stderr: output } = process;
  const lines = createInterface({ input, output, terminal: true });
  lines.setPrompt(`? ${inLocale(stripControl(message))} `);
  const onAbort = () => lines.emit('SIGINT');
  let open = true;
  const answer = new Promise<T | Ended>((resolve) => {
    const leave = (ended: Ended) => {
      output.write('\n');
      resolve(ended);
    };
    lines.on('line', (line) => {
      const said = read(line);
      if (said !== null) return resolve(said);
      output.write(`    ${again}\n`);
      lines.prompt();
    });
    lines.on('SIGINT', () => leave('interrupted'));
    lines.on('close', () => open && leave('abort'));
  });
  signal.addEventListener('abort', onAbort);
  lines.prompt();
  return answer.finally(() => {
    signal.removeEventListener('abort', onAbort);
    open = false;
    // Its own listeners stay: they let go of the keys, which the next question would echo twice.
    lines.close();
  });
}

/** Inquirer colours by itself, whatever --no-color says, and draws beyond ASCII. */
function themeOf({ chalk }: Screen) {
  const mark = chalk.bold('?');
  return {
    prefix: { idle: mark, done: mark },
    spinner: { interval: 80, frames: [mark] },
    validationFailureMode: 'clear' as const,
    style: {
      message: (text: string) => chalk.bold(text),
      answer: (text: string) => text,
      error: (text: string) => `    ${text}`,
      defaultAnswer: (text: string) => text,
    },
  };
}

/**
 * Settles when no answer can come any more. Inquirer leaves its promise open after Ctrl-D and
 * after the end of input: the event loop would run dry and the process end with 0.
 */
function gone(signal: AbortSignal): { promise: Promise<Ended>; forget: () => void } {
  let settle: (answer: Ended) => void = () => undefined;
  const promise = new Promise<Ended>((resolve) => {
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
