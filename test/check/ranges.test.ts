import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alerts, countFrom, fromCount, parseRange } from '../../src/check/ranges.ts';

/** The examples of the guidelines, and both edges of each. */
const RANGES: readonly (readonly [
  text: string,
  well: readonly number[],
  alerts: readonly number[],
])[] = [
  ['10', [0, 10], [-0.001, 11]],
  ['10:', [10, 1e9], [9.999]],
  ['~:10', [-1e9, 10], [10.001]],
  ['10:20', [10, 20], [9, 21]],
  ['@10:20', [9, 21], [10, 15, 20]],
  ['-5:-1', [-5, -1], [-6, 0]],
  ['@~:0', [0.5], [0, -1]],
  ['1.5', [1.5], [1.51]],
  ['0', [0], [1]],
];

for (const [text, well, outside] of RANGES) {
  test(`${text} alerts at ${outside.join(', ')} and not at ${well.join(', ')}`, () => {
    const range = parseRange(text);
    assert.ok(range !== null);
    for (const value of well) assert.equal(alerts(range, value), false, String(value));
    for (const value of outside) assert.equal(alerts(range, value), true, String(value));
  });
}

test('what is no range is none', () => {
  const words = [
    '',
    ':',
    '@',
    '~',
    '20:10',
    'x',
    '1:2:3',
    '@@1',
    '1 ',
    '1e3',
    '0x10',
    '5s',
    '--1',
    '~:',
  ];
  for (const text of words) assert.equal(parseRange(text), null, text);
});

test('a limit that counts from a number is the range below it', () => {
  const range = fromCount(5);
  assert.deepEqual([alerts(range, 4), alerts(range, 5)], [false, true]);
  assert.equal(range.text, '4');
  assert.equal(countFrom(range), 5);
  for (const text of ['@5', '5:', '2:5', '-5:-1']) {
    const other = parseRange(text);
    assert.ok(other !== null);
    assert.equal(countFrom(other), null, text);
  }
});
