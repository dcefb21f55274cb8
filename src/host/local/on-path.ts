import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';

/** Whether a program can be run, also from where an ordinary user's PATH does not lead. */
export async function isOnPath(program: string): Promise<boolean> {
  const path = (process.env['PATH'] ?? '').split(':').filter((directory) => directory !== '');
  for (const directory of new Set([...path, '/sbin', '/usr/sbin'])) {
    try {
      await access(join(directory, program), constants.X_OK);
      return true;
    } catch {
      // Not in this one.
    }
  }
  return false;
}
