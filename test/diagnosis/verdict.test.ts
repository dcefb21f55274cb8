/** The verdict for each situation that a single look can't tell apart by its steps alone. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { settledDiagnosis } from '../../src/diagnosis/second-ask.ts';
import { VERDICT_CODES, type VerdictCode, verdictExitCode } from '../../src/diagnosis/verdict.ts';
import {
  type AnswerFacts,
  type ApiLogFacts,
  blind,
  type Evidence,
  type PeerSockets,
  type ProcessFacts,
  seen,
} from '../../src/evidence/evidence.ts';
import { parseEvidence, writeEvidence } from '../../src/evidence/evidence-file.ts';
import { nextCommand } from '../../src/report/next-command.ts';
import { repeated } from '../report/repeated.ts';
import { evidenceOf, type Situation, saltApi, server, TITLED } from './situation.ts';

const { now } = evidenceOf({ processes: [] }).host;
const manager = (age: number, more: Partial<ProcessFacts> = {}) =>
  saltApi({ pid: 100, ppid: 1, argv: TITLED, age, ...more });
/** A child that does not listen. */
const idle = (age: number, more: Partial<ProcessFacts> = {}) =>
  saltApi({ pid: 101, ppid: 100, age, ...more });
const child = server({ pid: 101, ppid: 100, age: 85 });
const zombie = saltApi({ pid: 102, ppid: 100, state: 'Z', argv: [], age: 3 });
const orphan = server({ pid: 37, ppid: 1, session: 12, age: 9_000 });

/** A log with failed starts so many seconds ago. */
function log(secondsAgo: readonly number[], more: Partial<ApiLogFacts> = {}): Partial<Evidence> {
  const times = secondsAgo.map((seconds) => now - seconds * 1000).toSorted((a, b) => a - b);
  const { apiLog } = evidenceOf({ processes: [] });
  assert.ok(apiLog.seen);
  const events = times.length;
  const [firstAt = null, lastAt = null] = [times[0], times.at(-1)];
  const facts = { events, firstAt, lastAt, times, ports: events > 0 ? [443] : [] };
  return { apiLog: seen({ ...apiLog.value, ...facts, ...more }) };
}

function judge(processes: readonly ProcessFacts[], evidence: Partial<Evidence> = {}) {
  return diagnoseEvidence(evidenceOf({ processes, pidFile: 100, evidence })).verdict;
}

describe('a start that is slow', () => {
  for (const age of [3, 11, 19]) {
    it(`is on its way up ${age} s after it began, and says how long it may still take`, () => {
      const verdict = judge([manager(age), idle(age - 1)]);
      assert.deepEqual([verdict.code, verdict.comesUpWithinMs], ['unknown', (21 - age) * 1000]);
      assert.match(
        verdict.summary,
        /101, child of the daemon 100, started .* does not listen .* yet/,
      );
    });
  }

  it('is on its way up before its first child is there, for no longer than a start may take', () => {
    assert.equal(judge([manager(19)]).comesUpWithinMs, 1_000);
    assert.equal(judge([manager(21)]).code, 'down');
  });

  it('is hung where the child is older than a start may take', () => {
    assert.equal(judge([manager(22), idle(21)]).code, 'hung');
    assert.equal(judge([manager(21), idle(19)]).code, 'unknown');
  });

  it('is followed by a Next that looks again, and not by one that asks for more rights', () => {
    const diagnosis = diagnoseEvidence(evidenceOf({ processes: [manager(5), idle(4)] }));
    const { next, nextNote } = nextCommand(diagnosis, repeated());
    assert.deepEqual(
      [next, nextNote],
      ['salt-triage diagnose', 'looks again: it may take up to 16 s more'],
    );
  });
});

