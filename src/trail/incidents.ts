/** Reads back what a trail has written. Files may be torn, missing or not ours: none of it is fatal. */
import { join } from 'node:path';
import * as v from 'valibot';
import { type Diagnosis, diagnoseEvidence } from '../diagnosis/diagnosis.ts';
import type { Verdict } from '../diagnosis/verdict.ts';
import { MAX_EVIDENCE_TEXT, parseEvidence } from '../evidence/evidence-file.ts';
import { readPlainFile } from '../host/local/plain-file.ts';
import { EVIDENCE_AFTER, EVIDENCE_BEFORE, JOURNAL, MAX_JOURNAL } from './directory.ts';
import { listIncidents } from './retention.ts';

const nullableText = v.nullable(v.string());
const lineSchema = v.looseObject({
  time: v.string(),
  host: v.string(),
  port: v.number(),
  phase: v.picklist(['before', 'after', 'note']),
  action: v.string(),
  identity: v.optional(v.looseObject({ pid: v.number(), startTicks: v.number() })),
  command: v.optional(v.array(v.string())),
  answer: v.optional(v.string()),
  result: v.optional(v.string()),
  durationMs: v.optional(v.number()),
  who: v.looseObject({
    uid: v.number(),
    user: nullableText,
    sudoUser: nullableText,
    tty: nullableText,
    sshClient: nullableText,
  }),
});
const planSchema = v.looseObject({ steps: v.array(v.looseObject({ title: v.string() })) });

type RecordedLine = v.InferOutput<typeof lineSchema>;

/** What the journal of one incident tells at a glance. */
export interface IncidentSummary {
  readonly id: string;
  readonly directory: string;
  readonly host: string;
  readonly port: number;
  /** ISO 8601 with the host's offset. */
  readonly beganAt: string;
  readonly endedAt: string | null;
  /** Code of the verdict that the plan was made for. */
  readonly verdict: string | null;
  /** `unfinished` where the journal has no end: it runs, or it crashed. */
  readonly result: string;
  /** What was done, each with its outcome. */
  readonly actions: readonly { readonly action: string; readonly result: string | null }[];
  readonly who: RecordedLine['who'];
}

/** One incident in full. */
export interface IncidentRecord extends IncidentSummary {
  readonly before: Verdict | null;
  readonly after: Verdict | null;
  readonly plan: v.InferOutput<typeof planSchema> | null;
  readonly journal: readonly RecordedLine[];
}

/**
 * The incidents of a state directory, newest first.
 * @throws the error of readdir(3)
 */
export async function readIncidents(directory: string): Promise<IncidentSummary[]> {
  const incidents: IncidentSummary[] = [];
  for (const id of (await listIncidents(directory)).reverse()) {
    const summary = summarize(id, join(directory, id), await readJournal(join(directory, id)));
    if (summary !== null) incidents.push(summary);
  }
  return incidents;
}

/** All of one incident. @param summary as {@link readIncidents} has it */
export async function readIncident(summary: IncidentSummary): Promise<IncidentRecord> {
  const { directory } = summary;
  return {
    ...summary,
    before: await readVerdict(join(directory, EVIDENCE_BEFORE)),
    after: await readVerdict(join(directory, EVIDENCE_AFTER)),
    plan: parseJson(planSchema, await readBounded(join(directory, 'plan.json'), MAX_JOURNAL)),
    journal: await readJournal(directory),
  };
}

function summarize(
  id: string,
  directory: string,
  lines: readonly RecordedLine[],
): IncidentSummary | null {
  const [first] = lines;
  if (first === undefined) return null;
  const note = (name: string) =>
    lines.findLast((line) => line.phase === 'note' && line.action === name);
  const end = note('end');
  return {
    id,
    directory,
    host: first.host,
    port: first.port,
    beganAt: first.time,
    endedAt: end?.time ?? null,
    verdict: note('begin')?.result ?? null,
    result: end?.result ?? 'unfinished',
    actions: lines
      .filter(({ phase }) => phase === 'after')
      .map(({ action, result }) => ({ action, result: result ?? null })),
    who: first.who,
  };
}

/** A full disk leaves half a line: that one is passed over. */
async function readJournal(directory: string): Promise<RecordedLine[]> {
  const text = (await readBounded(join(directory, JOURNAL), MAX_JOURNAL)) ?? '';
  return text
    .split('\n')
    .map((line) => parseJson(lineSchema, line))
    .filter((line) => line !== null);
}

async function readVerdict(path: string): Promise<Verdict | null> {
  return (await readDiagnosis(path))?.verdict ?? null;
}

/** What the evidence of an incident says; null where it is not there, or can't be read. */
export async function readDiagnosis(path: string): Promise<Diagnosis | null> {
  try {
    return diagnoseEvidence(parseEvidence((await readBounded(path, MAX_EVIDENCE_TEXT)) ?? ''));
  } catch {
    return null;
  }
}

function parseJson<S extends v.GenericSchema>(
  schema: S,
  text: string | null,
): v.InferOutput<S> | null {
  try {
    const result = v.safeParse(schema, JSON.parse(text ?? ''));
    return result.success ? result.output : null;
  } catch {
    return null;
  }
}

/** @returns null where it is no plain file, can't be read or is longer than `most` bytes */
async function readBounded(path: string, most: number): Promise<string | null> {
  return (await readPlainFile(path, most).catch(() => null))?.toString('utf8') ?? null;
}
