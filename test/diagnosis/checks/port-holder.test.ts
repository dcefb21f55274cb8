import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describePortOrigin, portHolder } from '../../../src/diagnosis/checks/port-holder.ts';
import { blind, type Evidence, seen } from '../../../src/evidence/evidence.ts';
import { evidenceOf, INODE, saltApi, server } from '../situation.ts';
import { knownOf, type Part } from './known.ts';

const OTHER_INODE = 7_002;

type Scene = Parameters<typeof knownOf>[0];

const part = (
  role: Part['role'],
  pid: number,
  more: Partial<Omit<Part, 'facts'>> & { idle?: boolean } = {},
): Part => {
  const { idle = false, ...rest } = more;
  const listens = idle ? [] : [INODE];
  return { facts: saltApi({ pid, ppid: 1, listens }), role, ...rest };
};
const manager = part('manager', 100, { idle: true });
const child = part('child', 101, { under: 100 });
/** The same with a socket of its own. */
const away = (one: Part): Part => {
  return { ...one, facts: { ...one.facts, listens: [OTHER_INODE] } };
};
const nginx = saltApi({ pid: 800, ppid: 1, argv: ['nginx: master'], listens: [INODE] });

function judge(scene: Scene) {
  return portHolder.judge(knownOf(scene));
}

const host = evidenceOf({ processes: [] }).host;
const asUser: Partial<Evidence> = { host: { ...host, uid: 1000 } };

