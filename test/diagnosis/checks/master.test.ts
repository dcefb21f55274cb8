/** The Salt master behind salt-api: what of it is seen, what that says, and what it does not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../../src/diagnosis/diagnosis.ts';
import { NO_BACKGROUND } from '../../../src/evidence/background.ts';
import { blind, type Look, seen } from '../../../src/evidence/evidence.ts';
import {
  listeningPaths,
  localAddresses,
  type MasterFacts,
  masterAddress,
  masterSockets,
} from '../../../src/evidence/master-facts.ts';
import type { TcpRow } from '../../../src/evidence/tcp-rows.ts';
import { evidenceOf, saltApi, server, TITLED } from '../situation.ts';

const ASKED = masterAddress(blind('missing', ''));
const member = (pid: number, title: string, state = 'S') => {
  return { pid, ppid: 1, startTicks: 1000 + pid, state, threads: 4, title };
};
const NOTHING_LIES = {
  acceptQueue: 0,
  unread: { connections: 0, bytes: 0 },
  unsent: { connections: 0, bytes: 0 },
};
const WELL: MasterFacts = {
  asked: ASKED,
  isHere: true,
  installed: false,
  processes: [
    member(10, 'MainProcess'),
    member(11, 'ReqServer MWorkerQueue'),
    member(12, 'ReqServer MWorker-0'),
    member(13, 'ReqServer MWorker-1'),
  ],
  holders: null,
  listeners: [{ address: '0.0.0.0', port: 4506, acceptQueue: 0 }],
  backlog: NOTHING_LIES,
  stuck: null,
  ipc: { files: ['workers.ipc'], listening: ['workers.ipc'] },
};
const stopped = (...pids: readonly number[]) => {
  return WELL.processes.map((one) => (pids.includes(one.pid) ? { ...one, state: 'T' } : one));
};

function diagnosed(look: Look<MasterFacts>) {
  const processes = [saltApi({ pid: 100, ppid: 1, argv: TITLED }), server({ pid: 101, ppid: 100 })];
  const evidence = evidenceOf({ processes, pidFile: 100 });
  return diagnoseEvidence({
    ...evidence,
    background: { ...NO_BACKGROUND, master: look },
  });
}

const judged = (facts: Partial<MasterFacts>) => {
  const diagnosis = diagnosed(seen({ ...WELL, ...facts }));
  return { ...diagnosis.explanations.master, code: diagnosis.verdict.code };
};

describe('a master', () => {
  const unlistened = { listeners: [], processes: [] };
  const young = { ...member(10, ''), startTicks: (86_400 - 5) * 100 };
  const cases: readonly (readonly [
    what: string,
    facts: Partial<MasterFacts>,
    says: readonly [code: string, state: string, status: string, summary: RegExp],
  ])[] = [
    [
      'that listens',
      {},
      ['healthy', 'answers', 'pass', /^salt-master 10 with 4 processes; port 4506/],
    ],
    [
      'whose processes are hidden',
      { processes: [] },
      ['healthy', 'answers', 'pass', /no process of salt-master is in sight/],
    ],
    [
      'that is suspended as a whole',
      { processes: stopped(10, 11, 12, 13) },
      ['degraded', 'frozen', 'warn', /4 of its 4 processes suspended \(state T\), 10, 11, 12, 13/],
    ],
    [
      'without titles that is suspended as a whole',
      { processes: [member(10, '', 'T'), member(11, '', 'T')] },
      ['degraded', 'frozen', 'warn', /2 of its 2 processes suspended/],
    ],
    [
      'all of whose workers are suspended',
      { processes: stopped(12, 13) },
      ['degraded', 'frozen', 'warn', /2 of its 4 processes suspended/],
    ],
    [
      'of which the one that takes the calls is suspended',
      { processes: stopped(11), holders: [11] },
      ['degraded', 'frozen', 'warn', /1 of its 4 processes/],
    ],
    [
      'one of whose workers is suspended',
      { processes: stopped(12), holders: [11] },
      [
        'degraded',
        'partly-frozen',
        'warn',
        /^of the Salt master 12 \(ReqServer MWorker-0\) is susp/,
      ],
    ],
    [
      'that leaves calls where they are',
      { stuck: { connections: 3, afterMs: 501 } },
      ['degraded', 'frozen', 'warn', /3 connections to port 4506 lay untouched for 501 ms/],
    ],
    [
      'that has taken them at the second look',
      { stuck: { connections: 0, afterMs: 501 } },
      ['healthy', 'answers', 'pass', /./],
    ],
    [
      'that is gone, its directory still there',
      { ...unlistened, ipc: { files: ['workers.ipc'], listening: [] } },
      [
        'healthy',
        'absent',
        'warn',
        /^the Salt master is not there: no salt-master process, and nobody/,
      ],
    ],
    [
      'of which there has never been anything',
      { ...unlistened, ipc: null },
      ['healthy', 'elsewhere', 'unknown', /nothing of a Salt master is on this host/],
    ],
    [
      'that runs and has no port',
      { listeners: [] },
      [
        'healthy',
        'absent',
        'warn',
        /^the Salt master 10 takes no calls: nobody listens on port 4506/,
      ],
    ],
    [
      'that has just been started',
      { listeners: [], processes: [young] },
      ['healthy', 'starting', 'unknown', /started 5 s ago, and nobody listens on port 4506 yet/],
    ],
    [
      'on another host',
      { ...unlistened, asked: { ...ASKED, address: '192.0.2.9' }, isHere: false },
      [
        'healthy',
        'elsewhere',
        'unknown',
        /^interface 192\.0\.2\.9 is not known to be of this host/,
      ],
    ],
    [
      'without the file that rest_cherrypy asks for',
      { ipc: { files: ['master_event_pub.ipc'], listening: [] } },
      ['healthy', 'absent', 'warn', /no workers\.ipc in \/var\/run\/salt\/master.*503/],
    ],
  ];
  for (const [what, facts, [code, state, status, summary]] of cases) {
    it(`${what}: ${state}`, () => {
      const found = judged(facts);
      assert.match(found.summary, summary);
      assert.deepEqual([found.code, found.evidence.state, found.status], [code, state, status]);
      assert.equal(found.causes.length, status === 'warn' ? 1 : 0);
      for (const { basis, weight } of found.causes) assert.ok(basis === 'seen' && weight >= 80);
    });
  }

  it('is missed where Salt is installed, and where nobody looked nothing is said', () => {
    const gone = { listeners: [], processes: [], ipc: null };
    assert.equal(judged({ ...gone, installed: true }).evidence.state, 'absent');
    const { explanations, verdict } = diagnosed(NO_BACKGROUND.master);
    assert.deepEqual([explanations.master.status, verdict.code], ['skip', 'healthy']);
    const unread = diagnosed(blind('permission', 'EA\x1b[1mCCES')).explanations.master;
    assert.deepEqual([unread.status, unread.summary], ['unknown', 'EACCES']);
    // Well as far as it was seen: what a look failed at is no part of that.
    const { code, summary } = diagnosed(blind('timeout', 'late')).verdict;
    assert.equal(code, 'healthy');
    assert.match(summary, /answers; not known: master$/);
  });

  it('says nothing that a process has made up of itself to the terminal', () => {
    const processes = [member(10, 'x\x1b]0;y\x07', 'T'), member(11, '')];
    const { summary, causes } = judged({ processes, holders: [11] });
    assert.doesNotMatch(
      [summary, ...causes.flatMap(({ details }) => details)].join(),
      /[\x00-\x1f]/,
    );
  });
});

describe('where salt-api calls its master', () => {
  const config = evidenceOf({ processes: [] }).config;
  assert.ok(config.seen);
  const { value } = config;

  it('is as Salt has it where the config is silent, or says what is none', () => {
    const odd = { ret_port: 'x', publish_port: 70_000, interface: '', sock_dir: false } as const;
    assert.deepEqual(masterAddress(seen({ ...value, options: odd })), ASKED);
    assert.deepEqual(masterAddress(config), ASKED);
  });

  it('is as the config says, its directory below root_dir', () => {
    const options = { ret_port: 14_506, publish_port: 14_505, interface: '10.0.0.1' } as const;
    const moved = { ...options, root_dir: '/srv', sock_dir: '/run/m' };
    assert.deepEqual(masterAddress(seen({ ...value, options: moved })), {
      ...{ address: '10.0.0.1', retPort: 14_506, publishPort: 14_505 },
      socketDirectory: '/srv/run/m',
    });
    const within = masterAddress(seen({ ...value, options: { ...moved, sock_dir: '/srv/m' } }));
    assert.equal(within.socketDirectory, '/srv/m');
  });
});

describe('what lies in the queues of the master', () => {
  const row = (peerPort: number, more: object = {}): TcpRow => ({
    local: { address: '127.0.0.1', port: 4506 },
    peer: { address: '127.0.0.1', port: peerPort },
    ...{ state: 'ESTABLISHED', unsent: 0, unread: 0, inode: 9, ...more },
  });
  const lying = (...rows: readonly TcpRow[]) => [...masterSockets(rows, ASKED).lying];

  it('is what nobody has accepted or read; what changes meanwhile is another thing', () => {
    assert.equal(lying(row(1), row(2, { state: 'TIME_WAIT', inode: 0 })).length, 0);
    const [before] = lying(row(1, { unread: 80 }));
    assert.deepEqual(lying(row(1, { unread: 80 })), [before]);
    assert.notDeepEqual(lying(row(1, { unread: 90 })), [before]);
    assert.equal(lying(row(1, { inode: 0 })).length, 1);
  });

  it('is of the port that is called, and of the address where one is named', () => {
    const others = { local: { address: '127.0.0.1', port: 4505 }, unread: 80 };
    assert.equal(lying(row(1, others)).length, 0);
    const listener = row(0, { state: 'LISTEN', local: { address: '10.0.0.2', port: 4506 } });
    const there = { ...ASKED, address: '10.0.0.1' };
    assert.equal(masterSockets([listener], there).listeners.length, 0);
    assert.equal(masterSockets([listener], ASKED).listeners.length, 1);
  });
});

describe('what the kernel tells of', () => {
  it('unix sockets: those that listen', () => {
    const table = `Num       RefCount Protocol Flags    Type St Inode Path
0000000054a89a94: 00000002 00000000 00010000 0001 01 7028192 /var/run/salt/master/workers.ipc
000000008acd82e0: 00000003 00000000 00000000 0001 03  102819 /var/run/salt/master/master_event_pub.ipc
000000006a7bda48: 00000002 00000000 00010000 0001 01 7028194 @abstract`;
    assert.deepEqual(listeningPaths(table), ['/var/run/salt/master/workers.ipc']);
  });

  it('addresses: those of the host', () => {
    const trie = `Main:
  +-- 192.0.2.0/24 2 0 2
     |-- 192.0.2.0
        /24 link UNICAST
     |-- 192.0.2.2
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
`;
    assert.deepEqual([...localAddresses(trie)], ['192.0.2.2']);
  });
});
