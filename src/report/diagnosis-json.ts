import type { TriageError } from '../errors.ts';
import { isoMoment } from '../words.ts';
import { stripControl } from '../untrusted.ts';
import type { Diagnosis } from '../diagnosis/diagnosis.ts';

/** Raised whenever a field changes its meaning or goes away; new fields don't raise it. */
export const JSON_SCHEMA_VERSION = 1;

/**
 * A diagnosis as the one JSON document that README documents.
 * @param exitCode the code that the command will exit with
 */
export function jsonDiagnosis({ evidence, steps, verdict }: Diagnosis, exitCode: number): object {
  return {
    schemaVersion: JSON_SCHEMA_VERSION,
    host: evidence.host.name,
    takenAt: isoMoment(evidence.host.now, evidence.host),
    port: evidence.port.number,
    verdict,
    steps: steps.map(({ id, status, summary, evidence: found }) => {
      return { id, status, summary, evidence: found };
    }),
    exitCode,
  };
}

/**
 * One of several hosts that could not be judged or mended, in place of its document.
 * @param target as it was named
 */
export function jsonHostError(
  target: string,
  { message, advice }: TriageError,
  exitCode: number,
): object {
  const error = { message: stripControl(message), advice };
  return { target, schemaVersion: JSON_SCHEMA_VERSION, host: target, error, exitCode };
}
