import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runCli } from '../cli/run.ts';
import { isAlive, journal, programs, stage, until } from './staged.ts';

interface FixDocument {
  readonly result: string;
  readonly exitCode: number;
  readonly trail: string | null;
  readonly plan: { readonly kind: string; readonly steps: readonly { readonly kind: string }[] };
  readonly steps: readonly {
    readonly kind: string;
    readonly status: string;
    readonly pid?: number;
    readonly role?: string;
    readonly detail: string;
  }[];
  readonly before: { readonly verdict: { readonly code: string } };
  readonly after: { readonly verdict: { readonly code: string } } | null;
}

async function fix(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const ran = await runCli(['fix', '--yes', '--json', ...args], { env });
  return { ...ran, document: JSON.parse(ran.stdout) as FixDocument };
}

describe('fix --yes', () => {
  it('kills the orphan, restarts, and verifies that the API serves again', async (t) => {
    const staged = await stage(t, 'restarted');
    const { code, document } = await fix([...staged.target, ...staged.service]);
    assert.equal(code, 0);
    assert.equal(document.result, 'recovered');
    assert.equal(document.before.verdict.code, 'orphan-holds-port');
    assert.equal(document.after?.verdict.code, 'healthy');
    assert.deepEqual(
      document.plan.steps.map(({ kind }) => kind),
      ['save-evidence', 'kill', 'stop', 'kill-leftovers', 'wait-port-free', 'start', 'verify'],
    );
    assert.ok(
      document.steps.every(({ status }) => status === 'done'),
      JSON.stringify(document.steps),
    );
    assert.equal(document.steps[1]?.pid, staged.orphanPid);
    assert.ok(!isAlive(staged.orphanPid));
    assert.ok(!isAlive(staged.managerPid));
  });

  it('leaves a trail: evidence before and after, the process before its kill, each action twice', async (t) => {
    const staged = await stage(t, 'orphan');
    const { code, document } = await fix([...staged.target, ...staged.service]);
    assert.equal(code, 0);
    assert.ok(document.trail !== null);
    const files = readdirSync(document.trail);
    for (const name of [
      'evidence-before.json',
      'evidence-after.json',
      'plan.json',
      'processes.tsv',
    ]) {
      assert.ok(files.includes(name), name);
    }
    const record = files.find((name) => name.startsWith(`process-${staged.orphanPid}-`));
    assert.ok(record !== undefined);
    assert.ok(!readdirSync(join(document.trail, record)).includes('environ'));
    const kills = journal(staged.trail).filter(
      ({ action }) => action === `kill -9 ${staged.orphanPid}`,
    );
    assert.deepEqual(
      kills.map(({ phase }) => phase),
      ['before', 'after'],
    );
    // What was saved can be judged again, elsewhere.
    const saved = join(document.trail, 'evidence-before.json');
    assert.match((await runCli(['diagnose', '-q', '--from', saved])).stdout, /^orphan-holds-port/);
    const history = await runCli(['history', '--state-dir', staged.trail]);
    assert.ok(history.stdout.includes(document.trail.split('/').at(-1) ?? '?'), history.stdout);
  });

  it('stops a hung server, kills what the stop that said OK left behind, and starts', async (t) => {
    const staged = await stage(t, 'hung');
    const start = ['--start-cmd', staged.startCommand.join(' ')];
    const { code, document } = await fix([...staged.target, ...start, '--stop-cmd', 'echo OK']);
    assert.equal(code, 0, JSON.stringify(document.steps));
    assert.equal(document.before.verdict.code, 'hung');
    const kills = document.steps.filter(({ kind }) => kind === 'kill');
    assert.deepEqual(
      kills.map(({ pid, role }) => [pid, role]),
      [
        [staged.managerPid, 'manager'],
        [staged.orphanPid, 'child'],
      ],
    );
    assert.equal(document.after?.verdict.code, 'healthy');
  });

  it('starts what is down, and kills nothing', async (t) => {
    const staged = await stage(t, 'healthy');
    await runCli([], { command: staged.stopCommand });
    await until(
      'the end of the daemon',
      () => !isAlive(staged.managerPid) && !isAlive(staged.orphanPid),
    );
    const { code, document } = await fix([...staged.target, ...staged.service]);
    assert.equal(code, 0);
    assert.equal(document.before.verdict.code, 'down');
    assert.ok(!document.steps.some(({ kind }) => kind === 'kill' || kind === 'stop'));
  });

  it('restarts only if needed, when asked to: the daemon takes the port by itself', async (t) => {
    const staged = await stage(t, 'restarted', 500);
    const { code, document } = await fix([
      ...staged.target,
      ...staged.service,
      '--restart',
      'if-needed',
    ]);
    assert.equal(code, 0);
    assert.equal(document.steps.find(({ kind }) => kind === 'stop')?.status, 'not-needed');
    assert.equal(document.steps.find(({ kind }) => kind === 'start')?.status, 'not-needed');
    assert.ok(isAlive(staged.managerPid));
  });

  it('kills the orphans alone with --only kill, and waits for the daemon to serve', async (t) => {
    const staged = await stage(t, 'restarted', 2_000);
    const { code, document } = await fix([...staged.target, '--only', 'kill']);
    assert.equal(code, 0, JSON.stringify(document.steps));
    assert.deepEqual(
      document.steps.map(({ kind }) => kind),
      ['save-evidence', 'kill', 'verify'],
    );
    assert.ok(!isAlive(staged.orphanPid));
    assert.ok(isAlive(staged.managerPid));
    assert.equal(document.after?.verdict.code, 'healthy');
  });

  it('has not recovered with --only kill what then serves nobody, and says what would', async (t) => {
    const staged = await stage(t, 'orphan');
    const args = ['fix', '--yes', ...staged.target, '--only', 'kill', '--wait', '60s'];
    const began = performance.now();
    const { code, stdout } = await runCli(args);
    assert.equal(code, 1);
    assert.ok(performance.now() - began < 40_000, 'nothing runs that could take the port');
    assert.ok(!isAlive(staged.orphanPid));
    assert.match(stdout, /Not recovered\./);
    assert.match(stdout, /^Now {6}salt-api is stopped: nothing listens/m);
    assert.equal(
      stdout.match(/^Next .*/gm)?.length,
      1,
      'of the end: before the plan this fix is next',
    );
    assert.match(
      stdout,
      /^Next {5}salt-triage fix .* --start-cmd COMMAND\n {9}start; asks nothing/m,
    );
  });

  it('waits for the daemon where the port has come free by itself, and does nothing', async (t) => {
    const staged = await stage(t, 'restarted', 3_000);
    process.kill(staged.orphanPid, 'SIGKILL');
    await until('its end', () => !isAlive(staged.orphanPid));
    const { code, document } = await fix([...staged.target, ...staged.service]);
    assert.equal(code, 0, JSON.stringify(document.steps));
    assert.equal(document.result, 'nothing-to-do');
    assert.equal(document.before.verdict.code, 'healthy');
    assert.ok(isAlive(staged.managerPid));
  });

  it('does nothing to a healthy host', async (t) => {
    const staged = await stage(t, 'healthy');
    const { code, document } = await fix([...staged.target, ...staged.service]);
    assert.equal(code, 0);
    assert.equal(document.result, 'nothing-to-do');
    assert.ok(isAlive(staged.managerPid) && isAlive(staged.orphanPid));
    assert.ok(!existsSync(staged.trail));
  });

  it('refuses a port that something foreign holds, and leaves it alone', async (t) => {
    // Silent, for longer than this test may last: no answer of it would change the plan.
    const stranger = createServer(() => undefined);
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    t.after(() => stranger.close());
    const { port } = stranger.address() as AddressInfo;
    const look = ['--port', `${port}`, '--probe-timeout', '1h'];
    const { code, document, stderr } = await fix([...look, '--start-cmd', 'false']);
    assert.equal(code, 5);
    assert.equal(document.result, 'refused');
    assert.match(stderr, /refused: .*not this salt-api/);
    assert.ok(stranger.listening);
  });

  it('spares every process that only carries the word salt-api', async (t) => {
    const staged = await stage(t, 'restarted');
    const bystanders = [
      bystander(t, 'tail', ['-f', staged.logFile]),
      bystander(t, 'bash', ['-c', 'read line', `vim ${staged.directory}/salt-api`]),
      bystander(t, 'bash', ['-c', 'read line; : salt-api -d']),
    ];
    const { code, document } = await fix([...staged.target, ...staged.service]);
    assert.equal(code, 0, JSON.stringify(document.steps));
    assert.ok(bystanders.every((pid) => isAlive(pid)));
  });

  it('says how the start failed, with the last words of the command and of the journal', async (t) => {
    const staged = await stage(t, 'orphan');
    const env = programs(staged.directory, {
      systemctl: `case "$1" in
        show) printf 'LoadState=loaded\\nActiveState=failed\\nSubState=failed\\nMainPID=0\\n';;
        start) echo 'Job for salt-api.service failed because of the moon.' >&2; exit 1;;
        esac`,
      journalctl: `echo '2026-01-01 salt-api: cannot read the certificate'`,
    });
    const wait = ['--wait', '1s', '--service', 'systemd'];
    const { code, document } = await fix([...staged.target, ...wait], env);
    assert.equal(code, 1);
    const start = document.steps.find(({ kind }) => kind === 'start');
    assert.equal(start?.status, 'failed');
    assert.match(
      start?.detail ?? '',
      /exit 1[\s\S]*because of the moon[\s\S]*cannot read the certificate/,
    );
  });

  it('is not hung by a stop that hangs', async (t) => {
    const staged = await stage(t, 'restarted');
    const env = programs(staged.directory, {
      service: `[ "$2" = stop ] && exec sleep 600\nexec ${staged.startCommand.join(' ')}`,
    });
    const options = ['--service', 'sysv', '--command-timeout', '1s'];
    const { code, document } = await fix([...staged.target, ...options], env);
    assert.equal(code, 0, JSON.stringify(document.steps));
    const stop = document.steps.find(({ kind }) => kind === 'stop');
    assert.equal(stop?.status, 'failed');
    assert.match(stop?.detail ?? '', /timed out/);
  });
});

function bystander(t: TestContext, program: string, args: readonly string[]): number {
  const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'ignore'] });
  t.after(() => child.kill('SIGKILL'));
  assert.ok(child.pid !== undefined);
  return child.pid;
}
