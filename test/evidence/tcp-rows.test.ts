/** Rows of the socket tables, one by one: recorded ones, and any that is none. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { TCP_STATES } from '../../src/evidence/evidence.ts';
import { endInWords, parseTcpRows, portHex } from '../../src/evidence/tcp-rows.ts';

const recorded = readFileSync(
  new URL('../recorded/captures-3002/jammed/hung/proc-net-tcp.txt', import.meta.url),
  'utf8',
);

test('the rows of a jammed salt-api are read', () => {
  const rows = parseTcpRows(recorded, 'ipv4');
  assert.equal(rows.length, recorded.trim().split('\n').length - 1);
  const ours = rows.filter(({ local }) => local.port === 443);
  assert.equal(ours.filter(({ state }) => state === 'CLOSE_WAIT').length, 120);
  const [listener] = ours.filter(({ state }) => state === 'LISTEN');
  assert.deepEqual([listener?.local.address, listener?.inode], ['0.0.0.0', 70_463]);
});

test('any row is read as it was written, and of any text no more than its rows', () => {
  const end = fc.record({
    octets: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    port: fc.nat(65_535),
  });
  const row = fc.record({
    local: end,
    peer: end,
    state: fc.nat(TCP_STATES.length - 1),
    unsent: fc.nat(),
    unread: fc.nat(),
    inode: fc.nat(),
    number: fc.nat(),
  });
  const hex = (number: number, digits: number) => {
    return number.toString(16).toUpperCase().padStart(digits, '0');
  };
  const addressHex = (octets: Uint8Array) => {
    return [...octets]
      .reverse()
      .map((byte) => hex(byte, 2))
      .join('');
  };
  fc.assert(
    fc.property(row, fc.string(), (one, noise) => {
      const { local, peer, state, unsent, unread, inode, number } = one;
      const ends = [local, peer].map(
        ({ octets, port }) => `${addressHex(octets)}:${portHex(port)}`,
      );
      const line = `${String(number).padStart(4)}: ${ends.join(' ')} ${hex(state + 1, 2)} ${hex(unsent, 8)}:${hex(unread, 8)} 00:00000000 00000000     0        0 ${inode} 1 0000000093dec4e6 100 0 0 10 0`;
      const read = parseTcpRows(`${noise.replaceAll('\n', ' ')}x\n${line}`, 'ipv4');
      const shown = ({ octets, port }: typeof local) => ({ address: octets.join('.'), port });
      assert.deepEqual(read, [
        {
          ...{ local: shown(local), peer: shown(peer), state: TCP_STATES[state] },
          ...{ unsent, unread, inode },
        },
      ]);
    }),
  );
});

test('an end is written as one writes it for curl', () => {
  assert.equal(endInWords({ address: '127.0.0.1', port: 4506 }), '127.0.0.1:4506');
  assert.equal(endInWords({ address: '::1', port: 4506 }), '[::1]:4506');
});
