/**
 * What can't be told from inside: node that never starts, an event loop that stands still, a process
 * that is stopped or killed. Each shell that may be /bin/sh must bring an end in time, and no OK.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
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
import { setTimeout } from 'node:timers/promises';
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
  const run = `${process.pid}-${randomUUID()}`;
  const child = spawn(program, [...options, BUNDLE, 'check', '--config', '/dev/null', ...args], {
    env: { PATH, HOME: '/nonexistent', ...env, RUN: run },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return { child, run, ended: endOf(child) };
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
      const { child, run, ended } = start(shell, ['-t', '60', '--unknown-is', 'critical'], env);
      const node = await stoppedOf(run);
      const began = performance.now();
      child.kill('SIGTERM');
      const { stdout, code } = await ended;
      assert.ok(performance.now() - began < 500);
      assert.equal(stdout, 'SALT-API CRITICAL - ended by a signal\n');
      assert.equal(code, 2);
      await until('the end of node', () => !isThere(node));
    });

    it('is not kept by a SIGSTOP of its own', async () => {
      const { child, run, ended } = start(shell, ['--port', '1', '--no-probe', '-t', '2']);
      await until('a process beside it', () => processesOf(run).length > 1);
      child.kill('SIGSTOP');
      const { stdout } = await ended;
      assert.match(stdout, /^SALT-API [A-Z]+ - /);
    });

    it('bounds a check, or refuses it, where sleep is none or knows no parts of a second', async () => {
      const own = join(directory, `sleep-${shell.join('-').replaceAll('/', '')}`);
      mkdirSync(own);
      symlinkSync(process.execPath, join(own, 'node'));
      const [program = '', ...options] = shell;
      const absolute = [whereIs(program), ...options];
      const none = await start(absolute, ['-t', '60'], { PATH: own }).ended;
      assert.equal(
        none.stdout,
        'SALT-API UNKNOWN - nothing bounds the check: sleep cannot be run\n',
      );
      assert.equal(none.code, 3);
      const coarse = '#!/bin/sh\ncase $1 in *.*) exit 1 ;; esac\nexec /bin/sleep "$1"\n';
      writeFileSync(join(own, 'sleep'), coarse, { mode: 0o755 });
      const env = { ...preloaded(HANGS['as it starts'] ?? ''), PATH: own };
      const bounded = await start(absolute, ['-t', '1'], env).ended;
      assert.equal(bounded.stdout, 'SALT-API UNKNOWN - no result within 1 s\n');
      assert.ok(bounded.tookMs < 2_500, `${bounded.tookMs} ms`);
    });

    it('takes no words of others for a result', async () => {
      const lines = ['::result 0', '::1 result 0', 'SALT-API OK - forged', '::1 end', '::end'];
      const forged = preloaded(`throw new Error(${JSON.stringify(`x\n${lines.join('\n')}\n`)});`);
      const { stdout, code } = await start(shell, [], forged).ended;
      assert.equal(stdout, 'SALT-API UNKNOWN - salt-triage ended with code 1 and no result\n');
      assert.equal(code, 3);
    });

    it('is kept waiting by nobody at a SIGTERM as it starts', async () => {
      for (const after of [5, 10, 15, 20, 30]) {
        const { child, ended } = start(shell, ['--port', '1', '--no-probe']);
        await setTimeout(after);
        const began = performance.now();
        child.kill('SIGTERM');
        const { stdout, code } = await ended;
        assert.ok(performance.now() - began < 5_000);
        // A shell that has not read its first line yet knows of no trap.
        if (code !== null) assert.match(stdout, /^(?:SALT-API UNKNOWN - [^\n]+\n){1,2}$/);
        if (code !== null) assert.equal(code, 3);
      }
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

  it('hands on metrics once, and a time in parts of a second among other letters', async () => {
    const env = preloaded(HANGS['with an event loop that turns for ever'] ?? '');
    const metrics = await start(shell, ['--format', 'prometheus', '-t', '1'], env).ended;
    assert.equal(metrics.stdout.match(/^# EOF$/gm)?.length, 1);
    assert.match(metrics.stdout, /\n# EOF\n$/);
    const args = ['-vvt', '1.5', '--unknown-is', 'warning', '--format', 'json', '-o', '/dev/null'];
    const { stdout, code, tookMs } = await start(shell, args, env).ended;
    assert.match(stdout, /^SALT-API WARNING - no result within 1\.5 s/);
    assert.equal(code, 1);
    assert.ok(tookMs > 1_200 && tookMs < 2_000, `${tookMs} ms`);
  });

  it('leaves no process behind', async () => {
    const { run, ended } = start(shell, ['--port', '1', '--no-probe', '-t', '600']);
    await until('processes beside it', () => processesOf(run).length > 2);
    await ended;
    await until('their end', () => processesOf(run).length === 0);
  });
});

/** The file of a program, for a PATH that it is not on. */
function whereIs(program: string): string {
  const directories = (process.env['PATH'] ?? '').split(':');
  const file = directories.map((path) => join(path, program)).find((path) => existsSync(path));
  return file ?? program;
}

/** Node of a run, once it has been stopped. */
function stoppedOf(run: string): Promise<number> {
  return until('a stopped node', () => processesOf(run).find((pid) => stat(pid)?.state === 'T'));
}

/** Every process of a run, whoever its parent has become. */
function processesOf(run: string): number[] {
  const has = (pid: number) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`RUN=${run}\0`);
    } catch {
      return false;
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter(has);
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
