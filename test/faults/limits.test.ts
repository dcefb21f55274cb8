import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type LogContents, writeLog } from '../bench/staged-load.ts';
import { BUNDLE, PROGRAM, runCli } from '../cli/run.ts';

const PORT = 18_447;

describe('the command within narrow limits', () => {
  let directory: string;
  let log: string;
  let contents: LogContents;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'salt-triage-limits-'));
    log = join(directory, 'api');
    contents = writeLog(log, 64 * 1024 * 1024, PORT);
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  const look = () => ['diagnose', '--json', '--no-probe', '--port', String(PORT), '--log', log];

  function assertWhole(stdout: string): void {
    const { steps } = JSON.parse(stdout);
    const counted = steps.find(({ id }: { id: string }) => id === 'api-log').evidence.events;
    assert.equal(counted, contents.events);
    for (const { id, status } of steps.slice(0, 4)) assert.notEqual(status, 'unknown', id);
  }

  it('sees everything with 64 open files', async () => {
    const command = ['sh', '-c', 'ulimit -n 64 && exec "$0" "$@"', ...PROGRAM];
    const { stdout, stderr } = await runCli([...look(), '--since', 'all'], { command });
    assert.equal(stderr, '');
    assertWhole(stdout);
  });

  it('sees everything with a heap of 64 MiB', async () => {
    const command = [process.execPath, '--max-old-space-size=64', BUNDLE];
    const { stdout, stderr } = await runCli([...look(), '--since', 'all'], { command });
    assert.equal(stderr, '');
    assertWhole(stdout);
  });

  it('ends, with all of its output, although a read never does', async (t) => {
    const fifo = join(directory, 'fifo');
    spawnSync('mkfifo', [fifo]);
    const hang = join(directory, 'hang.cjs');
    writeFileSync(hang, `require('node:fs').promises.readFile(${JSON.stringify(fifo)});\n`);
    const began = performance.now();
    const { stdout, code } = await runCli([...look(), '--since', 'all'], {
      command: [process.execPath, '--require', hang, BUNDLE],
    });
    t.diagnostic(
      `ended after ${Math.round(performance.now() - began)} ms with ${code ?? 'SIGKILL'}`,
    );
    assertWhole(stdout);
    // Without execve(2), which Node has since 22.15, it takes a signal to leave the read behind.
    const expected = 'execve' in process ? JSON.parse(stdout).exitCode : null;
    assert.equal(code, expected);
  });

  it('waits for a slow reader of its output', async () => {
    const long = join(directory, 'long');
    const argv = [...look(), '--since', 'all'];
    // A pipe holds 64 KiB; the reader comes when the command would long have left.
    const filler = `process.stdout.write(' '.repeat(1 << 20));`;
    writeFileSync(long, filler);
    const child = spawn(process.execPath, ['--require', long, BUNDLE, ...argv], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const spent = once(child, 'exit');
    const early = await Promise.race([
      spent,
      new Promise((resolve) => setTimeout(resolve, 1_500, 'waits')),
    ]);
    assert.equal(early, 'waits');
    let stdout = '';
    for await (const text of child.stdout.setEncoding('utf8')) stdout += text;
    assertWhole(stdout);
  });

  it('says what it can where there are too few file descriptors to start a program', async () => {
    // No log file, so that the journal is asked; how many node itself takes differs by version.
    const argv = ['diagnose', '-q', '--port', '4', '-c', join(directory, 'none')];
    for (const most of [20, 22, 24, 26]) {
      const bounded = `ulimit -n ${most}; exec "$0" "$@"`;
      const command = ['sh', '-c', bounded, ...PROGRAM];
      const { stderr } = await runCli(argv, { command });
      assert.doesNotMatch(stderr, /Unhandled 'error' event/, `ulimit -n ${most}`);
    }
  });
});
