import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseDuration, parseTimeout } from '../../src/cli/duration.ts';
import { ExitCode, TriageError } from '../../src/errors.ts';

function isUsageErrorNaming(option: string) {
  return (error: unknown) =>
    error instanceof TriageError &&
    error.exitCode === ExitCode.usage &&
    error.message.startsWith(option);
}

describe('parseDuration', () => {
  it('knows ms, s, m, h and d', () => {
    const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
    fc.assert(
      fc.property(
        fc.nat(10_000),
        fc.constantFrom(...Object.entries(units)),
        (amount, [unit, milliseconds]) => {
          assert.equal(parseDuration(`${amount}${unit}`, '--since'), amount * milliseconds);
        },
      ),
    );
  });

  it('takes fractions and blanks around', () => {
    assert.equal(parseDuration(' 1.5h ', '--since'), 5_400_000);
    assert.equal(parseDuration('0.5s', '--since'), 500);
  });

  it('needs a unit, and says what the number would be with one', () => {
    assert.throws(() => parseDuration('20', '--timeout'), {
      message: '--timeout: invalid duration "20": use 90s, 5m, 24h',
      advice: 'A number needs its unit: 20s is seconds, 20h hours.',
    });
  });

  for (const text of [
    '',
    's',
    '0',
    '24',
    '-1s',
    '1 s',
    '1S',
    '1w',
    '5 minutes',
    '1e3',
    '.5s',
    '0x10',
    '٣s',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseDuration(text, '--since'), isUsageErrorNaming('--since'));
    });
  }

  it('refuses more than a hundred years', () => {
    assert.equal(parseDuration('36500d', '--since'), 36_500 * 86_400_000);
    assert.throws(() => parseDuration('36501d', '--since'), isUsageErrorNaming('--since'));
  });
});

describe('parseTimeout', () => {
  it('takes more than nothing and at most a day', () => {
    assert.equal(parseTimeout('1ms', '--wait'), 1);
    assert.equal(parseTimeout('24h', '--wait'), 86_400_000);
    for (const text of ['0', '0s', '0ms', '25h', '99d']) {
      assert.throws(() => parseTimeout(text, '--wait'), isUsageErrorNaming('--wait'));
    }
  });
});
