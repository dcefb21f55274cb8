import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LocalActions } from '../../src/host/local/local-actions.ts';
import { FakeSaltApis, isAlive, lineOf, pidOf, stateOf, targetOf, until } from './fake-salt-api.ts';

const actions = new LocalActions();
const ACT = fileURLToPath(new URL('./act.ts', import.meta.url));
const isRoot = process.geteuid?.() === 0;
/** Waits for its standard input to close, as a process that hangs. */
const HANG = 'read -r line; exit 0';

let fakes: FakeSaltApis;

beforeEach(() => {
  fakes = new FakeSaltApis();
});

afterEach(() => {
  fakes.end();
});

/** A process that can do what the test can't, such as being somebody else. */
function act(
  args: readonly string[],
  options: { uid?: number; detached?: boolean } = {},
): ChildProcess {
  return fakes.spawn(process.execPath, ['--import', 'tsx', ACT, ...args], options);
}

describe('kill', () => {
  it('ends a process that ignores everything else, and one that is stopped', async () => {
    const stubborn = pidOf(fakes.start(`trap '' TERM INT HUP; ${HANG}`));
    process.kill(stubborn, 'SIGSTOP');
    await until(() => stateOf(stubborn) === 'T', 'stopped');
    assert.deepEqual(await actions.kill(targetOf(stubborn), 5_000), { kind: 'gone' });
  });

  it('refuses what started us, though it be called salt-api', async () => {
    const parent = fakes.start('"$@"; exit $?', [
      process.execPath,
      '--import',
      'tsx',
      ACT,
      'kill',
      'parent',
    ]);
    const outcome = JSON.parse(await lineOf(parent));
    assert.match(outcome.why, /what started salt-triage/);
  });

  it('refuses ourselves', async () => {
    const outcome = JSON.parse(await lineOf(act(['kill', 'self'])));
    assert.match(outcome.why, /salt-triage itself/);
  });

  it("is not permitted on another user's process", { skip: !isRoot && 'needs root' }, async () => {
    const pid = pidOf(fakes.start(HANG));
    const nobody = act(['kill', JSON.stringify(targetOf(pid))], { uid: 65_534 });
    assert.deepEqual(JSON.parse(await lineOf(nobody)), { kind: 'not-permitted' });
    assert.ok(isAlive(pid));
  });

  it("ends an ordinary user's own process", { skip: !isRoot && 'needs root' }, async () => {
    const pid = pidOf(fakes.start(HANG, [], { uid: 65_534 }));
    const nobody = act(['kill', JSON.stringify(targetOf(pid))], { uid: 65_534 });
    // We are its parent, and Node reaps it.
    assert.deepEqual(JSON.parse(await lineOf(nobody)), { kind: 'gone' });
  });
});

