/** A report as one HTML file: no script, nothing loaded from anywhere, readable on a phone and on paper. */
import type { ActionItem } from './actions.ts';
import { type Markup, markup, NOTHING } from './markup.ts';
import type { Postmortem } from './model.ts';
import type { Picture, Table } from './pictures/picture.ts';
import { drawSvg, legendOf } from './pictures/svg.ts';
import type { ProcessRow } from './processes.ts';
import type { Basis, Statement } from './statement.ts';
import { STYLE } from './style.ts';
import type { TimelineEvent } from './timeline.ts';
import { BASES, HEADINGS, INTRODUCTION } from './wording.ts';

export function htmlReport(report: Postmortem): string {
  const { title, about, summary, impact, questions, factors, actions, files } = report;
  const facts = about.map(([name, text]) => markup`<div><dt>${name}</dt><dd>${text}</dd></div>`);
  const body = markup`
<h1>${title}</h1>
<dl class="about">${facts}</dl>
<p class="note">${INTRODUCTION}</p>
<ul class="note">${BASES.map(([name, text]) => markup`<li>${badge(name)} ${text}</li>`)}</ul>
${section(HEADINGS.summary, list(summary))}
${section(HEADINGS.impact, list(impact))}
${section(HEADINGS.timeline, markup`${track(report)}${timeline(report.timeline)}`)}
${section(HEADINGS.processes, processes(report.processes))}
${section(HEADINGS.pictures, markup`${report.pictures.map((one) => figure(one, report.utcOffsetMinutes))}`)}
${section(
  HEADINGS.questions,
  markup`${questions.map(({ question, answers }) => markup`<h3>${question}</h3>${list(answers)}`)}`,
)}
${section(HEADINGS.factors, list(factors))}
${section(HEADINGS.actions, actionList(actions))}
${section(HEADINGS.files, markup`<ul>${files.map((name) => markup`<li><code>${name}</code></li>`)}</ul>`)}
`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
${STYLE}
</head>
<body>
<main>${body}</main>
</body>
</html>
`.toString();
}

function section(heading: string, content: Markup): Markup {
  if (content.toString() === '') return NOTHING;
  return markup`<section><h2>${heading}</h2>${content}</section>`;
}

function badge(basis: Basis): Markup {
  return markup`<span class="basis ${basis.replace(' ', '-')}">${basis}</span>`;
}

function source(name: string): Markup {
  return markup`<code class="source">${name}</code>`;
}

function list(statements: readonly Statement[]): Markup {
  if (statements.length === 0) return NOTHING;
  return markup`<ul class="statements">${statements.map(item)}</ul>`;
}

function item({ text, basis, source: from, details }: Statement): Markup {
  if (basis === 'not known') {
    return markup`<li class="question">${badge(basis)} ${text}<span class="blank">Answer:</span></li>`;
  }
  const further =
    details.length === 0
      ? NOTHING
      : markup`<ul class="details">${details.map((line) => markup`<li>${line}</li>`)}</ul>`;
  return markup`<li>${badge(basis)} ${text} ${from === null ? NOTHING : source(from)}${further}</li>`;
}

function cell(label: string, content: Markup | string | number): Markup {
  return markup`<td data-label="${label}">${content}</td>`;
}

/** Of a number or a word that is never broken. */
function whole(label: string, content: Markup | string | number): Markup {
  return markup`<td class="whole" data-label="${label}">${content}</td>`;
}

function head(labels: readonly string[]): Markup {
  return markup`<thead><tr>${labels.map((label) => markup`<th scope="col">${label}</th>`)}</tr></thead>`;
}

function track({ track: picture, utcOffsetMinutes }: Postmortem): Markup {
  if (picture === null) return NOTHING;
  return markup`<figure>${drawSvg(picture, utcOffsetMinutes)}<figcaption>${picture.description}</figcaption></figure>`;
}

function timeline(events: readonly TimelineEvent[]): Markup {
  if (events.length === 0) return NOTHING;
  const rows = events.map(
    ({ moment, kind, text, basis, source: from }, index) =>
      markup`<tr class="${kind}">${whole('#', index + 1)}${whole('time', moment)}${cell('what', text)}${cell('known', markup`${badge(basis)} ${source(from)}`)}</tr>`,
  );
  return markup`<table class="stacked">${head(['#', 'time', 'what', 'known'])}<tbody>${rows}</tbody></table>`;
}

const PROCESS_COLUMNS = ['pid', 'parent', 'role', 'started', 'CPU', 'state', 'threads'];

/** Two rows for each process: its command line is as wide as the table. */
function processes(rows: readonly ProcessRow[]): Markup {
  if (rows.length === 0) return NOTHING;
  const cells = rows.map((row) => {
    const { pid, parent, started, cpu, state, threads, command, reasons } = row;
    const name = row.isOrphan ? markup`<strong>${row.role}</strong>` : markup`${row.role}`;
    const role = markup`${name}${row.killed ? ', killed' : ''}`;
    const values = [pid, parent, role, started, cpu, state, threads];
    const because = reasons.map((reason) => markup`<br><small>${reason}</small>`);
    const shade = row.isOrphan ? 'orphan' : 'other';
    return markup`<tr class="first ${shade}">${values.map((value, index) => whole(PROCESS_COLUMNS[index] ?? '', value))}</tr><tr class="${shade}"><td colspan="${values.length}"><code>${command}</code>${because}</td></tr>`;
  });
  return markup`<table class="stacked">${head(PROCESS_COLUMNS)}<tbody>${cells}</tbody></table>`;
}

function figure(picture: Exclude<Picture, { kind: 'track' }>, utcOffsetMinutes: number): Markup {
  const legend = picture.kind === 'lines' ? legendOf(picture) : NOTHING;
  return markup`<figure><h3>${picture.title}</h3>${drawSvg(picture, utcOffsetMinutes)}${legend}<figcaption>${picture.description} ${source(picture.source)}</figcaption>${dataTable(picture.table)}</figure>`;
}

function dataTable({ head: labels, rows }: Table): Markup {
  const cells = rows.map((row) => markup`<tr>${row.map((text) => markup`<td>${text}</td>`)}</tr>`);
  return markup`<table class="data">${head(labels)}<tbody>${cells}</tbody></table>`;
}

function actionList(actions: readonly ActionItem[]): Markup {
  if (actions.length === 0) return NOTHING;
  const items = actions.map(({ text, why, basis, command }) => {
    const how = command === null ? NOTHING : markup`<br><code>${command}</code>`;
    return markup`<li>${text}${how}<br><small>${badge(basis)} ${why}</small><span class="blank">Who, by when:</span></li>`;
  });
  return markup`<ol class="actions">${items}</ol>`;
}
