/** The threads of a process, folded by what they wait for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseTcpRows } from '../../src/evidence/tcp-rows.ts';
import {
  type FdFacts,
  foldThreads,
  MOST_WAITS,
  parseThreadCall,
  watchedFds,
} from '../../src/evidence/workers-facts.ts';

const stat = (name: string, state = 'S') => {
  return `17 (${name}) ${state} 1 17 17 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 4 0 9900 1 1`;
};
const NOTHING: FdFacts = {
  architecture: 'x86_64',
  rows: new Map(),
  port: 443,
  sockets: new Map(),
  watched: new Map(),
};

test('the call that a thread is in is read, with its fd where that is an argument', () => {
  const tail = '0x7f 0x1 0x0 0x0 0x0 0x7ffd 0x7f9b';
  const cases = [
    [`45 0xb ${tail}`, 'x86_64', { call: 'recvfrom', fd: 11 }],
    [`207 0xb ${tail}`, 'aarch64', { call: 'recvfrom', fd: 11 }],
    [`232 0x5 ${tail}`, 'x86_64', { call: 'epoll_wait', fd: 5 }],
    // Its fds are in the memory of the process.
    [`7 0x7ffd00 ${tail}`, 'x86_64', { call: 'poll', fd: null }],
    [`202 0x7ffd00 ${tail}`, 'x86_64', { call: 'futex', fd: null }],
    // The same number means another call elsewhere.
    [`98 0x7ffd00 ${tail}`, 'aarch64', { call: 'futex', fd: null }],
    [`45 0xb ${tail}`, null, { call: '45', fd: null }],
    ['-1 0x7ffd 0x7f9b', 'x86_64', { call: 'none', fd: null }],
    ['running', 'x86_64', { call: 'running', fd: null }],
    ['', 'x86_64', null],
    ['futex 0x1', 'x86_64', null],
  ] as const;
  for (const [text, architecture, expected] of cases) {
    assert.deepEqual(parseThreadCall(text, architecture), expected, text);
  }
});

test('the fds of an epoll are those that its fdinfo names', () => {
  const text = `pos:	0\nflags:	02000002\nmnt_id:	15\nino:	1057
tfd:       12 events:       19 data:               12  pos:0 ino:1f sdev:8
tfd:        7 events: 80000019 data:     7f0000000007  pos:0 ino:20 sdev:8
`;
  assert.deepEqual(watchedFds(text), [12, 7]);
});

test('a listener, a caller of ours and whom we call are told apart, inode 0 being nobody', () => {
  const table = [
    '   0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 11 1 0 100 0 0 10 0',
    '   1: 0100007F:01BB 0202000A:AE82 01 00000000:00000000 00:00000000 00000000 0 0 12 1 0 20 4 28 10 -1',
    '   2: 0100007F:AE84 0100007F:119A 01 00000000:00000000 00:00000000 00000000 0 0 13 1 0 20 4 28 10 -1',
  ].join('\n');
  const rows = new Map(parseTcpRows(table, 'ipv4').map((row) => [row.inode, row]));
  const sockets = new Map([1, 2, 3].map((fd) => [fd, fd + 10]));
  const watched = new Map([[9, [1, 2]]]);
  const threads = ['45 0x3 0x0', '45 0x3 0x0', '232 0x9 0x0', '0 0x4 0x0'].map((syscall) => {
    return { stat: stat('salt-api'), syscall, wchan: '0' };
  });
  const folded = foldThreads(threads, { ...NOTHING, rows, sockets, watched });
  assert.deepEqual(
    folded.waits.map((wait) => [wait.threads, wait.call, wait.channel, wait.on]),
    [
      [2, 'recvfrom', null, [{ kind: 'called', address: '127.0.0.1', port: 4506 }]],
      [
        1,
        'epoll_wait',
        null,
        [
          { kind: 'listener', address: '0.0.0.0', port: 443 },
          { kind: 'caller', address: '10.0.2.2', port: 443 },
        ],
      ],
      [1, 'read', null, []],
    ],
  );
});

test('whatever a host says of its threads, each counts once, and the list has an end', () => {
  const text = fc.oneof(fc.string(), fc.constantFrom('running', '45 0x1', '232 0x1', '-1 0x0 0x0'));
  const thread = fc.record({
    stat: fc.oneof(
      text,
      fc.string({ maxLength: 15 }).map((name) => stat(name)),
    ),
    syscall: fc.option(text),
    wchan: fc.option(text),
  });
  fc.assert(
    fc.property(fc.array(thread, { maxLength: 300 }), (threads) => {
      const { sampled, denied, waits } = foldThreads(threads, NOTHING);
      const counted = waits.reduce((sum, wait) => sum + wait.threads, 0);
      assert.ok(denied <= sampled && sampled <= threads.length && waits.length <= MOST_WAITS);
      assert.ok(waits.length < MOST_WAITS ? counted === sampled : counted <= sampled);
    }),
  );
});
