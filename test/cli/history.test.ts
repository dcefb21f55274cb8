import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { listText } from '../../src/report/history-text.ts';
import { screenOn } from '../../src/report/screen.ts';
import { openTrail } from '../../src/trail/trail.ts';
import { conforms } from '../report/conforms.ts';
import { PROGRAM } from './run.ts';

const identity = { pid: 17502, startTicks: 4711, bootId: 'a-boot' };

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'salt-history-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Records an incident as a fix does. @returns its directory */
async function incident(host: string, result: string | null = 'recovered'): Promise<string> {
  const trail = await openTrail({ stateDirectory: directory, port: 443, host });
  const kill = { action: 'kill -9 17502', identity, answer: '--yes' };
  await trail.journal({ phase: 'note', action: 'begin', result: 'orphan-holds-port' });
  await trail.saveFile(
    'plan.json',
    '{"kind":"mend","steps":[{"kind":"kill","title":"kill -9 17502 (orphan)"}]}',
  );
  await trail.journal({ phase: 'before', ...kill });
  await trail.journal({
    phase: 'after',
    ...kill,
    result: 'gone: \u001b[2J17502 is gone',
    durationMs: 35,
  });
  if (result !== null) await trail.journal({ phase: 'note', action: 'end', result });
  await trail.close();
  return trail.place;
}

