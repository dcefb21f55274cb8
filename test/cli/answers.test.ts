/** What counts as an answer: nothing but a whole word of the list, and Enter alone is no yes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readStepAnswer, readYesOrNo } from '../../src/cli/answers.ts';

test('each word and letter means one thing, in either case', () => {
  const words: readonly (readonly [string, readonly string[]])[] = [
    ['yes', ['y', 'Y', 'yes', 'YES', ' y ']],
    ['skip', ['', ' ', 's', 'S', 'skip', 'n', 'N', 'no', 'No']],
    ['details', ['d', 'D', 'details']],
    ['abort', ['a', 'A', 'abort', 'q', 'Q', 'quit']],
  ];
  for (const [answer, typed] of words) {
    for (const word of typed) assert.equal(readStepAnswer(word), answer, JSON.stringify(word));
  }
  for (const word of ['', 'n', 'NO', 'q']) assert.equal(readYesOrNo(word), 'no');
  for (const word of ['y', 'Yes']) assert.equal(readYesOrNo(word), 'yes');
});

test('nothing else is a yes, and what is no answer is asked again', () => {
  for (const word of ['yy', 'yes please', 'ye', 'skipp', '1', 'true', 'constructor', 'j']) {
    assert.equal(readStepAnswer(word), null, word);
    assert.equal(readYesOrNo(word), null, word);
  }
  fc.assert(
    fc.property(fc.string(), (typed) => {
      const isYes = ['y', 'yes'].includes(typed.trim().toLowerCase());
      assert.equal(readStepAnswer(typed) === 'yes', isYes);
      assert.equal(readYesOrNo(typed) === 'yes', isYes);
    }),
  );
});
