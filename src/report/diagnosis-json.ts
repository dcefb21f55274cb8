import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import type { TriageError } from '../errors.ts';
import { isoMoment } from '../words.ts';
import {
  type DiagnosisDocument,
  type ExplanationDocument,
  type HostErrorDocument,
  JSON_SCHEMA_VERSION,
  type StepDocument,
} from './json-documents.ts';
import { nextCommand, type Repeated } from './next-command.ts';

/**
 * A diagnosis as the one JSON document that `help json` tells of.
 * @param repeated what the next command must repeat
 * @param exitCode the code that the command will exit with
 */
export function jsonDiagnosis(
  diagnosis: Diagnosis,
  repeated: Repeated,
  exitCode: number,
): DiagnosisDocument {
  const { evidence, steps, verdict, causes, explanations } = diagnosis;
  const { code, summary, evidence: because, wouldChange } = verdict;
  const next = nextCommand(diagnosis, repeated);
  return {
    schemaVersion: JSON_SCHEMA_VERSION,
    host: evidence.host.name,
    takenAt: isoMoment(evidence.host.now, evidence.host),
    port: evidence.port.number,
    verdict: { code, summary, evidence: because, wouldChange, ...next },
    steps: steps.map(({ id, status, summary, evidence: found }) => {
      // Each with the evidence of its own kind, which a union does not tell.
      return { id, status, summary, evidence: found } as StepDocument;
    }),
    causes: causes.map(({ id, basis, summary, details, advice }) => {
      return { id, basis, summary, details, advice };
    }),
    explanations: Object.values(explanations).map(({ id, status, summary, evidence: found }) => {
      return { id, status, summary, evidence: found } as ExplanationDocument;
    }),
    exitCode,
  };
}

/**
 * One of several hosts that could not be judged, in place of its document.
 * @param target as it was named
 */
export function jsonHostError(
  target: string,
  { message, advice }: TriageError,
  exitCode: number,
): HostErrorDocument {
  const error = { message, advice };
  return { target, schemaVersion: JSON_SCHEMA_VERSION, host: target, error, exitCode };
}
