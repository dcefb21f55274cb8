/** The incident with a real CherryPy: on port 443 of a network namespace where root allows. */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { readKeptStacks } from '../../src/trail/kept-stacks.ts';
import { type CherryPyIncident, skipWithoutCherryPy, startCherryPy } from '../cherrypy/incident.ts';
import { PROGRAM } from '../cli/run.ts';
import { fix } from './fix-document.ts';

describe('fix --yes on a real CherryPy', { skip: skipWithoutCherryPy() }, () => {
  for (const [era, tls] of [
    ['2017', false],
    ['3006', true],
  ] as const) {
    it(`recovers from the whole incident, titles as of ${era}${tls ? ', TLS' : ''}`, async (t) => {
      const incident = await startCherryPy({ era, tls });
      t.after(() => incident.cleanup());
      await incident.jam();
      const orphan = incident.childPid();
      await incident.killManager();
      await incident.restart();
      const { code, document } = await fix(
        [
          ...['-c', incident.configDirectory, '--probe-timeout', '1s', '--wait', '20s'],
          ...['--state-dir', join(incident.directory, 'trail')],
          ...['--start-cmd', incident.startCommand.join(' ')],
          ...['--stop-cmd', `sh -c "kill $(cat ${incident.pidFile})"`],
        ],
        { command: [...incident.enter, ...PROGRAM] },
      );
      assert.equal(code, 0, JSON.stringify(document.steps));
      assert.equal(document.before.verdict.code, 'orphan-holds-port');
      assert.equal(document.after?.verdict.code, 'healthy');
      const kill = document.steps.find(({ kind }) => kind === 'kill');
      assert.equal(kill?.pid, orphan);
      await assertStacks(kill?.detail ?? '', document.trail ?? '', orphan ?? 0);
      const manager = incident.managerPid();
      assert.ok(incident.processes().some(({ pid }) => pid === manager));
      assert.ok(!incident.processes().some(({ pid }) => pid === orphan));
    });
  }
});

/**
 * What the jam was, seen before the kill: its five workers are in as many logins. On a busy machine the
 * ten seconds may be over before gdb has seen it all, which is told then.
 */
async function assertStacks(detail: string, trail: string, pid: number): Promise<void> {
  const kept = (await readKeptStacks(trail)).find((one) => one.pid === pid);
  assert.ok(kept !== undefined);
  if (kept.unseen > 0 || kept.tool === null) {
    assert.match(
      detail,
      /\n(?:Python stacks: none: gdb: it was too slow|.* of 7 threads seen by gdb)/,
    );
    return;
  }
  assert.match(detail, /\nPython stacks: 5 × in threading\.wait, called from salt-api\.login\n/);
  const text = readFileSync(join(trail, `stacks-${pid}.txt`), 'utf8');
  assert.match(text, /^5 × in threading\.wait, called from salt-api\.login\n {4}wait \(/m);
  const waits = kept.folded.map(({ waitsFor }) => waitsFor).toSorted();
  assert.deepEqual([kept.tool, waits], ['gdb', ['accept', 'main', null]]);
}

describe('fix --yes where a real CherryPy can not start', { skip: skipWithoutCherryPy() }, () => {
  /** The API is down, and what it takes to start is gone: a look and a fix. */
  async function fixBroken(
    t: TestContext,
    tls: boolean,
    spoil: (incident: CherryPyIncident) => void,
  ) {
    const incident = await startCherryPy({ era: '3006', tls });
    t.after(() => incident.cleanup());
    process.kill(incident.managerPid(), 'SIGTERM');
    await until(() => incident.processes().length === 0);
    spoil(incident);
    const began = performance.now();
    const ran = await fix(
      [
        ...['-c', incident.configDirectory, '--probe-timeout', '1s', '--wait', '120s'],
        ...['--state-dir', join(incident.directory, 'trail')],
        ...['--start-cmd', incident.startCommand.join(' '), '--stop-cmd', 'true'],
      ],
      { command: [...incident.enter, ...PROGRAM] },
    );
    return { ...ran, seconds: (performance.now() - began) / 1000 };
  }

  it('stops waiting once its log says that a certificate is missing', async (t) => {
    const { code, document, seconds } = await fixBroken(t, true, ({ directory }) => {
      rmSync(join(directory, 'api.key'));
    });
    assert.equal(code, 1, JSON.stringify(document.steps));
    assert.ok(seconds < 60, `${seconds} s of the 120 that it may wait`);
    const verify = document.steps.find(({ kind }) => kind === 'verify');
    assert.match(
      verify?.detail ?? '',
      /^the start failed: Could not find a certificate: \/.*api\.key\n/,
    );
    const { summary, next } = document.after?.verdict ?? {};
    assert.match(summary ?? '', /does not come up on port \d+: Could not find a certificate/);
    assert.match(next ?? '', /^ls -l \/.*api\.key$/);
  });

  it('stops waiting once its log says that its user may not bind the port', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('needs root, for a port below 1024 of its own');
    const { code, document } = await fixBroken(t, false, ({ configDirectory }) => {
      appendFileSync(join(configDirectory, 'master'), 'user: daemon\n');
    });
    assert.equal(code, 1, JSON.stringify(document.steps));
    const verify = document.steps.find(({ kind }) => kind === 'verify');
    assert.match(
      verify?.detail ?? '',
      /^the start failed: .*\[Errno 13\] Permission denied\)(?:"\))?\n/,
    );
    assert.match(document.after?.verdict.next ?? '', /^grep -rnE '\^user:/);
  });
});

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, 'salt-api did not end');
    await delay(20);
  }
}
