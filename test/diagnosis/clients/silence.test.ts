/** When calls stop: lines about them are written as they end, so a jam is a silence in the log. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { findSilences } from '../../../src/diagnosis/clients/silence.ts';

const MINUTE = 60_000;
const FIRST = Date.UTC(2026, 0, 1);
const steady = (minutes: number, calls = 20): number[] => new Array(minutes).fill(calls);

function silences(counts: number[], minutesNow: number) {
  const { stretches, silentFrom } = findSilences(
    { firstMinute: FIRST, counts },
    FIRST + minutesNow * MINUTE + 30_000,
  );
  return { stretches, silent: silentFrom === null ? null : (silentFrom - FIRST) / MINUTE };
}

it('calls that come until now are not silent', () => {
  assert.deepEqual(silences(steady(60), 60), { stretches: [[0, 60]], silent: null });
  assert.deepEqual(silences([], 60), { stretches: [], silent: null });
});

it('are silent from the minute after the last', () => {
  assert.deepEqual(silences(steady(60), 90), { stretches: [[0, 60]], silent: 60 });
});

it('are silent once so many were to come that it is no chance', () => {
  assert.equal(silences(steady(60, 3), 65).silent, null);
  assert.equal(silences(steady(60, 3), 80).silent, 60);
  assert.equal(silences([...steady(20, 1), ...steady(25, 0), 1], 600).silent, null);
});

it('that end late, once their clients have left, are no traffic', () => {
  const counts = [...steady(60), ...steady(20, 0), 40, 3, ...steady(30, 0), 5];
  assert.deepEqual(silences(counts, 140), { stretches: [[0, 60]], silent: 60 });
});

it('that came back for longer than late ones last are traffic', () => {
  const again = [...steady(60), ...steady(20, 0), ...steady(15)];
  assert.deepEqual(silences(again, 130).silent, 95);
  const brief = [...steady(60), ...steady(4, 0), ...steady(8)];
  assert.deepEqual(silences(brief, 110).silent, 72);
  const thrice = [...steady(60), ...steady(20, 0), ...steady(60), ...steady(20, 0), 3];
  assert.deepEqual(silences(thrice, 200), {
    stretches: [
      [0, 60],
      [80, 140],
    ],
    silent: 140,
  });
  const late = [...steady(60), ...steady(20, 0), ...steady(10)];
  assert.deepEqual(silences(late, 130).silent, 60);
});

it('that are away for two minutes are not silent', () => {
  const counts = [...steady(60), 0, 0, ...steady(20)];
  assert.deepEqual(silences(counts, 82).stretches, [[0, 82]]);
});

it('that came back are not silent, and the gap is no traffic', () => {
  const counts = [...steady(60), ...steady(20, 0), ...steady(30)];
  assert.deepEqual(silences(counts, 110), {
    stretches: [
      [0, 60],
      [80, 110],
    ],
    silent: null,
  });
  assert.equal(silences(counts, 130).silent, 110);
});

it('that are few and far between have no gaps', () => {
  const counts = Array.from({ length: 300 }, (_, minute) => (minute % 30 === 0 ? 1 : 0));
  assert.deepEqual(silences(counts, 300).stretches, [[0, 300]]);
});
