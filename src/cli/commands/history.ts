import { ExitCode, TriageError } from '../../errors.ts';
import { JSON_SCHEMA_VERSION } from '../../report/diagnosis-json.ts';
import { jsonLine } from '../../report/json-line.ts';
import { type Screen, screenOn, wrap } from '../../report/screen.ts';
import { INCIDENT_ID, stateDirectories } from '../../trail/directory.ts';
import {
  type IncidentRecord,
  type IncidentSummary,
  readIncident,
  readIncidents,
} from '../../trail/incidents.ts';
import { describeWho } from '../../trail/operator.ts';
import { stripControl } from '../../untrusted.ts';
import { describeDuration } from '../../words.ts';
import type { COMMANDS, Flags } from '../options.ts';
import { loadSettings } from '../settings.ts';

export type HistoryFlags = Flags<typeof COMMANDS.history>;

/**
 * `salt-triage history [ID]`: the incidents that fixes have recorded, or one of them.
 * @returns the exit code
 * @throws TriageError for an id that is not there, and a directory that can't be read
 */
export async function historyCommand(
  id: string | undefined,
  flags: HistoryFlags,
): Promise<ExitCode> {
  const asked = flags.stateDir ?? (await loadSettings(flags.config)).stateDir;
  const directories = stateDirectories(asked);
  const incidents = await readAll(directories, asked !== undefined);
  const screen = screenOn(process.stdout, flags.color);
  if (id === undefined) {
    if (flags.json) writeJson({ incidents });
    else screen.write(listText(screen, incidents, directories));
    return ExitCode.ok;
  }
  const incident = await readIncident(find(id, incidents));
  if (flags.json) writeJson({ incident });
  else screen.write(incidentText(screen, incident));
  return ExitCode.ok;
}

function writeJson(document: object): void {
  process.stdout.write(jsonLine({ schemaVersion: JSON_SCHEMA_VERSION, ...document }));
}

async function readAll(directories: readonly string[], asked: boolean): Promise<IncidentSummary[]> {
  const incidents: IncidentSummary[] = [];
  for (const directory of directories) {
    try {
      incidents.push(...(await readIncidents(directory)));
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      if (code === 'ENOENT' && !asked) continue;
      const denied = code === 'EACCES' || code === 'EPERM';
      throw new TriageError(
        `can't read the incidents in ${stripControl(directory)}: ${code}`,
        denied
          ? 'Run it as the user who ran the fix, or with sudo.'
          : 'Give --state-dir a directory that is there.',
        denied ? ExitCode.notPermitted : ExitCode.usage,
        { cause: error },
      );
    }
  }
  return incidents.sort((a, b) => (a.id < b.id ? 1 : -1));
}

/** @throws TriageError (usage) that names the ids most like it */
function find(id: string, incidents: readonly IncidentSummary[]): IncidentSummary {
  const found = incidents.find((incident) => incident.id === id);
  if (found !== undefined) return found;
  const nearest = incidents
    .toSorted((a, b) => sharedStart(b.id, id) - sharedStart(a.id, id))
    .slice(0, 3)
    .map((incident) => incident.id);
  throw new TriageError(
    INCIDENT_ID.test(id)
      ? `there is no incident ${id}`
      : `${stripControl(JSON.stringify(id))} is no incident id`,
    nearest.length > 0 ? `Nearest: ${nearest.join(', ')}` : 'There are none yet.',
    ExitCode.usage,
  );
}

function sharedStart(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length += 1;
  return length;
}

function listText(
  screen: Screen,
  incidents: readonly IncidentSummary[],
  directories: readonly string[],
): string {
  const { chalk, columns } = screen;
  if (incidents.length === 0) {
    return `${wrap(`No incidents in ${directories.map(stripControl).join(' or ')}.`, columns, 2)}\n`;
  }
  return incidents
    .map((incident) => {
      const { id, host, port, verdict, result, beganAt, who } = incident;
      const painted = paintResult(screen, stripControl(result));
      const about = [
        `${host}:${port}`,
        verdict ?? 'no verdict',
        describeActions(incident),
        `by ${describeWho(who)}`,
      ];
      const rest = wrap(about.join('; '), columns - 2, 2);
      return `${chalk.bold(id)}  ${moment(beganAt)}  ${painted}\n  ${rest}\n`;
    })
    .join('');
}

function describeActions({ actions }: IncidentSummary): string {
  return actions.length === 0 ? 'no actions' : actions.map(({ action }) => action).join(', ');
}

function incidentText(screen: Screen, incident: IncidentRecord): string {
  const { chalk, columns } = screen;
  const { id, host, port, beganAt, endedAt, who, before, after, verdict, result, plan } = incident;
  const field = (name: string, text: string) =>
    `  ${chalk.bold(name.padEnd(8))}${wrap(text, columns, 10)}\n`;
  const ended = endedAt === null ? '' : `, ended ${moment(endedAt)}`;
  const head = [
    `${chalk.bold(`Incident ${id}`)}\n`,
    field('host', `${host}, port ${port}`),
    field('began', `${moment(beganAt)}${ended}`),
    field('who', describeWho(who)),
    field(
      'before',
      before === null ? (verdict ?? 'not recorded') : `${before.code}: ${before.summary}`,
    ),
    field('after', after === null ? 'not recorded' : `${after.code}: ${after.summary}`),
    field('result', result),
    field('files', incident.directory),
  ];
  const steps = plan?.steps.map(({ title }, index) => {
    return `${String(index + 1).padStart(4)}  ${wrap(title, columns, 6)}\n`;
  }) ?? ['  not recorded\n'];
  const lines = incident.journal.map((line) => {
    const head = `  ${stripControl(line.time).slice(11, 19)}  ${line.phase.padEnd(6)}  `;
    return `${head}${wrap(describeLine(line), columns, head.length)}\n`;
  });
  return [...head, chalk.bold('\nPlan\n'), ...steps, chalk.bold('\nJournal\n'), ...lines].join('');
}

function describeLine(line: IncidentRecord['journal'][number]): string {
  const { action, identity, command, answer, result, durationMs } = line;
  const words = [
    action,
    ...(identity === undefined ? [] : [`start tick ${identity.startTicks}`]),
    // Of a kill it is the command line of what was killed.
    ...(command === undefined ? [] : [`${identity ? 'of' : '$'} ${command.join(' ')}`]),
    ...(answer === undefined ? [] : [`answer: ${answer}`]),
    ...(result === undefined ? [] : [result]),
    ...(durationMs === undefined ? [] : [describeDuration(durationMs)]),
  ];
  return words.join('; ');
}

function paintResult({ chalk }: Screen, result: string): string {
  if (result === 'recovered') return chalk.green(result);
  return result === 'unfinished' ? chalk.yellow(result) : chalk.red(result);
}

/** `2018-11-24 10:33:10`, in the zone of the host where it happened. */
function moment(iso: string): string {
  return stripControl(iso).slice(0, 19).replace('T', ' ');
}
