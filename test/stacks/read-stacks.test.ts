/**
 * The tools that look into a process before it is killed, on this host and by the script that goes
 * behind ssh: which is run, on whom, how long, and what it leaves behind. gdb is Debian's, with the
 * symbols of python3-dbg; a py-spy is a script that prints what one has printed.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { foldStacks } from '../../src/diagnosis/stacks/fold-stacks.ts';
import { ExitCode, TriageError } from '../../src/errors.ts';
import type { HostActions, KillTarget } from '../../src/host/host.ts';
import { LocalActions } from '../../src/host/local/local-actions.ts';
import { SshActions } from '../../src/host/ssh/ssh-actions.ts';
import { killMount } from '../host/dead-mount.ts';
import { FakeSaltApis, lineOf, pidOf, stateOf, targetOf, until } from '../host/fake-salt-api.ts';
import { runnerIn, SHELLS } from '../ssh/shells.ts';
import { pySpyDump } from './py-spy-dump.ts';

const PYTHON = '/usr/bin/python3';
const HELPER = '/usr/share/gdb/auto-load/usr/bin/python3.11-gdb.py';
const GDB = '/usr/bin/gdb';
/** Bound of a look that is to come to nothing: no tool is started with less than 1 s left. */
const SHORT_MS = 4_000;

function unfit(): string | false {
  if (process.getuid?.() !== 0) return 'needs root, whose programs alone are run';
  if (process.env['CI'] || (existsSync(GDB) && existsSync(HELPER))) return false;
  return 'needs the Debian packages gdb and python3-dbg';
}

const hosts: readonly (readonly [name: string, actions: HostActions])[] = [
  ['this host', new LocalActions()],
  ...SHELLS.map(
    (shell) => [`a host of ${shell.join(' ')}`, new SshActions(runnerIn(shell))] as const,
  ),
];

/** A salt-api by its command line: Python in `threads` threads that wait in `login`. */
const JAMMED = (threads: number) => `
import sys, threading
def login(password='hunter2'):
    threading.Event().wait()
for _ in range(${threads}):
    threading.Thread(target=login, daemon=True).start()
print('jammed', flush=True)
sys.stdin.read()`;

