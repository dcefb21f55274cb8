import assert from 'node:assert/strict';
import { test } from 'node:test';
import { growingPause, pauseAfterLook } from '../src/backoff.ts';

test('a pause grows from look to look, up to a bound', () => {
  const pauses = [0, 1, 2, 3, 20].map((turn) => growingPause(turn, 40, 200));
  assert.deepEqual(pauses, [40, 60, 90, 135, 200]);
});

test('a host is looked at soon, then less often, and rests as long as a look took', () => {
  assert.equal(pauseAfterLook(0, 10), 50);
  assert.equal(pauseAfterLook(0, 400), 400);
  assert.equal(pauseAfterLook(30, 10), 1_000);
  assert.equal(pauseAfterLook(0, 20_000), 1_000);
});
