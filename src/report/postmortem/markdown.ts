/** A report as Markdown (GitHub's): pictures are plots of characters. */
import { stripControl } from '../../untrusted.ts';
import type { ActionItem } from './actions.ts';
import { momentIn } from './clock.ts';
import type { Postmortem } from './model.ts';
import type { Picture, Table } from './pictures/picture.ts';
import { plotBars, plotLines } from './pictures/text-plot.ts';
import type { ProcessRow } from './processes.ts';
import type { Statement } from './statement.ts';
import type { TimelineEvent } from './timeline.ts';
import { BASES, HEADINGS, INTRODUCTION } from './wording.ts';

export function markdownReport(report: Postmortem): string {
  const { title, about, summary, impact, questions, factors, actions, files } = report;
  const moment = (at: number) => momentIn(at, report.utcOffsetMinutes);
  const asked = questions.map(
    ({ question, answers }) => `### ${plain(question)}\n\n${list(answers)}`,
  );
  const pictures = report.pictures.map((picture) => figure(picture, moment));
  const parts = [
    `# ${plain(title)}`,
    about.map(([name, text]) => `- ${plain(name)}: ${plain(text)}`).join('\n'),
    plain(INTRODUCTION),
    BASES.map(([name, text]) => `- **${plain(name)}** ${plain(text)}`).join('\n'),
    section(HEADINGS.summary, list(summary)),
    section(HEADINGS.impact, list(impact)),
    section(HEADINGS.timeline, timeline(report.timeline)),
    section(HEADINGS.processes, processes(report.processes)),
    section(HEADINGS.pictures, pictures.join('\n\n')),
    section(HEADINGS.questions, asked.join('\n\n')),
    section(HEADINGS.factors, list(factors)),
    section(HEADINGS.actions, actionList(actions)),
    section(HEADINGS.files, files.map((name) => `- ${code(name)}`).join('\n')),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function section(heading: string, content: string): string {
  return content === '' ? '' : `## ${plain(heading)}\n\n${content}`;
}

function list(statements: readonly Statement[]): string {
  return statements.map(item).join('\n');
}

function item({ text, basis, source, details }: Statement): string {
  if (basis === 'not known') return `- **not known** ${plain(text)}\n  - Answer:`;
  const from = source === null ? '' : ` (${code(source)})`;
  const further = details.map((line) => `\n  - ${code(line)}`).join('');
  return `- **${basis}** ${plain(text)}${from}${further}`;
}

function timeline(events: readonly TimelineEvent[]): string {
  if (events.length === 0) return '';
  const rows = events.map(({ moment, text, basis, source }, index) => [
    String(index + 1),
    moment,
    plain(text),
    `${basis}, ${code(source)}`,
  ]);
  return table(['#', 'time', 'what', 'known'], rows);
}

function processes(rows: readonly ProcessRow[]): string {
  if (rows.length === 0) return '';
  const cells = rows.map((row) => [
    String(row.pid),
    String(row.parent),
    `${row.isOrphan ? `**${row.role}**` : plain(row.role)}${row.killed ? ', killed' : ''}`,
    row.started,
    plain(row.cpu),
    plain(row.state),
    String(row.threads),
    code(row.command),
  ]);
  const head = ['pid', 'parent', 'role', 'started', 'CPU', 'state', 'threads', 'command'];
  const reasons = rows
    .filter((row) => row.reasons.length > 0)
    .map((row) => `- ${row.pid}: ${plain(row.reasons.join('; '))}`);
  return [table(head, cells), reasons.join('\n')].filter((part) => part !== '').join('\n\n');
}

function figure(
  picture: Exclude<Picture, { kind: 'track' }>,
  moment: (at: number) => string,
): string {
  const plot = picture.kind === 'lines' ? plotLines(picture, moment) : plotBars(picture);
  const { head, rows } = picture.table;
  return [
    `### ${plain(picture.title)}`,
    `${plain(picture.description)} (${code(picture.source)})`,
    fenced(plot),
    escapedTable({ head, rows }),
  ].join('\n\n');
}

function escapedTable({ head, rows }: Table): string {
  return table(
    head.map(plain),
    rows.map((row) => row.map(plain)),
  );
}

function actionList(actions: readonly ActionItem[]): string {
  return actions
    .map(({ text, why, basis, command }, index) => {
      const how = command === null ? '' : `\n   ${code(command)}`;
      return `${index + 1}. ${plain(text)}${how}\n   - **${basis}** ${plain(why)}\n   - Who, by when:`;
    })
    .join('\n');
}

/** @param rows escaped already */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** What Markdown, the HTML in it, or GitHub's links and mentions would act on; not the `_` within a word. */
const SPECIAL = /[\\`*[\]<>|~&$#@]|(?<![a-z\d])_|_(?![a-z\d])|:(?=\/\/)|(?<=\bwww)\./gi;
/** What makes a list of a line that begins with it. */
const LIST = /^(\s*\d{0,9})([-+.)])(?=\s)/;

function plain(text: string): string {
  return stripControl(text).replace(SPECIAL, '\\$&').replace(LIST, '$1\\$2');
}

/** A stranger's words as they are: in backticks, more of them than any run within; `|` parts cells even there. */
function code(text: string): string {
  const words = stripControl(text).replaceAll('|', '\u00a6');
  const fence = '`'.repeat(longestRun(words) + 1);
  const edge = words.startsWith('`') || words.endsWith('`') || words.trim() === '' ? ' ' : '';
  return `${fence}${edge}${words}${edge}${fence}`;
}

function fenced(text: string): string {
  const words = text.split('\n').map(stripControl).join('\n');
  const fence = '`'.repeat(Math.max(3, longestRun(words) + 1));
  return `${fence}\n${words}\n${fence}`;
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
}
