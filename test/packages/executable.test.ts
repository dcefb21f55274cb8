/**
 * The single executable: what is special in it. Its last run in CI has the other tests use it as
 * their salt-triage (TRIAGE_EXECUTABLE).
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { BUNDLE, runCli } from '../cli/run.ts';
import { until } from '../fix/staged.ts';
import { executable, made, skipWithoutDist, VERSION } from './dist.ts';

const skip = skipWithoutDist();
const NOWHERE = ['--port', '1', '--no-probe', '--config', '/dev/null'];

describe('the single executable', { skip }, () => {
  let directory: string;
  let command: [string];
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'salt-triage-executable-'));
    command = [executable()];
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  it('runs nothing that NODE_OPTIONS names, in no process of its own', async () => {
    const preload = join(directory, 'preload.cjs');
    const log = join(directory, 'log');
    writeFileSync(log, '');
    writeFileSync(preload, `require('node:fs').appendFileSync(${JSON.stringify(log)}, 'run ');`);
    const env = { NODE_OPTIONS: `--require=${preload}` };
    await runCli(['--version'], { command, env });
    await runCli(['diagnose', ...NOWHERE], { command, env });
    await runCli(['check', ...NOWHERE], { command, env });
    assert.equal((await runCli(['drill'], { command, env })).code, 0);
    assert.equal(readFileSync(log, 'utf8'), '');
    // With a node of one's own it is what NODE_OPTIONS is for.
    await runCli(['--version'], { command: [process.execPath, BUNDLE], env });
    assert.equal(readFileSync(log, 'utf8'), 'run ');
  });

  it('takes no option of node for its own', async () => {
    const { code, stdout } = await runCli(['--eval', 'console.log(1 + 1)'], { command });
    assert.equal(code, 2);
    assert.equal(stdout, '');
  });

  it('says nothing on standard error that is not its own', async () => {
    for (const look of [
      ['diagnose', '-q', ...NOWHERE],
      ['check', ...NOWHERE],
    ]) {
      const { stderr } = await runCli(look, { command });
      assert.equal(stderr, '');
    }
  });

  it('checks behind the shell script that keeps the time: one that stands still ends', async () => {
    // A host that never answers: the look is there long enough to be stopped.
    writeFileSync(join(directory, 'ssh'), '#!/bin/sh\nexec sleep 60\n', { mode: 0o755 });
    const child = spawn(command[0], ['check', '-H', 'nowhere', ...NOWHERE, '-t', '3'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { PATH: `${directory}:${process.env['PATH']}`, RUN: directory },
    });
    const ended = once(child, 'close');
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    const inner = await until('the look that the script started', () => lookOf(directory));
    process.kill(inner, 'SIGSTOP');
    const [code] = await ended;
    assert.match(stdout, /^SALT-API UNKNOWN - no result within 3 s/);
    assert.equal(code, 3);
  });

  it('hands on the code of a check, its help and its version', async () => {
    const told = await runCli(['check', '--help'], { command });
    assert.match(told.stdout, /^Usage: salt-triage check/);
    assert.equal(told.code, 3);
    const line = await runCli(['check', ...NOWHERE], { command });
    assert.match(line.stdout, /^SALT-API (?:CRITICAL|UNKNOWN) - .* \| close_wait=0/);
    assert.equal(line.code, line.stdout.includes('CRITICAL') ? 2 : 3);
  });

  it('plays no process of a drill for a path that is no drill', async () => {
    for (const path of ['salt-api', '/tmp/salt-api', '/tmp/salt-triage-drill-abcdef/salt']) {
      const { code, stderr } = await runCli([path], { command });
      assert.equal(code, 2);
      assert.match(stderr, /unknown command/);
    }
  });

  const emulate = process.arch === 'x64' ? false : 'needs an x86-64 host';
  it('runs for ARM64, under emulation', { skip: emulate }, async () => {
    const emulated = ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu', made(/-linux-arm64$/)];
    const { stdout } = await runCli(['--version'], { command: emulated });
    assert.ok(stdout.startsWith(`${VERSION} (`), stdout);
    const look = await runCli(['diagnose', '--json', ...NOWHERE], { command: emulated });
    assert.equal(JSON.parse(look.stdout).port, 1);
  });
});

/** The executable that the shells of a check have started; it is nobody's child by then. */
function lookOf(run: string): number | null {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = pids.find(
    (pid) =>
      /^[^\0]*-linux-\w+\0check\0/.test(textOf(`/proc/${pid}/cmdline`)) &&
      /SALT_API_CHECK_FRONT=\d/.test(textOf(`/proc/${pid}/environ`)) &&
      textOf(`/proc/${pid}/environ`).includes(`RUN=${run}\0`),
  );
  return found === undefined ? null : Number(found);
}

/** Nothing of a process that is gone. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
