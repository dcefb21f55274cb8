import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';
import fc from 'fast-check';
import { TriageError } from '../../src/errors.ts';
import { quoteRemoteWord } from '../../src/host/ssh/quote-remote-word.ts';

function throughShell(words: readonly string[]): string[] {
  const script = `printf '%s\\0' ${words.map(quoteRemoteWord).join(' ')}\n`;
  const output = execFileSync('sh', ['-s'], { input: script, encoding: 'utf8' });
  return output.split('\0').slice(0, -1);
}

it('brings every byte but NUL through a shell as it is', () => {
  const ascii = Array.from({ length: 127 }, (_, index) => String.fromCharCode(index + 1));
  assert.deepEqual(throughShell(ascii), ascii);
  const all = ascii.join('');
  assert.deepEqual(throughShell([all, `-${all}`, '', `'${all}'`]), [
    all,
    `-${all}`,
    '',
    `'${all}'`,
  ]);
});

it('brings any words through a shell as they are', () => {
  const word = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', ''));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 20 }), (words) => {
      assert.deepEqual(throughShell(words), words);
    }),
    { numRuns: 30 },
  );
});

it('refuses a NUL', () => {
  assert.throws(() => quoteRemoteWord('a\0b'), TriageError);
});
