/** A check as JSON: a document, and the flat line that a Zabbix master item takes. */
import { type CheckResult, STATES } from '../check/check.ts';
import { READINGS, type ReadingName } from '../check/readings.ts';
import { JSON_SCHEMA_VERSION } from './json-documents.ts';
import { jsonLine } from './json-line.ts';

/** One document of everything; what could not be determined is null. */
export function checkJson(result: CheckResult, durationMs: number): string {
  const { state, verdict, summary, host, port, steps, readings, thresholds } = result;
  const entries = (Object.keys(readings) as ReadingName[]).map((name) => {
    const { unit } = READINGS[name];
    const limits = {
      warning: thresholds.warning[name]?.text ?? null,
      critical: thresholds.critical[name]?.text ?? null,
    };
    return [name, { value: readings[name] ?? null, unit, ...limits }];
  });
  return jsonLine({
    schemaVersion: JSON_SCHEMA_VERSION,
    state,
    exitCode: STATES.indexOf(state),
    verdict,
    summary,
    host,
    port,
    durationMs: Math.round(durationMs),
    readings: Object.fromEntries(entries),
    steps: steps.map(({ id, status, summary }) => ({ id, status, summary })),
  });
}

/** One flat line; what could not be determined is left out, so that a dependent item discards it. */
export function zabbixLine(result: CheckResult, durationMs: number): string {
  const { state, verdict, summary, readings } = result;
  const known = Object.entries(readings).filter(([, value]) => value !== null);
  return jsonLine({
    state: STATES.indexOf(state),
    verdict,
    summary,
    duration: durationMs / 1000,
    ...Object.fromEntries(known),
  });
}
