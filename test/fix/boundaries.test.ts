/** Signals and lost terminals at every boundary between two steps. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { PROGRAM } from '../cli/run.ts';
import { fix } from './fix-document.ts';
import { isAlive, journal, type Staged, stage, until } from './staged.ts';
import { open, skipWithoutTmux } from './terminal.ts';

/** A service command that first sends its caller a signal: the boundary is hit exactly. */
function signalling(staged: Staged, signal: string, command: readonly string[]): string {
  const script = join(staged.directory, `signalling-${command.at(-1)}.sh`);
  writeFileSync(script, `kill -${signal} $PPID\nexec ${command.join(' ')}\n`);
  return `sh ${script}`;
}

describe('an interrupt under --yes', () => {
  for (const signal of ['INT', 'TERM']) {
    it(`SIG${signal} in the stop: it is finished, nothing else is begun, 130`, async (t) => {
      const staged = await stage(t, 'restarted');
      const { code, document } = await fix([
        ...staged.target,
        ...['--start-cmd', staged.startCommand.join(' ')],
        ...['--stop-cmd', signalling(staged, signal, staged.stopCommand)],
      ]);
      assert.equal(code, 130);
      assert.deepEqual(
        document.steps.map(({ kind, status }) => `${kind} ${status}`),
        [
          ...['save-evidence done', 'kill done', 'stop done', 'kill-leftovers not-started'],
          ...['wait-port-free not-started', 'start not-started', 'verify not-started'],
        ],
      );
      assert.ok(!isAlive(staged.managerPid), 'the stop was carried out to its end');
    });
  }

  it('in the start: the daemon is up, and only the verification is left out', async (t) => {
    const staged = await stage(t, 'orphan');
    const { code, document } = await fix([
      ...staged.target,
      ...['--start-cmd', signalling(staged, 'INT', staged.startCommand)],
    ]);
    assert.equal(code, 130);
    assert.deepEqual(
      document.steps.slice(-2).map(({ kind, status }) => `${kind} ${status}`),
      ['start done', 'verify not-started'],
    );
    const end = journal(staged.trail).at(-1);
    assert.match(end?.result ?? '', /interrupted/);
  });

  it('while it waits for the recovery: it waits no longer, and that is no verdict', async (t) => {
    const staged = await stage(t, 'orphan');
    const began = performance.now();
    const ran = await interruptedAt(t, 'verify', [...staged.target, '--start-cmd', 'true']);
    assert.equal(ran.code, 130, ran.stdout);
    assert.ok(performance.now() - began < 15_000, 'it did not wait the 20 s of --wait');
    assert.match(ran.stdout, /Not recovered \(interrupted\)/);
  });

  it('before the first change: nothing is changed', async (t) => {
    const staged = await stage(t, 'restarted');
    // It is asked to end while it saves the evidence; the kill may be in hand by then.
    const ran = await interruptedAt(t, 'save the evidence', [...staged.target, ...staged.service]);
    assert.equal(ran.code, 130, ran.stdout);
    assert.match(ran.stdout, /^Not done (?:.|\n)*stop the\s+service/m);
    assert.ok(isAlive(staged.managerPid));
  });
});

describe('a terminal that is lost', () => {
  it('does not leave the service down under --yes: SIGHUP in the stop, then all the rest', async (t) => {
    const staged = await stage(t, 'restarted');
    const { code, document } = await fix([
      ...staged.target,
      ...['--start-cmd', signalling(staged, 'HUP', staged.startCommand)],
      ...['--stop-cmd', signalling(staged, 'HUP', staged.stopCommand)],
    ]);
    assert.equal(code, 0);
    assert.equal(document.result, 'recovered');
  });

  it('does not stop a fix under --yes in it either: writing to it fails, mending goes on', {
    skip: skipWithoutTmux(),
  }, async (t) => {
    const staged = await stage(t, 'restarted');
    const slow = join(staged.directory, 'slow.sh');
    writeFileSync(slow, `sleep 1\nexec ${staged.stopCommand.join(' ')}\n`);
    const terminal = open(t, staged, 'fix', { more: ['--yes', '--stop-cmd', `sh ${slow}`] });
    await until('the stop under way', () =>
      journal(staged.trail).some(({ action }) => action === 'stop the service'),
    );
    terminal.close();
    const end = await until('the end in the journal', () =>
      journal(staged.trail).find(({ action }) => action === 'end'),
    );
    assert.equal(end.result, 'recovered');
  });

  it('ends a question with SIGTERM too, without an answer taken for granted', {
    skip: skipWithoutTmux(),
  }, async (t) => {
    const staged = await stage(t, 'orphan');
    const terminal = open(t, staged);
    await terminal.shows(`? kill -9 ${staged.orphanPid} (orphan)?`);
    process.kill(terminal.pid(), 'SIGTERM');
    await terminal.shows('exit code 130');
    assert.ok(isAlive(staged.orphanPid));
  });
});

describe('the screen of a guided fix', { skip: skipWithoutTmux() }, () => {
  for (const columns of [80, 120]) {
    it(`stays within ${columns} columns, details included`, async (t) => {
      const staged = await stage(t, 'restarted');
      const terminal = open(t, staged, 'fix', { columns });
      await terminal.shows('(orphan)? (y/S/d/a, Enter)');
      terminal.type('d');
      await terminal.shows('command: kill -9');
      terminal.type('');
      await terminal.shows('? stop the service?');
      terminal.type('');
      // Skipped once is skipped: no second question about the same process, and no waiting.
      await terminal.shows('exit code 4');
      assert.match(terminal.screen(), /skipped: \d+/);
      const lines = terminal.unbroken().split('\n');
      const tooLong = lines.filter(
        // The next command stays in one piece, so that it can be copied.
        (line) => line.trimEnd().length > columns && !line.startsWith('Next '),
      );
      assert.deepEqual(tooLong, []);
      assert.ok(isAlive(staged.orphanPid) && isAlive(staged.managerPid));
    });
  }
});

/** Runs `fix --yes` and interrupts it as soon as it prints that a step begins. */
async function interruptedAt(t: TestContext, step: string, args: readonly string[]) {
  const [program, ...words] = PROGRAM;
  const child = spawn(program, [...words, 'fix', '--yes', ...args], {
    env: { ...process.env, LANG: 'C.UTF-8' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    const before = stdout;
    stdout += text;
    const begins = new RegExp(`^\\d/\\d {2}${step}`, 'm');
    if (begins.test(stdout) && !begins.test(before)) child.kill('SIGINT');
  });
  const [code] = await once(child, 'close');
  return { code: code as number | null, stdout };
}
