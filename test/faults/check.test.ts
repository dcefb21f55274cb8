/**
 * There is no path of a check that exits 0, prints nothing or prints OK because a look failed: every
 * fault of this suite, and each way to lose a look, on a salt-api that is well, so that OK is what an
 * overlooked fault would give.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type StagedIncident, stageIncident } from '../../src/drill/stage.ts';
import { BUNDLE, type Ran, runCli } from '../cli/run.ts';

let directory: string;
let salt: StagedIncident;
before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'salt-triage-check-faults-'));
  // Where an ordinary user gets at it, too.
  chmodSync(directory, 0o755);
  salt = await stageIncident({ stage: 'healthy' });
});
after(async () => {
  await salt?.cleanup();
  rmSync(directory, { recursive: true, force: true });
});

interface Fault {
  /** Put before the check: `sh -c …`. */
  readonly wrapper?: readonly string[];
  /** What node loads first. */
  readonly preload?: string;
  readonly args?: readonly string[];
  readonly uid?: number;
}

let checks = 0;

async function check({ wrapper = [], preload, args = [], uid }: Fault): Promise<Ran> {
  checks += 1;
  const file = join(directory, `preload-${checks}.cjs`);
  writeFileSync(file, preload ?? '');
  const { port, configDirectory } = salt;
  const target = ['-p', `${port}`, '--salt-config-dir', configDirectory, '--config', '/dev/null'];
  return runCli([], {
    command: [...wrapper, 'sh', BUNDLE, 'check', ...target, '-t', '4', ...args],
    env: { NODE_OPTIONS: `--require=${file}` },
    ...(uid === undefined ? {} : { uid }),
  });
}

/** Has reads of some paths fail as open(2) does. */
function failing(pattern: RegExp, code: string): string {
  return `
    const fs = require('node:fs');
    const broken = (path) => ${pattern}.test(String(path));
    const error = (path) => Object.assign(new Error('${code}: a fault, open ' + path), { code: '${code}', errno: -5, syscall: 'open', path });
    for (const name of ['open', 'readFile', 'readdir', 'stat', 'readlink', 'lstat', 'opendir']) {
      const real = fs.promises[name];
      fs.promises[name] = (path, ...rest) => broken(path) ? Promise.reject(error(path)) : real(path, ...rest);
      const realSync = fs[name + 'Sync'];
      if (realSync) fs[name + 'Sync'] = (path, ...rest) => { if (broken(path)) throw error(path); return realSync(path, ...rest); };
      const realBack = fs[name];
      fs[name] = (path, ...rest) => broken(path) ? process.nextTick(rest.at(-1), error(path)) : realBack(path, ...rest);
    }
    require('node:module').syncBuiltinESMExports();`;
}

/** Has them never come to an end. */
function hanging(pattern: RegExp): string {
  return failing(pattern, 'EIO').replace('Promise.reject(error(path))', 'new Promise(() => {})');
}

function held({ stdout, code }: Ran, what: string): void {
  assert.match(stdout, /^SALT-API (?:WARNING|CRITICAL|UNKNOWN) - [^\n]+\n/, what);
  assert.ok(code === 1 || code === 2 || code === 3, `${what}: ${code}`);
}

// Most of the time is spent waiting for what hangs.
describe('a check of what is well', { concurrency: 3 }, () => {
  it('is OK, so that what follows shows something', async () => {
    const { stdout, code } = await check({});
    assert.match(stdout, /^SALT-API OK - healthy: /);
    assert.equal(code, 0);
  });

  const TCP = /^\/proc\/(?:self\/|\d+\/)?net\/tcp$/;
  const ARGV = /^\/proc\/\d+\/cmdline$/;
  const STAT = /^\/proc\/\d+\/stat$/;
  const FDS = /^\/proc\/\d+\/fd$/;
  const PROC = /^\/proc\/?$/;
  const FAULTS: Readonly<Record<string, Fault>> = {
    'EIO of the table of sockets': { preload: failing(TCP, 'EIO') },
    'EACCES of the table of sockets': { preload: failing(TCP, 'EACCES') },
    'a table of sockets that hangs': { preload: hanging(TCP) },
    'EIO of every command line': { preload: failing(ARGV, 'EIO') },
    'EACCES of every command line': { preload: failing(ARGV, 'EACCES') },
    'an errno of a command line that nobody foresaw': { preload: failing(ARGV, 'EUCLEAN') },
    'EIO of every stat': { preload: failing(STAT, 'EIO') },
    'fd tables that are denied': { preload: failing(FDS, 'EACCES') },
    'a process table that is denied': { preload: failing(PROC, 'EACCES') },
    'a process table that hangs': { preload: hanging(PROC) },
    'a log that is not there': { args: ['--log', '/nonexistent/log'] },
    'a log that is a directory': { args: ['--log', '/'] },
    'an event loop that is kept': { preload: 'setTimeout(() => { for (;;); }, 100);' },
    'an error that nobody catches': { preload: `setTimeout(() => { throw new Error('x'); }, 80);` },
    'a rejection that nobody catches': {
      preload: `setTimeout(() => Promise.reject(new Error('x')), 80);`,
    },
    'an exit from somewhere, with 0': { preload: 'setTimeout(() => process.exit(0), 60);' },
    'no memory': {
      preload: `setTimeout(() => { const all = []; for (;;) all.push(new Array(1e6).fill(all.length)); }, 60);`,
    },
    'no file descriptors': { wrapper: ['sh', '-c', 'ulimit -n 12; exec "$0" "$@"'] },
    'another user': { uid: 65_534 },
  };
  for (const [name, fault] of Object.entries(FAULTS)) {
    it(`but for ${name} is not OK`, async () => held(await check(fault), name));
  }

  it('but for a log that may not be read is not OK', async () => {
    const log = join(directory, 'log');
    writeFileSync(log, '');
    const fault = { preload: failing(new RegExp(`^${log}$`), 'EACCES'), args: ['--log', log] };
    held(await check(fault), 'log');
    held(await check({ ...fault, preload: failing(new RegExp(`^${log}$`), 'EIO') }), 'log');
  });

  it('but for a read that never ends is not OK, and ends', async () => {
    const fifo = join(directory, 'fifo');
    spawnSync('mkfifo', [fifo]);
    const began = performance.now();
    held(
      await check({ preload: `require('node:fs').readFileSync(${JSON.stringify(fifo)});` }),
      'fifo',
    );
    assert.ok(performance.now() - began < 4_500);
  });

  it('is OK although a read that nobody needs never ends', async () => {
    const fifo = join(directory, 'fifo');
    const { stdout, code } = await check({
      preload: `require('node:fs').promises.readFile(${JSON.stringify(fifo)});`,
    });
    assert.match(stdout, /^SALT-API OK /);
    assert.equal(code, 0);
  });

  it('with a bundle that is damaged is not OK', async () => {
    const bad = join(directory, 'salt-triage');
    const text = readFileSync(BUNDLE);
    for (const length of [10_000, text.length >> 1, text.length - 200]) {
      copyFileSync(BUNDLE, bad);
      truncateSync(bad, length);
      const ran = await runCli([], { command: ['sh', bad, 'check', '-t', '4'] });
      held(ran, `${length} bytes`);
    }
  });
});
