import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import {
  type ApiLogFacts,
  blind,
  type Look,
  type SystemdUnitFacts,
  seen,
} from '../../src/evidence/evidence.ts';
import { evidenceOf, saltApi, server, TITLED } from './situation.ts';

/** The daemon of a minute ago, without a child: the port is somebody else's. */
const daemon = saltApi({ pid: 100, ppid: 1, argv: TITLED, age: 60 });
const orphan = server({ pid: 37, ppid: 1, session: 12, age: 9_000 });
const { now } = evidenceOf({ processes: [] }).host;

/** A log with failed starts so many seconds ago. */
function log(secondsAgo: readonly number[], more: Partial<ApiLogFacts> = {}): Look<ApiLogFacts> {
  const times = secondsAgo.map((seconds) => now - seconds * 1000).toSorted((a, b) => a - b);
  return seen({
    source: { kind: 'file', path: '/var/log/salt/api', origin: 'default' },
    files: [],
    windowFrom: now - 86_400_000,
    events: times.length,
    firstAt: times[0] ?? null,
    lastAt: times.at(-1) ?? null,
    times,
    pids: [],
    wordings: times.length > 0 ? { 'port-not-free': times.length } : {},
    ports: [443],
    samples: [],
    childDeaths: 0,
    dated: true,
    notes: [],
    ...more,
  });
}

function judge(
  look: Look<ApiLogFacts>,
  processes = [orphan, daemon],
  unit?: Partial<SystemdUnitFacts>,
) {
  const more = unit === undefined ? {} : { unit };
  const evidence = evidenceOf({ processes, pidFile: 100, evidence: { apiLog: look }, ...more });
  return diagnoseEvidence(evidence).findings['api-log'];
}

describe('a restart loop', () => {
  const everyTen = (last: number) => [last + 40, last + 30, last + 20, last + 10, last];

  it('turns where the last failure is as recent as its interval makes likely', () => {
    const { status, summary, evidence } = judge(log(everyTen(3)));
    assert.equal(status, 'fail');
    assert.deepEqual([evidence.looping, evidence.loopIntervalSeconds], [true, 10]);
    assert.match(summary, /5 times since .*, last 3 s ago; restart loop every 10 s/);
  });

  it('turns on through the pause that a poll of 10 s and a start of 5 s make', () => {
    assert.ok(judge(log(everyTen(20))).evidence.looping);
  });

  it('no longer turns after a silence of a minute', () => {
    assert.ok(!judge(log(everyTen(60).map((seconds) => seconds - 5))).evidence.looping);
  });

  it('is turned by nobody where no daemon is left', () => {
    const { evidence, summary } = judge(log(everyTen(5)), [orphan]);
    assert.ok(!evidence.looping);
    assert.doesNotMatch(summary, /restart loop/);
  });

  it('is turned by systemd while it starts daemon after daemon, and no longer once it gave up', () => {
    const between = { activeState: 'activating', subState: 'auto-restart' };
    assert.ok(judge(log(everyTen(5)), [orphan], between).evidence.looping);
    assert.ok(!judge(log(everyTen(20)), [orphan], between).evidence.looping, 'silent for too long');
    const over = { activeState: 'failed', subState: 'failed', result: 'start-limit-hit' };
    assert.ok(!judge(log(everyTen(5)), [orphan], over).evidence.looping);
  });

  it('is turned by no daemon that is stopped', () => {
    const stopped = { ...daemon, state: 'T' };
    assert.ok(!judge(log(everyTen(5)), [orphan, stopped]).evidence.looping);
  });

  it('is more than one failure', () => {
    const { evidence, summary } = judge(log([3]));
    assert.deepEqual([evidence.looping, evidence.loopIntervalSeconds], [false, null]);
    assert.match(summary, /^"Port 443 not free" once since /);
  });
});

describe('the API log', () => {
  it('passes without a failed start, and says how far it was read', () => {
    const { status, summary } = judge(log([]));
    assert.deepEqual([status, summary], ['pass', 'no failed bind in the last 24 h']);
  });

  it('passes where all that failed was before the server that has the port now', () => {
    const child = server({ pid: 101, ppid: 100, age: 55 });
    const { status, evidence, summary } = judge(log([300, 200, 100]), [daemon, child]);
    assert.deepEqual([status, evidence.events, evidence.eventsSinceDaemon], ['pass', 3, 0]);
    assert.match(summary, /none since the server started/);
  });

  it('leaves out what failed less than a second after it: the boot time has whole seconds', () => {
    const child = server({ pid: 101, ppid: 100, age: 5 });
    const { status, evidence } = judge(log([20, 10, 4.1]), [daemon, child]);
    assert.deepEqual([status, evidence.eventsSinceDaemon], ['pass', 0]);
    assert.equal(judge(log([20, 10, 4]), [daemon, child]).evidence.eventsSinceDaemon, 1);
  });

  it('fails where the daemon itself has failed since it started, an orphan on the port', () => {
    const { status, evidence } = judge(log([300, 50, 40]));
    assert.deepEqual([status, evidence.eventsSinceDaemon], ['fail', 2]);
  });

  it('only warns where no line carries a time: it may be long ago', () => {
    const undated = { events: 2, firstAt: null, lastAt: null, times: [], dated: false };
    const { status, summary } = judge(log([1, 2], undated));
    assert.equal(status, 'warn');
    assert.match(summary, /the log carries no times/);
  });

  it('is unknown where it could not be read, never a pass', () => {
    const { status, evidence, summary } = judge(blind('permission', '/var/log/salt/api: EACCES'));
    assert.deepEqual([status, evidence.events, evidence.path], ['unknown', null, null]);
    assert.match(summary, /EACCES/);
  });

  it('points out a port that was not asked for', () => {
    assert.ok(judge(log([3], { ports: [443, 8000] })).details.some((line) => /8000/.test(line)));
  });
});