/** Who has the port, by the parts of those who hold it. */
const TABLE: readonly {
  readonly name: string;
  readonly scene: Scene;
  readonly state: string;
  readonly status: 'pass' | 'warn' | 'fail' | 'unknown';
  readonly summary: string;
}[] = [
  {
    name: 'nobody, and no daemon',
    scene: {},
    state: 'free',
    status: 'fail',
    summary: 'nobody listens on 443, and no salt-api daemon runs',
  },
  {
    name: 'nobody, though a daemon runs',
    scene: { parts: [manager], daemon: 100 },
    state: 'free',
    status: 'fail',
    summary: 'nobody listens on 443, though the daemon 100 runs',
  },
  {
    name: 'the child of the daemon',
    scene: { parts: [manager, child], daemon: 100 },
    state: 'daemon',
    status: 'pass',
    summary: '443 is held by 101, child of the daemon 100',
  },
  {
    name: 'the daemon itself',
    scene: { parts: [part('manager', 100)], daemon: 100 },
    state: 'daemon',
    status: 'pass',
    summary: '443 is held by the daemon 100 itself',
  },
  {
    name: 'the child and what it forked',
    scene: {
      parts: [manager, child, part('fork', 201, { under: 100 }), part('job', 202, { under: 100 })],
      daemon: 100,
    },
    state: 'daemon',
    status: 'pass',
    summary: '443 is held by 101, child of the daemon 100, and 2 forks of it',
  },
  {
    name: 'the child, one fork of it, and one stranger on another address',
    scene: {
      parts: [manager, child, part('fork', 201, { under: 100 })],
      others: [{ ...nginx, listens: [OTHER_INODE] }],
      listeners: [{}, { inode: OTHER_INODE, address: '10.0.0.2' }],
      daemon: 100,
    },
    state: 'daemon',
    status: 'pass',
    summary:
      '443 is held by 101, child of the daemon 100, and 1 fork of it; another address of it by 800',
  },
  {
    name: 'the child, and programs that it or its fork started, one with a listener of its own',
    scene: {
      parts: [manager, child, away(part('fork', 201, { under: 100 }))],
      others: [
        { ...nginx, listens: [INODE, 7_003] },
        { ...nginx, pid: 801, listens: [OTHER_INODE] },
      ],
      listeners: [{}, { inode: OTHER_INODE }, { inode: 7_003, address: '10.0.0.2' }],
      daemon: 100,
    },
    state: 'daemon',
    status: 'pass',
    summary:
      '443 is held by 101, child of the daemon 100, and 1 fork of it; 800, 801 have its socket too, inherited',
  },
  {
    name: 'the child, and strangers on other addresses',
    scene: {
      parts: [manager, child, away(part('elsewhere', 700))],
      others: [{ ...nginx, listens: [OTHER_INODE] }],
      listeners: [{}, { inode: OTHER_INODE, address: '10.0.0.2' }],
      daemon: 100,
    },
    state: 'daemon',
    status: 'pass',
    summary: '443 is held by 101, child of the daemon 100; another address of it by 700, 800',
  },
  {
    name: 'the child and a stranger on the same address, who takes a share of its clients',
    scene: {
      parts: [manager, child],
      others: [{ ...nginx, listens: [OTHER_INODE] }],
      listeners: [{}, { inode: OTHER_INODE }],
      daemon: 100,
    },
    state: 'daemon',
    status: 'warn',
    summary: '443 is held by 101, child of the daemon 100; shared with 800, no salt-api of ours',
  },
  {
    name: 'an orphan and a stranger on the same address',
    scene: {
      parts: [part('orphan', 37), away(part('elsewhere', 700))],
      listeners: [{}, { inode: OTHER_INODE }],
    },
    state: 'orphan',
    status: 'fail',
    summary:
      '443 is held by 37, an orphaned salt-api child; no salt-api daemon runs; shared with 700, no salt-api of ours',
  },
  {
    name: 'the child, and a program that it started and that kept its socket',
    scene: { parts: [manager, child], others: [nginx], daemon: 100 },
    state: 'daemon',
    status: 'pass',
    summary: '443 is held by 101, child of the daemon 100; 800 has its socket too, inherited',
  },
  {
    name: 'a fork that outlived the child of a living daemon',
    scene: { parts: [manager, part('fork', 201, { under: 100 })], daemon: 100 },
    state: 'daemon',
    status: 'pass',
    summary: '443 is held by 201, forked by the daemon 100',
  },
  {
    name: 'the child of a second daemon',
    scene: { parts: [manager, part('child', 501, { under: 500 })], daemon: 100 },
    state: 'other-daemon',
    status: 'fail',
    summary: '443 is held by 501 of another daemon, 500, not of 100',
  },
  {
    name: 'the child of a second daemon beside one that nothing proves to be of it',
    scene: {
      parts: [manager, part('unclear', 400), part('child', 501, { under: 500 })],
      daemon: 100,
    },
    state: 'other-daemon',
    status: 'fail',
    summary: '443 is held by 501 of another daemon, 500, not of 100',
  },
  {
    name: 'a job alone, which serves nobody',
    scene: { parts: [manager, part('job', 200, { under: 100 })], daemon: 100 },
    state: 'unproven',
    status: 'fail',
    summary: '443 is held by salt-api 200, whose role nothing proves',
  },
  {
    name: 'a second daemon itself',
    scene: { parts: [manager, part('manager', 500)], daemon: 100 },
    state: 'other-daemon',
    status: 'fail',
    summary: '443 is held by 500 of another daemon, 500, not of 100',
  },
  {
    name: 'an orphan, and no daemon',
    scene: { parts: [part('orphan', 37)] },
    state: 'orphan',
    status: 'fail',
    summary: '443 is held by 37, an orphaned salt-api child; no salt-api daemon runs',
  },
  {
    name: 'an orphan beside the daemon',
    scene: { parts: [manager, part('orphan', 37)], daemon: 100 },
    state: 'orphan',
    status: 'fail',
    summary: '443 is held by 37, an orphaned salt-api child (not by the daemon 100)',
  },
  {
    name: 'an orphan and its fork: the orphan is named',
    scene: { parts: [part('fork', 38, { under: 37 }), part('orphan', 37)] },
    state: 'orphan',
    status: 'fail',
    summary: '443 is held by 37, an orphaned salt-api child; no salt-api daemon runs',
  },
  {
    name: 'the fork of an orphan that closed its own listener: ended with the orphan, not unproven',
    scene: { parts: [part('orphan', 37, { idle: true }), part('fork', 38, { under: 37 })] },
    state: 'orphan',
    status: 'fail',
    summary: '443 is held by 38, a fork of an orphan; no salt-api daemon runs',
  },
  {
    name: 'an orphan on one address and the child on another: the orphan is the news',
    scene: { parts: [manager, child, part('orphan', 37)], daemon: 100 },
    state: 'orphan',
    status: 'fail',
    summary: '443 is held by 37, an orphaned salt-api child (not by the daemon 100)',
  },
  {
    name: 'another program',
    scene: { others: [nginx] },
    state: 'foreign',
    status: 'fail',
    summary: '443 is held by 800 (nginx), which is not this salt-api',
  },
  {
    name: 'a salt-api of another instance, with the first reason why',
    scene: { parts: [part('elsewhere', 700, { reasons: ['has another configuration', 'x'] })] },
    state: 'foreign',
    status: 'fail',
    summary: '443 is held by salt-api 700, which has another configuration',
  },
  {
    name: 'a salt-api of another instance without a reason',
    scene: { parts: [part('elsewhere', 700, { reasons: [] })] },
    state: 'foreign',
    status: 'fail',
    summary: '443 is held by salt-api 700, which is another',
  },
  {
    name: 'a salt-api that nothing proves to be one or the other',
    scene: { parts: [part('unclear', 300)] },
    state: 'unproven',
    status: 'fail',
    summary: '443 is held by salt-api 300, whose role nothing proves',
  },
  {
    name: 'what is salt-api by its name and by nothing else',
    scene: { parts: [part('unclear', 300, { proven: false })] },
    state: 'unproven',
    status: 'fail',
    summary: '443 is held by 300: salt-api by name, but nothing else says that it is',
  },
  {
    name: 'one by its name and one with more',
    scene: { parts: [part('unclear', 300, { proven: false }), part('unclear', 301)] },
    state: 'unproven',
    status: 'fail',
    summary: '443 is held by salt-api 300, 301, whose role nothing proves',
  },
  {
    name: 'a fork of nobody that we know is no proof that the daemon serves',
    scene: { parts: [manager, part('fork', 201, { under: 900 })], daemon: 100 },
    state: 'unproven',
    status: 'fail',
    summary: '443 is held by salt-api 201, whose role nothing proves',
  },
  {
    name: 'forks of nobody beside another program are not the daemon either',
    scene: { parts: [manager, part('fork', 201, { under: 100 })], others: [nginx], daemon: 100 },
    state: 'foreign',
    status: 'fail',
    summary: '443 is held by 800 (nginx), which is not this salt-api',
  },
  {
    name: 'somebody whose fds an ordinary user may not read',
    scene: { listeners: [{ uid: 33 }], deniedFds: 1, evidence: asUser },
    state: 'unseen',
    status: 'unknown',
    summary: '443 is held by a process of uid 33; run with sudo to identify it',
  },
  {
    name: 'somebody that hidepid hides',
    scene: { listeners: [{ uid: 0 }], hidden: true, evidence: asUser },
    state: 'unseen',
    status: 'unknown',
    summary: '443 is held by a process of root; run with sudo to identify it',
  },
  {
    name: 'nobody that root can see',
    scene: { listeners: [{}] },
    state: 'unseen',
    status: 'unknown',
    summary: "443 is held by a process we can't see: the kernel, or another PID namespace",
  },
  {
    name: 'the process table could not be read, and somebody listens',
    scene: { listeners: [{}], evidence: { processes: blind('timeout', 'it took 5 s') } },
    state: 'unknown',
    status: 'unknown',
    summary: "443 is held, but its holder can't be identified: it took 5 s",
  },
  {
    name: 'the sockets could not be read',
    scene: { parts: [manager, child], evidence: { sockets: blind('missing', 'no /proc/net') } },
    state: 'unknown',
    status: 'unknown',
    summary: "can't read the socket tables: no /proc/net",
  },
  {
    name: 'nobody listens, and who runs could not be read',
    scene: { evidence: { processes: blind('timeout', 'it took 5 s') } },
    state: 'free',
    status: 'fail',
    summary: 'nobody listens on 443, and no salt-api daemon is seen',
  },
  {
    name: 'nobody, while some processes are hidden: that none runs was not seen',
    scene: { hidden: true },
    state: 'free',
    status: 'fail',
    summary: 'nobody listens on 443, and no salt-api daemon is seen',
  },
  {
    name: 'an orphan, while one command line was unread: it may be the daemon',
    scene: { parts: [part('orphan', 37)], deniedArgv: 1 },
    state: 'orphan',
    status: 'fail',
    summary: '443 is held by 37, an orphaned salt-api child; no salt-api daemon is seen',
  },
];

