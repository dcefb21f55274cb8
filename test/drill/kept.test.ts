/** `drill --end`: what was kept is found by what it is, and nothing else is touched. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { keptDrills } from '../../src/drill/kept.ts';
import { type StagedIncident, stageIncident } from '../../src/drill/stage.ts';
import { stagedProcesses } from '../../src/drill/staged-processes.ts';
import { runCli } from '../cli/run.ts';

const NOBODY = 65_534;
const asRoot = process.geteuid?.() === 0;

describe('a kept drill', () => {
  let directory: string;
  let incident: StagedIncident;
  const found = () => keptDrills().filter(({ port }) => port === incident.port);
  // By its port: on this machine others may practise, too.
  const end = (options = {}) => runCli(['drill', '--end', '--port', `${incident.port}`], options);

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'salt-kept-'));
    incident = await stageIncident({ directory, stage: 'orphan' });
  });
  after(async () => {
    await incident.cleanup();
    rmSync(directory, { recursive: true, force: true });
  });

  it('is none while the command that staged it still runs', async () => {
    assert.deepEqual(found(), []);
    const { code, stdout } = await end();
    assert.equal(code, 0);
    assert.equal(stdout, `No drill of yours is kept on port ${incident.port}.\n`);
  });

  it('is found wherever it lies, and only while it is closed to others', () => {
    incident.leaveStanding();
    assert.deepEqual(found(), [{ directory: incident.directory, port: incident.port }]);
    chmodSync(incident.directory, 0o755);
    assert.deepEqual(found(), []);
    chmodSync(incident.directory, 0o700);
  });

  it('is not what another user may end', { skip: asRoot ? false : 'needs root' }, async () => {
    const { code, stdout } = await end({ uid: NOBODY, cwd: '/' });
    assert.equal(code, 0);
    assert.match(stdout, /^No drill of yours/);
    assert.equal(found().length, 1);
  });

  it('is none where another user could put something else in its place', {
    skip: asRoot ? false : 'needs root',
  }, async (t) => {
    // su(1) and its like run as root with any word that whoever starts them has chosen.
    const theirs = mkdtempSync(join(tmpdir(), 'salt-theirs-'));
    chmodSync(theirs, 0o755);
    chownSync(theirs, NOBODY, NOBODY);
    const link = join(theirs, 'to');
    symlinkSync(directory, link);
    lchownSync(link, NOBODY, NOBODY);
    const script = join(link, basename(incident.directory), 'salt-api');
    const named = spawn('yes', [script], { stdio: ['ignore', 'pipe', 'ignore'] });
    t.after(() => {
      named.kill('SIGKILL');
      rmSync(theirs, { recursive: true });
    });
    await once(named.stdout, 'readable');
    assert.deepEqual(found(), [{ directory: incident.directory, port: incident.port }]);
    chownSync(directory, NOBODY, NOBODY);
    assert.deepEqual(found(), []);
    chownSync(directory, 0, 0);
    chmodSync(directory, 0o777);
    assert.deepEqual(found(), []);
    chmodSync(directory, 0o1777);
    assert.equal(found().length, 1);
  });

  it('is no link, and no directory that only has the name', (t) => {
    const link = join(tmpdir(), `salt-triage-drill-link-${process.pid}`);
    const bare = join(tmpdir(), `salt-triage-drill-bare-${process.pid}`);
    symlinkSync(incident.directory, link);
    mkdirSync(bare, { mode: 0o700 });
    t.after(() => [link, bare].map((path) => rmSync(path, { recursive: true })));
    const directories = keptDrills().map((drill) => drill.directory);
    assert.ok(!directories.includes(link) && !directories.includes(bare));
  });

  it('ends whole, and a process of another user that has its path does not', {
    skip: asRoot ? false : 'needs root',
  }, async (t) => {
    const script = join(incident.directory, 'salt-api');
    // yes(1) takes any word, and waits where nobody reads on.
    const stranger = spawn('yes', [script], { uid: NOBODY, stdio: ['ignore', 'pipe', 'ignore'] });
    t.after(() => stranger.kill('SIGKILL'));
    await once(stranger.stdout, 'readable');
    const { code, stdout } = await end();
    assert.equal(code, 0);
    assert.match(stdout, /^Ended the drill on port \d+: 1 process and/);
    assert.deepEqual(stagedProcesses(script), []);
    assert.equal(existsSync(incident.directory), false);
    assert.equal(stranger.exitCode ?? stranger.signalCode, null);
  });
});

it('is ended by the command that is printed, and no other with it', async () => {
  const other = await stageIncident({ stage: 'orphan' });
  try {
    other.leaveStanding();
    const { stdout } = await runCli(['drill', '--keep', '20s']);
    const [, words = ''] = /^ {2}\S.* (drill --end.*)$/m.exec(stdout) ?? [];
    // Without a port others would be ended that practise on this machine.
    assert.match(words, /^drill --end --port \d+$/);
    const ended = await runCli(words.split(' '));
    assert.match(ended.stdout, /^Ended the drill on port \d+: \d+ processes and/);
    assert.equal(ended.stdout.match(/^Ended/gm)?.length, 1);
    assert.equal(existsSync(other.directory), true);
  } finally {
    await other.cleanup();
  }
});

it('--end goes with no --keep', async () => {
  assert.equal((await runCli(['drill', '--end', '--keep'])).code, 2);
});
