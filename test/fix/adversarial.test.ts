/** Everything that could make a fix hit the wrong process, or stop it half-way. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';
import { endStaged, stagedProcesses } from '../../src/drill/staged-processes.ts';
import { BUNDLE, PROGRAM, runCli } from '../cli/run.ts';
import { fix } from './fix-document.ts';
import { isAlive, journal, stage, until } from './staged.ts';
import { open, skipWithoutTmux } from './terminal.ts';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

describe('a target that changes while the question is open', { skip: skipWithoutTmux() }, () => {
  it('is not killed where its pid was given to another process of the same command line', {
    skip: isRoot ? false : 'needs root to choose a pid',
  }, async (t) => {
    const staged = await stage(t, 'orphan');
    const argv = commandLineOf(staged.orphanPid);
    const terminal = open(t, staged, 'fix', { more: ['--only', 'kill'] });
    await terminal.shows(`? kill -9 ${staged.orphanPid} (orphan)?`);
    process.kill(staged.orphanPid, 'SIGKILL');
    const reaped = spawnWithPid(t, staged.orphanPid, argv);
    await until('the new one on the port', () => /listen/.test(stateOfPort(staged.port)));
    terminal.type('y');
    await terminal.shows('refused:');
    assert.match(terminal.screen(), /is another process now: the pid\s+was given out again/);
    await terminal.shows(/exit code \d/);
    assert.deepEqual(attempts(staged.trail), [], 'it did not even come to a signal');
    assert.equal(reaped.pid, staged.orphanPid);
    assert.ok(isAlive(staged.orphanPid));
  });

  it('is not killed where another process took its place under another pid', async (t) => {
    const staged = await stage(t, 'orphan');
    const argv = commandLineOf(staged.orphanPid);
    const terminal = open(t, staged, 'fix', { more: ['--only', 'kill', '--wait', '500ms'] });
    await terminal.shows(`? kill -9 ${staged.orphanPid} (orphan)?`);
    process.kill(staged.orphanPid, 'SIGKILL');
    await until('its end', () => !isAlive(staged.orphanPid));
    const other = play(t, argv);
    await until('the new one on the port', () => /listen/.test(stateOfPort(staged.port)));
    terminal.type('y');
    await terminal.shows(/exit code \d/);
    assert.match(terminal.screen(), /has ended by itself/);
    assert.ok(isAlive(other.pid ?? 0));
  });

  it('is not killed once it has exec’d into another program', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'salt-triage-exec-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const script = join(directory, 'salt-api');
    writeFileSync(
      script,
      `import os, signal, socket
if os.fork(): os._exit(0)
kept = open(__file__, "a")
server = socket.create_server(('127.0.0.1', 0))
signal.signal(signal.SIGUSR1, lambda *_: os.execv('/bin/sleep', ['sleep', '600']))
print(server.getsockname()[1], os.getpid(), flush=True)
while True: signal.pause()
`,
    );
    const orphan = spawn('/usr/bin/python3', [script, '-c', directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = (await once(createInterface({ input: orphan.stdout }), 'line')) as [string];
    const [port = 0, pid = 0] = said.split(' ').map(Number);
    assert.ok(pid > 1, said);
    t.after(() => process.kill(pid, 'SIGKILL'));
    const target = ['--port', `${port}`, '-c', directory, '--state-dir', join(directory, 'trail')];
    const options = ['--probe-timeout', '300ms', '--only', 'kill', '--wait', '1s'];
    const terminal = open(t, { port, target, service: [] }, 'fix', { more: options });
    await terminal.shows(`? kill -9 ${pid} (orphan)?`);
    process.kill(pid, 'SIGUSR1');
    await until('the exec', () => commandLineOf(pid)[0] === 'sleep');
    terminal.type('y');
    await terminal.shows(/exit code \d/);
    assert.match(terminal.screen(), /has ended by itself|is not salt-api any more/);
    assert.deepEqual(attempts(join(directory, 'trail')), [], 'it did not even come to a signal');
    assert.ok(isAlive(pid));
  });
});

describe('processes that look like salt-api', () => {
  it('is not salt-triage in a directory named salt-api', async (t) => {
    const staged = await stage(t, 'restarted');
    const directory = join(staged.directory, 'opt', 'salt-api');
    mkdirSync(directory, { recursive: true });
    const bundle = join(directory, 'salt-triage.cjs');
    copyFileSync(BUNDLE, bundle);
    const command = [process.execPath, bundle];
    const { code } = await fix([...staged.target, ...staged.service], { command });
    assert.equal(code, 0);
  });

  it('is not killed where it is salt-triage itself, by whatever name', async (t) => {
    const staged = await stage(t, 'restarted');
    const directory = join(staged.directory, 'opt');
    mkdirSync(directory);
    copyFileSync(BUNDLE, join(directory, 'salt-api'));
    const named = ['bash', '-c', 'exec -a /usr/bin/python3 "$0" "$@"', process.execPath];
    const { code, document } = await fix([...staged.target, ...staged.service], {
      command: [...named, join(directory, 'salt-api')],
    });
    assert.equal(code, 0, JSON.stringify(document.steps));
    assert.deepEqual(killed(document), [staged.orphanPid]);
  });

  it('is not killed where it is what started salt-triage', async (t) => {
    const staged = await stage(t, 'restarted');
    const directory = join(staged.directory, 'opt');
    mkdirSync(directory);
    writeFileSync(join(directory, 'salt-api'), 'shift 2\n"$@"\nexit $((100 + $?))\n');
    const named = ['bash', '-c', 'exec -a /usr/bin/python3 bash "$0" "$@"'];
    const wrapper = [join(directory, 'salt-api'), '-c', staged.configDirectory];
    const { code, document } = await fix([...staged.target, ...staged.service], {
      command: [...named, ...wrapper, ...PROGRAM],
    });
    assert.equal(code, 100, 'the wrapper has lived to tell');
    assert.deepEqual(killed(document), [staged.orphanPid]);
  });

  it('is not a healthy neighbour with a configuration of its own', async (t) => {
    const [ours, neighbour] = [await instance(t), await instance(t)];
    const manager = ours.manager();
    const spared = neighbour.processes();
    // Our daemon stops answering; a stop that says OK leaves all of it to the second look.
    for (const pid of ours.processes()) process.kill(pid, 'SIGSTOP');
    const start = `${process.execPath} ${join(ours.directory, 'salt-api-service')} start`;
    const { code, document } = await fix([
      ...['--port', `${ours.port}`, '-c', join(ours.directory, 'etc'), '--probe-timeout', '500ms'],
      ...['--state-dir', join(ours.directory, 'trail'), '--start-cmd', start],
      ...['--stop-cmd', 'echo OK'],
    ]);
    assert.equal(code, 0, JSON.stringify(document.steps));
    assert.ok(document.steps.some(({ pid, status }) => pid === manager && status === 'done'));
    assert.equal(spared.length, 2);
    assert.ok(
      spared.every((pid) => isAlive(pid)),
      JSON.stringify(document.steps),
    );
  });
});

describe('a host that gets in the way', () => {
  it('is refused before any change where the target belongs to somebody else', {
    skip: isRoot ? false : 'needs root to be somebody else',
  }, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'salt-triage-theirs-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    spawnSync('chmod', ['755', directory]);
    writeFileSync(join(directory, 'salt-api'), 'while :; do sleep 1; done\n');
    const port = await freePort();
    writeFileSync(join(directory, 'master'), `rest_cherrypy:\n  port: ${port}\n`);
    const fork = 'exec -a /usr/bin/python3 bash "$0" -c "$1" RunNetapi > /dev/null 2>&1 & echo $!';
    const argv = ['-c', fork, join(directory, 'salt-api'), directory];
    const pid = Number(spawnSync('bash', argv, { encoding: 'utf8' }).stdout);
    assert.ok(pid > 1);
    t.after(() => process.kill(pid, 'SIGKILL'));
    const trail = join(directory, 'trail');
    const args = ['-c', directory, '--only', 'kill', '--state-dir', trail, '--log', '/dev/null'];
    const ran = await runCli(['fix', '--yes', ...args], { uid: NOBODY, cwd: '/' });
    assert.equal(ran.code, 77, ran.stderr + ran.stdout);
    assert.match(
      ran.stderr,
      /^salt-triage: type this instead:\n {4}sudo salt-triage fix .*\n {2}not permitted to fix [\s\S]*Nothing was changed/,
    );
    assert.ok(isAlive(pid));
    assert.throws(() => readFileSync(trail), { code: 'ENOENT' });
  });

  it('is mended without a trail on the disk: the trail goes to standard error', async (t) => {
    const staged = await stage(t, 'restarted');
    const target = staged.target.map((word) => (word === staged.trail ? '/proc/nowhere' : word));
    const { code, document, stderr } = await fix([...target, ...staged.service]);
    assert.equal(code, 0);
    assert.equal(document.trail, 'standard error');
    assert.match(stderr, /WARNING: the trail can't be kept \(\/proc\/nowhere: ENOENT/);
    assert.match(stderr, new RegExp(`"phase":"after","action":"kill -9 ${staged.orphanPid}"`));
  });

  it('is mended though the disk of the trail is full', {
    skip: skipWithoutMountNamespaces(),
  }, async (t) => {
    const staged = await stage(t, 'restarted');
    mkdirSync(staged.trail);
    const full = `mount -t tmpfs -o size=8k,mode=700 none ${staged.trail} && exec "$@"`;
    const { code, document, stderr } = await fix([...staged.target, ...staged.service], {
      command: ['unshare', '--mount', 'sh', '-c', full, 'sh', ...PROGRAM],
    });
    assert.equal(code, 0, JSON.stringify(document.steps));
    assert.equal(stderr.match(/WARNING: the trail can't be kept .*ENOSPC/g)?.length, 1);
  });

  it('is left to the daemon that something else has started after the stop, which it names', async (t) => {
    const staged = await stage(t, 'orphan');
    const supervisor = join(staged.directory, 'supervise.sh');
    const [program] = staged.startCommand;
    writeFileSync(
      supervisor,
      `while [ -e "$0" ]; do
  SALT_TRIAGE_DRILL_ROLE=manager bash -c 'exec -a /usr/bin/python3 "$@"' bash ${program} \
    ${join(staged.directory, 'salt-api')} -c ${staged.configDirectory} -d
done
`,
    );
    const supervised = spawn('bash', [supervisor], { stdio: 'ignore' });
    try {
      const pid = supervised.pid ?? 0;
      const [manager = 0] = await until('its daemon', () => {
        const pids = childrenOf(pid);
        return pids.some((child) => childrenOf(child).length > 0) && pids;
      });
      const options = ['--stop-cmd', 'echo OK', '--start-cmd', 'false'];
      const { code, document } = await fix([...staged.target, ...options]);
      assert.equal(code, 0, JSON.stringify(document.steps));
      assert.deepEqual(killed(document).slice(0, 2), [staged.orphanPid, manager]);
      const start = document.steps.find(({ kind }) => kind === 'start');
      assert.equal(start?.status, 'not-needed', JSON.stringify(document.steps));
      const [second = 0] = childrenOf(pid);
      assert.ok(second !== manager && isAlive(second), 'the second daemon was left alone');
    } finally {
      // Before the drill is cleaned up: what it starts anew would not let that end.
      rmSync(supervisor);
      supervised.kill('SIGKILL');
    }
  });
});

/** Pids of the kills that were done. */
function killed(document: Awaited<ReturnType<typeof fix>>['document']): (number | undefined)[] {
  return document.steps
    .filter(({ kind, status }) => kind === 'kill' && status === 'done')
    .map(({ pid }) => pid);
}

