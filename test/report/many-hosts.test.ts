/** The order in which many hosts are listed: what needs a person comes first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { type VerdictCode, verdictExitCode } from '../../src/diagnosis/verdict.ts';
import { ExitCode, TriageError } from '../../src/errors.ts';
import { hostsReport, worstFirst } from '../../src/report/many-hosts.ts';
import { screenOn } from '../../src/report/screen.ts';
import { evidenceOf } from '../diagnosis/situation.ts';
import { repeated } from '../report/repeated.ts';

function outcome(name: string, code: VerdictCode) {
  const diagnosis = diagnoseEvidence(evidenceOf({ processes: [] }));
  const result = { ...diagnosis, verdict: { ...diagnosis.verdict, code } };
  return { name, result, repeated: repeated(), exitCode: verdictExitCode(code, false) };
}

test('incidents, then what could not be told, then what is well, each by kind and then by name', () => {
  const unreachable = {
    name: 'gone',
    result: new TriageError('gone: no route to host', 'look at its network', ExitCode.unknown),
    repeated: repeated(),
    exitCode: ExitCode.unknown,
  };
  const hosts = [
    outcome('well', 'healthy'),
    outcome('dim', 'degraded'),
    outcome('blind', 'unknown'),
    unreachable,
    outcome('down', 'down'),
    outcome('loop', 'restart-loop'),
    outcome('foreign', 'foreign-holder'),
    outcome('b-hung', 'hung'),
    outcome('a-hung', 'hung'),
    outcome('stray', 'orphan-stray'),
    outcome('orphan', 'orphan-holds-port'),
  ];
  assert.deepEqual(
    worstFirst(hosts).map(({ name }) => name),
    [
      ...['orphan', 'stray', 'a-hung', 'b-hung', 'foreign', 'loop', 'down'],
      ...['gone', 'blind'],
      ...['dim', 'well'],
    ],
  );
});

/** A terminal of lines: what is on it after all that was written, all that has left its top included. */
function shownBy(written: readonly string[]): string[] {
  const lines = [''];
  let at = 0;
  for (const [code] of written.join('').matchAll(/\r|\n|\x1b\[2?K|\x1b\[A|[^\r\n\x1b]+/g)) {
    if (code === '\n') at += 1;
    else if (code === '\x1b[A') at -= 1;
    else if (code.startsWith('\x1b')) lines[at] = '';
    else if (code !== '\r') lines[at] = `${lines[at] ?? ''}${code}`;
    assert.ok(at >= 0, 'above the first line');
  }
  return lines.map((line) => line ?? '').filter((line) => line !== '');
}

const ARRIVING = [
  outcome('well', 'healthy'),
  outcome('a-\u202every-long-name.of.a.host.example.org', 'down'),
  outcome('odd', 'unknown'),
  outcome('dim', 'degraded'),
  outcome('b', 'hung'),
];

/** What is shown after each arrival, and in the end. */
function shownOn(size: { columns: number; rows: number } | null, term = 'xterm'): string[][] {
  const [before, lang] = [process.env['TERM'], process.env['LANG']];
  Object.assign(process.env, { TERM: term, LANG: 'C.UTF-8' });
  const written: string[] = [];
  const stream = { isTTY: size !== null, ...size, write: (text: string) => written.push(text) };
  const screen = screenOn(stream as unknown as NodeJS.WriteStream, { color: false });
  Object.assign(process.env, { TERM: before ?? '', LANG: lang ?? '' });
  const names = ARRIVING.map(({ name }) => name);
  const report = hostsReport(screen, names, size);
  report.begin();
  const shown = [shownBy(written)];
  for (const one of ARRIVING) {
    report.arrived(one);
    shown.push(shownBy(written));
  }
  report.end();
  if (term === 'dumb') assert.doesNotMatch(written.join(''), /[\x1b\r]/);
  return [...shown, shownBy(written)];
}

const namesIn = (lines: readonly string[] = []) => lines.map((line) => line.split(/\s+/)[1] ?? '');
const TOTALS = '2 with an incident, 1 not known, 2 well';

test('piped: nothing before the end, then each whole, in columns as wide as the longest name', () => {
  const shown = shownOn(null);
  assert.deepEqual(shown.slice(0, -1).flat(), []);
  const [head, ...rows] = shown.at(-1) ?? [];
  assert.equal(head, `5 hosts, worst first: ${TOTALS}`);
  const long = 'a-very-long-name.of.a.host.example.org';
  assert.deepEqual(namesIn(rows), ['b', long, 'odd', 'dim', 'well']);
  const [first = '', second = ''] = rows;
  assert.match(second, /org down: no salt-api daemon runs, and nobody listens on port 443$/);
  assert.equal(first.indexOf('hung'), second.indexOf('down'));
});

test('on a terminal: as many as fit while they arrive, then all, each once', () => {
  const shown = shownOn({ columns: 64, rows: 6 });
  assert.deepEqual(shown[0], ['  0 of 5 hosts …']);
  assert.deepEqual(
    shown[2]?.map((line) => line.slice(0, 12)),
    ['✔ well      ', '✖ a-very-lon', '  2 of 5 hos'],
  );
  assert.deepEqual(
    [4, 5].map((arrived) => namesIn(shown[arrived]?.slice(0, -1)).map((name) => name.slice(0, 3))),
    [
      ['a-v', 'odd', 'dim'],
      ['odd', 'dim', 'b'],
    ],
  );
  const [head, ...rows] = shown.at(-1) ?? [];
  assert.equal(head, `5 hosts, worst first: ${TOTALS}`);
  assert.deepEqual(
    namesIn(rows),
    ['b', 'a-very-long-name.of.a.h…', 'odd', 'dim', 'well'],
    'a name has 26 columns at most',
  );
});

test('no row is wider than the terminal, however narrow, and what is cut says so', () => {
  for (const columns of [20, 40, 60, 100]) {
    const [, ...rows] = shownOn({ columns, rows: 24 }).at(-1) ?? [];
    const ours = rows.filter((row) => /^[✔✖?!] /.test(row));
    assert.equal(ours.length, ARRIVING.length);
    assert.ok(ours.every((row) => row.length <= columns));
    if (columns < 80) assert.ok(ours.some((row) => row.endsWith('…')));
  }
});

test('a terminal of three lines still shows the newest', () => {
  const shown = shownOn({ columns: 60, rows: 3 });
  assert.deepEqual(namesIn(shown[5]?.slice(0, -1)), ['b']);
});

test('where no line can be taken back they stay as they came', () => {
  const shown = shownOn({ columns: 80, rows: 6 }, 'dumb');
  const lines = shown.at(-1) ?? [];
  assert.deepEqual(
    namesIn(lines.slice(0, -1)).map((name) => name.slice(0, 3)),
    ['wel', 'a-v', 'odd', 'dim', 'b'],
  );
  assert.equal(lines.at(-1), `5 hosts: ${TOTALS}`);
});
