import type { KeptLook } from '../../check/kept-looks.ts';
import type { Diagnosis } from '../../diagnosis/diagnosis.ts';
import type { IncidentRecord, IncidentSummary } from '../../trail/incidents.ts';
import type { StacksFile } from '../../trail/stacks-file.ts';

/** What checks have recorded of the port, oldest first, all of the boot of the incident. */
export interface RecordedLooks {
  readonly file: string;
  readonly looks: readonly KeptLook[];
}

/** All that a postmortem is written from: an incident of the trail, or evidence alone. */
export interface PostmortemCase {
  /** Null where there is evidence alone. */
  readonly incident: IncidentRecord | null;
  /** Fixes of the same port that were recorded before it, oldest first. */
  readonly earlier: readonly IncidentSummary[];
  /** What was found before anything was done; null where that is not there, or can't be read. */
  readonly before: Diagnosis | null;
  /** What was found after the last action. */
  readonly after: Diagnosis | null;
  /** Where the threads of each process that was killed stood. */
  readonly stacks: readonly StacksFile[];
  readonly looks: RecordedLooks | null;
  /** What `before` was read from, and `after`. */
  readonly files: { readonly before: string; readonly after: string };
}

export const JOURNAL_FILE = 'journal.jsonl';

/** That a fix went through all of its steps is no news where none stopped it. */
export function endOfFix(result: string): string {
  return result.replace(/, completed$/, '');
}
