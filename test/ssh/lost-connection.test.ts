/** A fix goes on where its connection is lost, and says what it can't know. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { quoteRemoteWord } from '../../src/host/ssh/quote-remote-word.ts';
import { runCli } from '../cli/run.ts';
import { isAlive, journal, programs, stage, until } from '../fix/staged.ts';
import { type Sshd, sshdMissing, startSshd } from './sshd.ts';

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
        const args = ['--yes', '--json', '--stacks', 'never', ...staged.target, ...staged.service];
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
      '--stacks',
      'never',
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
