/** The command on a real incident: staged, seen by a check, fixed, told of. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { stageIncident } from '../../src/drill/stage.ts';
import { writeEvidence } from '../../src/evidence/evidence-file.ts';
import { BUNDLE, type Ran, runCli } from '../cli/run.ts';
import { HOST, incidentEvidence } from './incident.ts';

const asRoot = process.geteuid?.() === 0;
const NOBODY = 65_534;

let directory: string;
let trail: string;
let port: number;
/** What was staged, found and done, once for all tests. */
before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'salt-triage-report-'));
  chmodSync(directory, 0o755);
  trail = join(directory, 'trail');
  const staged = await stageIncident({ restartAfterMs: 60_000 });
  try {
    port = staged.port;
    const same = [
      '-p',
      `${port}`,
      '--config',
      '/dev/null',
      '--probe-timeout',
      '1s',
      '--state-dir',
      trail,
    ];
    const looked = await runCli([
      'check',
      '--growth',
      '--salt-config-dir',
      staged.configDirectory,
      ...same,
    ]);
    assert.equal(looked.code, 2, looked.stdout);
    const fixed = await runCli([
      ...['fix', '--yes', '-c', staged.configDirectory, ...same],
      ...['--start-cmd', staged.startCommand.join(' '), '--stop-cmd', staged.stopCommand.join(' ')],
    ]);
    assert.equal(fixed.code, 0, fixed.stdout);
  } finally {
    await staged.cleanup();
  }
});
after(() => rmSync(directory, { recursive: true, force: true }));

function report(...args: readonly string[]): Promise<Ran> {
  return runCli(['report', '--config', '/dev/null', '--state-dir', trail, ...args]);
}

