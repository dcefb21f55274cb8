/** Raw files of a host are read alike here and behind ssh, so that what judges them need not know. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { parseProcessStat } from '../../src/evidence/proc-text.ts';
import { LocalRawHost } from '../../src/host/local/local-raw-host.ts';
import type { RawHost } from '../../src/host/raw-host.ts';
import { SshRawHost } from '../../src/host/ssh/ssh-raw-host.ts';
import { until } from '../fix/staged.ts';
import { runnerIn, SHELLS } from '../ssh/shells.ts';
import { killMount } from './dead-mount.ts';

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'salt-triage-raw-'));
  for (const task of ['1', '2', '.3']) {
    mkdirSync(join(directory, 'task', task), { recursive: true });
    writeFileSync(join(directory, 'task', task, 'wchan'), `futex_${task}`);
  }
  writeFileSync(join(directory, 'many lines'), 'one\ntwo: äö\n\nfour\n\n');
  writeFileSync(join(directory, "it's $(touch x) `y` *"), 'quoted\n');
  writeFileSync(join(directory, 'empty'), '');
  writeFileSync(join(directory, 'a:colon'), 'passed over');
  writeFileSync(join(directory, 'binary'), 'a\0b\n');
  symlinkSync('socket:[12345]', join(directory, 'link one'));
  symlinkSync('many lines', join(directory, 'link two'));
  symlinkSync('/nowhere', join(directory, 'dangling'));
  execFileSync('mkfifo', [join(directory, 'fifo')]);
  utimesSync(join(directory, 'many lines'), 1_700_000_000.7, 1_700_000_000.7);
});
after(() => rmSync(directory, { recursive: true, force: true }));

const HOSTS: readonly (readonly [string, RawHost])[] = [
  ['this host', new LocalRawHost()],
  ...SHELLS.map((shell) => {
    return [`a host with ${shell.join(' ')}`, new SshRawHost(runnerIn(shell), 10_000)] as const;
  }),
];

describe('a mount of this host that is dead', () => {
  it('keeps no look waiting, and what lies there is not told of as missing', async (t) => {
    const dead = join(directory, 'dead');
    mkdirSync(dead);
    const revive = await killMount(t, dead);
    if (revive === null) return t.skip('needs root and /dev/fuse');
    const raw = new LocalRawHost();
    await assert.rejects(raw.stat([join(dead, 'log')]), /mount that does not answer/);
    await assert.rejects(raw.stat([join(dead, 'log.*')]), /mount that does not answer/);
    await assert.rejects(raw.stat([directory]), /other files hang/);
    assert.equal((await raw.stat(['/proc/self/stat'])).size, 1);
    await revive();
    assert.equal((await raw.stat([directory])).size, 1);
  });
});

describe('calls of a host behind ssh', () => {
  it('go on four at a time, and one that fails keeps none waiting', async () => {
    let [running, most, calls] = [0, 0, 0];
    const runRepeatable = async () => {
      running += 1;
      calls += 1;
      most = Math.max(most, running);
      const fails = calls === 2;
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      if (fails) throw new Error('no connection');
      return { stdout: Buffer.from(''), again: false };
    };
    const host = new SshRawHost({ runRepeatable }, 1_000);
    const all = Array.from({ length: 12 }, () => host.readTexts(['/proc/stat']));
    const failed = (await Promise.allSettled(all)).filter(({ status }) => status === 'rejected');
    assert.deepEqual([most, calls, failed.length], [4, 12, 1]);
  });
});

describe('the processes of a salt-master', () => {
  it('are found by their command lines, alike from all sides, and what only names one is not', async (t) => {
    const scripts = mkdtempSync(join(tmpdir(), 'salt-triage-raw-'));
    t.after(() => rmSync(scripts, { recursive: true, force: true }));
    const script = join(scripts, 'salt-master');
    writeFileSync(script, 'import sys\nsys.stdin.read()\n');
    // As setproctitle leaves it: one argument.
    const titled = '/usr/bin/python3 /usr/bin/salt-master -d ReqServer MWorker-0';
    const odd = ['/usr/bin/python3', script, '-c', 'it\'s "$(here)" \n'];
    const masters = [running(t, 'cat', [], titled), running(t, '/usr/bin/python3', odd.slice(1))];
    const namesOne = running(t, 'cat', ['-', '/usr/bin/salt-master']);
    for (const pid of masters) await until('its exec', () => isExecuted(pid));
    for (const [name, host] of HOSTS) {
      const found = await host.findMasters();
      const argvs = masters.map((pid) => found.get(pid)?.argv);
      // A line break within an argument is no word of the host's protocol.
      const shown = argvs.map((argv) => argv?.map((word) => word.replace('\n', ' ').trim()));
      assert.deepEqual(shown, [[titled], odd.map((word) => word.trim())], name);
      assert.equal(parseProcessStat(found.get(masters[0] ?? 0)?.stat ?? '')?.pid, masters[0]);
      assert.ok(!found.has(namesOne), name);
    }
  });
});

/** Starts a program that ends with its standard input, and so with this process. */
function running(
  t: TestContext,
  program: string,
  args: readonly string[],
  argv0 = program,
): number {
  const child = spawn(program, args, { argv0, stdio: ['pipe', 'ignore', 'ignore'] });
  t.after(() => child.kill());
  assert.ok(child.pid !== undefined);
  return child.pid;
}