describe('a restart loop takes proof of an earlier child', () => {
  const processes = [manager(90), idle(4)];

  it('a zombie of this daemon, and of no other', () => {
    assert.equal(judge([...processes, zombie]).code, 'restart-loop');
    assert.equal(judge([...processes, { ...zombie, ppid: 900 }]).code, 'unknown');
  });

  it('a death in the log since the daemon started, and none before', () => {
    assert.equal(
      judge(processes, log([], { lastChildDeathAt: now - 80_000 })).code,
      'restart-loop',
    );
    assert.equal(judge(processes, log([], { lastChildDeathAt: now - 99_000 })).code, 'unknown');
  });

  it('failed binds since the daemon started, and none before', () => {
    const verdict = judge(processes, log([60, 50]));
    assert.equal(verdict.code, 'restart-loop');
    assert.match(verdict.summary, /has failed to bind 2 times; it has started 101 4 s ago/);
    assert.equal(judge(processes, log([120, 110])).code, 'unknown');
  });

  it('is told of a dead child alone without what nobody saw', () => {
    const { code, summary } = judge([manager(90), zombie]);
    assert.deepEqual(
      [code, summary],
      ['restart-loop', 'a child of the daemon 100 has died, and nobody listens on port 443'],
    );
  });
});

describe('a port that has just come free', () => {
  it('will be had by the daemon that failed to bind it seconds ago', () => {
    const verdict = judge([manager(90), zombie], log([42, 32, 22, 12]));
    assert.equal(verdict.code, 'unknown');
    assert.match(verdict.summary, /443 has come free: .* 12 s ago and tries again within 10 s/);
    assert.equal(verdict.comesUpWithinMs, 18_000);
  });

  it('is being tried again where a child is there', () => {
    assert.match(judge([manager(90), idle(2)], log([12])).summary, /tries again now/);
  });

  it('is a loop once the next start has had its time', () => {
    assert.equal(judge([manager(90), zombie], log([42, 31])).code, 'restart-loop');
  });

  it("is no other port, and nobody's where no daemon lives", () => {
    assert.equal(judge([manager(90), zombie], log([12], { ports: [8000] })).code, 'restart-loop');
    assert.equal(judge([], log([12])).code, 'down');
  });

  it('is not told from a log of another clock, which would be waited for without end', () => {
    assert.equal(judge([manager(90), zombie], log([-3_600])).code, 'restart-loop');
    assert.equal(judge([manager(90), zombie], log([-1])).comesUpWithinMs, 30_000);
  });

  it('waits no longer than a minute for the next try, however rare the failures were', () => {
    const { comesUpWithinMs } = judge([manager(9_000), zombie], log([7_201, 3_601, 1]));
    assert.equal(comesUpWithinMs, 79_000);
  });
});

describe('a listener that was closed', () => {
  it('is proven by the connections that the young child had accepted: no slow start', () => {
    const { code, summary } = judge([manager(8), idle(7, { portConnections: 12 })]);
    assert.equal(code, 'hung');
    assert.match(summary, /101 has closed its listener on port 443 and stays, with 12 accepted/);
  });
});

describe('a daemon that is stopped (SIGSTOP)', () => {
  it('is degraded though its child serves: it would start no other', () => {
    const { code, summary, evidence } = judge([manager(90, { state: 'T' }), child]);
    assert.equal(code, 'degraded');
    assert.match(summary, /the daemon 100 is suspended \(state T\)/);
    assert.match(evidence.join(), /starts no child and ends none/);
  });

  it('turns no loop', () => {
    const { code, summary } = judge([manager(90, { state: 'T' }), zombie], log([32, 22, 12]));
    assert.equal(code, 'down');
    assert.match(summary, /the daemon 100 is suspended/);
  });
});

/** Accepted or waiting CLOSE_WAIT sockets on the port. */
function closeWait(accepted: number, unaccepted = 0, acceptQueue = unaccepted): Partial<Evidence> {
  const { sockets } = evidenceOf({ processes: [child] });
  assert.ok(sockets.seen);
  const peer = { address: '10.0.0.9', state: 'CLOSE_WAIT', unreadBytes: 0 } as const;
  const peers: PeerSockets[] = [{ ...peer, accepted, unaccepted }];
  const listeners = sockets.value.listeners.map((listener) => ({ ...listener, acceptQueue }));
  return { sockets: seen({ ...sockets.value, peers, listeners }) };
}

function answers(value: AnswerFacts): Partial<Evidence> {
  return { answer: seen(value) };
}

const SILENT = { kind: 'no-reply', afterMs: 5_000, tls: true } as const;
const serving = [manager(90), child];

