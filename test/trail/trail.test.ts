import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { INCIDENT_ID } from '../../src/trail/directory.ts';
import { readWho } from '../../src/trail/operator.ts';
import { openTrail, type Trail, type TrailOptions } from '../../src/trail/trail.ts';

const PATH = process.env['PATH'];
const isRoot = process.geteuid?.() === 0;
const identity = { pid: 17502, startTicks: 4711, bootId: 'a-boot' };

let directory: string;
let stateDirectory: string;
let stderr: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'salt-trail-'));
  stateDirectory = join(directory, 'state');
  stderr = '';
  mkdirSync(join(directory, 'bin'));
  process.env['PATH'] = `${join(directory, 'bin')}:${PATH}`;
  logger('exit 0');
});

afterEach(() => {
  process.env['PATH'] = PATH;
  rmSync(directory, { recursive: true, force: true });
});

/** What logger(1) is during a test. */
function logger(script: string): void {
  writeFileSync(join(directory, 'bin/logger'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

function open(options: Partial<TrailOptions> = {}): Promise<Trail> {
  return openTrail({
    stateDirectory,
    port: 443,
    host: 'salt-master-01',
    stderr: {
      write(text) {
        stderr += text;
      },
    },
    ...options,
  });
}

function journalOf({ place }: Trail): Record<string, unknown>[] {
  const text = readFileSync(join(place, 'journal.jsonl'), 'utf8');
  assert.ok(text.endsWith('\n'));
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

describe('a trail', () => {
  it('is a private directory of private files', async () => {
    const trail = await open();
    await trail.saveFile('plan.json', '{}\n');
    await trail.saveProcess(
      identity,
      new Map([
        ['status', 'Name: salt-api\n'],
        ['fds', '0 /dev/null\n'],
      ]),
    );
    await trail.journal({ phase: 'note', action: 'begin' });
    await trail.close();
    const [id = ''] = readdirSync(stateDirectory);
    assert.match(id, INCIDENT_ID);
    assert.equal(trail.place, join(stateDirectory, id));
    assert.equal(modeOf(stateDirectory), '700');
    assert.equal(modeOf(trail.place), '700');
    assert.deepEqual(readdirSync(trail.place).sort(), [
      'journal.jsonl',
      'plan.json',
      'process-17502-4711',
    ]);
    for (const name of ['journal.jsonl', 'plan.json', 'process-17502-4711/status']) {
      assert.equal(modeOf(join(trail.place, name)), '600', name);
    }
    assert.equal(modeOf(join(trail.place, 'process-17502-4711')), '700');
    assert.equal(
      readFileSync(join(trail.place, 'process-17502-4711/fds'), 'utf8'),
      '0 /dev/null\n',
    );
    assert.equal(stderr, '');
  });

  it('has a journal line in the file before the action may begin', async () => {
    const trail = await open();
    await trail.journal({ phase: 'before', action: 'kill -9 17502', identity, answer: '--yes' });
    const [line] = journalOf(trail);
    const { time, who, ...rest } = line ?? {};
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:Z|[+-]\d\d:\d\d)$/);
    assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 10_000);
    assert.deepEqual(who, readWho());
    assert.deepEqual(rest, {
      host: 'salt-master-01',
      port: 443,
      phase: 'before',
      action: 'kill -9 17502',
      identity,
      answer: '--yes',
    });
    await trail.journal({
      phase: 'after',
      action: 'kill -9 17502',
      result: 'gone',
      durationMs: 12,
    });
    assert.equal(journalOf(trail).length, 2);
    await trail.close();
  });

  it('has one line per entry whatever is in it, and no secrets of a command', async () => {
    const trail = await open();
    const result = 'exit 1\nroot\u0000\u001b[2J\u2028"}';
    await trail.journal({
      phase: 'after',
      action: 'start',
      command: ['run', '--password', 'hunter2'],
      result,
    });
    assert.deepEqual(
      journalOf(trail).map((line) => [line['result'], line['command']]),
      [[result, ['run', '--password', '***']]],
    );
    await trail.close();
  });

  it('never leaves its directory', async () => {
    const trail = await open();
    await trail.saveProcess(identity, new Map([['../../../escaped', 'text']]));
    assert.deepEqual(readdirSync(join(trail.place, 'process-17502-4711')), ['escaped']);
    await trail.close();
  });
});

describe('a trail in a directory whose parent others may write to', {
  skip: isRoot ? false : 'needs root to be somebody else',
}, () => {
  /** Renames the state directory and puts links to a file of root's in the place of its files. */
  function swap(victim: string, names: readonly string[]): void {
    const id = readdirSync(stateDirectory)[0] ?? '';
    const links = names.map((name) => `ln -s "${victim}" state/${id}/${name}`).join('\n');
    const script = `mv state moved && mkdir -p state/${id}/process-17502-4711\n${links}`;
    execFileSync('sh', ['-ec', script], { cwd: directory, uid: 65_534, gid: 65_534 });
  }

  beforeEach(() => {
    chownSync(directory, 0, 65_534);
    chmodSync(directory, 0o775);
  });

  it('is written where it began, whatever takes its name meanwhile', async () => {
    const victim = join(directory, 'bin/shadow');
    writeFileSync(victim, 'root:x\n');
    const trail = await open({ keepIncidents: 1 });
    await trail.journal({ phase: 'note', action: 'begin' });
    const files = ['plan.json', 'process-17502-4711/status'];
    swap(victim, files);
    await trail.saveFile('plan.json', '{}\n');
    await trail.saveProcess(identity, new Map([['status', 'Name: salt-api\n']]));
    await trail.journal({ phase: 'note', action: 'end' });
    const [id = ''] = readdirSync(join(directory, 'moved'));
    assert.equal(trail.place, join(directory, 'moved', id), 'says where it really is');
    await trail.close();
    assert.equal(readFileSync(victim, 'utf8'), 'root:x\n');
    assert.equal(readFileSync(join(directory, 'moved', id, 'plan.json'), 'utf8'), '{}\n');
    assert.equal(journalOf({ ...trail, place: join(directory, 'moved', id) }).length, 2);
  });

  it('removes old incidents where it began, and nowhere else', async () => {
    const old = '20180710T000000Z-443-aaaaaa';
    for (const place of ['state', 'elsewhere']) {
      mkdirSync(join(directory, place, old), { recursive: true, mode: 0o700 });
      writeFileSync(join(directory, place, old, 'journal.jsonl'), '');
    }
    const trail = await open({ keepIncidents: 1 });
    const script = 'mv state moved && ln -s elsewhere state';
    execFileSync('sh', ['-ec', script], { cwd: directory, uid: 65_534, gid: 65_534 });
    await trail.close();
    assert.deepEqual(readdirSync(join(directory, 'elsewhere')), [old]);
    assert.equal(readdirSync(join(directory, 'moved')).length, 1);
  });
});

it('puts a new file in the place of one that has its name, and writes through no link', async () => {
  const victim = join(directory, 'victim');
  writeFileSync(victim, 'kept\n');
  const trail = await open();
  symlinkSync(victim, join(trail.place, 'plan.json'));
  await trail.saveFile('plan.json', 'one\n');
  await trail.saveFile('plan.json', 'two\n');
  await trail.close();
  assert.equal(readFileSync(victim, 'utf8'), 'kept\n');
  assert.equal(readFileSync(join(trail.place, 'plan.json'), 'utf8'), 'two\n');
  assert.equal(stderr, '');
});

describe('a trail that cannot be kept on the disk', () => {
  async function goesToStderr(options: Partial<TrailOptions>, why: RegExp): Promise<void> {
    const trail = await open(options);
    assert.equal(trail.place, 'standard error');
    await trail.saveFile('plan.json', '{"kind":"mend"}\n');
    await trail.saveFile('evidence-before.json', 'x'.repeat(100_000));
    await trail.saveProcess(identity, new Map([['status', 'Name: salt-api\n']]));
    await trail.journal({ phase: 'before', action: 'kill -9 17502', identity });
    await trail.journal({ phase: 'after', action: 'kill -9 17502', result: 'gone\u001b[2J' });
    await trail.close();
    assert.match(stderr, why);
    assert.equal(stderr.match(/WARNING/g)?.length, 1, stderr);
    assert.match(stderr, /"phase":"before".*17502/);
    assert.match(stderr, /"phase":"after".*gone/);
    assert.match(stderr, /plan\.json.*mend/);
    assert.match(stderr, /evidence-before\.json.*100000/);
    assert.ok(stderr.length < 10_000, 'a large file is named, not dumped');
    assert.ok(!stderr.includes('\u001b'));
  }

  it('goes to standard error, after one warning', async () => {
    await goesToStderr({ stateDirectory: '/proc/salt-triage' }, /ENOENT/);
  });

  it('is not kept behind a symbolic link', async () => {
    mkdirSync(join(directory, 'elsewhere'));
    symlinkSync(join(directory, 'elsewhere'), stateDirectory);
    await goesToStderr({}, /symbolic link/);
    assert.deepEqual(readdirSync(join(directory, 'elsewhere')), []);
  });

  it('is not kept where everybody may write', async () => {
    mkdirSync(stateDirectory);
    chmodSync(stateDirectory, 0o1777);
    await goesToStderr({}, /others may write/);
  });

  it("is not kept in another user's directory", { skip: !isRoot && 'needs root' }, async () => {
    mkdirSync(stateDirectory);
    chownSync(stateDirectory, 65_534, 65_534);
    await goesToStderr({}, /belongs to uid 65534/);
  });

  it('is not kept in a directory that is read-only', {
    skip: !isRoot && 'needs root',
  }, async () => {
    mkdirSync(stateDirectory);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro,mode=700', 'tmpfs', stateDirectory]);
    try {
      await goesToStderr({}, /EROFS/);
    } finally {
      execFileSync('umount', [stateDirectory]);
    }
  });

  it('goes on at standard error when the disk fills up', {
    skip: !isRoot && 'needs root',
  }, async () => {
    mkdirSync(stateDirectory);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'tmpfs', stateDirectory]);
    try {
      const trail = await open();
      await trail.journal({ phase: 'note', action: 'begin' });
      await trail.saveFile('evidence-before.json', 'x'.repeat(100_000));
      assert.match(stderr, /WARNING.*evidence-before\.json.*ENOSPC/);
      const long = 'y'.repeat(5_000);
      await trail.journal({ phase: 'before', action: `one ${long}` });
      await trail.journal({ phase: 'before', action: `two ${long}` });
      assert.equal(stderr.match(/WARNING/g)?.length, 1);
      assert.match(stderr, /"action":"one y/);
      assert.match(stderr, /"action":"two y/);
      assert.match(trail.place, /^standard error; what could be kept is in .*\/state\/\d{8}T/);
      await trail.close();
    } finally {
      execFileSync('umount', [stateDirectory]);
    }
  });
});

describe('syslog', () => {
  it('gets one line per action, as auth.notice', async () => {
    const log = join(directory, 'log');
    logger(`printf '%s|' "$@" >> ${log}; echo >> ${log}`);
    const trail = await open();
    await trail.journal({ phase: 'before', action: 'kill -9 17502', identity });
    await trail.journal({
      phase: 'after',
      action: 'kill -9 17502',
      identity,
      result: 'gone\n\u001b[2J',
    });
    await trail.close();
    const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
    assert.equal(lines.length, 1);
    const [line = ''] = lines;
    assert.ok(line.startsWith('-t|salt-triage|-p|auth.notice|--|port 443: kill -9 17502'), line);
    assert.match(line, /result gone/);
  });

  it('that hangs delays no action, and the end by little', async () => {
    logger('exec sleep 60');
    const trail = await open();
    const began = performance.now();
    for (let n = 0; n < 5; n += 1) await trail.journal({ phase: 'after', action: `act ${n}` });
    assert.ok(performance.now() - began < 900, 'the journal did not wait for it');
    await trail.close();
    assert.ok(performance.now() - began < 5_000, 'it was tried once, not five times');
    assert.equal(stderr, '');
  });

  it('that is missing is no matter', async () => {
    process.env['PATH'] = join(directory, 'nowhere');
    const trail = await open();
    await trail.journal({ phase: 'after', action: 'act' });
    await trail.close();
    assert.equal(journalOf(trail).length, 1);
    assert.equal(stderr, '');
  });
});

describe('who', () => {
  it('names the person behind sudo', () => {
    const who = readWho({ SUDO_USER: 'alice', SSH_CONNECTION: '10.2.3.4 50000 10.0.0.1 22' });
    assert.equal(who.sudoUser, 'alice');
    assert.equal(who.sshClient, '10.2.3.4');
    assert.equal(who.uid, process.getuid?.());
  });

  it('is null where it can not be told', () => {
    const { sudoUser, sshClient } = readWho({});
    assert.deepEqual({ sudoUser, sshClient }, { sudoUser: null, sshClient: null });
  });
});
