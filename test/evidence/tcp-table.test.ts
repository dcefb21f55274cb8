import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  countOfSockets,
  isLoopback,
  parseAddress,
  TcpTableReader,
} from '../../src/evidence/tcp-table.ts';

const HEADER =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const ANY = '00000000';
const LOOPBACK = '0100007F';

interface Row {
  readonly sl?: number;
  readonly local?: string;
  readonly localPort?: number;
  readonly remote?: string;
  readonly remotePort?: number;
  readonly state?: string;
  readonly rx?: number;
  readonly uid?: number;
  readonly inode?: number;
}

const port = (number: number) => number.toString(16).toUpperCase().padStart(4, '0');

/** A row as get_tcp4_sock prints it (net/ipv4/tcp_ipv4.c): `%4d: %08X:%04X …`. */
function row(fields: Row = {}): string {
  const {
    sl = 0,
    local = LOOPBACK,
    localPort = 443,
    remote = LOOPBACK,
    remotePort = 50_000,
  } = fields;
  const { state = '08', rx = 0, uid = 0, inode = 0 } = fields;
  const queues = `00000000:${rx.toString(16).toUpperCase().padStart(8, '0')}`;
  const number = String(sl).padStart(4, ' ');
  return `${number}: ${local}:${port(localPort)} ${remote}:${port(remotePort)} ${state} ${queues} 00:00000000 00000000 ${String(uid).padStart(5)}        0 ${inode} 1 0000000000000000 20 4 30 10 -1\n`;
}

function read(text: string, family: 'ipv4' | 'ipv6' = 'ipv4', number = 443) {
  const reader = new TcpTableReader(number);
  reader.take(text, family);
  const look = reader.look();
  const malformed = look.seen ? 0 : Number.parseInt(look.why, 10);
  return { ...reader.facts(), malformed, inodes: [...reader.inodes] };
}

test('a listener, with its accept queue', () => {
  const { listeners, peers } = read(
    HEADER + row({ local: ANY, remote: ANY, remotePort: 0, state: '0A', rx: 31, inode: 70_463 }),
  );
  assert.deepEqual(listeners, [
    { family: 'ipv4', address: '0.0.0.0', inode: 70_463, uid: 0, acceptQueue: 31 },
  ]);
  assert.deepEqual(peers, []);
});

test('sockets are counted by state and peer; inode 0 is not accepted', () => {
  const { peers, inodes } = read(
    HEADER +
      row({ remotePort: 1, inode: 11, rx: 100 }) +
      row({ remotePort: 2, inode: 0, rx: 50 }) +
      row({ remotePort: 3, state: '01', inode: 12 }) +
      row({ remote: '0403020A', inode: 13 }),
  );
  assert.deepEqual(peers, [
    { address: '127.0.0.1', state: 'CLOSE_WAIT', accepted: 1, unaccepted: 1, unreadBytes: 150 },
    { address: '10.2.3.4', state: 'CLOSE_WAIT', accepted: 1, unaccepted: 0, unreadBytes: 0 },
    { address: '127.0.0.1', state: 'ESTABLISHED', accepted: 1, unaccepted: 0, unreadBytes: 0 },
  ]);
  assert.deepEqual(inodes, [11, 12, 13]);
});

test("a row whose remote port is ours is another port's", () => {
  const { peers, listeners, malformed } = read(
    HEADER +
      row({ localPort: 50_000, remotePort: 443 }) +
      row({ localPort: 8000, remotePort: 443, state: '0A', inode: 5 }),
  );
  assert.deepEqual([peers, listeners, malformed], [[], [], 0]);
});

test('ports are compared whole: 0x01BB is not 0x1BBx', () => {
  assert.deepEqual(
    read(HEADER + row({ localPort: 0x1bb0 }) + row({ localPort: 0x11bb })).peers,
    [],
  );
  assert.equal(read(HEADER + row({ localPort: 80 }), 'ipv4', 80).peers.length, 1);
});

test('the first column widens past 9,999 rows', () => {
  const { peers } = read(
    [9_999, 10_000, 1_234_567].map((sl, at) => row({ sl, remotePort: at + 1 })).join(''),
  );
  assert.equal(peers[0]?.unaccepted, 3);
});

test('an IPv4 client of an IPv6 listener is shown as IPv4', () => {
  const mapped = '0000000000000000FFFF00000403020A';
  const { listeners, peers, ipv6 } = read(
    row({ local: ANY.repeat(4), remote: ANY.repeat(4), remotePort: 0, state: '0A', inode: 9 }) +
      row({ local: '0000000000000000FFFF00000100007F', remote: mapped, inode: 10 }),
    'ipv6',
  );
  assert.deepEqual(
    listeners.map(({ family, address }) => [family, address]),
    [['ipv6', '::']],
  );
  assert.deepEqual(
    peers.map(({ address }) => address),
    ['10.2.3.4'],
  );
  assert.ok(ipv6);
});