function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return children.split(' ').filter(Boolean).map(Number);
}

/** Kills that the journal announces. */
function attempts(trail: string): string[] {
  const lines = journal(trail).filter(({ phase }) => phase === 'before');
  return lines.map(({ action }) => action).filter((action) => action.startsWith('kill -9'));
}

function commandLineOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
}

/** The drill's server once more, from a command line that one of its processes had. */
function play(t: TestContext, [argv0 = '', ...args]: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, args, {
    argv0,
    stdio: 'ignore',
    env: { ...process.env, SALT_TRIAGE_DRILL_ROLE: 'child' },
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

/** As `play`, with a pid that has just become free (proc(5), ns_last_pid). */
function spawnWithPid(t: TestContext, pid: number, argv: readonly string[]): ChildProcess {
  const deadline = Date.now() + 15_000;
  while (Date.now() < deadline) {
    writeFileSync('/proc/sys/kernel/ns_last_pid', `${pid - 1}`);
    const child = play(t, argv);
    if (child.pid === pid) return child;
    child.kill('SIGKILL');
  }
  throw new Error(`pid ${pid} did not become free`);
}

/** `listen` where someone listens on the port of this host. */
function stateOfPort(port: number): string {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const table = readFileSync('/proc/net/tcp', 'utf8');
  return new RegExp(`:${hex} [0-9A-F]+:0000 0A `).test(table) ? 'listen' : '';
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}

/**
 * A daemon that serves, in a directory that no drill has: drills are kept apart from everything
 * else by their directory's name, and two installations are not.
 */
async function instance(t: TestContext) {
  const staged = await stage(t, 'healthy');
  const directory = mkdtempSync(join(tmpdir(), 'salt-triage-instance-'));
  const script = join(directory, 'salt-api');
  t.after(() => {
    endStaged(script);
    rmSync(directory, { recursive: true, force: true });
  });
  cpSync(staged.directory, directory, { recursive: true });
  await staged.cleanup();
  for (const file of ['etc/master', 'drill.json']) {
    const text = readFileSync(join(directory, file), 'utf8');
    writeFileSync(join(directory, file), text.replaceAll(staged.directory, directory));
  }
  await runCli(['start'], { command: [process.execPath, join(directory, 'salt-api-service')] });
  await until('its child', () => stagedProcesses(script).length === 2);
  await until('a listener', () => stateOfPort(staged.port));
  return {
    directory,
    port: staged.port,
    processes: () => stagedProcesses(script).map(({ pid }) => pid),
    manager: () => Number(readFileSync(join(directory, 'salt-api.pid'), 'utf8')),
  };
}

function skipWithoutMountNamespaces(): string | false {
  const works = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']);
  return works.status === 0 ? false : 'needs root and mount namespaces';
}
