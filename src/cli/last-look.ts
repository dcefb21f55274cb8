/** The one thing that a check keeps from one run to the next, where `--growth` asks for it. */
import { join } from 'node:path';
import { growthRate, type LastLook, parseLastLook } from '../check/growth.ts';
import { readPlainFile, writePlainFile } from '../host/local/plain-file.ts';
import { errorCode } from '../host/local/proc-files.ts';
import { openPrivateDirectory, stateDirectories } from '../trail/directory.ts';

const MAX_BYTES = 4_096;

/**
 * Puts this look in the place of the last one.
 * @param name of what is looked at: each has a file of its own
 * @returns sockets more per minute; null where there is no look to compare with
 * @throws Error that says why it can't be kept
 */
export async function rateSinceLastLook(
  stateDir: string | undefined,
  name: string,
  now: LastLook,
): Promise<number | null> {
  const [directory = ''] = stateDirectories(stateDir);
  try {
    const held = await openPrivateDirectory(directory);
    try {
      const file = join(held.path, `check-${encodeURIComponent(name)}.json`);
      const before = await readPlainFile(file, MAX_BYTES).catch((error: unknown) => {
        if (errorCode(error) === 'ENOENT') return Buffer.from('');
        throw error;
      });
      await writePlainFile(file, `${JSON.stringify(now)}\n`);
      return growthRate(parseLastLook(before.toString('utf8')), now);
    } finally {
      await held.close();
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`the last look can't be kept in ${directory}: ${why}`, { cause: error });
  }
}
