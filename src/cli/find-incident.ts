/** Which of the recorded incidents is meant. */
import { ExitCode, TriageError } from '../errors.ts';
import { codeOrText, errorCode, isDenied } from '../host/local/proc-files.ts';
import { INCIDENT_ID, stateDirectories } from '../trail/directory.ts';
import { type IncidentSummary, readIncidents } from '../trail/incidents.ts';
import { stripControl } from '../untrusted.ts';
import { loadSettings } from './settings.ts';

/**
 * The incidents of the state directories, newest first.
 * @param flags where they are, if that is named; else the settings say, or the defaults
 * @throws TriageError for a directory that can't be read
 */
export async function recordedIncidents(flags: {
  readonly stateDir?: string;
  readonly config?: string;
}): Promise<{
  readonly incidents: readonly IncidentSummary[];
  readonly directories: readonly string[];
}> {
  const asked = flags.stateDir ?? (await loadSettings(flags.config)).stateDir;
  const directories = stateDirectories(asked);
  return { incidents: await readAll(directories, asked !== undefined), directories };
}

async function readAll(directories: readonly string[], asked: boolean): Promise<IncidentSummary[]> {
  const incidents: IncidentSummary[] = [];
  for (const directory of directories) {
    try {
      incidents.push(...(await readIncidents(directory)));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || asked) throw unreadable(directory, error);
    }
  }
  return incidents.sort((a, b) => (a.id < b.id ? 1 : -1));
}

function unreadable(directory: string, cause: unknown): TriageError {
  const message = `can't read the incidents in ${stripControl(directory)}: ${codeOrText(cause)}`;
  return isDenied(cause)
    ? new TriageError(
        message,
        'Run it as the user who ran the fix, or with sudo.',
        ExitCode.notPermitted,
        { cause },
      )
    : new TriageError(message, 'Give --state-dir a directory that is there.', ExitCode.usage, {
        cause,
      });
}

/**
 * The incident that an id, a part that one id alone has, or `latest` names.
 * @param incidents newest first
 * @throws TriageError (usage) that names the ids it may be
 */
export function findIncident(
  asked: string,
  incidents: readonly IncidentSummary[],
): IncidentSummary {
  const named = asked === 'latest' ? incidents[0] : incidents.find(({ id }) => id === asked);
  if (named !== undefined) return named;
  const fitting = asked === '' ? [] : incidents.filter(({ id }) => id.includes(asked));
  const [only, another] = fitting;
  if (only !== undefined && another === undefined) return only;
  const shown = stripControl(JSON.stringify(asked));
  if (fitting.length > 1) {
    const message = `${shown} matches ${fitting.length} incidents`;
    throw new TriageError(message, `Type more of the id: ${idsOf(fitting)}`, ExitCode.usage);
  }
  if (incidents.length === 0) {
    const advice = 'Each fix records one; --state-dir DIR looks elsewhere.';
    throw new TriageError('no incident is recorded yet', advice, ExitCode.usage);
  }
  const nearest = incidents.toSorted((a, b) => sharedStart(b.id, asked) - sharedStart(a.id, asked));
  throw new TriageError(
    INCIDENT_ID.test(asked) ? `there is no incident ${asked}` : `${shown} matches no incident id`,
    `Nearest: ${idsOf(nearest)}`,
    ExitCode.usage,
  );
}

function idsOf(incidents: readonly IncidentSummary[]): string {
  const more = incidents.length > 3 ? `, and ${incidents.length - 3} more` : '';
  return `${incidents
    .slice(0, 3)
    .map(({ id }) => id)
    .join(', ')}${more}`;
}

function sharedStart(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length += 1;
  return length;
}
