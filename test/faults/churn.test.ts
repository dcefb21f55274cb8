import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface, type Interface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import type { Evidence } from '../../src/evidence/evidence.ts';
import { collectEvidence } from '../../src/host/collect-evidence.ts';
import { LocalHost } from '../../src/host/local/local-host.ts';
import {
  type LogContents,
  type Staged,
  stageProcesses,
  stageSockets,
  writeLog,
} from '../bench/staged-load.ts';

const LOOKS = 25;

function look(port: number, directory: string, log: string): Promise<Evidence> {
  const request = {
    port,
    configDirectory: directory,
    log,
    sinceMs: null,
    probeTimeoutMs: null,
    lookTimeoutMs: 20_000,
  };
  return collectEvidence(new LocalHost().look(request), { closeWaitWarn: 5, closeWaitFail: 20 });
}

describe('a host on which everything moves', () => {
  let directory: string;
  let salt: ChildProcess;
  let lines: Interface;
  let port = 0;
  let server = 0;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'salt-triage-churn-'));
    const script = join(directory, 'salt-api');
    copyFileSync(fileURLToPath(new URL('./churn.py', import.meta.url)), script);
    writeFileSync(join(directory, 'log'), '');
    salt = spawn('/usr/bin/python3', [script, '-c', directory], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    assert.ok(salt.stdout !== null);
    lines = createInterface({ input: salt.stdout });
    const [ready] = (await once(lines, 'line')) as [string];
    [, port = 0, server = 0] = ready.split(' ').map(Number);
  });
  after(async () => {
    if (salt.exitCode === null && salt.signalCode === null) {
      salt.kill('SIGKILL');
      await once(salt, 'exit');
    }
    rmSync(directory, { recursive: true, force: true });
  });

  it('names the one that stays as the holder and no fork as an orphan, look after look', async (t) => {
    const began = performance.now();
    let forksSeen = 0;
    for (let count = 0; count < LOOKS; count += 1) {
      const evidence = await look(port, directory, join(directory, 'log'));
      assert.ok(evidence.processes.seen && evidence.sockets.seen, JSON.stringify(evidence.sockets));
      const { steps, verdict } = diagnoseEvidence(evidence);
      const holders = evidence.processes.value.processes.filter(
        ({ listens }) => listens.length > 0,
      );
      assert.ok(holders.some(({ pid }) => pid === server));
      forksSeen += holders.length - 1;
      const orphans = steps.find(({ id }) => id === 'orphans');
      assert.notEqual(orphans?.status, 'fail', JSON.stringify(orphans?.evidence));
      assert.ok(!verdict.code.startsWith('orphan'), verdict.summary);
    }
    const seconds = (performance.now() - began) / 1000;
    salt.stdin?.end();
    const [figures] = (await once(lines, 'line')) as [string];
    const [forks = 0, connections = 0] = figures.split(' ').map(Number);
    const rates = `${Math.round(forks / seconds)} forks/s, ${Math.round(connections / seconds)} connections/s`;
    t.diagnostic(`${LOOKS} looks in ${seconds.toFixed(1)} s; ${rates}; forks seen ${forksSeen}`);
    assert.ok(forks / seconds > 100, rates);
    assert.ok(forksSeen > 0, 'the looks fell between the forks');
  });
});

describe('a host under load', () => {
  let directory: string;
  let contents: LogContents;
  const load: Staged[] = [];
  const port = 18_449;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'salt-triage-load-'));
    contents = writeLog(join(directory, 'log'), 128 * 1024 * 1024, port);
    load.push(await stageProcesses(directory, 1_000));
    load.push(await stageSockets(directory, port, 5_000));
  });
  after(async () => {
    for (const staged of load) await staged.end();
    rmSync(directory, { recursive: true, force: true });
  });

  it('is looked at without the event loop waiting for over 100 ms', async (t) => {
    const longest: number[] = [];
    for (let count = 0; count < 3; count += 1) {
      const delays = monitorEventLoopDelay({ resolution: 5 });
      delays.enable();
      const evidence = await look(port, directory, join(directory, 'log'));
      delays.disable();
      longest.push(delays.max / 1e6);
      assert.ok(evidence.apiLog.seen && evidence.sockets.seen);
      assert.equal(evidence.apiLog.value.events, contents.events);
      const waiting = evidence.sockets.value.peers.filter(({ state }) => state === 'CLOSE_WAIT');
      const total = waiting.reduce((sum, peer) => sum + peer.accepted + peer.unaccepted, 0);
      assert.equal(total, 5_000);
    }
    t.diagnostic(
      `longest blocks of three looks: ${longest.map((ms) => ms.toFixed(0)).join(', ')} ms`,
    );
    // What blocks by itself blocks in each look; the machine's other work does not.
    assert.ok(Math.min(...longest) < 100);
  });
});
