/** A verdict that is told before the API has answered must be the one that any answer would give. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Diagnosis, diagnoseEvidence, withAnswer } from '../../src/diagnosis/diagnosis.ts';
import { standsWithAnyAnswer, withoutAnswer } from '../../src/diagnosis/open-answer.ts';
import { blind, type Evidence, type Look, seen } from '../../src/evidence/evidence.ts';
import { parseEvidence, writeEvidence } from '../../src/evidence/evidence-file.ts';
import { planFix } from '../../src/plan/plan.ts';
import { chooseServiceManager } from '../../src/plan/service-manager.ts';
import { nextCommand } from '../../src/report/next-command.ts';
import { incident2018, STAGES, stageEvidence } from '../recorded/captures.ts';
import { repeated } from '../report/repeated.ts';
import { evidenceOf, INODE, saltApi, server, TITLED, UNTITLED } from './situation.ts';

const afterMs = fc.nat(70_000);
const tls = fc.boolean();
const ANSWER: fc.Arbitrary<Evidence['answer']> = fc.oneof(
  fc
    .record(
      {
        kind: fc.constant('answered' as const),
        status: fc.integer({ min: 100, max: 599 }),
        afterMs,
        tls,
        silentBefore: fc.nat(20_000),
      },
      { requiredKeys: ['kind', 'status', 'afterMs', 'tls'] },
    )
    .map(seen),
  fc
    .record(
      { kind: fc.constant('no-reply' as const), afterMs, tls, silentBefore: fc.nat(20_000) },
      { requiredKeys: ['kind', 'afterMs', 'tls'] },
    )
    .map(seen),
  fc.record({ kind: fc.constant('no-connection' as const), afterMs }).map(seen),
  fc.constant(seen({ kind: 'refused' as const })),
  fc.record({ kind: fc.constant('broken' as const), afterMs, error: fc.string() }).map(seen),
  fc
    .constantFrom('permission', 'missing', 'timeout', 'unsupported', 'not-asked', 'not-awaited')
    .map((cause) => blind(cause as 'timeout', 'blind') as Look<never>),
);

const DAEMON = [saltApi({ pid: 100, ppid: 1 }), server({ pid: 101, ppid: 100 })];

/** Any few processes, some of them Salt's, in any relation to each other and to the port. */
const SITUATION = fc
  .record({
    processes: fc.uniqueArray(
      fc.record({
        pid: fc.constantFrom(100, 101, 200, 201, 300, 301),
        ppid: fc.constantFrom(1, 1, 100, 100, 200, 300),
        age: fc.constantFrom(3, 60, 3_600, 9_000),
        session: fc.constantFrom(12, 99),
        threads: fc.constantFrom(1, 103),
        state: fc.constantFrom('S', 'S', 'S', 'T', 'D', 'Z'),
        portConnections: fc.constantFrom(0, 0, 40),
        listens: fc.constantFrom([], [], [INODE]),
        argv: fc.constantFrom(
          UNTITLED,
          UNTITLED,
          TITLED,
          ['/usr/sbin/nginx'],
          [...UNTITLED, '-c', '/srv/other'],
        ),
      }),
      { selector: ({ pid }) => pid, maxLength: 5 },
    ),
    /** A daemon and its child beside these, with the port. */
    served: fc.boolean(),
    pidFile: fc.constantFrom(null, 100, 200),
    listening: fc.boolean(),
    closeWait: fc.constantFrom(0, 0, 7, 120),
    deniedFds: fc.constantFrom(0, 0, 1),
    failedBinds: fc.constantFrom(0, 0, 4),
  })
  .map(({ processes, served, listening, closeWait, failedBinds, ...rest }) => {
    const others = served ? processes.filter(({ pid }) => pid >= 200) : processes;
    const table = [...(served ? DAEMON : []), ...others.map((sketch) => saltApi(sketch))];
    const held = listening || table.some(({ listens }) => listens.length > 0);
    const whole = evidenceOf({ processes: table, listeners: held ? [{}] : [], ...rest });
    const { now } = whole.host;
    const times = Array.from({ length: failedBinds }, (_, at) => now - 20_000 + 5_000 * at);
    assert.ok(whole.sockets.seen && whole.apiLog.seen);
    const peer = { address: '10.0.0.1', state: 'CLOSE_WAIT', unreadBytes: 0 } as const;
    return {
      ...whole,
      sockets: seen({
        ...whole.sockets.value,
        peers: closeWait === 0 ? [] : [{ ...peer, accepted: closeWait, unaccepted: 0 }],
      }),
      apiLog: seen({
        ...whole.apiLog.value,
        events: failedBinds,
        times,
        firstAt: times[0] ?? null,
        lastAt: times.at(-1) ?? null,
      }),
    };
  });

