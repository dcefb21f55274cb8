/** The Python stacks that an incident has, as a report shows them. Files may be torn, or not ours. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { readPlainFile } from '../host/local/plain-file.ts';
import type { KilledStacks } from '../report/postmortem/case.ts';

/** Bound on one file, bytes. */
const MAX_FILE = 16 * 1024 * 1024;
/** Bound on the processes that a report shows. */
const MOST_FILES = 10;
const NAME = /^stacks-\d+\.json$/;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const schema = v.looseObject({
  pid: count,
  tool: v.nullable(v.string()),
  why: v.nullable(v.string()),
  threads: count,
  folded: v.array(
    v.looseObject({
      count,
      waitsFor: v.nullable(v.string()),
      frames: v.array(v.looseObject({ function: v.string(), file: v.string() })),
    }),
  ),
});

/**
 * The stacks of each process that was killed, by pid; what can't be read is passed over.
 * @param incident its directory
 */
export async function readKilledStacks(incident: string): Promise<KilledStacks[]> {
  const names = (await readdir(incident).catch(() => [])).filter((name) => NAME.test(name));
  const stacks: KilledStacks[] = [];
  for (const file of names.slice(0, MOST_FILES)) {
    const text = await readPlainFile(join(incident, file), MAX_FILE).catch(() => null);
    const read = text === null ? null : parseStacks(text.toString('utf8'));
    if (read !== null) stacks.push({ file, ...read });
  }
  return stacks.toSorted((a, b) => a.pid - b.pid);
}

function parseStacks(text: string): Omit<KilledStacks, 'file'> | null {
  try {
    const result = v.safeParse(schema, JSON.parse(text));
    if (!result.success) return null;
    const folded = result.output.folded.map((one) => ({ ...one, waitsFor: inWords(one.waitsFor) }));
    return { ...result.output, folded };
  } catch {
    return null;
  }
}

/** The ids of waits are words with hyphens. */
function inWords(id: string | null): string | null {
  return id === null ? null : `waiting: ${id.replaceAll('-', ' ')}`;
}