describe('the stacks of a kill target', { skip: unfit() }, () => {
  let fakes: FakeSaltApis;
  /** First on PATH, and root's alone. */
  let programs: string;
  const path = process.env['PATH'];

  before(() => {
    programs = mkdtempSync('/opt/salt-triage-stacks-');
    chmodSync(programs, 0o755);
  });
  after(() => rmSync(programs, { recursive: true, force: true }));

  beforeEach(() => {
    fakes = new FakeSaltApis();
    process.env['PATH'] = `${programs}:${path}`;
  });
  afterEach(() => {
    process.env['PATH'] = path;
    fakes.end();
    for (const name of readdirSync(programs)) rmSync(join(programs, name), { recursive: true });
  });

  /** A program of root's in front of all others. */
  function program(name: string, text: string, directory = programs): string {
    const file = join(directory, name);
    writeFileSync(file, `#!/bin/sh\n${text}\n`);
    chmodSync(file, 0o755);
    return file;
  }

  async function jam(threads: number, python = PYTHON): Promise<KillTarget> {
    const child = fakes.spawn(python, [fakes.script(JAMMED(threads))], { argv0: PYTHON });
    assert.equal(await lineOf(child), 'jammed');
    return targetOf(pidOf(child));
  }

  /** Neither stopped nor traced. */
  function goesOn({ identity: { pid } }: KillTarget): boolean {
    const threads = readdirSync(`/proc/${pid}/task`).map((tid) => {
      return readFileSync(`/proc/${pid}/task/${tid}/status`, 'utf8');
    });
    return threads.every(
      (status) => /^State:\t[SR]/m.test(status) && /^TracerPid:\t0$/m.test(status),
    );
  }

  for (const [name, actions] of hosts) {
    describe(`on ${name}`, () => {
      // In the other shells it takes a good deal of time and shows no more.
      const withGdb = !/bash|busybox/.test(name);
      if (withGdb)
        it('are read by gdb: function and file of each call, and no argument', async () => {
          const target = await jam(4);
          const look = await actions.readStacks(target, 60_000);
          assert.ok(look.seen, JSON.stringify(look));
          assert.deepEqual([look.value.tool, look.value.unseen], ['gdb', 0]);
          const [first] = foldStacks(look.value);
          assert.equal(first?.count, 4);
          const calls = first?.frames.map((frame) => frame.function);
          assert.deepEqual(calls, [
            'wait',
            'wait',
            'login',
            'run',
            '_bootstrap_inner',
            '_bootstrap',
          ]);
          assert.ok(first?.frames[2]?.file.endsWith('/salt-api'));
          assert.doesNotMatch(JSON.stringify(look), /hunter2/);
          await until(() => goesOn(target), 'it goes on');
        });

      it('are read by py-spy where it is, which stops nothing, and without locals', async () => {
        const target = await jam(1);
        const recorded = join(programs, 'recorded.json');
        writeFileSync(recorded, pySpyDump(87));
        const wanted = `dump --json --nonblocking --pid ${target.identity.pid}`;
        program('py-spy', `[ "$*" = '${wanted}' ] && exec cat '${recorded}'`);
        program('gdb', `touch '${fakes.directory}/ran'`);
        const look = await actions.readStacks(target, 30_000);
        assert.ok(look.seen, JSON.stringify(look));
        assert.equal(look.value.tool, 'py-spy');
        assert.equal(foldStacks(look.value)[0]?.waitsFor, 'master');
        assert.ok(!existsSync(join(fakes.directory, 'ran')));
      });

      it('are read by no program that others than root could have changed', async () => {
        const target = await jam(1);
        const ran = join(fakes.directory, 'ran');
        program('gdb', 'exit 1');
        const below = join(programs, 'below');
        const spoil: readonly ((file: string) => void)[] = [
          (file) => chownSync(file, 65_534, 0),
          (file) => chmodSync(file, 0o775),
          (file) => chmodSync(file, 0o757),
          () => chmodSync(below, 0o777),
          () => chmodSync(below, 0o775),
          () => chownSync(below, 65_534, 0),
        ];
        process.env['PATH'] = `${programs}:${below}:${path}`;
        for (const [at, make] of spoil.entries()) {
          rmSync(below, { recursive: true, force: true });
          mkdirSync(below);
          const file = program('py-spy', `touch '${ran}'`, below);
          make(file);
          const look = await actions.readStacks(target, 30_000);
          assert.ok(!look.seen && look.why.includes(`py-spy: ${file} could have been`), `${at}`);
        }
        // Root's own file, where anybody may put another in its place.
        const open = mkdtempSync(join(tmpdir(), 'salt-triage-open-'));
        chmodSync(open, 0o755);
        const file = program('py-spy', `touch '${ran}'`, open);
        process.env['PATH'] = `${programs}:${open}:${path}`;
        const look = await actions.readStacks(target, 30_000);
        rmSync(open, { recursive: true });
        assert.ok(!look.seen && look.why.includes(`${file} could have been changed`));
        assert.ok(!existsSync(ran));
      });

      it('are given up in time where gdb hangs while it attaches: nothing of it is left, nothing stopped', async () => {
        const target = await jam(1);
        const { pid } = target.identity;
        const lasts = `${900 + (process.pid % 1_000)}.25`;
        const attach = `echo '@@salt-triage {"attaching": 1}'; kill -STOP ${pid}`;
        program('gdb', `${attach}; sleep ${lasts} & exec sleep ${lasts}`);
        const began = performance.now();
        const look = await actions.readStacks(target, SHORT_MS);
        assert.ok(performance.now() - began < SHORT_MS + 20_000, 'not for as long as it sleeps');
        assert.equal(!look.seen && look.why, 'gdb: it was too slow, and was ended');
        await until(() => runs(`sleep\0${lasts}\0`).length === 0, 'nothing is left of it');
        await until(() => goesOn(target), 'it goes on');
      });

      it('are no matter for a process that is not what the plan names', async () => {
        const target = await jam(1);
        program('py-spy', `touch '${fakes.directory}/ran'`);
        const { identity, argv } = target;
        const others: readonly KillTarget[] = [
          { ...target, identity: { ...identity, startTicks: identity.startTicks + 1 } },
          { ...target, identity: { ...identity, bootId: 'another' } },
          { ...target, identity: { ...identity, pid: 1 } },
          { ...target, argv: ['vim', 'salt-api'] },
          { ...target, argv: [...argv, '-l', 'debug'] },
          { ...target, parent: 1 },
        ];
        for (const other of others) assert.ok(!(await actions.readStacks(other, 30_000)).seen);
        assert.ok(!existsSync(join(fakes.directory, 'ran')));
      });

      it('are not looked for in what is not Python', async () => {
        program('py-spy', `touch '${fakes.directory}/ran'`);
        const shell = targetOf(pidOf(fakes.start('read -r line')));
        const look = await actions.readStacks(shell, 30_000);
        assert.match(look.seen ? '' : look.why, /is not Python/);
        assert.ok(!existsSync(join(fakes.directory, 'ran')));
      });

      it('are not looked for in what is in D state, where a tool could hang for good', async () => {
        program('py-spy', `touch '${fakes.directory}/ran'`);
        const fifo = join(fakes.directory, 'fifo');
        spawnSync('mkfifo', [fifo]);
        // posix_spawn(3) waits, as vfork(2) does, for its child, and that for a writer.
        const script = `import os
os.posix_spawn('/bin/true', ['true'], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, '${fifo}', os.O_RDONLY, 0)])`;
        const pid = pidOf(fakes.spawn(PYTHON, [fakes.script(script)], { argv0: PYTHON }));
        await until(() => stateOf(pid) === 'D', 'it waits in the kernel');
        const look = await actions.readStacks(targetOf(pid), 30_000);
        writeFileSync(fifo, '');
        assert.match(look.seen ? '' : look.why, /in D state/);
        assert.ok(!existsSync(join(fakes.directory, 'ran')));
      });
    });
  }

  describe('by gdb', () => {
    const actions = new LocalActions();

    it('are given up in time where a directory on PATH does not answer', async (t) => {
      const target = await jam(1);
      const dead = join(programs, 'dead');
      mkdirSync(dead);
      const revive = await killMount(t, dead);
      if (revive === null) return t.skip('needs /dev/fuse');
      program('gdb', `touch '${fakes.directory}/ran'`);
      process.env['PATH'] = `${dead}:${programs}:${path}`;
      const began = performance.now();
      const look = await actions.readStacks(target, 2_000);
      assert.ok(performance.now() - began < 6_000);
      await revive();
      assert.match(look.seen ? '' : look.why, /^py-spy: it was too slow.*; gdb: no time is left/);
      assert.ok(!existsSync(join(fakes.directory, 'ran')));
    });

    it('leave a process stopped that was stopped before', async () => {
      const target = await jam(1);
      process.kill(target.identity.pid, 'SIGSTOP');
      await until(() => stateOf(target.identity.pid) === 'T', 'stopped');
      const look = await actions.readStacks(target, 60_000);
      assert.ok(look.seen, JSON.stringify(look));
      assert.equal(stateOf(target.identity.pid), 'T');
    });

    it('run nothing that a library of the process brings for gdb, whatever it calls its place', async () => {
      const ran = join(fakes.directory, 'ran');
      // Kind 4 is Python's text, its first line a name (gdb manual, "The .debug_gdb_scripts section").
      writeFileSync(join(fakes.directory, 'text'), `\x04x.py\nopen('${ran}', 'w')\n\0`);
      const [library = ''] = readdirSync('/usr/lib/x86_64-linux-gnu').filter((one) =>
        one.startsWith('libexpat.so'),
      );
      const made = join(fakes.directory, 'x.so');
      const section = `.debug_gdb_scripts=${join(fakes.directory, 'text')}`;
      const { status, stderr } = spawnSync(
        'objcopy',
        ['--add-section', section, `/usr/lib/x86_64-linux-gnu/${library}`, made],
        { encoding: 'utf8' },
      );
      assert.equal(status, 0, stderr);
      const name = `/usr/share/gdb/auto-load/../../../..${made}`;
      const script = `import ctypes, sys
ctypes.CDLL('${name}')
print('loaded', flush=True)
sys.stdin.read()`;
      const child = fakes.spawn(PYTHON, [fakes.script(script)], { argv0: PYTHON });
      assert.equal(await lineOf(child), 'loaded');
      const look = await actions.readStacks(targetOf(pidOf(child)), 60_000);
      assert.ok(look.seen, JSON.stringify(look));
      assert.ok(!existsSync(ran));
    });

    it('are not looked for with a Python that others than root could have changed', async () => {
      const copy = join(programs, 'python3');
      copyFileSync(PYTHON, copy);
      chmodSync(copy, 0o777);
      const look = await actions.readStacks(await jam(1, copy), 60_000);
      assert.equal(
        !look.seen && look.why,
        'gdb: its Python could have been changed by others than root',
      );
    });

    it('leave nothing stopped where the real gdb is ended at its first attach', async () => {
      const target = await jam(60);
      const { pid } = target.identity;
      program(
        'gdb',
        `${GDB} "$@" &
        until grep -q '^TracerPid:.[1-9]' /proc/${pid}/status; do :; done
        kill -9 $!`,
      );
      const look = await actions.readStacks(target, 60_000);
      assert.ok(!look.seen);
      await until(() => goesOn(target), 'it goes on');
    });

    it('are not to be had of a Python without debug symbols, which is not stopped for that', async () => {
      const copy = join(programs, 'python3');
      copyFileSync(PYTHON, copy);
      chmodSync(copy, 0o755);
      const look = await actions.readStacks(await jam(1, copy), 60_000);
      assert.equal(!look.seen && look.why, 'gdb: no debug symbols of its Python are here');
    });
  });

  it('are none where the connection is lost, which stops nobody', async () => {
    const lost = async () => {
      throw new TriageError('the connection was lost', '', ExitCode.unknown);
    };
    const actions = new SshActions({ run: lost, runRepeatable: lost });
    const look = await actions.readStacks(await jam(1), 10_000);
    assert.equal(!look.seen && look.why, 'the connection was lost');
  });
});

/** Pids of the processes that have a command line. */
function runs(commandLine: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8') === commandLine;
      } catch {
        return false;
      }
    });
}