for (const { name, scene, state, status, summary } of TABLE) {
  test(`the port is held by: ${name}`, () => {
    const finding = judge(scene);
    assert.deepEqual(
      { state: finding.evidence.state, status: finding.status, summary: finding.summary },
      { state, status, summary },
    );
  });
}

test('another address of the port is in the way only where both are addresses of interfaces', () => {
  const config = evidenceOf({ processes: [] }).config;
  assert.ok(config.seen);
  const { netapi } = config.value;
  assert.ok(netapi !== null);
  const found = (listener: string, bound: string | null, port = 443) => {
    const to = bound === null ? null : { ...netapi, host: bound, port };
    return judge({
      parts: [manager],
      others: [nginx],
      daemon: 100,
      listeners: [{ address: listener }],
      evidence: { config: seen({ ...config.value, netapi: to }) },
    });
  };
  const free = (...given: Parameters<typeof found>) => found(...given).evidence.state === 'free';
  assert.ok(free('10.0.0.2', '10.0.0.1'));
  assert.ok(free('fd00::2', 'fd00::1'));
  for (const [listener, bound] of [
    ['10.0.0.1', '10.0.0.1'],
    ['0.0.0.0', '10.0.0.1'],
    ['::', '10.0.0.1'],
    ['10.0.0.2', '0.0.0.0'],
    ['10.0.0.2', '::'],
    // A name may be any address, and so may what no config says.
    ['10.0.0.2', 'master.example'],
    ['10.0.0.2', 'v10'],
    ['10.0.0.2', '10.example'],
    ['10.0.0.2', null],
  ] as const) {
    assert.ok(!free(listener, bound), `${listener} and ${bound}`);
  }
  assert.ok(!free('10.0.0.2', '10.0.0.1', 8000), 'the config is about another port');
  // That somebody listens is not kept back.
  assert.equal(
    found('10.0.0.2', '10.0.0.1').summary,
    'nobody listens on 443 at 10.0.0.1, though the daemon 100 runs; another address of it by 800',
  );
});

