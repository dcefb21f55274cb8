import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Diagnosis, diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { seen } from '../../src/evidence/evidence.ts';
import type { FixResult } from '../../src/fix/result.ts';
import type { RunResult } from '../../src/fix/run-plan.ts';
import { type FixPlan, planFix } from '../../src/plan/plan.ts';
import { chooseServiceManager } from '../../src/plan/service-manager.ts';
import { jsonFix } from '../../src/report/fix-json.ts';
import { evidenceOf, type Situation, saltApi, server, TITLED } from '../diagnosis/situation.ts';
import { conforms } from './conforms.ts';
import { repeated } from './repeated.ts';

const daemon = saltApi({ pid: 100, ppid: 1, argv: TITLED, age: 60 });
const child = server({ pid: 101, ppid: 100, age: 55 });
const orphan = server({ pid: 37, ppid: 1, session: 12, age: 9_000 });
const INCIDENT = { processes: [orphan, daemon], pidFile: 100 };

interface Document {
  readonly [field: string]: unknown;
  readonly plan: Record<string, unknown> & { readonly steps?: readonly Record<string, unknown>[] };
  readonly steps: readonly Record<string, unknown>[];
}

interface Given {
  readonly situation?: Situation;
  readonly managed?: boolean;
  readonly dryRun?: boolean;
  readonly result?: (plan: FixPlan) => RunResult;
}

function documentOf({
  situation = INCIDENT,
  managed = true,
  dryRun = false,
  result,
}: Given): Document {
  const before = diagnoseEvidence(evidenceOf(situation));
  const manager = chooseServiceManager(before.evidence.service, {
    service: 'auto',
    unit: 'salt-api',
    unitNamed: false,
    stopCommand: managed ? ['service', 'stop'] : undefined,
    startCommand: managed ? ['service', 'start'] : undefined,
  });
  const plan = planFix(before, manager, { only: undefined, restart: 'always' });
  const about = { before, manager, dryRun };
  const made = (): FixResult => {
    if (plan.kind === 'nothing-to-do') return { ...about, kind: plan.kind, plan };
    if (plan.kind === 'refused') return { ...about, kind: plan.kind, plan };
    if (result === undefined) return { ...about, kind: 'planned', plan };
    return { ...about, kind: 'ran', plan, trail: '/var/log/trail', ...result(plan) };
  };
  const document = JSON.parse(JSON.stringify(jsonFix(made(), repeated())));
  conforms(document);
  return document as Document;
}

const ended =
  (recovered: boolean, after: Diagnosis | null) =>
  (plan: FixPlan): RunResult => {
    const outcomes = plan.steps.map((step) => {
      return {
        step,
        status: 'done',
        detail: 'as planned',
        durationMs: 7,
        notPermitted: false,
      } as const;
    });
    return { outcomes, after, unseen: null, recovered, ended: 'completed' };
  };

test('a kill is told whole: whom, by which command, why, and what makes the pid unmistakable', () => {
  const kill = documentOf({ dryRun: true }).plan.steps?.find((step) => step['kind'] === 'kill');
  assert.ok(kill !== undefined);
  assert.deepEqual(kill['command'], ['kill', '-9', '37']);
  assert.equal(kill['pid'], 37);
  assert.equal(kill['startTicks'], orphan.startTicks);
  assert.equal(kill['bootId'], 'boot');
  assert.equal(kill['role'], 'orphan');
  assert.deepEqual(kill['argv'], orphan.argv);
  assert.ok(Array.isArray(kill['reasons']) && kill['reasons'].length > 0);
  assert.ok(Array.isArray(kill['facts']) && kill['facts'].length > 0);
});

test('stop and start have the command that runs, the rest has none', () => {
  const { plan } = documentOf({ dryRun: true });
  const commands = new Map(plan.steps?.map(({ kind, command }) => [kind, command]));
  assert.deepEqual(commands.get('stop'), ['service', 'stop']);
  assert.deepEqual(commands.get('start'), ['service', 'start']);
  for (const kind of ['save-evidence', 'verify']) {
    assert.ok(commands.has(kind));
    assert.equal(commands.get(kind), undefined);
  }
});

test('a plan, a dry run and a fix are told apart', () => {
  assert.equal(documentOf({}).plan['kind'], 'mend', 'as schema 1 has it');
  assert.equal(documentOf({})['result'], 'planned');
  assert.equal(documentOf({ dryRun: true })['result'], 'planned');
  assert.equal(documentOf({ dryRun: true })['dryRun'], true);
  assert.equal(documentOf({ result: ended(true, null) })['result'], 'recovered');
  assert.equal(documentOf({ result: ended(false, null) })['result'], 'not-recovered');
  assert.equal(
    documentOf({ situation: { processes: [daemon, child], pidFile: 100 } })['result'],
    'nothing-to-do',
  );
});

test('each outcome is the step with its status, its detail and its time', () => {
  const { steps, plan } = documentOf({ result: ended(true, null) });
  assert.deepEqual(
    steps,
    plan.steps?.map((step) => {
      return { ...step, status: 'done', detail: 'as planned', durationMs: 7 };
    }),
  );
  assert.deepEqual(documentOf({})['steps'], []);
});

test('before and after are diagnoses of their own; after is null where nobody looked again', () => {
  const after = diagnoseEvidence(evidenceOf({ processes: [daemon, child], pidFile: 100 }));
  const code = (diagnosis: unknown) => (diagnosis as { verdict: { code: string } }).verdict.code;
  const mended = documentOf({ result: ended(true, after) });
  assert.equal(code(mended['before']), 'orphan-holds-port');
  assert.equal(code(mended['after']), 'healthy');
  const exitCode = (diagnosis: unknown) => (diagnosis as { exitCode: number }).exitCode;
  assert.deepEqual([exitCode(mended['before']), exitCode(mended['after'])], [1, 0]);
  assert.equal(documentOf({ result: ended(true, null) })['after'], null);
  assert.equal(documentOf({})['after'], null);
});

test('a fix knows no --strict: degraded is 0, as it is for diagnose', () => {
  const sockets = evidenceOf({ processes: [daemon, child] }).sockets;
  assert.ok(sockets.seen);
  const row = { address: '10.0.0.1', state: 'CLOSE_WAIT', unaccepted: 0, unreadBytes: 0 } as const;
  const evidence = { sockets: seen({ ...sockets.value, peers: [{ ...row, accepted: 6 }] }) };
  const { before } = documentOf({
    situation: { processes: [daemon, child], pidFile: 100, evidence },
  }) as unknown as { before: { verdict: { code: string }; exitCode: number } };
  assert.deepEqual([before.verdict.code, before.exitCode], ['degraded', 0]);
});

test('a refusal has its reason and what to do instead, and no service where there is none', () => {
  const document = documentOf({ managed: false });
  assert.equal(document['result'], 'refused');
  assert.equal(document['service'], null);
  assert.match(String(document.plan['advice']), /--service/);
  assert.match(String(document.plan['why']), /no service manager/);
  assert.deepEqual(documentOf({})['service'], {
    kind: 'commands',
    label: 'commands of --stop-cmd and --start-cmd',
  });
});