describe('one silence of 5 s', () => {
  it('is not hung: nothing else says so', () => {
    const verdict = judge(serving, answers(SILENT));
    assert.deepEqual([verdict.code, verdict.asksAgain], ['unknown', true]);
    assert.match(verdict.summary, /no reply within 5 s .*, and nothing else points to a hang/);
    assert.equal(verdictExitCode(verdict.code, false), 3);
  });

  const witnesses: readonly [string, readonly ProcessFacts[], Partial<Evidence>, VerdictCode][] = [
    ['CLOSE_WAIT at the limit', serving, closeWait(20), 'hung'],
    ['CLOSE_WAIT below it', serving, closeWait(19), 'unknown'],
    ['five clients gone that nobody had accepted', serving, closeWait(0, 5), 'hung'],
    ['four of them', serving, closeWait(0, 4), 'unknown'],
    ['a full accept queue, of backlog + 1', serving, closeWait(0, 0, 31), 'hung'],
    ["one of the backlog's length", serving, closeWait(0, 0, 30), 'unknown'],
    ['a server that is stopped', [manager(90), { ...child, state: 'T' }], {}, 'hung'],
    ['a server in D for the moment', [manager(90), { ...child, state: 'D' }], {}, 'unknown'],
  ];
  for (const [what, processes, evidence, code] of witnesses) {
    it(`with ${what} is ${code}`, () => {
      assert.equal(judge(processes, { ...answers(SILENT), ...evidence }).code, code);
    });
  }

  it('is hung where the next ask was silent beyond the time that cheroot gives a client', () => {
    assert.equal(judge(serving, answers({ ...SILENT, afterMs: 9_999 })).code, 'unknown');
    const twice = { ...SILENT, afterMs: 11_000, silentBefore: 5_000 };
    const { findings, verdict } = diagnoseEvidence(
      evidenceOf({ processes: serving, evidence: answers(twice) }),
    );
    assert.equal(verdict.code, 'hung');
    assert.equal(
      findings['api-answers'].summary,
      'no reply within 5 s; asked again: connected, no reply within 11 s (over TLS)',
    );
  });

  it('is degraded where the next ask was answered', () => {
    const answered = { kind: 'answered', status: 200, afterMs: 4_000, tls: true } as const;
    const late = answers({ ...answered, silentBefore: 5_000 });
    assert.equal(judge(serving, late).code, 'degraded');
  });

  it('that could not even connect is a full accept queue, and hung', () => {
    assert.equal(judge(serving, answers({ kind: 'no-connection', afterMs: 5_000 })).code, 'hung');
  });
});

describe('the second ask', () => {
  async function ask(situation: Situation, second: AnswerFacts | null) {
    const asked: number[] = [];
    const first = diagnoseEvidence(evidenceOf(situation));
    const diagnosis = await settledDiagnosis(first, {
      askAgain: async (timeoutMs) => {
        asked.push(timeoutMs);
        return second === null ? blind('unsupported', 'no way through') : seen(second);
      },
    });
    const { answer } = diagnosis.evidence;
    assert.ok(answer.seen);
    return { asked, answer: answer.value, first, diagnosis };
  }
  const silentOnly = { processes: serving, pidFile: 100, evidence: answers(SILENT) };

  it('lasts longer than cheroot waits for a client, and tells of the first', async () => {
    const { asked, answer } = await ask(silentOnly, { ...SILENT, afterMs: 11_000 });
    assert.deepEqual(asked, [11_000]);
    assert.deepEqual(answer, { ...SILENT, afterMs: 11_000, silentBefore: 5_000 });
  });

  it('has its answer and the verdict judged anew, and nothing else', async () => {
    for (const second of [SILENT, { kind: 'answered', status: 200, afterMs: 900, tls: true }]) {
      const answer = { ...second, afterMs: 11_000 } as AnswerFacts;
      const { first, diagnosis } = await ask(silentOnly, answer);
      assert.deepEqual(diagnosis, diagnoseEvidence(diagnosis.evidence));
      assert.notEqual(diagnosis.verdict.code, first.verdict.code);
      const kept = diagnosis.steps.filter((step) => first.steps.includes(step));
      assert.deepEqual(kept, first.steps.slice(0, -1));
      assert.equal(diagnosis.roles, first.roles);
    }
  });

  it('is not made where something else says that the server hangs: a jam is told as fast as ever', async () => {
    const jammed = { ...silentOnly, evidence: { ...answers(SILENT), ...closeWait(120) } };
    assert.deepEqual((await ask(jammed, null)).asked, []);
    const held = { processes: [orphan, manager(90)], pidFile: 100, evidence: answers(SILENT) };
    assert.deepEqual((await ask(held, null)).asked, []);
  });

  it('is not made where the first was answered, or lasted long enough', async () => {
    assert.deepEqual((await ask({ processes: serving, pidFile: 100 }, null)).asked, []);
    const long = { ...silentOnly, evidence: answers({ ...SILENT, afterMs: 10_000 }) };
    assert.deepEqual((await ask(long, null)).asked, []);
  });

  it('that tells nothing leaves the first as it was', async () => {
    assert.deepEqual((await ask(silentOnly, null)).answer, SILENT);
    assert.deepEqual((await ask(silentOnly, { kind: 'refused' })).answer, SILENT);
    const broken = { kind: 'broken', afterMs: 10, error: 'read ECONNRESET' } as const;
    assert.deepEqual((await ask(silentOnly, broken)).answer, SILENT, 'it was ended meanwhile');
  });

  it('survives --save and --from, and evidence from before it can still be read', () => {
    const twice = answers({ ...SILENT, afterMs: 11_000, silentBefore: 5_000 });
    for (const evidence of [answers(SILENT), twice, log([], { lastChildDeathAt: now })]) {
      const whole = evidenceOf({ processes: serving, evidence });
      assert.deepEqual(parseEvidence(writeEvidence(whole)), whole);
    }
  });
});

