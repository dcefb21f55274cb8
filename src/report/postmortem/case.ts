import type { KeptLook } from '../../check/kept-looks.ts';
import type { Diagnosis } from '../../diagnosis/diagnosis.ts';
import type { IncidentRecord } from '../../trail/incidents.ts';

/** Where a process that was killed stood, as the trail has it. */
export interface KilledStacks {
  readonly file: string;
  readonly pid: number;
  /** Null where no tool has seen anything; then `why` has the reason. */
  readonly tool: string | null;
  readonly why: string | null;
  readonly threads: number;
  /** Most frequent first. */
  readonly folded: readonly {
    readonly count: number;
    /** As it completes `87 × …`; null where the calls are none that are known. */
    readonly waitsFor: string | null;
    readonly frames: readonly { readonly function: string; readonly file: string }[];
  }[];
}

/** What checks have recorded of the port, oldest first, all of the boot of the incident. */
export interface RecordedLooks {
  readonly file: string;
  readonly looks: readonly KeptLook[];
}

/** All that a postmortem is written from: an incident of the trail, or evidence alone. */
export interface PostmortemCase {
  /** Null where there is evidence alone. */
  readonly incident: IncidentRecord | null;
  /** What was found before anything was done; null where that is not there, or can't be read. */
  readonly before: Diagnosis | null;
  /** What was found after the last action. */
  readonly after: Diagnosis | null;
  readonly stacks: readonly KilledStacks[];
  readonly looks: RecordedLooks | null;
  /** What `before` was read from, and `after`. */
  readonly files: { readonly before: string; readonly after: string };
}

export const JOURNAL_FILE = 'journal.jsonl';
