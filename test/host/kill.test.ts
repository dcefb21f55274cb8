/**
 * One table of kills on real processes, for both ways: from here, and by the scripts that run
 * behind ssh, under each shell that may be there. What may be killed must not depend on the way.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { KillOutcome, KillTarget } from '../../src/host/host.ts';
import { LocalActions } from '../../src/host/local/local-actions.ts';
import { SshActions } from '../../src/host/ssh/ssh-actions.ts';
import { type RunnerOptions, runnerIn, SHELLS } from '../ssh/shells.ts';
import { FakeSaltApis, isAlive, lineOf, pidOf, stateOf, targetOf, until } from './fake-salt-api.ts';

/** Waits for its standard input to close, as a process that hangs. */
const HANG = 'read -r line; exit 0';
const needsRoot = process.geteuid?.() === 0 ? false : 'needs root';

type Kill = (target: KillTarget) => Promise<KillOutcome>;

const WAYS: readonly { readonly name: string; readonly kill: Kill }[] = [
  { name: 'from here', kill: (target) => new LocalActions().kill(target, 1_000) },
  ...SHELLS.map((shell) => ({
    name: `behind ssh, in ${shell.join(' ')}`,
    kill: (target: KillTarget) => new SshActions(runnerIn(shell)).kill(target, 1_000),
  })),
];

let fakes: FakeSaltApis;
beforeEach(() => {
  fakes = new FakeSaltApis();
});
afterEach(() => fakes.end());

function why(outcome: KillOutcome): string {
  return outcome.kind === 'refused' ? outcome.why : outcome.kind;
}

/** A process of Python's that is salt-api by its argv, once it has said a line. */
async function pythonSaltApi(program: string): Promise<ChildProcess> {
  const script = fakes.script(program);
  const child = fakes.spawn('python3', [script], { argv0: '/usr/bin/python3' });
  await lineOf(child);
  return child;
}

async function started(child: ChildProcess): Promise<number> {
  const pid = pidOf(child);
  await until(() => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'bash\n', 'its argv');
  return pid;
}

/** A salt-api of a parent that reaps nothing. @returns its pid and the parent's */
async function unreaped(): Promise<readonly [number, number]> {
  // bash forks the child and becomes sleep, which knows of no child.
  const script = fakes.script(HANG);
  const parent = fakes.spawn('bash', [
    '-c',
    `(exec -a /usr/bin/python3 bash ${script}) <&0 & echo $!; exec sleep 60`,
  ]);
  const pid = Number(await lineOf(parent));
  await until(
    () => readFileSync(`/proc/${pidOf(parent)}/comm`, 'utf8') === 'sleep\n',
    'a parent that reaps nothing',
  );
  await until(() => targetOf(pid).argv[0] === '/usr/bin/python3', 'its argv');
  return [pid, pidOf(parent)];
}

