import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readPlainFile } from '../host/local/plain-file.ts';
import { INCIDENT_ID, JOURNAL, MAX_JOURNAL } from './directory.ts';

/** Kept unless told otherwise. */
export const KEEP_INCIDENTS = 50;
export const KEEP_MEBIBYTES = 200;
const MEBIBYTE = 1024 * 1024;

export interface RetentionLimits {
  readonly keepIncidents: number;
  readonly keepMebibytes: number;
}

/**
 * Removes incidents until both limits hold: first those whose run did nothing, such as one that was
 * aborted, then the oldest of the others. Only directories that are ours by name and
 * content are counted or touched, and never the current one. Symbolic links are not followed.
 *
 * @param current id of the incident that is being written
 * @returns ids of what was removed, in the order in which they would be kept last
 * @throws the error of readdir(3) or rm(1) where the directory can't be read or written
 */
export async function removeOldIncidents(
  directory: string,
  current: string,
  { keepIncidents, keepMebibytes }: RetentionLimits,
): Promise<string[]> {
  const incidents: { readonly id: string; readonly bytes: number }[] = [];
  // Newest first, the current one before all: the clock may have been set back since the others.
  const ids = (await listIncidents(directory)).filter((id) => id !== current).reverse();
  const acted = new Set<string>();
  for (const id of ids) if (await didSomething(join(directory, id))) acted.add(id);
  const byWorth = [...ids.filter((id) => acted.has(id)), ...ids.filter((id) => !acted.has(id))];
  for (const id of [current, ...byWorth]) {
    incidents.push({ id, bytes: await sizeOf(join(directory, id)) });
  }
  const removed: string[] = [];
  let bytes = 0;
  for (const [index, incident] of incidents.entries()) {
    bytes += incident.bytes;
    const fits = index < keepIncidents && bytes <= keepMebibytes * MEBIBYTE;
    if (fits || incident.id === current) continue;
    await rm(join(directory, incident.id), { recursive: true, force: true });
    removed.unshift(incident.id);
  }
  return removed;
}

/** Ids of the incidents in a state directory, oldest first. @throws the error of readdir(3) */
export async function listIncidents(directory: string): Promise<string[]> {
  const ids: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (!INCIDENT_ID.test(entry.name) || !entry.isDirectory()) continue;
    const journal = await lstat(join(directory, entry.name, JOURNAL)).catch(() => null);
    if (journal?.isFile()) ids.push(entry.name);
  }
  return ids.sort();
}

/**
 * Whether the journal has an action that was begun: the trail writes such a line before each, and
 * within a string of JSON no quote stands bare. What can't be read may have one.
 */
async function didSomething(incident: string): Promise<boolean> {
  const journal = await readPlainFile(join(incident, JOURNAL), MAX_JOURNAL).catch(() => null);
  return journal === null || journal.includes('"phase":"before"');
}

async function sizeOf(directory: string): Promise<number> {
  let bytes = 0;
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) bytes += await sizeOf(path);
    else bytes += (await lstat(path).catch(() => null))?.size ?? 0;
  }
  return bytes;
}
