/** What is seen on a host that a defect could explain: each beside what only looks like it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Symptom } from '../../../src/diagnosis/releases/known-defects.ts';
import { symptomsOf } from '../../../src/diagnosis/releases/symptoms.ts';
import { NO_BACKGROUND } from '../../../src/evidence/background.ts';
import {
  type AnswerFacts,
  type Evidence,
  type PeerSockets,
  seen,
} from '../../../src/evidence/evidence.ts';
import { knownOf, type Part } from '../checks/known.ts';
import { INODE, type ProcessSketch, saltApi } from '../situation.ts';

const WELL: AnswerFacts = { kind: 'answered', status: 200, afterMs: 4, tls: false };

function part(role: Part['role'], sketch: Partial<ProcessSketch> = {}): Part {
  return { facts: saltApi({ pid: 20, ppid: 10, listens: [INODE], threads: 103, ...sketch }), role };
}

function sees(parts: readonly Part[], evidence: Partial<Evidence> = {}) {
  return symptomsOf(knownOf({ parts, evidence: { answer: seen(WELL), ...evidence } }));
}

const names = (...args: Parameters<typeof sees>): Symptom[] => [...sees(...args).keys()];

describe('what is unanswered', () => {
  const sockets = (number: number) => {
    const peer = { address: '10.0.0.1', state: 'CLOSE_WAIT', unreadBytes: 0 } as const;
    const peers: PeerSockets[] = [{ ...peer, accepted: number - 5, unaccepted: 5 }];
    return { sockets: seen({ listeners: [], peers, overflow: [], ipv6: true }) };
  };

  it('is no reply, or no connection, and not a refusal or an answer', () => {
    const answers = (answer: AnswerFacts) => names([], { answer: seen(answer) });
    assert.deepEqual(answers({ kind: 'no-reply', afterMs: 1, tls: true }), ['unanswered']);
    assert.deepEqual(answers({ kind: 'no-connection', afterMs: 1 }), ['unanswered']);
    assert.deepEqual(answers({ kind: 'refused' }), []);
    assert.deepEqual(answers(WELL), []);
  });

  it('is as many CLOSE_WAIT sockets as fail the step', () => {
    assert.equal(sees([], sockets(20)).get('unanswered'), '20 CLOSE_WAIT sockets');
    assert.deepEqual(names([], sockets(19)), []);
  });
});

describe('a worker died', () => {
  it('where a server that has long started has fewer threads than its pool', () => {
    assert.deepEqual(names([part('child', { threads: 99 })]), ['workers-died']);
    assert.deepEqual(names([part('child', { threads: 100 })]), []);
    assert.deepEqual(names([part('child', { threads: 99, age: 59 })]), []);
    assert.deepEqual(names([part('child', { threads: 99, age: 60 })]), ['workers-died']);
  });

  it('in an orphan, but not in a fork, a job or a manager, which have no pool', () => {
    assert.deepEqual(names([part('orphan', { threads: 10 })]), ['workers-died', 'orphan']);
    assert.deepEqual(names([part('orphan', { threads: 9 })]), ['orphan']);
    assert.deepEqual(names([part('orphan', { threads: 50, listens: [] })]), ['orphan']);
    for (const role of ['fork', 'job', 'manager', 'elsewhere', 'unclear'] as const) {
      assert.deepEqual(names([part(role, { threads: 12 })]), [], role);
    }
    assert.deepEqual(names([part('child', { threads: 4, listens: [] })]), []);
  });
});

describe('much is used', () => {
  it('of a CPU from four fifths of it since the start', () => {
    const ticks = (share: number) => ({ cpuTicks: 3600 * 100 * share });
    assert.deepEqual(names([part('fork', ticks(0.8))]), ['cpu']);
    assert.deepEqual(names([part('fork', ticks(0.79))]), []);
    assert.deepEqual(names([part('elsewhere', ticks(1))]), []);
    assert.deepEqual(names([part('unclear', ticks(1))]), []);
    assert.deepEqual(names([part('fork', { age: 59, cpuTicks: 5900 })]), []);
  });

  it('of memory from 2 GiB', () => {
    const memory = (residentBytes: number | null) => {
      const one = { pid: 20, startTicks: 1, openFiles: null, moreOpen: false, mostFiles: null };
      const settings = seen({ programs: [{ ...one, residentBytes }] });
      return names([], { background: { ...NO_BACKGROUND, settings } });
    };
    assert.deepEqual(memory(2 * 1024 ** 3), ['memory']);
    assert.deepEqual(memory(2 * 1024 ** 3 - 1), []);
    assert.deepEqual(memory(null), []);
  });
});
