/** Mending a host behind a real sshd, and the other one-liners of README. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { parseCommandLine, parseProcessStat } from '../../src/evidence/proc-text.ts';
import type { KillTarget } from '../../src/host/host.ts';
import { SshActions } from '../../src/host/ssh/ssh-actions.ts';
import { SshConnection } from '../../src/host/ssh/ssh-connection.ts';
import { BUNDLE, runCli } from '../cli/run.ts';
import { isAlive, journal, programs, stage } from '../fix/staged.ts';
import { type Sshd, sshdMissing, startSshd } from './sshd.ts';

describe('over ssh', { skip: sshdMissing() }, () => {
  let sshd: Sshd;
  before(async () => {
    sshd = await startSshd();
  });
  after(() => sshd.stop());
  /** `ssh` is the one that knows the test's host `master`. */
  const env = () => programs(sshd.directory, { ssh: `exec '${sshd.client}' "$@"` });
  const connection = () =>
    new SshConnection(
      { destination: 'master', sudo: false },
      { connectTimeoutMs: 5_000, mayAsk: false, program: sshd.client },
    );

  it('fix --host --yes mends the host there and keeps the trail here', async (t) => {
    const staged = await stage(t, 'restarted');
    const args = [
      'fix',
      '--host',
      'master',
      '--yes',
      '--json',
      ...staged.target,
      ...staged.service,
    ];
    const ran = await runCli(args, { env: env() });
    assert.equal(ran.code, 0, ran.stderr + ran.stdout);
    const document = JSON.parse(ran.stdout);
    assert.equal(document.result, 'recovered');
    assert.equal(document.after.verdict.code, 'healthy');
    assert.ok(!isAlive(staged.orphanPid));
    const kills = journal(staged.trail).filter(({ action }) => action.startsWith('kill -9'));
    assert.deepEqual(
      kills.map(({ phase }) => phase),
      ['before', 'after'],
    );
  });

  it('diagnose and fix run from standard input where only Node is', async (t) => {
    const staged = await stage(t, 'restarted');
    const input = readFileSync(BUNDLE, 'utf8');
    const over = (words: readonly string[]) =>
      runCli(['master', process.execPath, '-', ...words.map((word) => `'${word}'`)], {
        command: [sshd.client],
        input,
      });
    const look = await over(['diagnose', '--json', ...staged.target.slice(0, 4)]);
    assert.equal(look.code, 1);
    assert.equal(JSON.parse(look.stdout).verdict.code, 'orphan-holds-port');
    const refused = await over(['fix', ...staged.target, ...staged.service]);
    assert.equal(refused.code, 4);
    const fixed = await over(['fix', '--yes', ...staged.target, ...staged.service]);
    assert.equal(fixed.code, 0, fixed.stdout + fixed.stderr);
    assert.ok(!isAlive(staged.orphanPid));
  });

  it('a probe run by hand gives the verdict of the host itself', async (t) => {
    const staged = await stage(t, 'restarted');
    const target = staged.target.slice(0, 4);
    const script = await runCli(['probe', ...target]);
    const evidence = await runCli(['master', 'sh'], {
      command: [sshd.client],
      input: script.stdout,
    });
    const ran = await runCli(['diagnose', '-q', '--from', '-'], { input: evidence.stdout });
    assert.match(ran.stdout, /^orphan-holds-port/);
  });

  it('many hosts are rows, a dead one among them, and the exit is the worst', async (t) => {
    const staged = await stage(t, 'orphan');
    const hosts = ['--host', 'master', '--host', 'ssh://root@dead:1'];
    const args = ['diagnose', '--json', '--no-probe', ...hosts, ...staged.target.slice(0, 4)];
    const dead = ['--connect-timeout', '2s'];
    const ran = await runCli([...args, ...dead], { env: env() });
    const lines = ran.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.equal(lines.length, 2);
    const alive = lines.find(({ target }) => target === 'master');
    assert.equal(alive.verdict.code, 'orphan-holds-port');
    const other = lines.find(({ target }) => target !== 'master');
    assert.equal(other.exitCode, 3);
    assert.equal(typeof other.error.message, 'string');
    assert.equal(ran.code, 1);
  });

  it('fixes one host at a time: several are a usage error', async () => {
    const named = ['--host', 'master', '--host', 'b'];
    // Without a terminal no --yes is advised that would be refused.
    for (const args of [named, [...named, '--yes']]) {
      const ran = await runCli(['fix', ...args], { env: env() });
      assert.equal(ran.code, 2);
      assert.match(ran.stderr, /one host at a time/);
    }
  });

  it('kill refuses another start tick, another boot, another command line; then it kills', async (t) => {
    const staged = await stage(t, 'orphan');
    const there = connection();
    t.after(() => there.close());
    const actions = new SshActions(there);
    const target = targetOf(staged.orphanPid);
    const { identity, argv } = target;
    const wrong: readonly KillTarget[] = [
      { identity: { ...identity, startTicks: identity.startTicks + 1 }, argv },
      { identity: { ...identity, bootId: '00000000-0000-0000-0000-000000000000' }, argv },
      { identity, argv: [...argv, '-l', 'debug'] },
      { identity, argv: ['vim', 'salt-api'] },
      { identity: { ...identity, pid: 1 }, argv },
    ];
    for (const other of wrong) {
      const outcome = await actions.kill(other, 2_000);
      assert.equal(outcome.kind, 'refused', JSON.stringify({ other, outcome }));
      assert.ok(isAlive(staged.orphanPid));
    }
    const outcome = await actions.kill(target, 2_000);
    assert.ok(['gone', 'zombie'].includes(outcome.kind), JSON.stringify(outcome));
    assert.ok(!isAlive(staged.orphanPid));
    assert.equal((await actions.kill({ ...target }, 2_000)).kind === 'refused', false);
  });

  it('run tells exit codes, output, a hang and a missing program apart, quoting every word', async (t) => {
    const there = connection();
    t.after(() => there.close());
    const actions = new SshActions(there);
    const said = await actions.run(['sh', '-c', 'echo "$1"; exit 3', 'x', `a'b $(id) "c`], 10_000);
    assert.equal(said.exitCode, 3);
    assert.equal(said.output, `a'b $(id) "c`);
    const hung = await actions.run(['sleep', '60'], 1_000);
    assert.ok(hung.timedOut);
    assert.equal((await actions.run(['no-such-program'], 5_000)).failed, 'ENOENT');
    const daemon = await actions.run(['sh', '-c', 'sleep 5 & echo started'], 20_000);
    assert.equal(daemon.output, 'started');
    assert.ok(daemon.durationMs < 4_000, `${daemon.durationMs} ms`);
  });
});

function targetOf(pid: number): KillTarget {
  const stat = parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  assert.ok(stat !== null);
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const argv = parseCommandLine(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  return { identity: { pid, startTicks: stat.startTicks, bootId }, argv };
}
