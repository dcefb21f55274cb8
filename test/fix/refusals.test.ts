import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { PROGRAM, runCli } from '../cli/run.ts';
import { isAlive, journal, type Staged, stage, until } from './staged.ts';

describe('fix without a person', () => {
  for (const [what, input] of [
    ['refuses at once', ''],
    ['takes no y from a pipe for consent', 'y\ny\ny\ny\n'],
  ] as const) {
    it(`${what}: exit 4, nothing on stdout, the exact --yes command on stderr`, async (t) => {
      const staged = await stage(t, 'restarted');
      const args = ['fix', ...staged.target, ...staged.service];
      const ran = await runCli(args, { input });
      assert.equal(ran.code, 4);
      assert.equal(ran.stdout, '');
      assert.ok(ran.stderr.includes(`salt-triage fix --port ${staged.port}`));
      assert.ok(ran.stderr.includes(`'${staged.startCommand.join(' ')}'`));
      const [first, command] = ran.stderr.split('\n');
      assert.equal(first, 'salt-triage: type this instead:');
      assert.match(command ?? '', /^ {4}salt-triage fix --port .* --yes$/);
      assert.ok(isAlive(staged.orphanPid));
      assert.ok(!existsSync(staged.trail));
    });
  }

  it('shows the real pids and commands on a dry run, and changes nothing', async (t) => {
    const staged = await stage(t, 'restarted');
    const args = ['fix', '--dry-run', ...staged.target, ...staged.service];
    const ran = await runCli(args);
    assert.equal(ran.code, 0);
    assert.ok(ran.stdout.includes(`kill -9 ${staged.orphanPid} (orphan)`));
    const words = ran.stdout.split(/\s+/).join(' ');
    assert.ok(words.includes(`$ ${staged.stopCommand.join(' ')}`));
    assert.ok(isAlive(staged.orphanPid) && isAlive(staged.managerPid));
    assert.ok(!existsSync(staged.trail));
    const json = JSON.parse((await runCli([...args, '--json'])).stdout);
    assert.equal(json.dryRun, true);
    assert.equal(json.plan.steps[1].pid, staged.orphanPid);
    assert.ok(isAlive(staged.orphanPid));
  });

  it('refuses a second fix of the same port at once, naming the first', async (t) => {
    const staged = await stage(t, 'restarted');
    const first = begin(t, staged, ['--stop-cmd', 'sleep 600', '--command-timeout', '3s']);
    await until('the stop under way', () => stopping(staged));
    const second = await runCli(['fix', '--yes', ...staged.target, ...staged.service]);
    assert.equal(second.code, 75);
    assert.match(second.stderr, new RegExp(`pid ${first.pid} `));
    await once(first, 'exit');
    assert.equal(first.exitCode, 0);
  });

  it('does not begin what it is not permitted to end', {
    skip: process.getuid?.() !== 0,
  }, async (t) => {
    const staged = await stage(t, 'orphan');
    const nobody = 65_534;
    const args = ['fix', '--yes', '--port', `${staged.port}`, '--start-cmd', 'true'];
    const ran = await runCli(args, { uid: nobody, cwd: '/' });
    // Not root, it can't even see who holds the port.
    assert.ok(ran.code === 3 || ran.code === 77, `${ran.code}: ${ran.stderr}`);
    assert.ok(isAlive(staged.orphanPid));
  });
});

describe('signals during fix --yes', () => {
  it('finishes the current step on Ctrl-C, starts no other, and says how it stands and what is not done', async (t) => {
    const staged = await stage(t, 'restarted');
    const child = begin(t, staged, ['--stop-cmd', 'sleep 2']);
    let stdout = '';
    child.stdout?.on('data', (text) => {
      stdout += text;
    });
    await until('the stop under way', () => stopping(staged));
    child.kill('SIGINT');
    await once(child, 'close');
    assert.equal(child.exitCode, 130);
    const stop = journal(staged.trail).filter(({ action }) => action === 'stop the service');
    assert.deepEqual(
      stop.map(({ phase }) => phase),
      ['before', 'after'],
    );
    assert.equal(stop[1]?.result, 'exit 0');
    assert.ok(!journal(staged.trail).some(({ action }) => action === 'start the service'));
    assert.match(stdout, /^Now {6}.*\nDone .*\nNot done check .*start the service/ms);
  });

  it('completes the sequence when the terminal goes away', async (t) => {
    const staged = await stage(t, 'restarted');
    const child = begin(t, staged, ['--stop-cmd', 'sleep 1']);
    await until('the stop under way', () => stopping(staged));
    child.kill('SIGHUP');
    child.stdout?.destroy();
    child.stderr?.destroy();
    await once(child, 'exit');
    assert.equal(child.exitCode, 0);
    assert.equal(journal(staged.trail).at(-1)?.result, 'recovered');
  });
});

function begin(t: TestContext, staged: Staged, options: readonly string[]) {
  const start = ['--start-cmd', staged.startCommand.join(' ')];
  const [program, ...words] = PROGRAM;
  const args = [...words, 'fix', '--yes', ...staged.target, ...start, ...options];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

function stopping(staged: Staged): boolean {
  return journal(staged.trail).some(({ action }) => action === 'stop the service');
}
