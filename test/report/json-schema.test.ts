/** The JSON Schema is that of the types, and says something: it refuses what is no document. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { verdictExitCode } from '../../src/diagnosis/verdict.ts';
import { jsonDiagnosis } from '../../src/report/diagnosis-json.ts';
import { jsonLine } from '../../src/report/json-line.ts';
import { jsonSchema } from '../../src/report/json-schema.ts';
import { STAGES, stageEvidence } from '../recorded/captures.ts';
import { conforms } from './conforms.ts';
import { repeated } from './repeated.ts';

const GENERATOR = fileURLToPath(new URL('../../bin/json-schema.mjs', import.meta.url));

function documentOf(stage: (typeof STAGES)[number]) {
  const diagnosis = diagnoseEvidence(stageEvidence(stage));
  const exitCode = verdictExitCode(diagnosis.verdict.code, false);
  return JSON.parse(jsonLine(jsonDiagnosis(diagnosis, repeated(), exitCode)));
}

test('is what the types of the documents say: `npm run schema` after a change of them', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'salt-schema-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const made = join(directory, 'schema.json');
  execFileSync(process.execPath, [GENERATOR, made]);
  assert.deepEqual(JSON.parse(readFileSync(made, 'utf8')), jsonSchema());
});

test('every recorded incident conforms', () => {
  for (const stage of STAGES) conforms(documentOf(stage));
});

test('a field that is missing, of another type, of no known word or unknown does not', () => {
  const document = documentOf('jammed/restarted');
  const [step, ...steps] = document.steps;
  const spoilt = {
    missing: { ...document, takenAt: undefined },
    'of another type': { ...document, port: '443' },
    'a word': { ...document, verdict: { ...document.verdict, code: 'fine' } },
    'evidence of another step': { ...document, steps: [{ ...step, id: 'orphans' }, ...steps] },
    'not named': { ...document, more: 1 },
    'not named in the evidence': {
      ...document,
      steps: [{ ...step, evidence: { ...step.evidence, more: 1 } }, ...steps],
    },
  };
  for (const [what, one] of Object.entries(spoilt)) {
    assert.throws(() => conforms(JSON.parse(JSON.stringify(one))), /JSON Schema/, what);
  }
});

test('as it ships it leaves room for new fields, as schemaVersion 1 does', () => {
  const validate = new Ajv2020({ strict: true }).compile(jsonSchema());
  assert.ok(validate({ ...documentOf('jammed/restarted'), more: 1 }));
  assert.ok(!validate({}));
});