for (const { name, kill } of WAYS) {
  describe(`a kill ${name}`, () => {
    it('ends the process that the plan names', async () => {
      const pid = await started(fakes.start(HANG));
      assert.deepEqual(await kill(targetOf(pid)), { kind: 'gone' });
      assert.equal(stateOf(pid), null);
    });

    it('is SIGKILL, which a process can neither catch nor ignore', async () => {
      const pid = await started(fakes.start(`trap '' TERM INT HUP; ${HANG}`));
      assert.deepEqual(await kill(targetOf(pid)), { kind: 'gone' });
    });

    it('ends a process whose name and ancestors hold what stat puts around names', async () => {
      const program = [
        'import ctypes, sys',
        'ctypes.CDLL(None).prctl(15, b"a) S 1 (b) Z 9", 0, 0, 0)',
        'print("named", flush=True)',
        'sys.stdin.read()',
      ];
      const child = await pythonSaltApi(program.join('\n'));
      assert.deepEqual(await kill(targetOf(pidOf(child))), { kind: 'gone' });
    });

    it('ends a process whose command line ends in 0, and a long one of one letter', async () => {
      for (const args of [
        ['-l', '10'],
        ['-c', `/${'a'.repeat(200)}`],
      ]) {
        const pid = await started(fakes.start(HANG, args));
        assert.deepEqual(await kill(targetOf(pid)), { kind: 'gone' }, args.join(' '));
      }
    });

    it('ends a process that setproctitle has retitled since the plan', async () => {
      const child = fakes.start(
        'read -r line; exec -a "/usr/bin/python3 $0 NetAPIProcessManager" cat',
      );
      const target = targetOf(await started(child));
      child.stdin?.write('\n');
      await until(() => targetOf(pidOf(child)).argv[0] !== target.argv[0], 'its new title');
      assert.deepEqual(await kill(target), { kind: 'gone' });
    });

    it('says that it had ended before', async () => {
      const child = fakes.start(HANG);
      const target = targetOf(await started(child));
      const ended = once(child, 'exit');
      child.stdin?.end();
      await ended;
      assert.deepEqual(await kill(target), { kind: 'gone-before' });
    });

    it('tells a zombie, with the parent that does not reap it, and again', async () => {
      const [pid, parent] = await unreaped();
      const target = targetOf(pid);
      assert.deepEqual(await kill(target), { kind: 'zombie', parent });
      assert.equal(stateOf(pid), 'Z');
      assert.deepEqual(await kill(target), { kind: 'zombie', parent });
    });

    it('does not take a process for dead of which one thread lives', async () => {
      const program = [
        'import ctypes, platform, threading, time',
        'threading.Thread(target=time.sleep, args=(60,)).start()',
        'print("begun", flush=True)',
        // exit(2) itself, of this thread alone.
        'ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)',
      ];
      const script = fakes.script(program.join('\n'));
      const child = fakes.spawn('python3', [script], { argv0: '/usr/bin/python3' });
      const target = { ...targetOf(pidOf(child)), argv: ['/usr/bin/python3', script] };
      await lineOf(child);
      await until(() => stateOf(pidOf(child)) === 'Z', 'the end of its first thread');
      assert.notEqual((await kill(target)).kind, 'zombie');
      assert.equal(readdirSync(`/proc/${pidOf(child)}/task`).length, 2);
    });

    it('refuses pid 1 and what was no salt-api in the plan', async () => {
      const pid = await started(fakes.spawn('bash', ['-c', HANG, '/usr/bin/salt-api']));
      const target = targetOf(pid);
      assert.equal(why(await kill(target)), `${pid} was no salt-api when the plan was made`);
      const first = { identity: { ...target.identity, pid: 1 }, argv: ['python3', 'salt-api'] };
      assert.equal(why(await kill(first)), 'pid 1 is never killed');
      assert.ok(isAlive(pid));
    });

    it('refuses a process that has become another program since the plan', async () => {
      const child = fakes.start('read -r line; exec sleep 60');
      const target = targetOf(await started(child));
      child.stdin?.end('\n');
      await until(() => readFileSync(`/proc/${pidOf(child)}/comm`, 'utf8') === 'sleep\n', 'exec');
      assert.match(why(await kill(target)), /runs something that is not salt-api now/);
      assert.ok(isAlive(pidOf(child)));
    });

    it('refuses a command line that is longer or shorter than planned', async () => {
      const pid = await started(fakes.start(HANG, ['-l', 'debug']));
      const target = targetOf(pid);
      for (const argv of [target.argv.slice(0, 2), [...target.argv, '-d']]) {
        assert.match(why(await kill({ ...target, argv })), /another command line/, argv.join(' '));
      }
      assert.ok(isAlive(pid));
    });

    for (const [what, change, reason] of [
      ['after another boot', { bootId: '0'.repeat(36) }, /has booted since/],
      ['a pid that was given out again', { startTicks: 7 }, /the pid was given out again/],
    ] as const) {
      it(`refuses ${what}`, async () => {
        const pid = await started(fakes.start(HANG));
        const target = targetOf(pid);
        const identity = { ...target.identity, ...change };
        assert.match(why(await kill({ ...target, identity })), reason);
        assert.ok(isAlive(pid));
      });
    }

    it('refuses a process of another PID namespace', { skip: needsRoot }, async () => {
      const inside = `exec -a /usr/bin/python3 bash ${fakes.script(HANG)}`;
      const outer = fakes.spawn('unshare', ['-pf', '--kill-child', 'bash', '-c', inside]);
      let pid = 0;
      await until(() => {
        const list = readFileSync(`/proc/${pidOf(outer)}/task/${pidOf(outer)}/children`, 'utf8');
        pid = Number(list);
        return pid > 0 && targetOf(pid).argv[0] === '/usr/bin/python3';
      }, 'the process in its namespace');
      assert.match(why(await kill(targetOf(pid))), /another PID namespace/);
      assert.ok(isAlive(pid));
    });
  });
}

