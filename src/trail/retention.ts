import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { INCIDENT_ID, JOURNAL } from './directory.ts';

/** Kept unless told otherwise. */
export const KEEP_INCIDENTS = 50;
export const KEEP_MEBIBYTES = 200;
const MEBIBYTE = 1024 * 1024;

export interface RetentionLimits {
  readonly keepIncidents: number;
  readonly keepMebibytes: number;
}

/**
 * Removes the oldest incidents until both limits hold. Only directories that are ours by name and
 * content are counted or touched, and never the current one. Symbolic links are not followed.
 *
 * @param current id of the incident that is being written
 * @returns ids of what was removed, oldest first
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
  for (const id of [current, ...ids]) {
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