/** Before its exec(2) a child has the command line of this process. */
function isExecuted(pid: number): boolean {
  return (
    readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== readFileSync('/proc/self/cmdline', 'utf8')
  );
}

for (const [name, host] of HOSTS) {
  describe(`raw files of ${name}`, () => {
    const at = (path: string) => join(directory, path);

    it('are read as text, patterns and hostile names included, and a FIFO is not waited for', async () => {
      const texts = await host.readTexts([at('*'), at('task/*/wchan')]);
      assert.deepEqual(
        new Map([...texts].toSorted()),
        new Map(
          [
            [at("it's $(touch x) `y` *"), 'quoted'],
            [at('link two'), 'one\ntwo: äö\n\nfour\n'],
            [at('many lines'), 'one\ntwo: äö\n\nfour\n'],
            [at('task/1/wchan'), 'futex_1'],
            [at('task/2/wchan'), 'futex_2'],
          ].toSorted() as [string, string][],
        ),
      );
    });

    it('are read as far as was asked', async () => {
      const texts = await host.readTexts([at('many lines')], 2);
      assert.equal(texts.get(at('many lines')), 'one\ntwo: äö');
    });

    it('are searched for rows that hold a word', async () => {
      const words = ['wo: ', '$(x)', "it's"];
      const rows = await host.readRows([at('many lines'), at('task/1/wchan'), at('no')], words);
      assert.deepEqual(Object.fromEntries(rows), { [at('many lines')]: 'two: äö' });
      const all = await host.readRows([at('many lines')], ['o']);
      assert.equal(all.get(at('many lines')), 'one\ntwo: äö\nfour');
    });

    it('are told by where they point', async () => {
      const links = await host.readLinks([at('link *'), at('dangling'), at('empty')]);
      assert.deepEqual(Object.fromEntries(links), {
        [at('link one')]: 'socket:[12345]',
        [at('link two')]: 'many lines',
        [at('dangling')]: '/nowhere',
      });
    });

    it('are told by size, time and owner', async () => {
      const files = await host.stat([at('many lines'), at('task'), at('fifo'), at('missing')]);
      const { size, modifiedAt, changedAt, uid, kind } = files.get(at('many lines')) ?? {};
      const changed = Math.floor(statSync(at('many lines')).ctimeMs / 1000) * 1000;
      assert.deepEqual(
        [size, modifiedAt, changedAt, uid, kind],
        [21, 1_700_000_000_000, changed, process.getuid?.(), 'file'],
      );
      assert.equal(files.get(at('task'))?.kind, 'directory');
      assert.equal(files.get(at('fifo'))?.kind, 'other');
      assert.equal(files.has(at('missing')), false);
    });

    it('cost nothing where nothing is asked for, or the path is not sound', async () => {
      assert.equal((await host.readTexts([])).size, 0);
      assert.equal((await host.readTexts([at('a:colon'), 'relative', '/etc/pass\nwd'])).size, 0);
    });
  });
}