for (const shell of SHELLS) {
  describe(`the two scripts of a kill in ${shell.join(' ')}`, () => {
    const killWith = (target: KillTarget, options: RunnerOptions) =>
      new SshActions(runnerIn(shell, options)).kill(target, 1_000);
    /** Something put before the script that kills, not before the one that looks. */
    const beforeKill = (act: string | (() => Promise<void>)) => async (script: string) => {
      if (!script.includes('kill -9')) return '';
      if (typeof act === 'string') return act;
      await act();
      return '';
    };

    it('refuse what started them', async () => {
      const target = { ...targetOf(process.pid), argv: ['python3', 'salt-api'] };
      assert.match(why(await killWith(target, {})), /is what started salt-triage/);
    });

    it('refuse where /proc belongs to another PID namespace', { skip: needsRoot }, async () => {
      const pid = await started(fakes.start(HANG));
      const outcome = await killWith(targetOf(pid), { wrapper: ['unshare', '--pid', '--fork'] });
      assert.match(why(outcome), /the PID namespace of \d+ can't be told/);
      assert.ok(isAlive(pid));
    });

    it("refuse where the namespaces can't be read, though they look alike", async () => {
      const pid = await started(fakes.start(HANG));
      const before = () =>
        'ls() { :; }\nsed() { case $* in *NSpid*) ;; *) command sed "$@";; esac; }\n';
      assert.match(
        why(await killWith(targetOf(pid), { before })),
        /namespace of \d+ can't be told/,
      );
      assert.ok(isAlive(pid));
    });

    it('send no signal to what has changed in between, and judge it anew', async () => {
      const child = fakes.start('read -r line; exec sleep 60');
      const target = targetOf(await started(child));
      const before = beforeKill(async () => {
        child.stdin?.end('\n');
        await until(() => readFileSync(`/proc/${pidOf(child)}/comm`, 'utf8') === 'sleep\n', 'exec');
      });
      assert.match(why(await killWith(target, { before })), /not salt-api now/);
      assert.ok(isAlive(pidOf(child)));
    });

    it('send no signal to what gets another parent in between, until it is judged anew', async () => {
      const script = fakes.script(
        'import time; open(__file__ + ".up", "w").close(); time.sleep(60)',
      );
      const parent = fakes.spawn('bash', [
        '-c',
        `(exec -a /usr/bin/python3 python3 ${script}) & echo $!; read -r line`,
      ]);
      const pid = Number(await lineOf(parent));
      await until(() => existsSync(`${script}.up`), 'its argv');
      let killScripts = 0;
      const before = beforeKill(async () => {
        killScripts += 1;
        if (killScripts > 1) return;
        parent.kill('SIGKILL');
        await until(() => !isAlive(pidOf(parent)), 'the end of its parent');
      });
      const { kind } = await killWith(targetOf(pid), { before });
      assert.equal(killScripts, 2);
      assert.ok(kind === 'gone' || kind === 'zombie', kind);
    });

    it('send no signal where the pid is among the parents of the second one alone', async () => {
      const pid = await started(fakes.start(HANG));
      const adopt = async (script: string) =>
        script.includes('kill -9') ? `printf() { echo " ${pid}"; }\n` : '';
      assert.match(why(await killWith(targetOf(pid), { before: adopt })), /changes as often/);
      assert.ok(isAlive(pid));
    });

    it('say that a process is still there, and what it does', async () => {
      const child = fakes.start(HANG);
      const pid = await started(child);
      child.kill('SIGSTOP');
      await until(() => stateOf(pid) === 'T', 'stopped');
      // As a process that the kernel can't end yet.
      const before = beforeKill('kill() { :; }\n');
      assert.deepEqual(await killWith(targetOf(pid), { before }), {
        kind: 'still-there',
        state: 'T',
      });
    });

    it('say what a process in D state waits in', async () => {
      // A parent of vfork(2) sleeps uninterruptibly until its child has ended or become another.
      const program = [
        'import ctypes, os, sys, time',
        'print("begun", flush=True)',
        'libc = ctypes.PyDLL(None)',
        'if libc.vfork() == 0: time.sleep(60); os._exit(0)',
      ];
      const child = await pythonSaltApi(program.join('\n'));
      await until(() => stateOf(pidOf(child)) === 'D', 'vfork');
      const children = readFileSync(`/proc/${pidOf(child)}/task/${pidOf(child)}/children`, 'utf8');
      try {
        const before = beforeKill('kill() { :; }\n');
        const outcome = await killWith(targetOf(pidOf(child)), { before });
        assert.equal(outcome.kind, 'uninterruptible');
      } finally {
        child.kill('SIGKILL');
        for (const pid of children.trim().split(' ')) process.kill(Number(pid), 'SIGKILL');
      }
    });

    it("say that a signal is not permitted on another user's process", {
      skip: needsRoot,
    }, async () => {
      const pid = await started(fakes.start(HANG));
      assert.deepEqual(await killWith(targetOf(pid), { uid: 65_534 }), { kind: 'not-permitted' });
      assert.ok(isAlive(pid));
    });
  });
}
