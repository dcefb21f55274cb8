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

  it('lasts for three times its own interval where that is long, and no longer', () => {
    const everyHalfMinute = [0, 30, 60, 90].map((seconds) => seconds + 80);
    const old = [saltApi({ pid: 100, ppid: 1, argv: TITLED, age: 900 })];
    assert.ok(judge(log(everyHalfMinute), old).evidence.looping);
    const later = everyHalfMinute.map((seconds) => seconds + 10);
    assert.ok(!judge(log(later), old).evidence.looping);
    const between = { activeState: 'activating', subState: 'auto-restart' };
    const withoutDaemon = (silence: number) =>
      judge(log([0, 30, 60].map((seconds) => seconds + silence)), [orphan], between).evidence;
    assert.ok(withoutDaemon(29).looping);
    assert.ok(!withoutDaemon(31).looping);
  });

  it('is over at the very end of that time', () => {
    assert.ok(judge(log([45.001 - 0.002, 50])).evidence.looping);
    assert.ok(!judge(log([45, 50])).evidence.looping);
    const between = { activeState: 'activating', subState: 'auto-restart' };
    assert.ok(judge(log([14.999, 20]), [orphan], between).evidence.looping);
    assert.ok(!judge(log([15, 20]), [orphan], between).evidence.looping);
  });

  it('does not turn since the server is up', () => {
    const child = server({ pid: 101, ppid: 100, age: 5 });
    assert.ok(!judge(log([30, 20, 10]), [daemon, child]).evidence.looping);
    assert.ok(judge(log([30, 20, 3]), [daemon, child]).evidence.looping);
  });

  it('has the usual gap as its interval, of the last two hundred failures', () => {
    const interval = (seconds: readonly number[]) => judge(log(seconds)).evidence;
    assert.equal(interval([0, 10]).loopIntervalSeconds, null, 'two make one gap');
    assert.equal(interval([0, 10, 25]).loopIntervalSeconds, 15);
    assert.equal(interval([0, 10, 20, 500]).loopIntervalSeconds, 10);
    assert.equal(interval([0, 10.26, 20.52]).loopIntervalSeconds, 10.3);
    const old = Array.from({ length: 300 }, (_, index) => 2_000 + index * 7);
    const fresh = Array.from({ length: 200 }, (_, index) => index * 10);
    assert.equal(interval([...fresh, ...old]).loopIntervalSeconds, 10);
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

  it('passes where it failed before the child that serves, though after the daemon started', () => {
    const child = server({ pid: 101, ppid: 100, age: 20 });
    const { status, evidence } = judge(log([50, 40, 30]), [daemon, child]);
    assert.deepEqual([status, evidence.eventsSinceDaemon], ['pass', 0]);
  });

  it('counts since the daemon where the listening child is another daemon’s', () => {
    const other = saltApi({ pid: 200, ppid: 1, argv: TITLED, age: 30, session: 199 });
    const theirs = server({ pid: 201, ppid: 200, age: 20, session: 199 });
    const { evidence } = judge(log([50, 40, 30]), [daemon, other, theirs]);
    assert.equal(evidence.eventsSinceDaemon, 3);
  });

  it('counts since the daemon where an orphan listens as well', () => {
    const child = server({ pid: 101, ppid: 100, age: 20 });
    const { status, evidence } = judge(log([50, 40, 30]), [orphan, daemon, child]);
    assert.deepEqual([status, evidence.eventsSinceDaemon], ['fail', 3]);
  });

  it('counts since the youngest of the daemon’s servers', () => {
    const [first, second] = [30, 20].map((age, index) => {
      return server({ pid: 101 + index, ppid: 100, age });
    });
    assert.ok(first !== undefined && second !== undefined);
    assert.equal(judge(log([25]), [daemon, first, second]).evidence.eventsSinceDaemon, 0);
    assert.equal(judge(log([18]), [daemon, first, second]).evidence.eventsSinceDaemon, 1);
  });

  it('counts since the daemon itself where that holds the port', () => {
    const itself = server({ pid: 100, ppid: 1, argv: TITLED, age: 60 });
    const { evidence } = judge(log([70, 50]), [itself]);
    assert.equal(evidence.eventsSinceDaemon, 1);
  });

  it('fails without a daemon, since nothing has come up after the failures', () => {
    const { status, evidence } = judge(log([900]), []);
    assert.deepEqual([status, evidence.eventsSinceDaemon], ['fail', null]);
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

  it('points out a port that was not asked for, and no other', () => {
    const details = (ports: readonly number[]) => judge(log([3], { ports })).details;
    assert.ok(details([443, 8000]).includes('the log names port 8000, not 443 alone'));
    assert.ok(!details([443]).some((line) => /names port/.test(line)));
  });

  it('says the error in the words of the log', () => {
    for (const [wordings, words] of [
      [{ 'port-not-free': 1, 'address-in-use': 1 }, '"Port 443 not free" once'],
      [{ 'no-socket-created': 1 }, '"No socket could be created" once'],
      [{ 'tornado-unable': 1 }, '"unable to bind to port" once'],
      [{ 'address-in-use': 1 }, '"Address already in use" once'],
    ] as const) {
      const { summary } = judge(log([3], { wordings }));
      assert.ok(summary.startsWith(words), summary);
    }
  });

  it('says how far back it was read, and when it failed last', () => {
    const summary = (look: Look<ApiLogFacts>) => judge(look).summary;
    const hours = (number: number) => log([], { windowFrom: now - number * 3_600_000 });
    assert.match(summary(hours(71)), /in the last 71 h$/);
    assert.match(summary(hours(72)), /in the last 3 d$/);
    assert.match(summary(hours(1.5)), /in the last 1 h 30 min$/);
    assert.match(summary(log([], { windowFrom: null })), /in the whole log$/);
    assert.match(summary(log([86_399])), /, last 23 h 59 min ago/);
    assert.match(summary(log([86_400])), /, last 2024-05-01 03:00:00/);
  });

  it('shows where the log was found, what it names, and nothing of a terminal in it', () => {
    const source = (origin: 'option' | 'argv' | 'config' | 'default') => {
      return { kind: 'file', path: '/l\u001b[2Jog', origin } as const;
    };
    for (const [origin, words] of [
      ['option', 'from --log'],
      ['argv', 'from --log-file of the running process'],
      ['config', 'from api_logfile of the Salt config'],
      ['default', 'at the default place'],
    ] as const) {
      const { details } = judge(log([], { source: source(origin) }));
      assert.ok(
        details.some((line) => line.endsWith(words)),
        words,
      );
      assert.ok(!details.join('').includes('\u001b'));
    }
    const unit = 'salt-api\u001b[2J';
    const { details, evidence } = judge(log([], { source: { kind: 'journal', unit } }));
    assert.ok(details.some((line) => line.startsWith('log from the journal of salt-api')));
    assert.ok(!details.join('').includes('\u001b'));
    assert.equal(evidence.path, `journal:${unit}`);
    const told = judge(
      log([3], {
        pids: Array.from({ length: 9 }, (_, index) => index + 1),
        childDeaths: 2,
        samples: ['password=hunter2 \u001b[2J'],
        notes: ['cut\u001b[2J'],
        files: [{ path: '/a\u001b[2J', bytesRead: 7 }],
      }),
    );
    assert.ok(told.details.includes('pids in the log: 2, 3, 4, 5, 6, 7, 8, 9'));
    assert.ok(told.details.includes('2 child deaths logged by the manager'));
    assert.doesNotMatch([...told.details, ...told.evidence.samples].join(''), /hunter2|\u001b/);
    assert.doesNotMatch(told.evidence.notes.join(''), /\u001b/);
  });
});
