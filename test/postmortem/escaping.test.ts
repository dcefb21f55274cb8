/** Strangers' text in a report: shown, and never acted on. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { seen } from '../../src/evidence/evidence.ts';
import { markup } from '../../src/report/postmortem/markup.ts';
import { writePostmortem } from '../../src/report/postmortem/model.ts';
import { htmlReport, markdownReport } from '../../src/report/postmortem/render.ts';
import { incidentCase, incidentEvidence } from './incident.ts';

const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onload='x",
  '</style></svg></table>',
  '\u202egnp.exe\u2066\u200b',
  '\u001b[31mred\u0007',
  '`code` **bold** [link](http://evil.example/) ![i](http://evil.example/x.png) | @someone',
  'GET /login?token=abcdef123456&page=jane42 HTTP/1.1',
  'password=hunter2',
].join(' ');

describe('a template', () => {
  it('escapes whatever is put in but its own markup', () => {
    const inner = markup`<b>${'<i>'}</b>`;
    assert.equal(
      `${markup`<a title="${`"'&`}">${inner}${[inner]}</a>`}`,
      '<a title="&quot;&#39;&amp;"><b>&lt;i&gt;</b><b>&lt;i&gt;</b></a>',
    );
  });

  it('lets nothing of any text be markup, nor control or reorder', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const shown = `${markup`${text}`}`;
        assert.doesNotMatch(shown, /[<>"']|[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
        assert.doesNotMatch(shown, /&(?!(?:amp|lt|gt|quot|#39);)/);
      }),
    );
  });
});

describe('a report of a hostile host', () => {
  const evidence = incidentEvidence();
  const { clients } = evidence.background;
  assert.ok(clients.seen && evidence.processes.seen && evidence.apiLog.seen);
  const hostile = {
    ...evidence,
    host: { ...evidence.host, name: HOSTILE },
    processes: seen({
      ...evidence.processes.value,
      processes: evidence.processes.value.processes.map((facts) => {
        return { ...facts, argv: [...facts.argv, HOSTILE], comm: HOSTILE };
      }),
    }),
    apiLog: seen({ ...evidence.apiLog.value, samples: [HOSTILE] }),
    background: {
      ...evidence.background,
      clients: seen({
        ...clients.value,
        clients: clients.value.clients.map((one) => ({ ...one, agent: HOSTILE })),
      }),
    },
  };
  const about = incidentCase(hostile);
  const stacks = about.stacks.map((one) => ({
    ...one,
    folded: [{ count: 1, waitsFor: HOSTILE, frames: [{ function: HOSTILE, file: HOSTILE }] }],
  }));
  const report = writePostmortem({ ...about, stacks });

  it('has none of it as markup, and no secret, in HTML', () => {
    const html = htmlReport(report);
    assert.match(html, /&lt;script&gt;/);
    assert.doesNotMatch(html, /<script|<img|onerror=alert\(1\)>|onload='/);
    assert.equal(html.match(/<\/style>/g)?.length, 1);
    assert.doesNotMatch(
      html,
      /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202a-\u202e\u2066-\u2069]/,
    );
    assert.doesNotMatch(html, /abcdef123456|jane42|hunter2/);
  });

  it('has none of it as markup, and no secret, in Markdown', () => {
    const text = markdownReport(report);
    const outside = text
      .replace(/^(`{3,})\n[\s\S]*?^\1$/gm, '')
      .replace(/(?<![\\`])(`+)(?!`)[\s\S]*?[^`]\1(?!`)/g, '');
    assert.doesNotMatch(outside, /(?<!\\)[<>]|(?<!\\)!?\[|(?<!\\)@|(?<!\\)\]\(/);
    assert.doesNotMatch(
      text,
      /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202a-\u202e\u2066-\u2069]/,
    );
    assert.doesNotMatch(text, /abcdef123456|jane42|hunter2/);
  });

  it('leaves the names of the field as they are read, in Markdown', () => {
    const text = markdownReport(writePostmortem(incidentCase()));
    assert.match(text, /^### CLOSE_WAIT/m);
    assert.match(text, /call local_async/);
  });

  it('keeps each row of a table of Markdown in one line with its cells', () => {
    const cellsIn = (row: string) => row.replace(/\\[\\|]/g, '').split('|').length;
    let head = 0;
    let rows = 0;
    for (const line of markdownReport(report).split('\n')) {
      if (!line.startsWith('| ')) head = 0;
      else if (head === 0) head = cellsIn(line);
      else {
        assert.equal(cellsIn(line), head, line);
        rows += 1;
      }
    }
    assert.ok(rows > 20, `${rows} rows`);
  });
});
