import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHECKS, EXPLAINERS } from '../../../src/diagnosis/checks/checks.ts';
import { stepOf } from '../../../src/diagnosis/diagnosis.ts';
import { classifyProcesses } from '../../../src/diagnosis/process-roles.ts';
import { BACKGROUND } from '../../../src/evidence/background.ts';
import { blind, type Evidence } from '../../../src/evidence/evidence.ts';
import { STAGES, stageEvidence } from '../../recorded/captures.ts';
import { evidenceOf } from '../situation.ts';

const nothing = blind('timeout', 'it took too long');
const EVIDENCE: readonly Evidence[] = [
  ...STAGES.map(stageEvidence),
  evidenceOf({ processes: [], listeners: [{}], deniedFds: 1, deniedArgv: 1 }),
  evidenceOf({ processes: [], evidence: { config: nothing, service: nothing, answer: nothing } }),
  evidenceOf({
    processes: [],
    evidence: { sockets: nothing, processes: nothing, apiLog: nothing },
  }),
];

for (const check of CHECKS) {
  test(`${check.id} waits for every section that it judges by: no other may be there yet`, () => {
    for (const evidence of EVIDENCE) {
      const known = { ...evidence, roles: classifyProcesses(evidence) };
      const needs = new Set<string>(check.needs);
      const arrived = Object.fromEntries(Object.entries(known).filter(([name]) => needs.has(name)));
      assert.deepEqual(stepOf(check, arrived as unknown as typeof known), stepOf(check, known));
    }
  });
}

test('the steps have the ids and the order that `help checks` tells', () => {
  assert.deepEqual(
    CHECKS.map(({ id }) => id),
    ['port-holder', 'orphans', 'close-wait', 'api-log', 'api-answers'],
  );
  for (const { title } of CHECKS) assert.ok(title.length <= 13, title);
});

test('each section of the background has one that explains by it', () => {
  assert.deepEqual(
    EXPLAINERS.map(({ id }) => id),
    BACKGROUND,
  );
  for (const { title } of EXPLAINERS) assert.ok(title.length <= 13, title);
});
