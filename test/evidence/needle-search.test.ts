import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { needleSearch } from '../../src/evidence/needle-search.ts';

/** The same, by what the runtime has for one needle. */
function firstOf(needles: readonly string[], bytes: Buffer, from: number, to: number): number {
  const found = needles
    .map((needle) => bytes.subarray(0, to).indexOf(needle, from, 'latin1'))
    .filter((at) => at !== -1);
  return found.length === 0 ? -1 : Math.min(...found);
}

test('the first of all needles is found, wherever it and the piece searched begin and end', () => {
  // Few letters, so that needles overlap each other and half of one is seen everywhere.
  const letters = (length: number) =>
    fc.string({ unit: fc.constantFrom('a', 'b'), minLength: length, maxLength: length });
  const needles = fc
    .integer({ min: 7, max: 13 })
    .chain((length) => fc.array(letters(length), { minLength: 1, maxLength: 4 }));
  const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 200 });
  const bound = fc.nat({ max: 200 });
  fc.assert(
    fc.property(
      needles,
      text,
      fc.array(bound, { maxLength: 3 }),
      bound,
      bound,
      fc.nat({ max: 9 }),
      (wanted, noise, planted, from, to, offset) => {
        // In a buffer that begins anywhere, as a slice of a pool does.
        const room = Buffer.alloc(offset + noise.length, 'a');
        const bytes = room.subarray(offset);
        bytes.write(noise, 'latin1');
        for (const at of planted)
          bytes.write(wanted[0] ?? '', Math.min(at, bytes.length), 'latin1');
        const end = Math.min(to, bytes.length);
        assert.equal(
          needleSearch(wanted).find(bytes, from, to),
          firstOf(wanted, bytes, Math.min(from, bytes.length), end),
        );
      },
    ),
    { numRuns: 2_000 },
  );
});

test('needles of several lengths, or too short to hold a whole word wherever they begin, are refused', () => {
  assert.throws(() => needleSearch(['1234567', '12345678']), RangeError);
  assert.throws(() => needleSearch(['123456']), RangeError);
  assert.throws(() => needleSearch([]), RangeError);
  const many = Array.from({ length: 64 }, (_, at) => String(at).padStart(7, 'x'));
  assert.throws(() => needleSearch(many), RangeError);
  assert.equal(needleSearch(many.slice(1)).find(Buffer.from('.xxxxx63'), 0, 8), 1);
});
