import { ExitCode } from '../../errors.ts';
import { incidentText, listText } from '../../report/history-text.ts';
import { JSON_SCHEMA_VERSION, type JsonDocument } from '../../report/json-documents.ts';
import { jsonLine } from '../../report/json-line.ts';
import { screenOn } from '../../report/screen.ts';
import { readIncident } from '../../trail/incidents.ts';
import { findIncident, recordedIncidents } from '../find-incident.ts';
import type { COMMANDS, Flags } from '../options.ts';

export type HistoryFlags = Flags<typeof COMMANDS.history>;

/**
 * `salt-triage history [ID]`: the incidents that fixes have recorded, or one of them.
 * @param id whole, a part that one alone has, or `latest`
 * @returns the exit code
 * @throws TriageError for an id that is not there, and a directory that can't be read
 */
export async function historyCommand(
  id: string | undefined,
  flags: HistoryFlags,
): Promise<ExitCode> {
  const { incidents, directories } = await recordedIncidents(flags);
  const screen = screenOn(process.stdout, flags);
  if (id === undefined) {
    if (flags.json) writeJson({ schemaVersion: JSON_SCHEMA_VERSION, incidents });
    else screen.write(listText(screen, incidents, directories));
    return ExitCode.ok;
  }
  const incident = await readIncident(findIncident(id, incidents));
  if (flags.json) writeJson({ schemaVersion: JSON_SCHEMA_VERSION, incident });
  else screen.write(incidentText(screen, incident));
  return ExitCode.ok;
}

function writeJson(document: JsonDocument): void {
  process.stdout.write(jsonLine(document));
}
