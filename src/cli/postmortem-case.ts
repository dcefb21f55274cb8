/** Gathers what a report is written from: an incident of the trail, or saved evidence. */
import { basename, dirname, join } from 'node:path';
import { type KeptLook, parseLooks } from '../check/kept-looks.ts';
import { type Diagnosis, diagnoseEvidence } from '../diagnosis/diagnosis.ts';
import { readPlainFile } from '../host/local/plain-file.ts';
import type { PostmortemCase, RecordedLooks } from '../report/postmortem/case.ts';
import { EVIDENCE_AFTER, EVIDENCE_BEFORE, stateDirectories } from '../trail/directory.ts';
import { type IncidentSummary, readDiagnosis, readIncident } from '../trail/incidents.ts';
import { readKeptStacks } from '../trail/kept-stacks.ts';
import { looksFilesOf, MAX_LOOKS_FILE } from '../trail/looks-files.ts';
import { evidenceFrom } from './evidence-files.ts';

const FILES = { before: EVIDENCE_BEFORE, after: EVIDENCE_AFTER };

/**
 * All that the trail has of an incident, with what checks have recorded beside it.
 * @param all incidents, newest first
 */
export async function caseOfIncident(
  summary: IncidentSummary,
  all: readonly IncidentSummary[],
): Promise<PostmortemCase> {
  const { directory, host, port } = summary;
  const [incident, before, after] = await Promise.all([
    readIncident(summary),
    readDiagnosis(join(directory, EVIDENCE_BEFORE)),
    readDiagnosis(join(directory, EVIDENCE_AFTER)),
  ]);
  const looks = before === null ? null : await readLooks([directory, dirname(directory)], before);
  const stacks = await readKeptStacks(directory);
  const earlier = all
    .filter((one) => one.host === host && one.port === port && one.id < summary.id)
    .toReversed();
  return { incident, earlier, before, after, stacks, looks, files: FILES };
}

/**
 * A report of evidence alone.
 * @param path as `--from` of diagnose has it
 * @throws TriageError as {@link evidenceFrom}
 */
export async function caseOfEvidence(
  path: string,
  stateDir: string | undefined,
): Promise<PostmortemCase> {
  const before = diagnoseEvidence(await evidenceFrom(path, {}));
  const looks = await readLooks(stateDirectories(stateDir), before);
  const name = path === '-' ? 'standard input' : basename(path);
  return {
    incident: null,
    earlier: [],
    before,
    after: null,
    stacks: [],
    looks,
    files: { ...FILES, before: name },
  };
}

/**
 * The looks of checks at the same port in the same boot: that tells one host from another, however
 * each was named. What can't be read is passed over.
 */
async function readLooks(
  directories: readonly string[],
  { evidence }: Diagnosis,
): Promise<RecordedLooks | null> {
  const { bootId } = evidence.host;
  let file: string | null = null;
  const byTime = new Map<number, KeptLook>();
  for (const directory of directories) {
    const names = await looksFilesOf(directory, evidence.port.number).catch(() => []);
    for (const name of names) {
      const text = await readPlainFile(join(directory, name), MAX_LOOKS_FILE).catch(() => null);
      const kept = text === null ? null : parseLooks(text.toString('utf8'));
      if (kept?.bootId !== bootId) continue;
      file ??= name;
      for (const look of kept.looks) byTime.set(look.at, look);
    }
  }
  if (file === null) return null;
  return { file, looks: [...byTime.values()].sort((a, b) => a.at - b.at) };
}
