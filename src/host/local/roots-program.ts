/** Programs that are run as root on a stranger's process: only such as root alone can have put there. */
import { constants } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';

/** Where packages put programs, whatever PATH says. */
const USUAL = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin'];

/**
 * Looks for a program on PATH and in the usual places.
 * @returns the path to run, with no link in it; null where there is none. Of those that are there the
 *   first that is root's, and only where none is, the first at all
 */
export async function findRootsProgram(
  name: string,
): Promise<{ readonly path: string; readonly ofRoot: boolean } | null> {
  const named = (process.env['PATH'] ?? '').split(':').filter(isAbsolute);
  let other: string | null = null;
  for (const directory of new Set([...named, ...USUAL])) {
    const path = await programAt(join(directory, name));
    if (path === null) continue;
    if (await isRootsAlone(path)) return { path, ofRoot: true };
    other ??= path;
  }
  return other === null ? null : { path: other, ofRoot: false };
}

async function programAt(path: string): Promise<string | null> {
  try {
    const real = await realpath(path);
    await access(real, constants.X_OK);
    return (await stat(real)).isFile() ? real : null;
  } catch {
    return null;
  }
}

/** Whether a file and every directory above it belong to root, and nobody else may write to them. */
async function isRootsAlone(path: string): Promise<boolean> {
  const { uid, mode } = await stat(path);
  if (uid !== 0 || (mode & 0o022) !== 0) return false;
  return path === '/' || isRootsAlone(dirname(path));
}
