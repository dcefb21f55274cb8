import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { diagnoseHost } from '../../src/diagnosis/diagnose.ts';
import { type StagedIncident, stageIncident } from '../../src/drill/stage.ts';
import { stagedProcess, stagedProcesses } from '../../src/drill/staged-processes.ts';
import { TriageError } from '../../src/errors.ts';
import type { SocketFacts } from '../../src/evidence/evidence.ts';
import { parseSocketLink } from '../../src/evidence/proc-text.ts';
import { readSaltApiArgv } from '../../src/evidence/salt-api-argv.ts';
import { TcpTableReader } from '../../src/evidence/tcp-table.ts';
import { LocalHost } from '../../src/host/local/local-host.ts';
import { LOOK_REQUEST } from '../host/look-request.ts';

describe('the staged incident', () => {
  let incident: StagedIncident;
  before(async () => {
    incident = await stageIncident();
  });
  after(() => incident.cleanup());

  it('has an orphan that reads as salt-api and whose manager is another process', () => {
    const orphan = live(incident, incident.orphanPid);
    const manager = live(incident, incident.managerPid);
    assert.notEqual(orphan.ppid, manager.pid);
    assert.notEqual(orphan.session, manager.session);
    assert.ok(orphan.startTicks <= manager.startTicks);
    const argv = readFileSync(`/proc/${orphan.pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    assert.deepEqual(argv, [
      '/usr/bin/python3',
      join(incident.directory, 'salt-api'),
      '-c',
      incident.configDirectory,
      '-d',
    ]);
    assert.equal(readSaltApiArgv(argv)?.configDirectory, incident.configDirectory);
    assert.equal(orphan.comm, 'salt-api');
  });

  it('has a client whose new release has called five times as often for two hours', async () => {
    const host = new LocalHost();
    const request = {
      ...LOOK_REQUEST,
      port: incident.port,
      configDirectory: incident.configDirectory,
      leaveOut: ['answer'] as const,
      background: ['clients'] as const,
    };
    const policy = { closeWaitWarn: 5, closeWaitFail: 20 };
    const { causes } = await diagnoseHost(host, request, policy);
    const [rise, logins] = causes.map(({ summary }) => summary);
    assert.match(
      rise ?? '',
      /^127\.0\.0\.2 \(cmdb\/2\.1\) rose 5× at [\d: -]+, 2 h( \d+ min)? before the first failed start; it owns \d\d% of the CLOSE_WAIT$/,
    );
    assert.match(logins ?? '', /^\d\d logins under way: begun, and not answered$/);
  });

  it('has daemons that went through a double fork: the session leader is gone', () => {
    const manager = live(incident, incident.managerPid);
    assert.notEqual(manager.session, manager.pid);
    assert.equal(manager.session, manager.processGroup);
    assert.equal(stagedProcess(manager.session, join(incident.directory, 'salt-api')), null);
  });

  it('has the port held by the orphan alone', () => {
    const inodes = sockets(incident.port).listeners.map(({ inode }) => inode);
    assert.equal(inodes.length, 1);
    assert.deepEqual(
      inodes,
      socketInodes(incident.orphanPid).filter((i) => inodes.includes(i)),
    );
    assert.deepEqual(
      socketInodes(incident.managerPid).filter((i) => inodes.includes(i)),
      [],
    );
  });

  it('has the clients in CLOSE_WAIT, 31 accepted and the others still in the accept queue', () => {
    const waiting = sockets(incident.port).peers.filter(({ state }) => state === 'CLOSE_WAIT');
    const accepted = waiting.reduce((sum, peer) => sum + peer.accepted, 0);
    const unaccepted = waiting.reduce((sum, peer) => sum + peer.unaccepted, 0);
    assert.equal(accepted, 31);
    assert.ok(unaccepted >= 10, `${unaccepted} unaccepted: 9 clients and a failed start or more`);
    const busiest = waiting.filter(({ address }) => address === '127.0.0.2');
    assert.equal(
      busiest.reduce((sum, peer) => sum + peer.accepted + peer.unaccepted, 0),
      33,
    );
  });

  it('has a log with the traceback of the failed start, in the name of the new child', () => {
    const log = readFileSync(incident.logFile, 'utf8');
    const block = new RegExp(
      String.raw`^[\d-]{10} [\d:]{8},\d{3} \[cherrypy\.error +:219 \]\[ERROR   \]\[(\d+)\] ` +
        String.raw`\[\d\d/\w{3}/\d{4}:[\d:]{8}\] ENGINE Error in 'start' listener .*\n` +
        String.raw`Traceback \(most recent call last\):\n(?:  .*\n)+` +
        `OSError: Port ${incident.port} not free on '127.0.0.1'\\n\\n`,
      'm',
    );
    const pid = Number(block.exec(log)?.[1]);
    assert.ok(Number.isInteger(pid), log);
    assert.notEqual(pid, incident.orphanPid);
    assert.notEqual(pid, incident.managerPid);
  });

  it('has the new manager in the pid file, restarting its child in a loop', async () => {
    assert.equal(readFileSync(incident.pidFile, 'utf8'), String(incident.managerPid));
    const died = new RegExp(
      String.raw`\[${incident.managerPid}\] Process <.*died with exit status 70`,
    );
    await until('a restart', () => died.test(readFileSync(incident.logFile, 'utf8')));
  });

  it('gives no answer and does not act on SIGTERM', async () => {
    const page = `http://127.0.0.1:${incident.port}/`;
    await assert.rejects(fetch(page, { signal: AbortSignal.timeout(500) }), {
      name: 'TimeoutError',
    });
    process.kill(incident.orphanPid, 'SIGTERM');
    const stop = await run(incident.stopCommand);
    assert.deepEqual(stop, { code: 0, stdout: 'Stopping salt-api daemon: [  OK  ]\n' });
    assert.equal(stagedProcess(incident.managerPid, join(incident.directory, 'salt-api')), null);
    assert.equal(sockets(incident.port).listeners.length, 1);
    assert.equal((await run(incident.startCommand)).code, 0);
  });

  it('recovers by itself once the orphan is killed', async () => {
    process.kill(incident.orphanPid, 'SIGKILL');
    await until('salt-api answering', async () => {
      const page = `http://127.0.0.1:${incident.port}/`;
      const answer = await fetch(page, { signal: AbortSignal.timeout(1_000) }).catch(() => null);
      if (answer === null) return false;
      assert.equal(answer.status, 200);
      assert.match(await answer.text(), /"return":"Welcome"/);
      return true;
    });
  });

  it('leaves no process and no file after cleanup, which may be called twice', async () => {
    await incident.cleanup();
    await incident.cleanup();
    assert.deepEqual(stagedProcesses(join(incident.directory, 'salt-api')), []);
    assert.equal(existsSync(incident.directory), false);
    assert.equal(sockets(incident.port).listeners.length, 0);
  });
});

describe('the stages on the way', () => {
  it('serves at stage healthy, and SIGTERM ends the manager with its child', async (t) => {
    const incident = await stageIncident({ stage: 'healthy' });
    t.after(() => incident.cleanup());
    const answer = await fetch(`http://127.0.0.1:${incident.port}/`);
    assert.equal(answer.status, 200);
    assert.equal(live(incident, incident.orphanPid).ppid, incident.managerPid);
    process.kill(incident.managerPid, 'SIGTERM');
    const script = join(incident.directory, 'salt-api');
    await until('the daemon ending', () => stagedProcesses(script).length === 0);
    assert.ok(existsSync(incident.pidFile), 'a stopped salt-api leaves its pid file');
  });

  it('has the manager over the hung child at stage hung', async (t) => {
    const incident = await stageIncident({ stage: 'hung' });
    t.after(() => incident.cleanup());
    assert.equal(live(incident, incident.orphanPid).ppid, incident.managerPid);
    const waiting = sockets(incident.port).peers.filter(({ state }) => state === 'CLOSE_WAIT');
    assert.equal(
      waiting.reduce((sum, peer) => sum + peer.accepted + peer.unaccepted, 0),
      40,
    );
  });

  it('has nothing but the orphan at stage orphan', async (t) => {
    const incident = await stageIncident({ stage: 'orphan' });
    t.after(() => incident.cleanup());
    const left = stagedProcesses(join(incident.directory, 'salt-api')).map(({ pid }) => pid);
    assert.deepEqual(left, [incident.orphanPid]);
    assert.doesNotMatch(readFileSync(incident.logFile, 'utf8'), /not free/);
  });
});

describe('what a drill leaves behind', () => {
  const stager = `
    import { stageIncident } from ${JSON.stringify(new URL('../../src/drill/stage.ts', import.meta.url).href)};
    const incident = await stageIncident({ directory: process.argv[1], stage: 'orphan' });
    process.stdout.write('staged');
    await new Promise((resolve) => process.stdin.once('data', resolve));
    throw new Error('the drill went wrong');
  `;
  const endings = {
    'an uncaught error': (drill: ReturnType<typeof start>) => drill.stdin.write('go'),
    SIGINT: (drill: ReturnType<typeof start>) => drill.kill('SIGINT'),
    SIGTERM: (drill: ReturnType<typeof start>) => drill.kill('SIGTERM'),
  };
  function start(directory: string) {
    const args = ['--import', 'tsx', '--input-type=module', '--eval', stager, directory];
    return spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  }

  for (const [ending, end] of Object.entries(endings)) {
    it(`is nothing after ${ending}`, async (t) => {
      const directory = mkdtempSync(join(tmpdir(), 'salt-triage-test-'));
      t.after(() => rmSync(directory, { recursive: true, force: true }));
      const drill = start(directory);
      await once(drill.stdout, 'data');
      const [name = ''] = readdirSync(directory);
      const script = join(directory, name, 'salt-api');
      assert.equal(stagedProcesses(script).length, 1);
      end(drill);
      await once(drill, 'exit');
      assert.deepEqual(stagedProcesses(script), []);
      assert.deepEqual(readdirSync(directory), []);
    });
  }

  it('is nothing once its time is up, a hung orphan included', async (t) => {
    const incident = await stageIncident({ keepForMs: 6_000 });
    t.after(() => incident.cleanup());
    const script = join(incident.directory, 'salt-api');
    assert.ok(stagedProcesses(script).length >= 2);
    await until('the end of the drill', () => stagedProcesses(script).length === 0);
    assert.equal(existsSync(incident.directory), false);
  });
});

describe('a drill that can not be staged', () => {
  it('refuses a privileged port, where a real salt-api might be', async () => {
    await assert.rejects(stageIncident({ port: 443 }), TriageError);
  });

  it('refuses a port that is taken', async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    await assert.rejects(stageIncident({ port: address.port }), /EADDRINUSE/);
  });
});

function live(incident: StagedIncident, pid: number) {
  const found = stagedProcess(pid, join(incident.directory, 'salt-api'));
  assert.ok(found !== null, `${pid} is not a live process of the drill`);
  return found;
}

function sockets(port: number): SocketFacts {
  const reader = new TcpTableReader(port);
  reader.take(readFileSync('/proc/net/tcp', 'utf8'), 'ipv4');
  return reader.facts();
}

function socketInodes(pid: number): number[] {
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => parseSocketLink(readlinkSync(`/proc/${pid}/fd/${fd}`)))
    .filter((inode) => inode !== null);
}

async function run(command: readonly [string, ...string[]]) {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  const [code]: unknown[] = await once(child, 'close');
  return { code, stdout };
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `${what} did not come about`);
    await delay(20);
  }
}