test('addresses in presentation form', () => {
  const v6 = (hex: string) => parseAddress(hex, 'ipv6');
  assert.equal(parseAddress('0100007F', 'ipv4'), '127.0.0.1');
  assert.equal(parseAddress('FFFFFFFF', 'ipv4'), '255.255.255.255');
  assert.equal(v6('00000000000000000000000001000000'), '::1');
  assert.equal(v6('B80D0120000000000000000001000000'), '2001:db8::1');
  assert.equal(v6('B80D0120000000000000010000000000'), '2001:db8:0:0:1::');
  assert.equal(v6('000080FE00000000FF005450EFBE0012'), 'fe80::5054:ff:1200:beef');
  assert.equal(v6('010000000200000003000000FFFFFFFF'), '0:1:0:2:0:3:ffff:ffff');
  assert.equal(v6('0000000001000000000000000200000'.padEnd(32, '0')), '::1:0:0:0:2');
  for (const bad of ['', '0100007', '0100007G', '0100007F0']) {
    assert.equal(parseAddress(bad, 'ipv4'), null);
  }
});

test('the kernel says how many rows there are before they are read', () => {
  const four =
    'sockets: used 20131\nTCP: inuse 20004 orphan 2 tw 7 alloc 20140 mem 1301\nUDP: inuse 3 mem 1\n';
  assert.equal(countOfSockets(`${four}TCP6: inuse 5\nUDP6: inuse 9\n`), 20_016);
  assert.equal(countOfSockets(''), 0);
});

test('only 127/8 and ::1 are loopback', () => {
  assert.deepEqual(
    ['127.0.0.1', '127.8.9.1', '::1', '10.127.0.1', '::', '12.7.0.1'].map(isLoopback),
    [true, true, true, false, false, false],
  );
});

test('fifty thousand clients: two thousand are named, all are counted', () => {
  const rows: string[] = [HEADER];
  for (let client = 0; client < 50_000; client += 1) {
    const remote = (0x0a000000 + client).toString(16).toUpperCase().padStart(8, '0');
    rows.push(row({ sl: client, remote, inode: client % 2 && client }));
  }
  const { peers, overflow } = read(rows.join(''));
  assert.equal(peers.length, 2_000);
  assert.equal(overflow.length, 1);
  const all = [...peers, ...overflow];
  assert.equal(
    all.reduce((sum, { accepted }) => sum + accepted, 0),
    25_000,
  );
  assert.equal(
    all.reduce((sum, { unaccepted }) => sum + unaccepted, 0),
    25_000,
  );
});

test('a row that the kernel shows twice is one socket', () => {
  const twice = row({ sl: 7, inode: 5, rx: 3 }) + row({ sl: 8, inode: 5, rx: 3 });
  const queued = row({ sl: 7, remotePort: 1 }) + row({ sl: 9, remotePort: 1 });
  const [peer] = read(HEADER + twice + queued).peers;
  assert.deepEqual([peer?.accepted, peer?.unaccepted, peer?.unreadBytes], [1, 1, 3]);
});

test('a row on our port that is no row is told, not guessed', () => {
  const good = row({ inode: 1 });
  for (const bad of [
    good.replace(' 08 ', ' 0F '),
    good.replace('0100007F:C350', '0100007:C350'),
    good.replace('00000000:00000000', '00000000:xyz'),
    '   0: 0100007F:01BB \n',
    `${good.slice(0, 60)}\n`,
  ]) {
    const { malformed, peers } = read(HEADER + bad + good);
    assert.equal(malformed, 1, bad);
    assert.equal(peers[0]?.accepted, 1);
  }
});

test('the table may come in any pieces of whole lines', () => {
  const lines = [
    HEADER,
    row({ local: ANY, state: '0A', inode: 3, rx: 2 }),
    ...Array.from({ length: 30 }, (_, index) =>
      row({
        sl: index,
        inode: index % 3 && index,
        remotePort: index,
        state: index % 2 ? '01' : '08',
      }),
    ),
    row({ localPort: 22 }),
  ];
  const atOnce = new TcpTableReader(443);
  atOnce.take(lines.join(''), 'ipv4');
  const whole = atOnce.facts();
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 })), (sizes) => {
      const reader = new TcpTableReader(443);
      const rest = [...lines];
      for (const size of sizes) reader.take(rest.splice(0, size).join(''), 'ipv4');
      reader.take(rest.join(''), 'ipv4');
      assert.deepEqual(reader.facts(), whole);
    }),
  );
});

test('the order of the rows does not matter', () => {
  const rows = fc.uniqueArray(
    fc
      .record({
        localPort: fc.constantFrom(443, 444, 80),
        remote: fc.constantFrom(LOOPBACK, '0403020A', '0503020A'),
        state: fc.constantFrom('01', '06', '08', '0A'),
        rx: fc.nat(1000),
        inode: fc.constantFrom(0, 1),
        remotePort: fc.integer({ min: 1, max: 65_535 }),
      })
      .map((one) => ({ ...one, inode: one.inode * one.remotePort })),
    { maxLength: 40, selector: ({ remotePort }) => remotePort },
  );
  const sorted = (facts: ReturnType<typeof read>) => ({
    ...facts,
    inodes: facts.inodes.sort(),
    listeners: facts.listeners.map((listener) => JSON.stringify(listener)).sort(),
  });
  fc.assert(
    fc.property(
      rows.chain((list) =>
        fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
      ),
      ([one, other]) => {
        assert.deepEqual(
          sorted(read(one.map((fields) => row(fields)).join(''))),
          sorted(read(other.map((fields) => row(fields)).join(''))),
        );
      },
    ),
  );
});

test('any text at all is read without an exception', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      read(`${text}:01BB ${text}\n`);
    }),
  );
});
