import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
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

function hold(port = PORT): ChildProcess {
  const args = ['--import', 'tsx', HOLD, String(port)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  return child;
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

  it('is held by a holder that is stopped, though it can not say who it is', async () => {
    const first = hold();
    assert.equal(await lineOf(first), 'held');
    first.kill('SIGSTOP');
    await until(() => stateOf(pidOf(first)) === 'T', 'stopped');
    assert.match(await refused(), /does not answer/);
  });

  it('is not inherited by a daemon that was started under it', async () => {
    const lock = await acquireLock({ port: PORT });
    const daemon = spawn('sleep', ['60'], { stdio: 'ignore' });
    children.push(daemon);
    await lock.release();
    await (await acquireLock({ port: PORT })).release();
  });

  it('is not taken from root by a user who can run no fix', {
    skip: process.getuid?.() === 0 ? false : 'needs root to be somebody else',
  }, async (t) => {
    const squat = `import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(('\\0salt-triage-${PORT}').ljust(108, '\\0'))
s.listen()
print('held', flush=True)
sys.stdin.read()`;
    const squatter = spawn('/usr/bin/python3', ['-c', squat], {
      uid: 65_534,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(squatter);
    assert.equal(await lineOf(squatter), 'held');
    const warnings = t.mock.method(process.stderr, 'write', () => true);
    const lock = await acquireLock({ port: PORT });
    assert.match(String(warnings.mock.calls[0]?.arguments[0]), /uid 65534 holds the lock/);
    await lock.release();
  });

  it('does not keep its holder alive', async () => {
    const first = hold();
    assert.equal(await lineOf(first), 'held');
    first.stdin?.end();
    await until(() => first.exitCode === 0, 'its end');
  });
});
