/**
 * The documents of `--json`, as types. `json-schema.json` is made from them by bin/json-schema.mjs, so
 * what is said of a field here is what its reader is told.
 */
import type { State } from '../check/check.ts';
import type { ReadingName, Readings } from '../check/readings.ts';
import type { Explanations, Findings, StepId } from '../diagnosis/checks/checks.ts';
import type { Basis } from '../diagnosis/checks/explanation.ts';
import type { StepStatus } from '../diagnosis/checks/finding.ts';
import type { Verdict, VerdictCode } from '../diagnosis/verdict.ts';
import type { BackgroundSection } from '../evidence/background.ts';
import type { StepOutcome } from '../fix/fix-run.ts';
import type { PlanStep, StepOf } from '../plan/plan.ts';
import type { ServiceManager } from '../plan/service-manager.ts';
import type { IncidentRecord, IncidentSummary } from '../trail/incidents.ts';
import type { Next } from './next-command.ts';

/** Raised whenever a field changes its meaning or goes away; new fields don't raise it. */
export const JSON_SCHEMA_VERSION = 1;

/** All that is printed as JSON; a new document is a line here. */
export type JsonDocument =
  | DiagnosisDocument
  | HostErrorDocument
  | FixDocument
  | IncidentsDocument
  | IncidentDocument
  | SettingsDocument
  | CheckDocument
  | CheckLine;

interface Document {
  readonly schemaVersion: typeof JSON_SCHEMA_VERSION;
}

interface HostDocument extends Document {
  /** The host as it was named; absent for the host that the command runs on. */
  readonly target?: string;
  /** What the host calls itself. */
  readonly host: string;
  /** What the command exits with. */
  readonly exitCode: number;
}

/** `diagnose --json`; of several hosts one document a line. */
export interface DiagnosisDocument extends HostDocument {
  /** ISO 8601, by the host's clock and in its zone. */
  readonly takenAt: string;
  /** The examined port. */
  readonly port: number;
  readonly verdict: Pick<Verdict, 'code' | 'summary' | 'evidence' | 'wouldChange'> & Next;
  readonly steps: readonly StepDocument[];
  /** What explains it, most telling first; none where nobody looked, or nothing was found. */
  readonly causes: readonly CauseDocument[];
  /** What the look behind the steps found, each with its evidence. */
  readonly explanations: readonly ExplanationDocument[];
}

/** Something that bears on why it happened. */
interface CauseDocument {
  /** Which explanation it is of. */
  readonly id: BackgroundSection;
  /** `seen` on the host, or `inferred` from what is known of such hosts. */
  readonly basis: Basis;
  readonly summary: string;
  readonly details: readonly string[];
  /** What keeps it from coming back; null where nothing is known to. */
  readonly advice: string | null;
}

export type ExplanationDocument = {
  [Id in keyof Explanations]: {
    readonly id: Id;
    readonly status: StepStatus;
    readonly summary: string;
    readonly evidence: Explanations[Id]['evidence'];
  };
}[keyof Explanations];

/** A step of the diagnosis, with the evidence of its kind. */
export type StepDocument = {
  [Id in StepId]: {
    readonly id: Id;
    readonly status: StepStatus;
    readonly summary: string;
    readonly evidence: Findings[Id]['evidence'];
  };
}[StepId];

/** One host of several that could not be judged, in place of its diagnosis. */
export interface HostErrorDocument extends HostDocument {
  readonly target: string;
  readonly error: { readonly message: string; readonly advice: string };
}

/** `fix --json`. */
export interface FixDocument extends HostDocument {
  readonly takenAt: string;
  readonly port: number;
  readonly dryRun: boolean;
  /** How the service is stopped and started; null where nothing was found that can. */
  readonly service: Pick<ServiceManager, 'kind' | 'label'> | null;
  readonly plan: PlanDocument;
  /** What was planned or came up, in this order, with what became of it. */
  readonly steps: readonly (PlanStepDocument &
    Pick<StepOutcome, 'status' | 'detail' | 'durationMs'>)[];
  readonly result: 'recovered' | 'not-recovered' | 'planned' | 'nothing-to-do' | 'refused';
  readonly before: DiagnosisDocument;
  /** Null where nothing was done. */
  readonly after: DiagnosisDocument | null;
  /** The directory of the incident. */
  readonly trail: string | null;
}

export type PlanDocument =
  | { readonly kind: 'nothing-to-do'; readonly verdict: VerdictCode; readonly why: string }
  | {
      readonly kind: 'refused';
      readonly verdict: VerdictCode;
      readonly why: string;
      /** What to do instead. */
      readonly advice: string;
    }
  | {
      readonly kind: 'mend';
      readonly verdict: VerdictCode;
      readonly steps: readonly PlanStepDocument[];
      readonly remarks: readonly string[];
    };

type CommandStep = 'stop' | 'start' | 'start-dependent';

export type PlanStepDocument =
  | {
      readonly kind: 'kill';
      readonly title: string;
      readonly pid: number;
      /** Field 22 of `/proc/PID/stat`: with pid and boot the identity that is checked. */
      readonly startTicks: number;
      readonly bootId: string;
      readonly argv: readonly string[];
      readonly role: string;
      readonly reasons: readonly string[];
      readonly facts: readonly string[];
      readonly loss: StepOf<'kill'>['loss'];
      readonly command: readonly string[];
    }
  | { readonly kind: CommandStep; readonly title: string; readonly command: readonly string[] }
  | { readonly kind: Exclude<PlanStep['kind'], 'kill' | CommandStep>; readonly title: string };

/** `history --json`, newest first. */
interface IncidentsDocument extends Document {
  readonly incidents: readonly IncidentSummary[];
}

/** `history ID --json`. */
interface IncidentDocument extends Document {
  readonly incident: IncidentRecord;
}

/** `check --format json`. */
interface CheckDocument extends Document {
  readonly state: State;
  /** What the command exits with: 0 ok, 1 warning, 2 critical, 3 unknown. */
  readonly exitCode: number;
  readonly verdict: VerdictCode;
  readonly summary: string;
  /** Null where the host was not reached. */
  readonly host: string | null;
  /** Null where it is not known which one is meant. */
  readonly port: number | null;
  readonly durationMs: number;
  /** `close_wait_rate` is there with `--growth` alone. */
  readonly readings: { readonly [Name in ReadingName]?: ReadingDocument };
  readonly steps: readonly Omit<StepDocument, 'evidence'>[];
}

interface ReadingDocument {
  /** Null where it could not be determined. */
  readonly value: number | null;
  /** `seconds`; null for a count. */
  readonly unit: 'seconds' | null;
  /** Ranges of the Monitoring Plugins guidelines. */
  readonly warning: string | null;
  readonly critical: string | null;
}

/** `check --format zabbix`; a reading that could not be determined is not there. */
interface CheckLine extends Readings {
  /** As an exit code. */
  readonly state: number;
  readonly verdict: VerdictCode;
  readonly summary: string;
  /** Seconds that the check took. */
  readonly duration: number;
}

/** `settings --json`. */
export interface SettingsDocument extends Document {
  /** What the command line, the environment and the files may set, each as it stands. */
  readonly settings: readonly SettingInForce[];
  /** The settings files, a later one before an earlier. */
  readonly files: readonly { readonly path: string; readonly there: boolean }[];
}

export interface SettingInForce {
  /** As the settings files have it, or would. */
  readonly key: string;
  /** As one would type it; null where nothing is set. */
  readonly value: string | null;
  readonly origin: 'command-line' | 'environment' | 'file' | 'default';
  /** The option, the variable or the file that says so; null for a default. */
  readonly source: string | null;
}
