/** Raw files of a host are read alike here and behind ssh, so that what judges them need not know. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { LocalRawHost } from '../../src/host/local/local-raw-host.ts';
import type { RawHost } from '../../src/host/raw-host.ts';
import { SshRawHost } from '../../src/host/ssh/ssh-raw-host.ts';
import { runnerIn, SHELLS } from '../ssh/shells.ts';

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
