/** What a check keeps of its looks: bounded, of one boot, read back also where an older version wrote it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type KeptLook,
  type KeptLooks,
  looksText,
  MAX_LOOKS,
  parseLooks,
  withLook,
} from '../../src/check/kept-looks.ts';
import { MAX_LOOKS_FILE } from '../../src/trail/looks-files.ts';

const look = (at: number, closeWait = 0): KeptLook => ({ at, closeWait, verdict: 'healthy' });

function kept(...looks: readonly KeptLook[]): KeptLooks {
  return looks.reduce<KeptLooks | null>((all, one) => withLook(all, 'a', one), null) as KeptLooks;
}

describe('looks', () => {
  it('are read back as they were kept', () => {
    const looks = kept(look(1), { at: 2, closeWait: 7, verdict: 'hung' }, look(3, 9));
    assert.deepEqual(parseLooks(looksText(looks)), looks);
  });

  it('of another boot go, and those later than the newest: the clock was set back', () => {
    assert.deepEqual(withLook(kept(look(1), look(2)), 'b', look(3)).looks, [look(3)]);
    assert.deepEqual(kept(look(1), look(5), look(2)).looks, [look(1), look(2)]);
  });

  it('are no more than fit into the file that is read again', () => {
    let looks: KeptLooks | null = null;
    for (let at = 0; at < MAX_LOOKS + 10; at += 1) {
      const one = {
        at: 1_700_000_000_000 + at,
        closeWait: 1e6,
        verdict: 'orphan-holds-port',
      } as const;
      looks = withLook(looks, 'd1732ff7-6d73-4e71-b828-aa505fe4c662', one);
    }
    assert.ok(looks !== null);
    const text = looksText(looks);
    assert.ok(text.length < MAX_LOOKS_FILE, String(text.length));
    assert.equal(parseLooks(text)?.looks.length, MAX_LOOKS);
    assert.equal(looks.looks[0]?.at, 1_700_000_000_010);
  });

  it('of an older version are one look without a verdict', () => {
    const text = '{"at":5,"bootId":"a","closeWait":3}\n';
    const old = { bootId: 'a', looks: [{ at: 5, closeWait: 3, verdict: null }] };
    assert.deepEqual(parseLooks(text), old);
  });

  it('that are half-written are none; rows that are none are passed over', () => {
    const text = looksText(kept(look(1), look(2))).trim();
    for (let length = 0; length < text.length; length += 1) {
      assert.equal(parseLooks(text.slice(0, length)), null);
    }
    for (const none of [
      '[]',
      'null',
      '{"at":"1","bootId":"a","closeWait":1}',
      '{"at":1e300,"bootId":"a","closeWait":1}',
      '{"at":-1e300,"bootId":"a","closeWait":1}',
    ]) {
      assert.equal(parseLooks(none), null);
    }
    const rows = '[[1,0,"healthy"],["x"],null,[9,0,"healthy"],[2,4,"no-verdict"]]';
    const some = parseLooks(
      `{"at":5,"bootId":"a","closeWait":1,"verdict":"hung","earlier":${rows}}`,
    );
    assert.deepEqual(some?.looks, [
      look(1),
      { at: 2, closeWait: 4, verdict: null },
      { at: 5, closeWait: 1, verdict: 'hung' },
    ]);
  });
});
