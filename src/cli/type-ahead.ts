/** What was typed before a question is shown, and is no answer to it. */
import { setTimeout as delay } from 'node:timers/promises';

/** How long typed-ahead input is waited for, ms: what the terminal has is there at once. */
const TYPE_AHEAD_MS = 30;
/** Nobody types so many characters before a question, as `yes | ssh -tt` does. */
const FLOOD_CHARACTERS = 12;

/**
 * Throws away what was typed before a question is shown, as it can't be an answer to it.
 * @returns false where it was so much that no person can be there
 */
export async function discardTypeAhead(): Promise<boolean> {
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
