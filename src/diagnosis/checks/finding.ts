import type { Evidence } from '../../evidence/evidence.ts';
import type { ProcessRoles } from '../process-roles.ts';

/** `unknown`: the step could not look. `skip`: it was asked not to, or need not. Neither is a pass. */
export type StepStatus = 'pass' | 'warn' | 'fail' | 'unknown' | 'skip';

/** What one step found: a status, a line for a person, and the data behind both. */
export interface Finding<E extends object = object> {
  readonly status: StepStatus;
  /** One line, no control characters, most important words first. */
  readonly summary: string;
  /** Further lines for `-v`: the evidence, and where each piece came from. */
  readonly details: readonly string[];
  /** The JSON evidence of the step (`help json`). */
  readonly evidence: E;
}

/** What a check may go by: the evidence, and who is who among its processes, told once. */
export interface Known extends Evidence {
  readonly roles: ProcessRoles;
}

/** Parts of it that become known one by one while a host is looked at. */
export type Section = Exclude<keyof Known, 'schemaVersion'>;

/** One step of the diagnosis: the sections it must wait for, and a pure judgement of them. */
export interface Check<Id extends string, Needs extends Section, E extends object> {
  readonly id: Id;
  /** As shown at the start of the step's line; at most 13 characters. */
  readonly title: string;
  readonly needs: readonly Needs[];
  judge(known: Pick<Known, Needs>): Finding<E>;
}
