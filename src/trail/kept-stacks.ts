/** Reads back the stacks that an incident has: the files may be torn, or not ours. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { readPlainFile } from '../host/local/plain-file.ts';
import { STACKS_FILE, type StacksFile } from './stacks-file.ts';

/** Bound on one file, bytes: a process of five thousand threads, each in other calls, has more. */
const MAX_STACKS_FILE = 16 * 1024 * 1024;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const schema = v.looseObject({
  pid: count,
  startTicks: count,
  tookMs: v.number(),
  tool: v.nullable(v.picklist(['py-spy', 'gdb'])),
  why: v.nullable(v.string()),
  threads: count,
  withoutPython: count,
  unseen: count,
  folded: v.array(
    v.looseObject({
      count,
      waitsFor: v.nullable(v.string()),
      frames: v.array(v.looseObject({ function: v.string(), file: v.string() })),
    }),
  ),
});

/**
 * The stacks of each process that was killed in an incident, by pid.
 * @param incident its directory
 */
export async function readKeptStacks(incident: string): Promise<StacksFile[]> {
  const names = await readdir(incident).catch(() => []);
  const files: StacksFile[] = [];
  for (const name of names.filter((one) => STACKS_FILE.test(one))) {
    const text = await readPlainFile(join(incident, name), MAX_STACKS_FILE).catch(() => null);
    const file = text === null ? null : parseStacksFile(text.toString('utf8'));
    if (file !== null) files.push(file);
  }
  return files.toSorted((a, b) => a.pid - b.pid);
}

/** @returns null for what is no such file, such as one that a full disk has cut */
export function parseStacksFile(text: string): StacksFile | null {
  try {
    const result = v.safeParse(schema, JSON.parse(text));
    return result.success ? result.output : null;
  } catch {
    return null;
  }
}