test('another salt-api on another address is not in the way, and is told', () => {
  const config = evidenceOf({ processes: [] }).config;
  assert.ok(config.seen && config.value.netapi !== null);
  const { evidence, summary } = judge({
    parts: [part('elsewhere', 700)],
    listeners: [{ address: '10.0.0.2' }],
    evidence: {
      config: seen({ ...config.value, netapi: { ...config.value.netapi, host: '10.0.0.1' } }),
    },
  });
  assert.equal(evidence.state, 'free');
  assert.match(summary, /; another address of it by 700$/);
});

test('a socket that our child shares with a program of its own is ours, one beside it is not', () => {
  const { summary, status } = judge({
    parts: [manager, child],
    others: [nginx, { ...nginx, pid: 900, listens: [OTHER_INODE] }],
    listeners: [{}, { inode: OTHER_INODE }],
    daemon: 100,
  });
  assert.match(
    summary,
    /; 800 has its socket too, inherited; shared with 900, no salt-api of ours$/,
  );
  assert.equal(status, 'warn');
});

test("systemd's listener is the service's where its own socket unit has that port, and only there", () => {
  const plain = evidenceOf({ processes: [], unit: { sockets: ['salt-api.socket'] } });
  assert.ok(plain.service.seen);
  const { value } = plain.service;
  const found = (unit: string, daemon?: number, scene: Scene = {}) => {
    const relatedUnits = [{ unit, activeState: 'active', ports: [443] }];
    const service = seen({ ...value, relatedUnits });
    const init = saltApi({ pid: 1, ppid: 0, argv: ['/sbin/init'], listens: [INODE] });
    const at = daemon === undefined ? {} : { parts: [manager], daemon };
    return judge({ others: [init], ...at, ...scene, evidence: { service } });
  };
  assert.equal(found('other.socket').evidence.state, 'foreign');
  const idle = found('salt-api.socket');
  assert.equal(idle.evidence.state, 'free');
  assert.match(idle.summary, /^only systemd itself .* and no salt-api daemon runs$/);
  assert.match(found('salt-api.socket', 100).summary, /, and not the daemon 100$/);
  assert.match(
    found('salt-api.socket', undefined, { deniedArgv: 1 }).summary,
    /, and no salt-api daemon is seen$/,
  );
});

test('a socket of ours on another address than the config has is ours all the same', () => {
  const config = evidenceOf({ processes: [] }).config;
  assert.ok(config.seen && config.value.netapi !== null);
  const netapi = { ...config.value.netapi, host: '10.0.0.1' };
  const { evidence } = judge({
    parts: [manager, child],
    daemon: 100,
    listeners: [{ address: '10.0.0.2' }],
    evidence: { config: seen({ ...config.value, netapi }) },
  });
  assert.equal(evidence.state, 'daemon');
});

test('of many holders six are named', () => {
  const orphans = (number: number) =>
    judge({ parts: Array.from({ length: number }, (_, index) => part('orphan', 30 + index)) });
  assert.match(orphans(6).summary, / held by 30, 31, 32, 33, 34, 35, an orphaned/);
  assert.match(orphans(8).summary, / held by 30, 31, 32, 33, 34, 35 and 2 more, an orphaned/);
});

