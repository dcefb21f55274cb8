/** The one thing that a check keeps from one run to the next, where `--growth` asks for it. */
import { join } from 'node:path';
import { growthRate } from '../check/growth.ts';
import { type KeptLook, looksText, parseLooks, withLook } from '../check/kept-looks.ts';
import { readPlainFile, writePlainFile } from '../host/local/plain-file.ts';
import { errorCode } from '../host/local/proc-files.ts';
import { openPrivateDirectory, stateDirectories } from '../trail/directory.ts';
import { looksFileName, MAX_LOOKS_FILE } from '../trail/looks-files.ts';

/**
 * Puts this look behind the last one.
 * @param name of what is looked at: each has a file of its own
 * @returns sockets more per minute; null where there is no look to compare with
 * @throws Error that says why it can't be kept
 */
export async function rateSinceLastLook(
  stateDir: string | undefined,
  name: string,
  bootId: string,
  now: KeptLook,
): Promise<number | null> {
  const [directory = ''] = stateDirectories(stateDir);
  try {
    const held = await openPrivateDirectory(directory);
    try {
      const file = join(held.path, looksFileName(name));
      const text = await readPlainFile(file, MAX_LOOKS_FILE).catch((error: unknown) => {
        if (errorCode(error) === 'ENOENT') return Buffer.from('');
        throw error;
      });
      const before = parseLooks(text.toString('utf8'));
      await writePlainFile(file, looksText(withLook(before, bootId, now)));
      return growthRate(before, bootId, now);
    } finally {
      await held.close();
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`the last look can't be kept in ${directory}: ${why}`, { cause: error });
  }
}
