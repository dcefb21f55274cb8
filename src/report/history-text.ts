import type { IncidentRecord, IncidentSummary } from '../trail/incidents.ts';
import { describeWho } from '../trail/operator.ts';
import { stripControl } from '../untrusted.ts';
import { describeDuration } from '../words.ts';
import { endOfFix } from './postmortem/case.ts';
import { type Screen, wrap } from './screen.ts';

/** The incidents of some directories, newest first, two lines each. */
export function listText(
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
      const came = resultWords(result);
      const head = `${id}  ${moment(beganAt)}`;
      const fits = head.length + 2 + came.length <= columns;
      const about = [
        ...(fits ? [] : [came]),
        `${host}:${port}`,
        verdict ?? 'no verdict',
        describeActions(incident),
        `by ${describeWho(who)}`,
      ];
      const rest = wrap(about.join('; '), columns - 2, 2);
      const painted = (text: string) => text.replace(came, () => paintResult(screen, came));
      const beside = fits ? `  ${painted(came)}` : '';
      return `${chalk.bold(id)}${head.slice(id.length)}${beside}\n  ${fits ? rest : painted(rest)}\n`;
    })
    .join('');
}

function describeActions({ actions }: IncidentSummary): string {
  return actions.length === 0 ? 'no actions' : actions.map(({ action }) => action).join(', ');
}

/** All of one incident: what it was, the plan, the journal. */
export function incidentText(screen: Screen, incident: IncidentRecord): string {
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
    field('result', resultWords(result)),
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

function resultWords(result: string): string {
  return endOfFix(stripControl(result));
}

function paintResult(screen: Screen, result: string): string {
  if (result === 'recovered') return screen.paint('pass', result);
  return screen.paint(result === 'unfinished' ? 'unknown' : 'fail', result);
}

/** `2018-11-24 10:33:10`, in the zone of the host where it happened. */
function moment(iso: string): string {
  return stripControl(iso).slice(0, 19).replace('T', ' ');
}