describe('report', () => {
  it('tells of the latest incident, as Markdown where no file is named', async () => {
    const { stdout, stderr, code } = await report();
    assert.deepEqual([stderr, code], ['', 0]);
    assert.match(stdout, /^# salt-api on /);
    assert.match(stdout, /^\| \d+ \| .* \| kill -9 \d+: .* \| seen, `journal\.jsonl` \|$/m);
    assert.match(stdout, /^\| \d+ \| 1 \| \*\*orphan\*\*, killed \|/m);
    assert.match(stdout, /^- \*\*seen\*\* Served again at /m);
  });

  it('has what the check saw before, which the incident keeps when the check goes on', async () => {
    const state = join(trail, `check-${port}.json`);
    const [incident = ''] = readdirSync(trail).filter((name) => name.includes(`-${port}-`));
    assert.ok(existsSync(join(trail, incident, `check-${port}.json`)));
    const looks = readFileSync(state, 'utf8');
    rmSync(state);
    const { stdout } = await report(incident.slice(-6));
    writeFileSync(state, looks, { mode: 0o600 });
    assert.match(
      stdout,
      new RegExp(`A check told of it 1 time, first at .* \\(\`check-${port}\\.json\`\\)`),
    );
  });

  it('tells of the stacks that the incident has, and passes over what is none', async () => {
    const [incident = ''] = readdirSync(trail).filter((name) => name.includes(`-${port}-`));
    const frames = [{ function: 'mk_token', file: 'salt/auth/__init__.py' }];
    const seen = { startTicks: 1, tookMs: 9, withoutPython: 0, unseen: 0 };
    const stacks = { ...seen, pid: 7, tool: 'gdb', why: null, threads: 5 };
    const files = {
      'stacks-7.json': JSON.stringify({
        ...stacks,
        folded: [{ count: 5, waitsFor: null, frames }],
      }),
      'stacks-8.json': '{"pid":8,"tool":',
      'stacks-9.json': JSON.stringify({
        ...seen,
        pid: 9,
        tool: null,
        why: 'no tool',
        threads: 0,
        folded: [],
      }),
    };
    const paths = Object.entries(files).map(([name, text]) => {
      const path = join(trail, incident, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    });
    const { stdout } = await report();
    for (const path of paths) rmSync(path);
    assert.match(stdout, /5 × in mk_token \(salt\/auth\/__init__\.py\)/);
    assert.match(stdout, /Where did 9 stand\? Its Python stacks were not seen: no tool\./);
    assert.doesNotMatch(stdout, /stacks-8/);
  });

  it('is a file of HTML or of Markdown by its name, for its owner alone', async () => {
    for (const [name, start] of [
      ['a.html', '<!doctype html>'],
      ['a.HTM', '<!doctype html>'],
      ['a.md', '# salt-api on '],
      ['a.txt', '# salt-api on '],
    ] as const) {
      const file = join(directory, name);
      const { stdout, stderr, code } = await report('latest', '-o', file);
      assert.deepEqual([stdout, code], ['', 0]);
      assert.match(stderr, /^salt-triage: written to .* \(\d+ kB\)\n$/);
      assert.ok(readFileSync(file, 'utf8').startsWith(start));
      assert.equal(statSync(file).mode & 0o777, 0o600);
    }
    const piped = await report('latest', '-o', '-');
    assert.deepEqual([piped.stderr, piped.code, existsSync('-')], ['', 0, false]);
    assert.match(piped.stdout, /^# salt-api on /);
    const other = join(directory, 'b.md');
    await report('-o', other, '--format', 'html');
    assert.match(readFileSync(other, 'utf8'), /^<!doctype html>/);
  });

  it('anonymised leaves the list of names beside it, and none in it', async () => {
    const saved = join(directory, 'seen.json');
    writeFileSync(saved, writeEvidence(incidentEvidence()));
    const file = join(directory, 'anonymous.html');
    const { code } = await report('--from', saved, '-o', file, '--anonymize');
    assert.equal(code, 0);
    const list = `${file}.names.json`;
    assert.equal(statSync(list).mode & 0o777, 0o600);
    const names: Record<string, string> = JSON.parse(readFileSync(list, 'utf8'));
    assert.ok(Object.values(names).includes(HOST.split('.')[0] ?? ''));
    const text = readFileSync(file, 'utf8');
    for (const name of [...Object.values(names), HOST]) assert.ok(!text.includes(name), name);
  });

  it('of evidence alone says that no fix is on record', async () => {
    const { stdout, code } = await runCli(['report', '--config', '/dev/null', '--from', '-'], {
      input: writeEvidence(incidentEvidence()),
    });
    assert.equal(code, 0);
    assert.match(stdout, /No fix is on record here/);
    assert.match(stdout, /`standard input`/);
  });

  it('refuses what it can not do before it reads anything', async () => {
    for (const [args, message] of [
      [['nosuch'], /matches no incident id/],
      [['latest', '--from', '-'], /--from is of saved evidence, and an incident is named/],
      [['--anonymize'], /--anonymize needs a file for the list of who is who/],
      [['--names', '/nonexistent'], /--names is for --anonymize/],
      [['-o', '/nonexistent/report.html'], /can't write \/nonexistent\/report\.html/],
      [['-o', '/dev/full'], /a device is there, which is not replaced/],
      [['--format', 'pdf'], /must be one of html, md/],
    ] as const) {
      const ran = await report(...args);
      assert.deepEqual([ran.code, ran.stdout], [2, ''], args.join(' '));
      assert.match(ran.stderr, message);
    }
  });

  it('needs no root where the records can be read, and says so where not', {
    skip: asRoot ? false : 'needs root',
  }, async () => {
    const bundle = join(directory, 'salt-triage.cjs');
    writeFileSync(bundle, readFileSync(BUNDLE), { mode: 0o644 });
    const args = ['report', '--config', '/dev/null', '--state-dir', trail];
    const asNobody = () =>
      runCli(args, { uid: NOBODY, cwd: '/', command: [process.execPath, bundle] });
    const denied = await asNobody();
    assert.equal(denied.code, 77, denied.stderr);
    const open = (path: string) => {
      chmodSync(path, statSync(path).isDirectory() ? 0o755 : 0o644);
      if (statSync(path).isDirectory())
        for (const name of readdirSync(path)) open(join(path, name));
    };
    open(trail);
    const read = await asNobody();
    assert.deepEqual([read.code, read.stderr], [0, '']);
    assert.match(read.stdout, /^# salt-api on /);
  });
});

describe('drill --report', () => {
  it('refuses a file that can not be written before it stages anything', async () => {
    const place = join(directory, 'taken');
    mkdirSync(place);
    const ran = await runCli(['drill', '--report', place]);
    assert.deepEqual([ran.code, ran.stdout], [2, '']);
    assert.match(ran.stderr, /a directory is there, which is not replaced/);
  });
});
