/** The exit code of a fix: what a runbook goes by. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { ExitCode } from '../../src/errors.ts';
import type { StepOutcome } from '../../src/fix/fix-run.ts';
import { fixExitCode } from '../../src/fix/result.ts';
import type { RunResult } from '../../src/fix/run-plan.ts';
import { planFix } from '../../src/plan/plan.ts';
import { chooseServiceManager } from '../../src/plan/service-manager.ts';
import { evidenceOf, saltApi, server, TITLED } from '../diagnosis/situation.ts';

const daemon = saltApi({ pid: 100, ppid: 1, argv: TITLED, age: 60 });
const orphan = server({ pid: 37, ppid: 1, session: 12, age: 9_000 });
const before = diagnoseEvidence(evidenceOf({ processes: [orphan, daemon], pidFile: 100 }));
const manager = chooseServiceManager(before.evidence.service, {
  service: 'sysv',
  unit: 'salt-api',
  unitNamed: false,
  stopCommand: undefined,
  startCommand: undefined,
});
const plan = planFix(before, manager, { only: undefined, restart: 'always' });
assert.ok(plan.kind === 'fix');
const about = { before, manager, dryRun: false } as const;

type Said = Partial<Record<StepOutcome['step']['kind'], StepOutcome['status']>>;

/** The code of a run, of which the steps that are not named were done if they change nothing. */
function codeOf(said: Said, run: Partial<RunResult> = {}, notPermitted = false) {
  assert.ok(plan.kind === 'fix');
  const outcomes = plan.steps.map((step) => {
    const status = said[step.kind] ?? 'not-needed';
    return { step, status, detail: '', durationMs: 1, notPermitted };
  });
  const ended = {
    outcomes,
    after: null,
    unseen: null,
    ended: 'completed',
    recovered: false,
  } as const;
  return fixExitCode({ ...about, kind: 'ran', plan, trail: '', ...ended, ...run });
}

describe('the exit code of a fix', () => {
  const cases: readonly [string, number, ExitCode][] = [
    ['that recovered', codeOf({ kill: 'done' }, { recovered: true }), ExitCode.ok],
    ['that did what it could', codeOf({ kill: 'done', stop: 'declined' }), ExitCode.incident],
    ['of which a guard refused the only kill', codeOf({ kill: 'refused' }), ExitCode.refused],
    [
      'with a kill refused and the rest declined',
      codeOf({ kill: 'refused', stop: 'declined' }),
      ExitCode.refused,
    ],
    [
      'that was declined, so that nothing could be started',
      codeOf({ kill: 'declined', start: 'refused' }),
      ExitCode.declined,
    ],
    ['of which nothing could be started', codeOf({ start: 'refused' }), ExitCode.refused],
    ['that had nothing left to do', codeOf({}), ExitCode.incident],
    ['without the right', codeOf({ kill: 'failed' }, {}, true), ExitCode.notPermitted],
    ['that was aborted', codeOf({ kill: 'done' }, { ended: 'aborted' }), ExitCode.declined],
    ['that lost its host', codeOf({ kill: 'done' }, { ended: 'cut off' }), ExitCode.unknown],
    [
      'that was interrupted, whatever was reached',
      codeOf({ kill: 'done' }, { ended: 'interrupted', recovered: true }),
      ExitCode.interrupted,
    ],
    ['that only planned', fixExitCode({ ...about, kind: 'planned', plan }), ExitCode.ok],
  ];
  for (const [name, code, expected] of cases) {
    it(`${name} is ${expected}`, () => assert.equal(code, expected));
  }

  it('with nothing to do is that of the verdict', () => {
    const none = { kind: 'nothing-to-do', verdict: 'down', why: '' } as const;
    assert.equal(fixExitCode({ ...about, kind: none.kind, plan: none }), ExitCode.incident);
    const child = server({ pid: 101, ppid: 100, age: 55 });
    const well = diagnoseEvidence(evidenceOf({ processes: [daemon, child], pidFile: 100 }));
    assert.equal(well.verdict.code, 'healthy');
    assert.equal(fixExitCode({ ...about, before: well, kind: none.kind, plan: none }), ExitCode.ok);
  });

  it('that was refused says whether an option would help', () => {
    const refusal = { kind: 'refused', verdict: 'hung', why: '', remedy: null } as const;
    const refused = (more: object) =>
      fixExitCode({ ...about, kind: 'refused', plan: { ...refusal, ...more } });
    assert.equal(refused({}), ExitCode.usage);
    assert.equal(refused({ ofHost: true }), ExitCode.refused);
    assert.equal(refused({ verdict: 'foreign-holder' }), ExitCode.refused);
    assert.equal(refused({ verdict: 'unknown', ofHost: true }), ExitCode.unknown);
  });
});
