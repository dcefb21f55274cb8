import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import type { Evidence } from '../../src/evidence/evidence.ts';
import { collectEvidence } from '../../src/host/collect-evidence.ts';
import { LocalHost } from '../../src/host/local/local-host.ts';
import { runCli } from '../cli/run.ts';

const HEADER =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';

describe('entries of /proc that fail or block', () => {
  let directory: string;
  let proc: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'salt-triage-faults-'));
    proc = join(directory, 'proc');
    mkdirSync(join(proc, 'net'), { recursive: true });
    writeFileSync(join(proc, 'net/tcp'), HEADER);
    writeFileSync(join(directory, 'log'), '');
    entry(1, {});
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  function entry(pid: number, shape: { state?: string; threads?: number; cmdline?: string }): void {
    const { state = 'S', threads = 1, cmdline = 'sleep\x300\0' } = shape;
    mkdirSync(join(proc, `${pid}/fd`), { recursive: true });
    const stat = `${pid} (x) ${state} 1 ${pid} ${pid} 0 -1 0 0 0 0 0 5 6 0 0 20 0 ${threads} 0 1000 0 0\n`;
    writeFileSync(join(proc, `${pid}/stat`), stat);
    writeFileSync(join(proc, `${pid}/cmdline`), cmdline);
  }

  /** A file in the place of another whose open or read gives the error. */
  function broken(pid: number, file: string, like: string): void {
    rmSync(join(proc, `${pid}/${file}`), { force: true });
    symlinkSync(like, join(proc, `${pid}/${file}`));
  }

  function look(): Promise<Evidence> {
    const host = new LocalHost({ proc });
    const policy = { closeWaitWarn: 5, closeWaitFail: 20 };
    const request = {
      port: 443,
      configDirectory: directory,
      log: join(directory, 'log'),
      sinceMs: null,
      probeTimeoutMs: null,
      lookTimeoutMs: 5_000,
    };
    return collectEvidence(host.look(request), policy);
  }

  async function unread(): Promise<number> {
    const evidence = await look();
    assert.ok(evidence.processes.seen);
    const { steps, verdict } = diagnoseEvidence(evidence);
    if (evidence.processes.value.deniedArgv > 0) {
      assert.equal(steps.find(({ id }) => id === 'orphans')?.status, 'unknown');
      assert.notEqual(verdict.code, 'healthy');
    }
    return evidence.processes.value.deniedArgv;
  }

  it('a tree without a fault has nothing unread', async () => {
    assert.equal(await unread(), 0);
  });

  it('ENOENT and a half-made entry are processes that have gone', async () => {
    entry(10, {});
    broken(10, 'stat', '/nonexistent');
    entry(11, {});
    broken(11, 'cmdline', '/nonexistent');
    assert.equal(await unread(), 0);
  });

  it('EIO is a process that could not be read', async () => {
    entry(10, {});
    // Nothing is mapped at address 0 (proc_pid_mem(5)).
    broken(10, 'cmdline', '/proc/self/mem');
    entry(11, {});
    broken(11, 'stat', '/proc/self/mem');
    assert.equal(await unread(), 2);
  });

  it('EACCES is a process that could not be read', async () => {
    entry(10, {});
    // Write-only even for root (kernel/sysctl.c, vm.compact_memory has mode 0200).
    broken(10, 'cmdline', '/proc/sys/vm/compact_memory');
    assert.equal(await unread(), 1);
  });

  it('an errno that nobody foresaw costs that process, not the table', async () => {
    entry(10, {});
    broken(10, 'cmdline', '/');
    assert.equal(await unread(), 1);
  });

  it('a torn stat line is a process that could not be judged, not one that is not there', async () => {
    entry(10, {});
    writeFileSync(join(proc, '10/stat'), '10 (x) S 1');
    assert.equal(await unread(), 1);
  });

  it('command lines that block are bounded, and are left alone after the second', async (t) => {
    for (let pid = 10; pid < 60; pid += 1) {
      entry(pid, pid % 2 === 0 ? { state: 'D' } : { threads: 40 });
      rmSync(join(proc, `${pid}/cmdline`));
    }
    const made = spawn(
      'mkfifo',
      Array.from({ length: 50 }, (_, at) => join(proc, `${10 + at}/cmdline`)),
    );
    assert.equal((await once(made, 'exit'))[0], 0);
    const script = `
      const { LocalHost } = await import(${JSON.stringify(new URL('../../src/host/local/local-host.ts', import.meta.url).href)});
      const began = performance.now();
      const look = new LocalHost({ proc: ${JSON.stringify(proc)} }).look({
        port: 443, configDirectory: ${JSON.stringify(directory)}, log: ${JSON.stringify(join(directory, 'log'))},
        sinceMs: null, probeTimeoutMs: null, lookTimeoutMs: 5000,
      });
      const { value } = await look.processes;
      const { seen } = await look.apiLog;
      const took = performance.now() - began;
      require('node:fs').writeSync(1, JSON.stringify({ denied: value.deniedArgv, log: seen, took }));
      // exit(3) would wait for the hung reads.
      process.kill(process.pid, 'SIGKILL');
    `;
    const asCommonJs = `(async () => {${script}})()`;
    const { stdout, stderr } = await runCli([], {
      command: [process.execPath, '--import', 'tsx', '--eval', asCommonJs],
    });
    assert.notEqual(stdout, '', stderr);
    const { denied, log, took } = JSON.parse(stdout);
    t.diagnostic(`50 processes that block: the look took ${Math.round(took)} ms`);
    assert.equal(denied, 50);
    assert.equal(log, true, 'the log is read although reads hang');
    assert.ok(took < 5_000);
  });
});
