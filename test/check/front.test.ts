/**
 * What can't be told from inside: node that never starts, an event loop that stands still, a process
 * that is stopped or killed. Each shell that may be /bin/sh must bring an end in time, and no OK.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { BUNDLE } from '../cli/run.ts';
import { until } from '../fix/staged.ts';
import { SHELLS } from '../ssh/shells.ts';

/** What befalls node before or while it looks. */
const HANGS: Readonly<Record<string, string>> = {
  'as it starts': `process.kill(process.pid, 'SIGSTOP');`,
  'with an event loop that turns for ever': `setTimeout(() => { for (;;); }, 20);`,
};

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'salt-triage-front-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

interface Ended {
  readonly stdout: string;
  readonly code: number | null;
  readonly tookMs: number;
}

function start(shell: readonly string[], args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const [program = '', ...options] = shell;
  const PATH = `${dirname(process.execPath)}:${process.env['PATH']}`;
  const child = spawn(program, [...options, BUNDLE, 'check', '--config', '/dev/null', ...args], {
    env: { PATH, HOME: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return { child, ended: endOf(child) };
}

async function endOf(child: ChildProcess): Promise<Ended> {
  const began = performance.now();
  let stdout = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  // `close` waits for everyone who has the output, as Zabbix does.
  const [code] = (await once(child, 'close')) as [number | null];
  return { stdout, code, tookMs: performance.now() - began };
}

/** Has node do something before anything of ours runs. */
function preloaded(script: string): NodeJS.ProcessEnv {
  const file = join(directory, 'preload.cjs');
  writeFileSync(file, script);
  return { NODE_OPTIONS: `--require=${file}` };
}

for (const shell of SHELLS) {
  describe(`the front in ${shell.join(' ')}`, () => {
    it('hands on what node found, and its code', async () => {
      const { stdout, code } = await start(shell, ['--port', '1', '--no-probe']).ended;
      assert.match(stdout, /^SALT-API (?:CRITICAL|UNKNOWN) - .* \| close_wait=0;4;19;0 [^\n]*\n$/);
      assert.equal(code, stdout.includes('CRITICAL') ? 2 : 3);
    });

    it('ends a check in time whose event loop turns for ever, with every number unknown', async () => {
      const env = preloaded(HANGS['with an event loop that turns for ever'] ?? '');
      const { stdout, code, tookMs } = await start(shell, ['-t', '1'], env).ended;
      assert.match(stdout, /^SALT-API UNKNOWN - no result within 1 s( \| close_wait=U .*)?\n$/);
      assert.equal(code, 3);
      assert.ok(tookMs < 1_500, `${tookMs} ms`);
    });

    it('says its line and ends at once at SIGTERM', async () => {
      const env = preloaded(HANGS['as it starts'] ?? '');
      const { child, ended } = start(shell, ['-t', '60', '--unknown-is', 'critical'], env);
      const node = await stoppedBelow(child);
      const began = performance.now();
      child.kill('SIGTERM');
      const { stdout, code } = await ended;
      assert.ok(performance.now() - began < 500);
      assert.equal(stdout, 'SALT-API CRITICAL - ended by a signal\n');
      assert.equal(code, 2);
      await until('the end of node', () => !isThere(node));
    });

    it('is not kept by a SIGSTOP of its own', async () => {
      const { child, ended } = start(shell, ['--port', '1', '--no-probe', '-t', '2']);
      await until('a process below it', () => below(child.pid ?? 0).length > 0);
      child.kill('SIGSTOP');
      const { stdout } = await ended;
      assert.match(stdout, /^SALT-API [A-Z]+ - /);
    });
  });
}

describe('the front', () => {
  const [shell = ['sh']] = SHELLS;

  it('says in every format that node did not even start', async () => {
    const env = preloaded(HANGS['as it starts'] ?? '');
    const formats = ['zabbix', 'json', 'checkmk', 'prometheus'];
    const ends = formats.map((format) => start(shell, ['-t', '1', '--format', format], env).ended);
    const [zabbix, json, checkmk, prometheus] = await Promise.all(ends);
    for (const end of [zabbix, json]) assert.equal(JSON.parse(end?.stdout ?? '').state, 3);
    assert.equal(checkmk?.stdout, '3 "salt-api" - no result within 1 s\n');
    assert.match(prometheus?.stdout ?? '', /^# no result/);
    for (const end of [zabbix, json, checkmk, prometheus]) assert.equal(end?.code, 3);
  });

  it('tells of a node that is not there, crashes or is killed', async () => {
    const empty = join(directory, 'empty');
    mkdirSync(empty);
    symlinkSync('/bin/sleep', join(empty, 'sleep'));
    const absolute = shell.map((word) => (word === 'dash' ? '/usr/bin/dash' : word));
    const missing = await start(absolute, [], { PATH: empty }).ended;
    assert.match(
      missing.stdout,
      /^SALT-API UNKNOWN - salt-triage ended with code 127 and no result\n$/,
    );
    assert.equal(missing.code, 3);
    const crash = await start(shell, [], preloaded('process.exit(0);')).ended;
    assert.match(crash.stdout, /^SALT-API UNKNOWN - salt-triage ended with code 0 and no result/);
    assert.equal(crash.code, 3, 'not even a code of 0 is a result');
    const killed = await start(shell, [], preloaded(`process.kill(process.pid, 'SIGKILL');`)).ended;
    assert.match(killed.stdout, /^SALT-API UNKNOWN - .* code 137 /);
    assert.equal(killed.code, 3);
  });

  it('leaves no process behind', async () => {
    const { child, ended } = start(shell, ['--port', '1', '--no-probe', '-t', '600']);
    const others = await until('processes below it', () => {
      const found = below(child.pid ?? 0);
      return found.length > 1 ? found : null;
    });
    await ended;
    await until('their end', () => others.every((pid) => !isThere(pid)));
  });
});

/** A process below another that has been stopped. */
function stoppedBelow(child: ChildProcess): Promise<number> {
  return until('a stopped node', () =>
    below(child.pid ?? 0).find((pid) => stat(pid)?.state === 'T'),
  );
}

/** Every process that descends from another. */
function below(ancestor: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const found = /^\d+$/.test(name) ? stat(Number(name)) : null;
    if (found !== null) parents.set(Number(name), found.ppid);
  }
  const descends = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent !== undefined && (parent === ancestor || descends(parent));
  };
  return [...parents.keys()].filter(descends);
}

function stat(pid: number): { state: string; ppid: number } | null {
  try {
    const [, state = '', ppid = ''] =
      /\) (\S) (\d+) /.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    return { state, ppid: Number(ppid) };
  } catch {
    return null;
  }
}

function isThere(pid: number): boolean {
  const found = stat(pid);
  return found !== null && found.state !== 'Z';
}
