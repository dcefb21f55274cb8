import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closeWait } from '../../../src/diagnosis/checks/close-wait.ts';
import { blind, type Evidence, type PeerSockets, seen } from '../../../src/evidence/evidence.ts';
import { evidenceOf } from '../situation.ts';

const base = evidenceOf({ processes: [] });
const sockets = base.sockets.seen ? base.sockets.value : assert.fail();
const listener = { family: 'ipv4', address: '0.0.0.0', inode: 1, uid: 0, acceptQueue: 0 } as const;

const peer = (accepted: number, more: Partial<PeerSockets> = {}): PeerSockets => {
  const state = 'CLOSE_WAIT';
  return { address: '10.0.0.1', state, accepted, unaccepted: 0, unreadBytes: 0, ...more };
};

function judge(
  peers: readonly PeerSockets[],
  more: Partial<typeof sockets> = {},
  evidence: Partial<Evidence> = {},
) {
  return closeWait.judge({
    ...base,
    sockets: seen({ ...sockets, peers, ...more }),
    ...evidence,
  });
}

test('it warns from the one limit on, and fails from the other (README)', () => {
  const status = (accepted: number) => judge([peer(accepted)]).status;
  assert.deepEqual([0, 4, 5, 19, 20, 500].map(status), [
    'pass',
    'pass',
    'warn',
    'warn',
    'fail',
    'fail',
  ]);
});

test('it fails as soon as the lower number was never accepted (README)', () => {
  const status = (unaccepted: number) => judge([peer(0, { unaccepted })]).status;
  assert.deepEqual([4, 5, 6].map(status), ['pass', 'fail', 'fail']);
  assert.equal(judge([peer(4, { unaccepted: 1 })]).status, 'warn', 'together they are five');
});

test('the limits are those of the policy', () => {
  const policy = { closeWaitWarn: 1, closeWaitFail: 3 };
  const status = (accepted: number) => judge([peer(accepted)], {}, { policy }).status;
  assert.deepEqual([0, 1, 2, 3].map(status), ['pass', 'warn', 'warn', 'fail']);
});

test('only CLOSE_WAIT counts, of every peer and of those beyond the bound', () => {
  const { evidence, summary, status } = judge(
    [peer(3), peer(2, { address: '10.0.0.2', unaccepted: 1 }), peer(50, { state: 'ESTABLISHED' })],
    { overflow: [peer(4, { address: '' }), peer(7, { address: '', state: 'TIME_WAIT' })] },
  );
  assert.equal(evidence.count, 10);
  assert.equal(evidence.unaccepted, 1);
  assert.equal(status, 'warn');
  // Who is beyond the bound has no address of his own.
  assert.deepEqual(evidence.byPeer, [
    { address: '10.0.0.1', count: 3 },
    { address: '10.0.0.2', count: 3 },
  ]);
  assert.deepEqual(evidence.states, { CLOSE_WAIT: 10, ESTABLISHED: 50, TIME_WAIT: 7 });
  assert.equal(summary, '10 on port 443 (1 not yet accepted); 10.0.0.1 owns 30%');
});

test('the client with the most comes first, and this host itself is no client', () => {
  const { summary, evidence } = judge([
    peer(1, { address: '10.0.0.9' }),
    peer(60, { address: '127.0.0.1' }),
    peer(30, { address: '10.0.0.7' }),
    peer(9, { address: '::1' }),
  ]);
  assert.equal(summary, '100 on port 443; 10.0.0.7 owns 30%; 69% from this host');
  assert.equal(evidence.loopback, 69);
  assert.deepEqual(
    evidence.byPeer.map(({ address }) => address),
    ['127.0.0.1', '10.0.0.7', '::1', '10.0.0.9'],
  );
});

test('clients with as many are in the order of their addresses, so that two looks agree', () => {
  const { evidence } = judge(
    ['10.0.0.3', '10.0.0.1', '10.0.0.2'].map((address) => peer(2, { address })),
  );
  assert.deepEqual(
    evidence.byPeer.map(({ address }) => address),
    ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
  );
});

test('a single one is all there is', () => {
  assert.equal(judge([peer(1)]).summary, '1 on port 443; 10.0.0.1 owns 100%');
  assert.equal(
    judge([peer(1, { address: '127.0.0.1' })]).summary,
    '1 on port 443; 100% from this host',
  );
});

test('all from this host: no client is named', () => {
  assert.equal(
    judge([peer(3, { address: '127.0.0.1' })]).summary,
    '3 on port 443; 100% from this host',
  );
  assert.equal(judge([]).summary, '0 on port 443');
});

test('-v has the peers up to ten, what waits unread, and the other states', () => {
  const peers = (number: number) =>
    Array.from({ length: number }, (_, index) =>
      peer(1, { address: `10.0.0.${10 + index}`, unreadBytes: 100 }),
    );
  const { details, evidence } = judge(
    [...peers(12), peer(2, { state: 'ESTABLISHED', unreadBytes: 7 })],
    {
      listeners: [
        { ...listener, acceptQueue: 3 },
        { ...listener, inode: 2, acceptQueue: 9 },
        { ...listener, inode: 3, acceptQueue: 1 },
      ],
    },
  );
  assert.deepEqual(details.slice(0, 2), ['10.0.0.10: 1 socket, 8%', '10.0.0.11: 1 socket, 8%']);
  assert.deepEqual(details.slice(9), [
    '10.0.0.19: 1 socket, 8%',
    'and 2 more clients',
    'unread 1,200 bytes; accept queue 9 of 30',
    'other states: ESTABLISHED 2',
    'warns from 5, fails from 20 or 5 not accepted; healthy is 0',
    'counted in /proc/net/tcp and /proc/net/tcp6',
  ]);
  assert.equal(evidence.unreadBytes, 1200);
  assert.deepEqual([evidence.acceptQueue, evidence.backlog], [9, 30]);
  assert.ok(!judge(peers(10)).details.some((line) => line.includes('more client')));
});

test('-v says no backlog that was not read, and no IPv6 where there is none', () => {
  for (const config of [
    blind('permission', 'denied'),
    seen({ ...(base.config.seen ? base.config.value : assert.fail()), netapi: null }),
  ]) {
    const { details, evidence } = judge([], { ipv6: false }, { config });
    assert.equal(evidence.backlog, null);
    assert.deepEqual(details, [
      'unread 0 bytes; accept queue 0',
      'other states: none',
      'warns from 5, fails from 20 or 5 not accepted; healthy is 0',
      'counted in /proc/net/tcp; IPv6 is off',
    ]);
  }
});

test('sockets that could not be read are no healthy zero', () => {
  const { status, summary, evidence } = closeWait.judge({
    ...base,
    sockets: blind('missing', 'no /proc/net'),
  });
  assert.equal(status, 'unknown');
  assert.equal(summary, "can't be counted: no /proc/net");
  assert.equal(evidence.count, null);
  assert.deepEqual(evidence.thresholds, { warn: 5, fail: 20 });
  assert.equal(evidence.backlog, 30);
  const { unaccepted, loopback, unreadBytes, acceptQueue } = evidence;
  assert.deepEqual([unaccepted, loopback, unreadBytes, acceptQueue], [0, 0, 0, 0]);
});