test('a foreign program is named by its file, short and without escapes', () => {
  const named = (argv: readonly string[], comm = 'prog') =>
    /\((.*)\)/.exec(judge({ others: [{ ...nginx, argv, comm }] }).summary)?.[1];
  assert.equal(named(['/usr/sbin/nginx', '-g', 'daemon off;']), 'nginx');
  assert.equal(named(['nginx: worker process']), 'nginx');
  assert.equal(named(['/usr/bin/a:b']), 'a:b');
  assert.equal(named([]), 'prog');
  assert.equal(named(['/usr/sbin/']), 'prog');
  assert.equal(named(['/opt/a\x1b[31mb']), 'ab');
  assert.equal(named(['x'.repeat(60)]), 'x'.repeat(40));
});

test('the evidence has who holds which listener, the daemon, and what could not be read', () => {
  const other = server({ pid: 900, ppid: 1, argv: ['other'], listens: [8] });
  const { evidence } = judge({
    parts: [manager, child],
    others: [other],
    daemon: 100,
    listeners: [{}, { inode: 8, address: '::' }, { inode: 9 }],
    deniedFds: 2,
  });
  assert.deepEqual(
    evidence.listeners.map(({ inode, pids }) => ({ inode, pids })),
    [
      { inode: INODE, pids: [101] },
      { inode: 8, pids: [900] },
      { inode: 9, pids: [] },
    ],
  );
  assert.deepEqual(
    evidence.holders.map(({ pid, role, reasons }) => ({ pid, role, reasons })),
    [
      { pid: 101, role: 'child', reasons: ['is child'] },
      { pid: 900, role: 'foreign', reasons: ['its command line is not that of salt-api'] },
    ],
  );
  assert.deepEqual([evidence.daemonPid, evidence.deniedFds], [100, 2]);
});

test('what could not be read is counted, of a table that could not be read at all nothing', () => {
  const table = blind('timeout', 'slow');
  assert.equal(judge({ evidence: { processes: table } }).evidence.deniedFds, 0);
  assert.equal(judge({ deniedFds: 3 }).evidence.deniedFds, 3);
});

test('a salt-api by argv that has no part, a dying one for example, is not called another program', () => {
  const { evidence } = judge({ others: [server({ pid: 37, ppid: 1 })] });
  assert.deepEqual(evidence.holders[0]?.reasons, ['can not be judged']);
});

test('-v has the Salt config, each listener with its holders, and who is no salt-api', () => {
  const { details } = judge({
    parts: [manager, child],
    daemon: 100,
    listeners: [{ acceptQueue: 3 }, { inode: 9, family: 'ipv6', address: '::' }],
    deniedFds: 1,
  });
  assert.deepEqual(details, [
    'Salt config /etc/salt (default)',
    `ipv4 0.0.0.0 inode ${INODE}: held by 101 (/proc/net/tcp, /proc/PID/fd)`,
    'ipv6 :: inode 9: no visible holder (/proc/net/tcp, /proc/PID/fd)',
    '1 fd table could not be read: not root',
  ]);
  assert.ok(!judge({}).details.some((line) => line.includes('could not be read')));
  const foreign = judge({ others: [nginx] });
  assert.ok(foreign.details.includes('800 foreign: its command line is not that of salt-api'));
});

test('-v tells why the configuration is unread, and which of its files', () => {
  const config = evidenceOf({ processes: [] }).config;
  assert.ok(config.seen);
  const problems = ['/etc/salt/a.conf: \x1b[31mno YAML', 'b'];
  const partly = judge({ evidence: { config: seen({ ...config.value, problems }) } }).details;
  assert.deepEqual(partly.slice(1), ['config: /etc/salt/a.conf: no YAML', 'config: b']);
  const whole = judge({ evidence: { config: blind('permission', 'den\x1b[31mied') } }).details;
  assert.deepEqual(whole.slice(1), ['config: denied']);
});

test('a file or a directory that a stranger named can not move the cursor', () => {
  const origin = { kind: 'config', file: '/etc/\x1b[2Jsalt', key: 'rest_cherrypy.port' } as const;
  assert.equal(describePortOrigin({ number: 443, origin }), 'rest_cherrypy.port in /etc/salt');
  assert.equal(
    describePortOrigin({ number: 443, origin: { kind: 'default', why: 'no\x1b[31m config' } }),
    'default: no config',
  );
  assert.equal(
    describePortOrigin({ number: 443, origin: { kind: 'option' } }),
    'as asked, by --port or the settings',
  );
  const instance = { configDirectory: '/srv/\x1b[2Ja', defaultConfigured: true, origin: 'argv' };
  const { details } = judge({ evidence: { instance: { ...instance, origin: 'argv' } } });
  assert.match(details[0] ?? '', /^Salt config \/srv\/a \(argv\)$/);
});