/** Runs the command as a user does. @returns what it said on standard error without indents */
function history(id: string | undefined, options: { json?: boolean; stateDir?: string } = {}) {
  const args = ['history', ...(id === undefined ? [] : [id]), ...(options.json ? ['--json'] : [])];
  const where = ['--state-dir', options.stateDir ?? directory, '--config', '/dev/null'];
  const [program, ...words] = PROGRAM;
  const { status, stdout, stderr } = spawnSync(program, [...words, ...args, ...where], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  if (options.json && stdout !== '') conforms(JSON.parse(stdout));
  return { status, stdout, stderr: stderr.replace(/^salt-triage: /, '').replaceAll('\n  ', '\n') };
}

describe('history', () => {
  it('keeps each result whole on a narrow screen, without the word of a fix that just ended', () => {
    const stream = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream;
    const screen = { ...screenOn(stream, { color: false }), columns: 60 };
    const who = { uid: 0, user: 'root', sudoUser: null, tty: null, sshClient: null };
    const incident = {
      ...{ id: '20180713T093310Z-443-3f9a1c', directory: '/d', host: 'salt', port: 443 },
      ...{ beganAt: '2018-07-13T09:33:10', endedAt: null, verdict: 'hung', actions: [] },
      who: { ...who, loginUid: null, host: null },
    };
    const listed = (result: string) => listText(screen, [{ ...incident, result }], []).split('\n');
    assert.deepEqual(listed('not recovered, interrupted'), [
      '20180713T093310Z-443-3f9a1c  2018-07-13 09:33:10',
      '  not recovered, interrupted; salt:443; hung; no actions;',
      '  by root',
      '',
    ]);
    assert.match(listed('not recovered, completed').join(), /not recovered; salt:443/);
    assert.match(listed('recovered')[0] ?? '', /09:33:10 {2}recovered$/);
  });

  it('lists incidents with host, verdict, result, actions and who', async () => {
    const id = basename(await incident('salt-master-01'));
    const { status, stdout } = history(undefined);
    assert.equal(status, 0);
    const text = stdout.replace(/\s+/g, ' ');
    for (const part of [
      id,
      'recovered',
      'salt-master-01:443',
      'orphan-holds-port',
      'kill -9 17502',
      'by ',
    ]) {
      assert.ok(text.includes(part), `${part} in ${stdout}`);
    }
    assert.ok(
      stdout.split('\n').every((line) => line.length <= 80),
      stdout,
    );
  });

  it('waits for no FIFO in place of a file', { timeout: 30_000 }, async () => {
    const place = await incident('host');
    for (const name of ['evidence-before.json', 'plan.json']) {
      rmSync(join(place, name), { force: true });
      spawnSync('mkfifo', [join(place, name)]);
    }
    const { status, stdout } = history(basename(place));
    assert.equal(status, 0);
    assert.match(stdout, /Plan\n {2}not recorded/);
  });

  it('lists the newest first', async () => {
    const first = await incident('first');
    const second = await incident('second');
    const { stdout } = history(undefined, { json: true });
    const ids = JSON.parse(stdout).incidents.map(({ id }: { id: string }) => id);
    assert.deepEqual(ids, [basename(first), basename(second)].sort().reverse());
  });

  it('calls an incident without an end unfinished, and passes over half a line', async () => {
    const place = await incident('salt-master-01', null);
    appendFileSync(join(place, 'journal.jsonl'), '{"time":"2018-');
    assert.match(history(undefined).stdout, /unfinished/);
  });

  it('does not wait for a FIFO in the place of a file', async () => {
    const place = await incident('salt-master-01');
    rmSync(join(place, 'plan.json'));
    execFileSync('mkfifo', [join(place, 'plan.json'), join(place, 'evidence-before.json')]);
    const { status, stdout } = history(basename(place), { json: true });
    assert.equal(status, 0);
    const { incident: shown } = JSON.parse(stdout);
    assert.deepEqual([shown.plan, shown.before], [null, null]);
  });

  it('shows one: plan, journal, result, and no control characters', async () => {
    const id = basename(await incident('salt-master-01', 'not recovered, interrupted'));
    const { status, stdout } = history(id);
    assert.equal(status, 0);
    assert.match(stdout, /result +not recovered, interrupted/);
    assert.match(stdout, /1 {2}kill -9 17502 \(orphan\)/);
    assert.match(
      stdout,
      /\d\d:\d\d:\d\d {2}before {2}kill -9 17502; start tick 4711; answer: --yes/,
    );
    assert.match(stdout, /gone: 17502\s+is gone; 35 ms/);
    assert.ok(!stdout.includes('\u001b'));
  });

  it('gives one as JSON, whole', async () => {
    const id = basename(await incident('salt-master-01'));
    const { incident: shown } = JSON.parse(history(id, { json: true }).stdout);
    assert.equal(shown.id, id);
    assert.equal(shown.journal.length, 4);
    assert.deepEqual(shown.journal[1].identity, identity);
    assert.equal(shown.verdict, 'orphan-holds-port');
  });

  it('names the nearest ids for one that is not there', async () => {
    const id = basename(await incident('salt-master-01'));
    const unknown = `${id.slice(0, -6)}${id.endsWith('000000') ? '000001' : '000000'}`;
    const { status, stderr } = history(unknown);
    assert.equal(status, 2);
    assert.match(stderr, new RegExp(`no incident ${unknown}\nNearest: ${id}`));
  });

  it('takes a part that one id alone has, and latest', async () => {
    const ids = [await incident('first'), await incident('second')].map((place) => basename(place));
    const newest = ids.toSorted().at(-1);
    const shown = (id: string) => JSON.parse(history(id, { json: true }).stdout).incident.id;
    assert.equal(shown('latest'), newest);
    for (const id of ids) assert.equal(shown(id.slice(-6)), id);
    const { status, stderr } = history('Z-443-');
    assert.equal(status, 2);
    assert.match(stderr, /"Z-443-" matches 2 incidents\nType more of the id: /);
    for (const id of ids) assert.ok(stderr.includes(id));
  });

  it('names the latest where there is none', () => {
    const { status, stderr } = history('latest');
    assert.equal(status, 2);
    assert.equal(
      stderr,
      'no incident is recorded yet\nEach fix records one; --state-dir DIR looks elsewhere.\n',
    );
  });

  it('never takes an id for a path', async () => {
    await incident('salt-master-01');
    for (const id of ['../../etc', '.', '', 'journal.jsonl', '..']) {
      const { status, stderr } = history(id);
      assert.equal(status, 2, id);
      assert.match(stderr, /matches no incident id/);
    }
  });

  it('says where it looked when there is nothing, and what is wrong with a missing directory', () => {
    assert.match(history(undefined).stdout, /^No incidents in /);
    const { status, stderr } = history(undefined, { stateDir: join(directory, 'missing') });
    assert.equal(status, 2);
    assert.match(stderr, /ENOENT/);
  });
});
