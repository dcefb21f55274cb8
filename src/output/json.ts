import { isoMoment } from '../findings/wording.ts';
import type { Diagnosis } from '../verdict/diagnosis.ts';

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
