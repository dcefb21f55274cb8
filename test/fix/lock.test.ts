import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
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
import { afterEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ExitCode, TriageError } from '../../src/errors.ts';
import { acquireLock } from '../../src/fix/lock.ts';
import { lineOf, pidOf, stateOf, until } from '../host/fake-salt-api.ts';

const HOLD = fileURLToPath(new URL('./hold-lock.ts', import.meta.url));
const children: ChildProcess[] = [];
/** Beyond the real ports, so that no fix on this machine is in the way. */
const PORT = 100_000 + process.pid;

afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
});

function hold(port = PORT, words: readonly string[] = [], uid = process.getuid?.()): ChildProcess {
  const args = ['--import', 'tsx', HOLD, String(port), ...words];
  const env = { PATH: process.env['PATH'] };
  const child = spawn(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env,
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  children.push(child);
  return child;
}

/** The files of the lock that the tests take. */
function lockFiles(): string[] {
  const directory =
    process.getuid?.() === 0 ? '/run/salt-triage' : `/tmp/salt-triage-${process.getuid?.()}`;
  return readdirSync(directory)
    .filter((name) => name.startsWith(`${PORT}-`))
    .map((name) => join(directory, name));
}

/** @returns the message of the refusal */
async function refused(): Promise<string> {
  let message = '';
  await assert.rejects(acquireLock({ port: PORT }), (error) => {
    assert.ok(error instanceof TriageError);
    assert.equal(error.exitCode, ExitCode.busy);
    message = error.message;
    return true;
  });
  return message;
}

describe('the lock', () => {
  it('names the fix that runs already: its pid, who, since when', async () => {
    const first = hold();
    assert.equal(await lineOf(first), 'held');
    const message = await refused();
    assert.match(
      message,
      new RegExp(`port ${PORT} is running: pid ${pidOf(first)} \\(start tick \\d+\\), by \\S+`),
    );
    assert.match(message, /since \d{4}-\d\d-\d\dT/);
  });

  it('is of one port', async () => {
    assert.equal(await lineOf(hold()), 'held');
    const lock = await acquireLock({ port: PORT + 1 });
    await lock.release();
  });

  it('goes to exactly one of several that ask at once', async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => hold()).map(lineOf));
    assert.equal(answers.filter((answer) => answer === 'held').length, 1, answers.join('\n'));
    assert.equal(answers.filter((answer) => answer.startsWith('75 another fix')).length, 4);
  });

  it('is free again after a release', async () => {
    const lock = await acquireLock({ port: PORT });
    await refused();
    await lock.release();
    await (await acquireLock({ port: PORT })).release();
  });

  it('is free again after a crash of its holder', async () => {
    const first = hold();
    assert.equal(await lineOf(first), 'held');
    first.kill('SIGKILL');
    await once(first, 'exit');
    await (await acquireLock({ port: PORT })).release();
  });

  it('is held by a holder that is stopped, and says so', async () => {
    const first = hold();
    assert.equal(await lineOf(first), 'held');
    first.kill('SIGSTOP');
    await until(() => stateOf(pidOf(first)) === 'T', 'stopped');
    assert.match(await refused(), new RegExp(`pid ${pidOf(first)} .*, stopped \\(SIGSTOP\\)$`));
  });

  it('is not inherited by a daemon that was started under it', async () => {
    const lock = await acquireLock({ port: PORT });
    const daemon = spawn('sleep', ['60'], { stdio: 'ignore' });
    children.push(daemon);
    await lock.release();
    await (await acquireLock({ port: PORT })).release();
  });

  it('is free again after a reboot, and where its holder can be read no more', async () => {
    const lock = await acquireLock({ port: PORT });
    const [path = ''] = lockFiles();
    const holder = JSON.parse(readFileSync(path, 'utf8'));
    for (const text of [
      JSON.stringify({ ...holder, bootId: 'another-boot' }),
      '',
      '{"pid":',
      '7',
    ]) {
      writeFileSync(path, text);
      await (await acquireLock({ port: PORT })).release();
      writeFileSync(path, text);
    }
    await lock.release();
  });

  it('of a pid that was given out again is free', async () => {
    const lock = await acquireLock({ port: PORT });
    const [path = ''] = lockFiles();
    const holder = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify({ ...holder, startTicks: holder.startTicks - 1 }));
    const other = await acquireLock({ port: PORT });
    assert.match(await refused(), /another fix/);
    await other.release();
    await lock.release();
  });

  it('leaves no file behind, of dead holders neither', async () => {
    const first = hold();
    assert.equal(await lineOf(first), 'held');
    first.kill('SIGKILL');
    await once(first, 'exit');
    await (await acquireLock({ port: PORT })).release();
    assert.deepEqual(lockFiles(), []);
  });

  it('has one holder at any time, while others come, go and crash', {
    timeout: 120_000,
  }, async () => {
    const inside = mkdtempSync(join(tmpdir(), 'salt-lock-'));
    const storms = Array.from({ length: 4 }, () => hold(PORT, ['storm', join(inside, 'one')]));
    const answers = await Promise.all(storms.map(lineOf));
    rmSync(inside, { recursive: true, force: true });
    for (const answer of answers) assert.match(answer, /^held \d+ times$/);
    const times = answers.map((answer) => Number(answer.split(' ')[1]));
    assert.ok(
      times.some((count) => count > 10),
      answers.join(', '),
    );
  });

  describe('against other users', {
    skip: process.getuid?.() === 0 ? false : 'needs root to be somebody else',
  }, () => {
    it('can be seen and taken by root alone', () => {
      const { mode, uid } = statSync('/run/salt-triage');
      assert.deepEqual([mode & 0o777, uid], [0o700, 0]);
    });

    it('of an ordinary user is one of his own', async () => {
      const first = hold(PORT, [], 65_534);
      assert.equal(await lineOf(first), 'held');
      assert.match(await lineOf(hold(PORT, [], 65_534)), /^75 another fix .* pid \d+/);
      await (await acquireLock({ port: PORT })).release();
    });

    it('is gone without, after a warning, where somebody has put something in its place', async (t) => {
      const place = '/tmp/salt-triage-65533';
      mkdirSync(place);
      t.after(() => rmSync(place, { recursive: true, force: true }));
      chownSync(place, 65_534, 65_534);
      const child = hold(PORT, [], 65_533);
      let said = '';
      child.stderr?.on('data', (text) => {
        said += String(text);
      });
      assert.equal(await lineOf(child), 'held');
      await until(() => said.includes('\n'), 'its warning');
      assert.match(said, /WARNING: no lock \(\/tmp\/salt-triage-65533: it belongs to uid 65534\)/);
    });
  });

  it('does not keep its holder alive', async () => {
    const first = hold();
    assert.equal(await lineOf(first), 'held');
    first.stdin?.end();
    await until(() => first.exitCode === 0, 'its end');
  });
});
