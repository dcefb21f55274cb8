import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiAnswers } from '../../../src/diagnosis/checks/api-answers.ts';
import { type AnswerFacts, blind, seen } from '../../../src/evidence/evidence.ts';

const judge = (value: AnswerFacts) => {
  const { status, summary, evidence } = apiAnswers.judge({ answer: seen(value) });
  assert.deepEqual(evidence, { answer: value });
  return `${status}: ${summary}`;
};

test('any HTTP status is an answer; one of the server failing is not yet a pass', () => {
  const answered = (status: number, tls = true) =>
    judge({ kind: 'answered', status, afterMs: 4, tls });
  assert.equal(answered(200), 'pass: HTTP 200 over TLS in 4 ms');
  assert.equal(answered(401, false), 'pass: HTTP 401 over plain HTTP in 4 ms');
  assert.equal(answered(499), 'pass: HTTP 499 over TLS in 4 ms');
  assert.equal(answered(500), 'warn: HTTP 500 over TLS in 4 ms');
});

test('silence, no connection, a refusal and no HTTP all fail, each in its own words', () => {
  assert.equal(
    judge({ kind: 'no-reply', afterMs: 5_000, tls: true }),
    'fail: connected, no reply within 5 s (over TLS)',
  );
  assert.equal(
    judge({ kind: 'no-reply', afterMs: 5_000, tls: false }),
    'fail: connected, no reply within 5 s',
  );
  assert.match(judge({ kind: 'no-connection', afterMs: 5_000 }), /^fail: no connection within 5 s/);
  assert.equal(judge({ kind: 'refused' }), 'fail: connection refused');
  const error = `\x1b[31m${'x'.repeat(200)}`;
  assert.equal(judge({ kind: 'broken', afterMs: 1, error }), `fail: no HTTP: ${'x'.repeat(120)}`);
});

test('a probe that was left out is skipped; one that could not look knows nothing', () => {
  const skipped = apiAnswers.judge({ answer: blind('not-asked', 'left out by --no-probe') });
  assert.deepEqual([skipped.status, skipped.summary], ['skip', 'left out by --no-probe']);
  const unknown = apiAnswers.judge({ answer: blind('permission', 'no\x1b[2J socket') });
  assert.deepEqual([unknown.status, unknown.summary], ['unknown', "can't tell: no socket"]);
  assert.deepEqual(unknown.evidence, { answer: null });
});
