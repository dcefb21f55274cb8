/** What a monitor is told of a diagnosis: the recorded incident, the edges of limits, blind looks. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judgeCheck, type State, type Thresholds } from '../../src/check/check.ts';
import { growthRate } from '../../src/check/growth.ts';
import { withLook } from '../../src/check/kept-looks.ts';
import { parseRange } from '../../src/check/ranges.ts';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { type BlindCause, blind, type Evidence, seen } from '../../src/evidence/evidence.ts';
import { incident2018, type Stage, stageEvidence } from '../recorded/captures.ts';

const NONE: Thresholds = { warning: {}, critical: {} };

function check(evidence: Evidence, thresholds = NONE, rate?: number | null) {
  return judgeCheck(diagnoseEvidence(evidence), thresholds, rate);
}

function limits(warning: string, critical = ''): Thresholds {
  const read = (words: string) =>
    Object.fromEntries(
      words
        .split(' ')
        .filter((word) => word !== '')
        .map((word) => [word.split('=')[0], parseRange(word.split('=')[1] ?? '')]),
    );
  return { warning: read(warning), critical: read(critical) };
}

/** The healthy capture with so many sockets in CLOSE_WAIT, all accepted. */
function waiting(count: number, policy: Partial<Evidence['policy']> = {}): Evidence {
  const healthy = stageEvidence('jammed/healthy');
  assert.ok(healthy.sockets.seen);
  const peer = { address: '10.2.3.4', state: 'CLOSE_WAIT', unaccepted: 0, unreadBytes: 0 } as const;
  const peers = count === 0 ? [] : [{ ...peer, accepted: count }];
  return {
    ...healthy,
    policy: { ...healthy.policy, ...policy },
    sockets: seen({ ...healthy.sockets.value, peers }),
  };
}

describe('the state', () => {
  const stages: readonly (readonly [Stage, State, RegExp])[] = [
    ['jammed/healthy', 'ok', /^healthy: /],
    ['jammed/hung', 'critical', /^hung: /],
    ['jammed/orphan', 'critical', /^orphan-holds-port: /],
    ['jammed/restarted', 'critical', /^orphan-holds-port: /],
    ['stopped/hung', 'critical', /^hung: /],
    ['child-killed/child-killed', 'ok', /^healthy: /],
  ];
  for (const [stage, state, summary] of stages) {
    it(`of ${stage} is ${state}`, () => {
      const result = check(stageEvidence(stage));
      assert.equal(result.state, state, result.summary);
      assert.match(result.summary, summary);
    });
  }

  it('of the night of 2018 is critical', () => {
    assert.equal(
      check(incident2018('after-restart', { listener: 17_502, pidFile: 12_603 })).state,
      'critical',
    );
  });

  it('of an API that does not answer in time is critical, whatever the verdict', () => {
    const silent = { kind: 'no-reply', afterMs: 5_000, tls: false } as const;
    const result = check({ ...stageEvidence('jammed/healthy'), answer: seen(silent) });
    assert.equal(result.verdict, 'unknown');
    assert.equal(result.state, 'critical');
  });
});

describe('a look that failed', () => {
  const causes: readonly BlindCause[] = [
    'permission',
    'missing',
    'timeout',
    'malformed',
    'unsupported',
  ];
  for (const section of ['sockets', 'processes', 'service', 'apiLog', 'answer'] as const) {
    it(`at ${section} is never ok, and its numbers are unknown`, () => {
      for (const cause of causes) {
        const evidence = { ...stageEvidence('jammed/healthy'), [section]: blind(cause, 'a fault') };
        const { state, summary, readings } = check(evidence);
        assert.notEqual(state, 'ok', `${cause}: ${summary}`);
        if (section === 'sockets') assert.equal(readings.close_wait, null);
        if (section === 'sockets') assert.equal(readings.unaccepted, null);
        if (section === 'processes') assert.equal(readings.orphans, null);
        if (section === 'apiLog') assert.equal(readings.failed_binds, null);
        if (section === 'answer') assert.equal(readings.answer_time, null);
      }
    });
  }

  it('is unknown where a limit was set on what it did not see', () => {
    const unasked = { ...stageEvidence('jammed/healthy'), answer: blind('not-asked', 'not asked') };
    assert.equal(check(unasked).state, 'ok');
    assert.equal(check(unasked, limits('answer_time=1')).state, 'unknown');
  });
});

describe('limits', () => {
  it('of the diagnosis and as a range have the same edges', () => {
    const states = (count: number) => [
      check(waiting(count)).state,
      check(waiting(count), limits('close_wait=4', 'close_wait=19')).state,
    ];
    assert.deepEqual(states(4), ['ok', 'ok']);
    assert.deepEqual(states(5), ['warning', 'warning']);
    assert.deepEqual(states(19), ['warning', 'warning']);
    assert.deepEqual(states(20), ['critical', 'critical']);
    assert.equal(check(waiting(20)).thresholds.critical.close_wait?.text, '19');
  });

  it('are held against every reading', () => {
    const healthy = stageEvidence('jammed/healthy');
    assert.equal(check(healthy, limits('threads=1')).state, 'warning');
    assert.equal(check(healthy, limits('threads=1', 'threads=2')).state, 'critical');
    assert.match(
      check(healthy, limits('', 'threads=@0:1000')).summary,
      /; threads \d+ \(critical @0:1000\)$/,
    );
    assert.equal(check(healthy, limits('answer_time=10:')).state, 'warning');
  });

  it('never make well what the verdict says is not', () => {
    const generous = limits('close_wait=100000', 'close_wait=100000 orphans=9 unaccepted=100000');
    assert.equal(check(stageEvidence('jammed/orphan'), generous).state, 'critical');
  });
});

describe('growth', () => {
  const before = withLook(null, 'a', { at: 1_000_000, closeWait: 10, verdict: 'healthy' });

  it('is counted per minute', () => {
    assert.equal(growthRate(before, 'a', { at: 1_030_000, closeWait: 25 }), 30);
    assert.equal(growthRate(before, 'a', { at: 1_060_000, closeWait: 4 }), -6);
  });

  it('is not known without a look before, after a boot, a clock set back, or a long time', () => {
    assert.equal(growthRate(null, 'a', { at: 1_000_000, closeWait: 10 }), null);
    for (const [boot, at] of [
      ['b', 1_030_000],
      ['a', 999_000],
      ['a', 1_000_000],
      ['a', 4_600_001],
    ] as const) {
      assert.equal(growthRate(before, boot, { at, closeWait: 10 }), null);
    }
  });

  it('warns before a limit on the count is passed; a first look has no rate and is well', () => {
    const thresholds = limits('close_wait_rate=2');
    assert.equal(check(waiting(3), thresholds, 6).state, 'warning');
    assert.equal(check(waiting(3), thresholds, 1).state, 'ok');
    assert.equal(check(waiting(3), thresholds, null).state, 'ok');
  });
});