describe('a server that was not asked', () => {
  const notAsked = { answer: blind('not-asked', 'not asked (--no-probe)') };

  it('is hung by the CLOSE_WAIT that it left, which degrades one that answers', () => {
    assert.equal(judge(serving, { ...notAsked, ...closeWait(20) }).code, 'hung');
    assert.equal(judge(serving, closeWait(20)).code, 'degraded');
  });

  it('is not hung by another instance that is stopped, nor by a job', () => {
    const elsewhere = server({
      pid: 700,
      ppid: 1,
      argv: ['/usr/bin/python3', '/usr/bin/salt-api', '-c', '/srv/other'],
      state: 'T',
    });
    const job = saltApi({
      pid: 200,
      ppid: 1,
      session: 199,
      age: 5,
      state: 'T',
      listens: child.listens,
    });
    assert.equal(judge([...serving, elsewhere], notAsked).code, 'healthy');
    assert.equal(judge([...serving, job], notAsked).code, 'healthy');
  });
});

describe('a loop in the log beside a daemon that serves', () => {
  const second = saltApi({ pid: 500, ppid: 1, argv: TITLED, session: 499, age: 60 });
  const child2 = saltApi({ pid: 501, ppid: 500, session: 499, age: 3 });
  const looping = log([32, 22, 12, 2]);

  it("is another daemon's, if there is one", () => {
    assert.equal(judge([...serving, second, child2], looping).code, 'restart-loop');
  });

  it('is a sign of trouble where there is none', () => {
    assert.equal(judge(serving, looping).code, 'degraded');
  });

  it('takes a loop: two daemons of which one is quiet are none', () => {
    assert.equal(judge([...serving, second, child2]).code, 'healthy');
  });
});

describe('nobody on the port', () => {
  it('is unknown, not down, where a single command line could not be read', () => {
    const one = evidenceOf({ processes: [], deniedArgv: 1 });
    assert.equal(diagnoseEvidence(one).verdict.code, 'unknown');
    assert.equal(diagnoseEvidence(evidenceOf({ processes: [] })).verdict.code, 'down');
  });
});

describe('the exit code of a diagnosis', () => {
  const table: Record<VerdictCode, readonly [plain: number, strict: number]> = {
    healthy: [0, 0],
    degraded: [0, 1],
    'orphan-holds-port': [1, 1],
    'orphan-stray': [1, 1],
    hung: [1, 1],
    'foreign-holder': [1, 1],
    'restart-loop': [1, 1],
    down: [1, 1],
    unknown: [3, 3],
  };
  it('is told for every verdict', () => {
    assert.deepEqual(VERDICT_CODES.toSorted(), Object.keys(table).toSorted());
  });
  for (const code of VERDICT_CODES) {
    it(`of ${code} is ${table[code].join(', with --strict ')}`, () => {
      assert.deepEqual([verdictExitCode(code, false), verdictExitCode(code, true)], table[code]);
    });
  }
});
