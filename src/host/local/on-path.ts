import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';

/** Whether a program can be run, also from where an ordinary user's PATH does not lead. */
export async function isOnPath(program: string): Promise<boolean> {
  if (program.includes('/')) return isExecutable(program);
  const path = (process.env['PATH'] ?? '').split(':').filter((directory) => directory !== '');
  for (const directory of new Set([...path, '/sbin', '/usr/sbin'])) {
    if (await isExecutable(join(directory, program))) return true;
  }
  return false;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
