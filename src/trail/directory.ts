/** Where incidents are kept, and whether that place can be trusted. */
import { lstat, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { errorCode } from '../host/local/proc-files.ts';

/** Directory of an incident: `20181124T093310Z-443-3f9a1c`, UTC, port, six random hex digits. */
export const INCIDENT_ID = /^\d{8}T\d{6}Z-\d{1,5}-[0-9a-f]{6}$/;
/** The file that every incident has. */
export const JOURNAL = 'journal.jsonl';

/**
 * The state directories in order of preference: the one that was asked for and no other, else
 * root's, else the user's own (XDG Base Directory Specification).
 */
export function stateDirectories(asked: string | undefined): string[] {
  if (asked !== undefined) return [asked];
  const state = process.env['XDG_STATE_HOME'] || join(homedir(), '.local/state');
  const own = join(state, 'salt-triage');
  return process.geteuid?.() === 0 ? ['/var/log/salt-triage', own] : [own];
}

/**
 * Makes a state directory, 0700, or checks the one that is there: as root we write into it and
 * remove from it, so nobody else may have a hand in it.
 * @throws Error with the reason why it can't be used
 */
export async function prepareStateDirectory(path: string): Promise<void> {
  await makePrivateDirectory(resolve(path));
  const status = await lstat(path);
  if (status.isSymbolicLink()) throw new Error('it is a symbolic link');
  if (status.uid !== 0 && status.uid !== process.geteuid?.()) {
    throw new Error(`it belongs to uid ${status.uid}`);
  }
  const ours = status.gid === 0 || status.gid === process.getegid?.();
  if ((status.mode & (ours ? 0o002 : 0o022)) !== 0) throw new Error('others may write to it');
}

/**
 * Makes a directory, 0700, and those above it, where they are missing. By hand, since `recursive`
 * of Node's mkdir tries for ever where the kernel keeps saying ENOENT, as under /proc.
 * @throws the error of mkdir(2)
 */
export async function makePrivateDirectory(path: string, parents = true): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return;
    if (errorCode(error) !== 'ENOENT' || !parents || dirname(path) === path) throw error;
    await makePrivateDirectory(dirname(path));
    await makePrivateDirectory(path, false);
  }
}