describe('run', () => {
  it('gives the exit code and both outputs, without a shell', async () => {
    const { exitCode, output, timedOut, failed } = await actions.run(
      ['sh', '-c', 'echo "$1"; echo err >&2; exit 3', 'sh', '$HOME; *'],
      5_000,
    );
    assert.deepEqual(
      { exitCode, timedOut, failed },
      { exitCode: 3, timedOut: false, failed: null },
    );
    assert.deepEqual(output.split('\n').sort(), ['$HOME; *', 'err']);
  });

  it('has nothing on standard input to wait for', async () => {
    assert.equal((await actions.run(['cat'], 5_000)).exitCode, 0);
  });

  it('says why a command could not be started', async () => {
    assert.equal((await actions.run(['/nonexistent/service'], 5_000)).failed, 'ENOENT');
    assert.equal((await actions.run([fakes.directory], 5_000)).failed, 'EACCES');
    assert.equal((await actions.run(['echo', 'a\0b'], 5_000)).failed, 'ERR_INVALID_ARG_VALUE');
    assert.equal((await actions.run([], 5_000)).failed, 'ERR_INVALID_ARG_VALUE');
  });

  it('ends a command that hangs', async () => {
    const outcome = await actions.run(['sh', '-c', 'echo stopping; exec sleep 60'], 300);
    assert.equal(outcome.timedOut, true);
    assert.equal(outcome.exitCode, null);
    assert.equal(outcome.output, 'stopping');
    assert.ok(outcome.durationMs < 3_000, `${outcome.durationMs}`);
  });

  it('ends a command that hangs and ignores SIGTERM', async () => {
    const outcome = await actions.run(
      ['bash', '-c', "trap '' TERM; while :; do sleep 0.1; done"],
      300,
    );
    assert.equal(outcome.timedOut, true);
    assert.ok(outcome.durationMs < 8_000, `${outcome.durationMs}`);
  });

  it('keeps the end of an endless output, in bounded memory', async () => {
    const before = process.memoryUsage().rss;
    const outcome = await actions.run(['yes', 'Stopping salt-api daemon'], 1_000);
    assert.equal(outcome.timedOut, true);
    assert.ok(outcome.output.length <= 4_096);
    assert.match(outcome.output, /Stopping salt-api daemon$/);
    assert.ok(process.memoryUsage().rss - before < 100 * 1024 * 1024);
  });

  it('keeps control characters and secrets out of what is shown', async () => {
    const { output } = await actions.run(
      ['printf', '\\033[31mred\\033[0m\\nlogin password=hunter2\\n'],
      5_000,
    );
    assert.equal(output, 'red\nlogin password=***');
  });

  it('does not wait for a daemon that keeps the output open, and leaves it alone', async () => {
    const pidFile = join(fakes.directory, 'pid');
    const began = performance.now();
    const outcome = await actions.run(
      ['sh', '-c', `sleep 60 & echo $! > ${pidFile}; echo started`],
      20_000,
    );
    assert.equal(outcome.exitCode, 0);
    assert.equal(outcome.output, 'started');
    assert.ok(performance.now() - began < 5_000);
    const daemon = Number(readFileSync(pidFile, 'utf8'));
    assert.ok(isAlive(daemon));
    process.kill(daemon, 'SIGKILL');
    await until(() => readersLeft() === 0, 'no reader is left after the daemon');
  });

  it('leaves alone a daemon whose start command timed out', async () => {
    const pidFile = join(fakes.directory, 'pid');
    const script = `sleep 60 & echo $! > ${pidFile}; exec sleep 61`;
    assert.equal((await actions.run(['sh', '-c', script], 500)).timedOut, true);
    const daemon = Number(readFileSync(pidFile, 'utf8'));
    assert.ok(isAlive(daemon));
    process.kill(daemon, 'SIGKILL');
  });

  it('lets a daemon go on writing, also when we have ended', async () => {
    const [go, done] = [join(fakes.directory, 'go'), join(fakes.directory, 'done')];
    const daemon = `while [ ! -e ${go} ]; do sleep 0.02; done; /bin/echo one; /bin/echo two >&2 && /bin/echo three && touch ${done}`;
    const runner = act(['run', 'sh', '-c', `(${daemon}) & echo started`]);
    await until(() => runner.exitCode !== null, 'our end');
    execFileSync('touch', [go]);
    await until(() => existsSync(done), 'the daemon has written and lives');
  });

  it('does not let a Ctrl-C in our terminal reach the command', async () => {
    const started = join(fakes.directory, 'started');
    const go = join(fakes.directory, 'go');
    const script = `touch ${started}; while [ ! -e ${go} ]; do sleep 0.02; done; echo restarted`;
    const runner = act(['run', 'sh', '-c', script], { detached: true });
    let said = '';
    runner.stdout?.on('data', (chunk) => {
      said += String(chunk);
    });
    await until(() => existsSync(started), 'the command runs');
    // A terminal sends SIGINT to its whole foreground process group.
    process.kill(-pidOf(runner), 'SIGINT');
    execFileSync('touch', [go]);
    await until(() => runner.exitCode !== null, 'our end');
    const outcome = JSON.parse(said.split('\n')[1] ?? '');
    assert.deepEqual([outcome.exitCode, outcome.output], [0, 'restarted']);
  });
});

describe('recordProcess', () => {
  it('has what the kernel says of the process, without environment and secrets', async () => {
    process.env['SALT_TRIAGE_TEST_SECRET'] = 'kept-out';
    const pid = pidOf(fakes.start(HANG, ['--token=hunter2']));
    delete process.env['SALT_TRIAGE_TEST_SECRET'];
    const record = await actions.recordProcess(pid);
    for (const name of ['status', 'stat', 'limits', 'cgroup', 'threads', 'fds', 'cmdline']) {
      assert.ok((record.get(name) ?? '') !== '', name);
    }
    assert.match(record.get('threads') ?? '', new RegExp(`^${pid} \\w \\S+ `));
    assert.match(record.get('fds') ?? '', /^0 (socket|pipe):\[\d+\]$/m);
    const all = [...record.values()].join('\n');
    assert.match(all, /--token=\*\*\*/);
    assert.doesNotMatch(all, /hunter2|kept-out/);
    assert.ok(
      readFileSync(`/proc/${pid}/environ`, 'utf8').includes('kept-out'),
      'it was there to find',
    );
  });

  it('is empty for a process that is gone', async () => {
    assert.equal((await actions.recordProcess(2 ** 30)).size, 0);
  });
});

describe('missingRights', () => {
  it('is null for root and for our own processes', async () => {
    assert.equal(await actions.missingRights([process.geteuid?.() ?? -1]), null);
    assert.equal(await actions.missingRights([]), null);
    if (isRoot) assert.equal(await actions.missingRights([0, 1_000]), null);
  });
});

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}

/** The `cat` processes that read on for a daemon: they are nobody's children any more, or ours. */
function readersLeft(): number {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => commandOf(Number(name)) === 'cat' && stateOf(Number(name)) !== 'Z')
    .filter((name) => {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === process.pid;
    }).length;
}
