/** Mending a host behind a real sshd, and the other one-liners of README. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseCommandLine, parseProcessStat } from '../../src/evidence/proc-text.ts';
import type { KillTarget } from '../../src/host/host.ts';
import { quoteRemoteWord } from '../../src/host/ssh/quote-remote-word.ts';
import { SshActions } from '../../src/host/ssh/ssh-actions.ts';
import { SshConnection } from '../../src/host/ssh/ssh-connection.ts';
import { BUNDLE, runCli } from '../cli/run.ts';
import { isAlive, journal, programs, stage, until } from '../fix/staged.ts';
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

/** What a run of ssh carries when its connection is lost, by words of the script. */
const CARRIED = {
  kill: 'kill -9 "$p"',
  stop: "salt-api-service' 'stop'",
  start: "salt-api-service' 'start'",
} as const;

describe('a fix whose connection is lost', { skip: sshdMissing() }, () => {
  let sshd: Sshd;
  before(async () => {
    sshd = await startSshd();
  });
  after(() => sshd.stop());

  /** An ssh that once loses what it carries: before it is delivered, or with its answer. */
  function losing(directory: string, words: string, when: 'before' | 'after') {
    return programs(directory, {
      ssh: [
        `case "$*" in *'sh -s'*) ;; *) exec '${sshd.client}' "$@";; esac`,
        `script='${directory}/script'.$$`,
        'cat > "$script"',
        `if grep -qF -- ${quoteRemoteWord(words)} "$script" && mkdir '${directory}/lost' 2>/dev/null; then`,
        when === 'after' ? `  '${sshd.client}' "$@" < "$script" > /dev/null` : '',
        '  echo "Connection reset by peer" >&2',
        '  exit 255',
        'fi',
        `exec '${sshd.client}' "$@" < "$script"`,
      ].join('\n'),
    });
  }

  for (const [carried, words] of Object.entries(CARRIED)) {
    for (const when of ['before', 'after'] as const) {
      it(`goes on where ${carried} was lost ${when} it was done`, async (t) => {
        const staged = await stage(t, 'restarted');
        const args = ['--yes', '--json', ...staged.target, ...staged.service];
        const env = losing(staged.directory, words, when);
        const ran = await runCli(['fix', '--host', 'master', ...args], { env });
        assert.equal(ran.code, 0, ran.stderr + ran.stdout);
        assert.ok(existsSync(join(staged.directory, 'lost')), 'a connection was lost');
        assert.equal(JSON.parse(ran.stdout).after.verdict.code, 'healthy');
        assert.ok(!isAlive(staged.orphanPid));
        // Two managers would be two starts.
        const evidence = JSON.parse(ran.stdout).after.steps[1].evidence;
        const roles = evidence.others.map(({ role }: { role: string }) => role);
        const ours = roles.filter((role: string) => role !== 'elsewhere');
        assert.deepEqual(ours.toSorted(), ['child', 'manager']);
      });
    }
  }

  it('waits for a command that goes on there, and comes back by itself', async (t) => {
    const staged = await stage(t, 'restarted');
    const link = await severable(sshd.port);
    t.after(() => link.close());
    const began = join(staged.directory, 'began');
    const stop = join(staged.directory, 'slow-stop');
    const words = staged.stopCommand.map(quoteRemoteWord).join(' ');
    writeFileSync(stop, `touch '${began}'; sleep 1; exec ${words}`);
    const args = [
      '--yes',
      '--json',
      ...staged.target,
      ...staged.service,
      '--stop-cmd',
      `sh ${stop}`,
    ];
    const env = programs(sshd.directory, { ssh: `exec '${sshd.client}' -p ${link.port} "$@"` });
    const running = runCli(['fix', '--host', 'master', ...args], { env });
    await until('the stop command', () => existsSync(began));
    link.cut();
    const ran = await running;
    assert.equal(ran.code, 0, ran.stderr + ran.stdout);
    const results = journal(staged.trail).filter(({ action }) => action === 'stop the service');
    assert.match(results[1]?.result ?? '', /the connection was lost/);
  });

  it('says what was done and what not where the host does not come back: exit 3', async (t) => {
    const staged = await stage(t, 'restarted');
    const link = await severable(sshd.port);
    t.after(() => link.close());
    const began = join(staged.directory, 'began');
    const stop = join(staged.directory, 'slow-stop');
    writeFileSync(stop, `touch '${began}'; exec sleep 3`);
    const args = ['--yes', ...staged.target, ...staged.service, '--stop-cmd', `sh ${stop}`];
    const env = programs(sshd.directory, { ssh: `exec '${sshd.client}' -p ${link.port} "$@"` });
    const bounds = ['--wait', '1s', '--connect-timeout', '1s'];
    const running = runCli(['fix', '--host', 'master', ...args, ...bounds], { env });
    await until('the stop command', () => existsSync(began));
    link.close();
    const ran = await running;
    assert.equal(ran.code, 3, ran.stderr + ran.stdout);
    assert.match(ran.stdout, /Not recovered \(cut off\)/);
    assert.match(ran.stdout, /^Now {6}not known: /m);
    assert.match(ran.stdout, new RegExp(`^Done .*kill -9 ${staged.orphanPid}`, 'm'));
    assert.match(
      ran.stdout.replace(/\s+/g, ' '),
      /Not done stop the service: failed; .*start the service/,
    );
    const last = journal(staged.trail).at(-1);
    assert.match(last?.result ?? '', /not recovered, cut off/);
    assert.ok(journal(staged.trail).some(({ result }) => /^not known: /.test(result ?? '')));
  });
});

/** A TCP proxy whose connections can be cut; new ones are taken until it is closed. */
async function severable(port: number) {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    close() {
      server.close();
      cut();
    },
  };
}

function targetOf(pid: number): KillTarget {
  const stat = parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  assert.ok(stat !== null);
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const argv = parseCommandLine(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  return { identity: { pid, startTicks: stat.startTicks, bootId }, argv };
}