/** What is shown and done by a diagnosis, but for the reasons of its verdict. */
function consequences(diagnosis: Diagnosis): unknown {
  const { evidence: _, ...verdict } = diagnosis.verdict;
  const plans = [undefined, ['start']].flatMap((startCommand) => {
    const manager = chooseServiceManager(diagnosis.evidence.service, {
      service: 'auto',
      unit: 'salt-api',
      unitNamed: false,
      stopCommand: startCommand,
      startCommand,
    });
    return (['always', 'if-needed'] as const).map((restart) => {
      return planFix(diagnosis, manager, { only: undefined, restart });
    });
  });
  return { verdict, plans, next: nextCommand(diagnosis, repeated(['--port', '443'])) };
}

const unanswered = (evidence: Evidence) =>
  diagnoseEvidence({ ...evidence, answer: blind('not-awaited', 'not known yet') });

const RECORDED = [
  ...STAGES.map(stageEvidence),
  incident2018('after-restart', { listener: 17_502, pidFile: 12_603 }),
];

test('a verdict that stands without the answer is the verdict, plan and next command with any', () => {
  const told = { early: 0, late: 0 };
  const property = fc.property(
    SITUATION,
    fc.array(ANSWER, { minLength: 2, maxLength: 5 }),
    (facts, answers) => {
      const open = unanswered(facts);
      const stands = standsWithAnyAnswer(open);
      told[stands ? 'early' : 'late'] += 1;
      if (!stands) return;
      const expected = consequences(open);
      for (const answer of answers) {
        assert.deepEqual(consequences(withAnswer(open, answer)), expected);
      }
    },
  );
  fc.assert(property, {
    numRuns: 300,
    examples: RECORDED.map((evidence) => [evidence as never, []]),
  });
  // Else the property holds of nothing.
  assert.ok(told.early > 50 && told.late > 50, JSON.stringify(told));
});

const orphan = server({ pid: 37, ppid: 1, session: 12, age: 9_000 });

test('what holds the port settles it, and where the right process has it, only the answer does', () => {
  const rows: readonly (readonly [what: string, evidence: Evidence, stands: boolean])[] = [
    ['an orphan', evidenceOf({ processes: [orphan] }), true],
    ['the recorded orphan', stageEvidence('jammed/restarted'), true],
    ['nginx', evidenceOf({ processes: [{ ...orphan, argv: ['/usr/sbin/nginx'] }] }), true],
    ['who is not seen', evidenceOf({ processes: [], listeners: [{}], deniedFds: 1 }), true],
    ['the daemon, and all is well', evidenceOf({ processes: DAEMON }), false],
    ['the daemon, with a jam', stageEvidence('jammed/hung'), false],
    [
      'the daemon, beside an orphan',
      evidenceOf({ processes: [...DAEMON, { ...orphan, listens: [] }], pidFile: 100 }),
      false,
    ],
  ];
  for (const [what, evidence, stands] of rows) {
    assert.equal(standsWithAnyAnswer(unanswered(evidence)), stands, what);
  }
});

test('an answer that was not waited for is no failure, no reason, and the same verdict when saved', () => {
  const evidence = evidenceOf({ processes: [orphan] });
  const left = withoutAnswer(unanswered(evidence), 104);
  const step = left.findings['api-answers'];
  assert.equal(step.status, 'skip');
  assert.equal(step.summary, 'no reply within 104 ms; the verdict is the same with any answer');
  assert.ok(!left.verdict.evidence.some((reason) => reason.startsWith('API answers')));
  const again = diagnoseEvidence(parseEvidence(writeEvidence(left.evidence)));
  assert.deepEqual(again.verdict, left.verdict);
  assert.deepEqual(consequences(again), consequences(diagnoseEvidence(evidence)));
});
