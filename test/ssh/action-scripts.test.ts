/** The scripts that act behind ssh, under each shell that may be there, without an ssh. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { commandScript, programScript } from '../../src/host/ssh/action-scripts.ts';
import { collectorScript } from '../../src/host/ssh/collector-script.ts';
import { SshActions } from '../../src/host/ssh/ssh-actions.ts';
import { runnerIn, SHELLS } from './shells.ts';

/** What a script says between its marks. */
function said(shell: readonly string[], script: string): string[] {
  const [program = '', ...args] = [...shell, '-s'];
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

for (const shell of SHELLS) {
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

    it('gets no SIGKILL where its pid was given out again meanwhile', () => {
      const deaf = ['sh', '-c', "trap '' TERM; for n in 1 2 3 4 5; do sleep 1; done; exit 7"];
      const script = commandScript(deaf, randomBytes(16).toString('hex'), 'nonce', 1);
      // Each look at it finds another start tick.
      const ticks =
        'fields() { date +%N | sed "s/^/S 1 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 /"; }';
      const stubbed = script.replace(/^fields\(\) .*$/m, ticks);
      assert.notEqual(stubbed, script);
      assert.equal(said(shell, stubbed).at(-1), 'exit 7 late');
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
    const record = await new SshActions(runnerIn(shell)).recordProcess(child.pid ?? 0);
    const argv = ['bash', '-c', 'read line', 'x', '--pass', '***', '--key=***'];
    assert.deepEqual(JSON.parse(record.get('cmdline') ?? ''), argv);
    assert.doesNotMatch([...record.values()].join(), /hunter2/);
    assert.match(record.get('status') ?? '', /^Pid:\s+\d+$/m);
  });
}

it('leaves no watchdog of a look behind', () => {
  // In no other process list than ours.
  const limit = `${600 + (process.pid % 300)}`;
  const nothing = {
    configDirectory: directory,
    log: '',
    pidFiles: '',
    since: '60',
    withoutLog: '',
  };
  const parameters = { nonce: 'a'.repeat(32), port: '65001', unit: 'salt-api', limit, ...nothing };
  for (const shell of SHELLS) {
    const [program = '', ...args] = shell;
    for (let turn = 0; turn < 4; turn += 1) {
      spawnSync(program, [...args, '-s'], { input: collectorScript(parameters) });
    }
  }
  const left = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => readCommandLine(pid) === `sleep\0${limit}\0`);
  for (const pid of left) process.kill(Number(pid), 'SIGKILL');
  assert.deepEqual(left, []);
});

function readCommandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
