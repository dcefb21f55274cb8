/** The scripts that act behind ssh, under each shell that may be there, without an ssh. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { parseCommandLine, parseProcessStat } from '../../src/evidence/proc-text.ts';
import type { KillTarget } from '../../src/host/host.ts';
import { commandScript, killScript, programScript } from '../../src/host/ssh/action-scripts.ts';
import { SshActions } from '../../src/host/ssh/ssh-actions.ts';
import { SshConnection } from '../../src/host/ssh/ssh-connection.ts';
import { isAlive, until } from '../fix/staged.ts';

const SHELLS = [['dash'], ['bash', '--posix'], ['busybox', 'sh']].filter(
  ([program = '', ...args]) => spawnSync(program, [...args, '-c', 'true']).status === 0,
);
const BOOT = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** What a script says between its marks. */
function said(shell: readonly string[], script: string, wrapper: readonly string[] = []): string[] {
  const [program = '', ...args] = [...wrapper, ...shell, '-s'];
  const environment = { PATH: process.env['PATH'], TMPDIR: directory };
  const { stdout } = spawnSync(program, args, { input: script, env: environment });
  const lines = stdout.toString().split('\n');
  return lines.filter((line) => line.startsWith('|')).map((line) => line.slice(1));
}

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'salt-triage-scripts-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** A process that is salt-api by its argv and does nothing. */
async function saltApi(t: TestContext, script = 'read line'): Promise<ChildProcess> {
  const child = spawn('bash', ['-c', script, '/usr/bin/salt-api'], {
    argv0: '/usr/bin/python3',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  t.after(() => child.kill('SIGKILL'));
  await until('its argv', () => readFileSync(`/proc/${child.pid}/comm`, 'utf8') === 'bash\n');
  return child;
}

function targetOf(pid: number): KillTarget {
  const stat = parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  assert.ok(stat !== null);
  const argv = parseCommandLine(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  return { identity: { pid, startTicks: stat.startTicks, bootId: BOOT }, argv };
}

for (const shell of SHELLS) {
  describe(`a kill in ${shell.join(' ')}`, () => {
    const kill = (target: KillTarget, wrapper?: readonly string[]) =>
      said(shell, killScript(target, 'nonce', 2), wrapper)[0];

    it('ends the process that is meant', async (t) => {
      const { pid = 0 } = await saltApi(t);
      assert.match(kill(targetOf(pid)) ?? '', /^(?:gone|zombie \d+)$/);
      assert.ok(!isAlive(pid));
    });

    for (const [what, change, reason] of [
      ['another boot', { bootId: '0'.repeat(36) }, /has booted since/],
      ['another start tick', { startTicks: 7 }, /the pid was given out again/],
    ] as const) {
      it(`refuses ${what}`, async (t) => {
        const { pid = 0 } = await saltApi(t);
        const target = targetOf(pid);
        const identity = { ...target.identity, ...change };
        assert.match(
          kill({ ...target, identity }) ?? '',
          new RegExp(`^refused .*${reason.source}`),
        );
        assert.ok(isAlive(pid));
      });
    }

    it('refuses another command line', async (t) => {
      const { pid = 0 } = await saltApi(t);
      const target = targetOf(pid);
      const other = { ...target, argv: [...target.argv, '-l', 'debug'] };
      assert.match(kill(other) ?? '', /^refused .*another command line/);
      assert.ok(isAlive(pid));
    });

    it('refuses what started it', async () => {
      const target = targetOf(process.pid);
      assert.match(kill(target) ?? '', /^refused .*is what started salt-triage there/);
    });

    it('refuses where /proc belongs to another PID namespace', {
      skip: spawnSync('unshare', ['-pf', 'true']).status === 0 ? false : 'needs root',
    }, async (t) => {
      const { pid = 0 } = await saltApi(t);
      const outcome = kill(targetOf(pid), ['unshare', '--pid', '--fork']);
      assert.match(outcome ?? '', /^refused \/proc belongs to another PID namespace/);
      assert.ok(isAlive(pid));
    });

    it('refuses a process of another PID namespace', {
      skip: spawnSync('unshare', ['-pf', 'true']).status === 0 ? false : 'needs root',
    }, async (t) => {
      const child = spawn('unshare', ['-pf', '--kill-child', 'sleep', '60']);
      t.after(() => child.kill('SIGKILL'));
      const inside = await until('its child', () => {
        const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
        return Number.parseInt(children, 10) || null;
      });
      await until('its argv', () => readFileSync(`/proc/${inside}/comm`, 'utf8') === 'sleep\n');
      assert.match(kill(targetOf(inside)) ?? '', /^refused the PID namespace of \d+ is not ours/);
      assert.ok(isAlive(inside));
    });

    it('tells one that is gone, and one that is dead and not reaped', async (t) => {
      const child = await saltApi(t);
      const target = targetOf(child.pid ?? 0);
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
      assert.equal(kill(target), 'gone-before');
      // Its parent sleeps and reaps nothing.
      const parent = spawn('bash', ['-c', 'sleep 0 & echo $!; exec sleep 60']);
      t.after(() => parent.kill('SIGKILL'));
      const zombie = Number(await new Promise((resolve) => parent.stdout.once('data', resolve)));
      await until('the zombie', () => /\) Z /.test(readFileSync(`/proc/${zombie}/stat`, 'utf8')));
      assert.equal(kill(targetOf(zombie)), `zombie ${parent.pid}`);
    });

    it('does not take a process for dead of which one thread lives', async (t) => {
      const program = [
        'import ctypes, platform, threading, time',
        'threading.Thread(target=time.sleep, args=(60,)).start()',
        // exit(2) itself, of this thread alone.
        'ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)',
      ];
      const child = spawn('python3', ['-c', program.join('\n')], { stdio: 'ignore' });
      t.after(() => child.kill('SIGKILL'));
      const pid = child.pid ?? 0;
      await until('the end of its first thread', () =>
        /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')),
      );
      const outcome = kill({ ...targetOf(pid), argv: ['/usr/bin/python3', '/usr/bin/salt-api'] });
      assert.match(outcome ?? '', /^refused .*another command line/);
      assert.equal(readdirSync(`/proc/${pid}/task`).length, 2);
    });
  });

  describe(`a command in ${shell.join(' ')}`, () => {
    const run = (argv: readonly string[], seconds = 10) => {
      const token = randomBytes(16).toString('hex');
      return said(shell, commandScript(argv, token, 'nonce', seconds));
    };

    it('has the umask, locale and signals of whoever logs in', () => {
      const look = `umask; echo "\${LC_ALL-unset}"; grep ^SigIgn /proc/self/status`;
      const lines = run(['sh', '-c', look]);
      const umask = execFileSync('sh', ['-c', 'umask'], { encoding: 'utf8' }).trim();
      assert.deepEqual(lines, [
        `output ${umask}`,
        'output unset',
        `output SigIgn:\t${'0'.repeat(16)}`,
        'exit 0 in-time',
      ]);
    });

    it('is told by its exit code, and leaves no file behind', () => {
      assert.deepEqual(run(['sh', '-c', 'echo no; exit 3']), ['output no', 'exit 3 in-time']);
      assert.deepEqual(readdirSync(directory), []);
    });

    it('is ended when its time is over, by SIGKILL where it must be', () => {
      assert.match(run(['sleep', '60'], 1).at(-1) ?? '', /^exit \d+ late$/);
      const deaf = ['sh', '-c', "trap '' TERM; while :; do sleep 1; done"];
      assert.equal(run(deaf, 1).at(-1), 'exit 137 late');
      assert.deepEqual(readdirSync(directory), []);
    });

    it('that is not there is told beforehand and when it is run', () => {
      assert.deepEqual(run(['no-such-program']), ['failed ENOENT']);
      assert.deepEqual(said(shell, programScript('no-such-program', 'nonce')), []);
      assert.deepEqual(said(shell, programScript('sh', 'nonce')), ['there']);
    });

    it('writes into nothing that somebody has put there before', () => {
      const token = 'f'.repeat(32);
      const file = join(directory, `salt-triage.${token}`);
      execFileSync('ln', ['-s', '/dev/null', file]);
      const lines = said(shell, commandScript(['true'], token, 'nonce', 5));
      rmSync(file);
      assert.deepEqual(lines, ['failed no temporary directory']);
    });
  });
}

it('is tried in more than one shell', () => {
  if (process.env['CI']) assert.equal(SHELLS.length, 3, 'dash, bash and busybox are there');
  assert.ok(SHELLS.length > 0 && existsSync('/proc/self/stat'));
});

for (const shell of SHELLS) {
  it(`the record of a process in ${shell.join(' ')} has its words apart and its secrets masked`, async (t) => {
    const child = spawn(
      'bash',
      ['-c', 'read line', 'x', '--pass', 'two hunter2', '--key=hunter2'],
      {
        stdio: ['pipe', 'ignore', 'ignore'],
      },
    );
    t.after(() => child.kill('SIGKILL'));
    const client = join(directory, `ssh-${shell[0]}`);
    writeFileSync(client, `#!/bin/sh\nexec ${shell.join(' ')} -s\n`, { mode: 0o755 });
    const connection = new SshConnection(
      { destination: 'master', sudo: false },
      { connectTimeoutMs: 5_000, mayAsk: false, program: client },
    );
    const record = await new SshActions(connection).recordProcess(child.pid ?? 0);
    await connection.close();
    const argv = ['bash', '-c', 'read line', 'x', '--pass', '***', '--key=***'];
    assert.deepEqual(JSON.parse(record.get('cmdline') ?? ''), argv);
    assert.doesNotMatch([...record.values()].join(), /hunter2/);
    assert.match(record.get('status') ?? '', /^Pid:\s+\d+$/m);
  });
}
