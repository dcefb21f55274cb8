import assert from 'node:assert/strict';
import { test } from 'node:test';
import { orphans } from '../../../src/diagnosis/checks/orphans.ts';
import { blind, seen } from '../../../src/evidence/evidence.ts';
import { evidenceOf, saltApi, server } from '../situation.ts';
import { knownOf, type Part } from './known.ts';

const manager: Part = { facts: saltApi({ pid: 100, ppid: 1 }), role: 'manager' };
const child: Part = { facts: server({ pid: 101, ppid: 100 }), role: 'child', under: 100 };
const pair = { parts: [manager, child], daemon: 100 };
const orphan = (pid: number, sketch: Partial<Parameters<typeof saltApi>[0]> = {}): Part => {
  return { facts: saltApi({ pid, ppid: 1, ...sketch }), role: 'orphan' };
};

function judge(scene: Parameters<typeof knownOf>[0]) {
  return orphans.judge(knownOf(scene));
}

const asUser = (uid: number) => ({ host: { ...evidenceOf({ processes: [] }).host, uid } });
const service = evidenceOf({ processes: [] }).service;

test('every process of the pair in its part and everything seen: none', () => {
  const { status, summary, evidence } = judge(pair);
  assert.equal(status, 'pass');
  assert.equal(summary, 'none among 2 salt-api processes');
  assert.deepEqual(evidence.processes, []);
  assert.deepEqual(
    evidence.others.map(({ pid, role }) => `${pid}:${role}`),
    ['100:manager', '101:child'],
  );
  assert.equal(evidence.daemonPid, 100);
});

test('one orphan fails the step, with its start, its CPU and what keeps it', () => {
  const { status, summary, evidence } = judge({
    ...pair,
    parts: [orphan(37, { age: 3600, cpuTicks: 180_000 }), manager, child],
  });
  assert.equal(status, 'fail');
  assert.equal(summary, '1 orphan: 37, parent dead, started 02:00:00, 00:30:00 CPU, 50% of a core');
  assert.deepEqual(
    evidence.processes.map(({ pid, role, reasons }) => ({ pid, role, reasons })),
    [{ pid: 37, role: 'orphan', reasons: ['is orphan'] }],
  );
  assert.deepEqual(
    evidence.others.map(({ pid }) => pid),
    [100, 101],
  );
});

test('a share of a core is told from one percent on', () => {
  const share = (cpuTicks: number) =>
    judge({ parts: [orphan(37, { age: 1000, cpuTicks })] }).summary;
  assert.match(share(1_000), /, 1% of a core$/);
  assert.match(share(100), / CPU$/);
  // Of a process of this very second no share is known.
  assert.match(judge({ parts: [orphan(37, { age: 0, cpuTicks: 50 })] }).summary, / CPU$/);
});

test('an orphan that can not be killed at once says so', () => {
  const summary = (state: string) => judge({ parts: [orphan(37, { state })] }).summary;
  assert.match(summary('D'), /, waiting in the kernel \(state D\)$/);
  assert.match(summary('T'), /, suspended \(state T\)$/);
  assert.doesNotMatch(summary('S'), /sleep|stopped/);
});

test('several are named up to six, the oldest with its facts', () => {
  const many = (number: number) =>
    judge({ parts: Array.from({ length: number }, (_, index) => orphan(30 + index)) });
  assert.match(many(2).summary, /^2 orphans: 30, 31; 30 is the oldest, parent dead, /);
  assert.match(many(6).summary, /^6 orphans: 30, 31, 32, 33, 34, 35; 30 is/);
  assert.match(many(9).summary, /^9 orphans: 30, 31, 32, 33, 34, 35 and 3 more; 30 is/);
});

test('none found is no pass where something was hidden: an orphan may be among that', () => {
  const table: readonly [Parameters<typeof knownOf>[0], RegExp][] = [
    [{ ...pair, hidden: true }, /^can't tell: \/proc is mounted with hidepid$/],
    [{ ...pair, deniedArgv: 1 }, /^can't tell: 1 command line could not be read$/],
    [
      { ...pair, deniedArgv: 3, evidence: asUser(1000) },
      /^can't tell: 3 command lines.*; run as root$/,
    ],
    [{ ...pair, hidden: true, evidence: asUser(1000) }, /hidepid; run as root$/],
    [
      { ...pair, parts: [manager, { ...child, facts: { ...child.facts, fds: 'denied' } }] },
      /^none proven, but the open files of 1 salt-api process can't be read: run as root$/,
    ],
    [
      { ...pair, evidence: { service: blind('timeout', 'systemctl took \x1b[31m5 s') } },
      /^none proven, but pid files and unit could not be read: systemctl took 5 s$/,
    ],
    [
      { evidence: { processes: blind('permission', 'no /proc') } },
      /^can't read the process table: no \/proc$/,
    ],
  ];
  for (const [scene, expected] of table) {
    const { status, summary } = judge(scene);
    assert.match(summary, expected);
    assert.equal(status, 'unknown', summary);
  }
});

test('a table that could not be read counts nobody', () => {
  const { evidence } = judge({ evidence: { processes: blind('permission', 'no /proc') } });
  assert.deepEqual(evidence, { processes: [], others: [], daemonPid: null, zombies: 0 });
});

test('an orphan that was seen is one, whatever else was hidden', () => {
  for (const scene of [{ hidden: true }, { deniedArgv: 2 }, { evidence: asUser(1000) }]) {
    assert.equal(judge({ ...scene, parts: [orphan(37), manager], daemon: 100 }).status, 'fail');
  }
});

test('a salt-api whose role nothing proves is a warning, not an orphan and not a pass', () => {
  const unclear = (pid: number): Part => ({ facts: saltApi({ pid, ppid: 700 }), role: 'unclear' });
  const one = judge({ ...pair, parts: [manager, child, unclear(300)] });
  assert.equal(one.status, 'warn');
  assert.match(one.summary, /^salt-api 300 has no salt-api parent, but nothing proves an orphan$/);
  const two = judge({ ...pair, parts: [manager, child, unclear(300), unclear(301)] });
  assert.match(two.summary, /^salt-api 300, 301 have no salt-api parent/);
});

test('what only has the name, under a living parent, is told beside the pass and at the end', () => {
  const namesake = (pid: number, signs: Partial<Part> = {}): Part => {
    const facts = saltApi({ pid, ppid: 700, fds: 'denied' });
    return { facts, role: 'unclear', proven: false, reparented: false, ...signs };
  };
  const dead = saltApi({ pid: 303, ppid: 300, state: 'Z', argv: [] });
  const one = judge({ ...pair, parts: [namesake(300), manager, child], others: [dead] });
  assert.equal(one.status, 'pass');
  assert.equal(one.summary, 'none among 2 salt-api processes; 300 only has the name');
  assert.deepEqual(
    one.evidence.others.map(({ pid }) => pid),
    [100, 101, 300],
  );
  assert.equal(one.evidence.zombies, 0, 'its zombies are nothing to us');
  const two = judge({ ...pair, parts: [namesake(300), manager, child, namesake(301)] });
  assert.equal(two.summary, 'none among 2 salt-api processes; 300, 301 only have the name');
  // Who has a part has one, whatever proves it.
  const unproven = { ...manager, proven: false, reparented: false };
  assert.equal(judge({ ...pair, parts: [unproven, child] }).summary, judge(pair).summary);
  // Whatever says more than the name, or has lost its parent, is a warning.
  for (const signs of [{ proven: true }, { reparented: true }]) {
    const facts = saltApi({ pid: 300, ppid: 700 });
    const more = judge({ ...pair, parts: [manager, child, namesake(300, { facts, ...signs })] });
    assert.equal(more.status, 'warn', JSON.stringify(signs));
  }
});

test('look-alikes by the thousand are cut at 200, ours before those of others', () => {
  const elsewhere = Array.from({ length: 300 }, (_, index): Part => {
    return { facts: saltApi({ pid: 1000 + index, ppid: 1, fds: 'denied' }), role: 'elsewhere' };
  });
  const { evidence, status } = judge({ ...pair, parts: [...elsewhere, manager, child] });
  assert.equal(status, 'pass');
  assert.equal(evidence.others.length, 200);
  assert.deepEqual(
    evidence.others.slice(0, 3).map(({ pid }) => pid),
    [100, 101, 1000],
  );
});

test('no salt-api at all is told with how many processes were seen, unless some were not', () => {
  assert.equal(judge({}).summary, 'none: no salt-api process runs (120 processes seen)');
  assert.equal(judge({}).status, 'pass');
  assert.equal(judge({ deniedFds: 1 }).summary, 'none: no salt-api process runs');
  const elsewhere: Part = { facts: saltApi({ pid: 900, ppid: 1 }), role: 'elsewhere' };
  assert.match(judge({ parts: [elsewhere] }).summary, /^none: no salt-api process runs/);
});

test('zombies count where a salt-api is their parent', () => {
  const dead = (pid: number, ppid: number) => saltApi({ pid, ppid, state: 'Z', argv: [] });
  const { evidence, details } = judge({ ...pair, others: [dead(102, 100), dead(900, 899)] });
  assert.equal(evidence.zombies, 1);
  assert.ok(details.includes('1 zombie child not yet reaped'));
  assert.equal(judge({ ...pair, others: [saltApi({ pid: 102, ppid: 100 })] }).evidence.zombies, 0);
  const two = judge({ ...pair, others: [dead(102, 100), dead(103, 100)] });
  assert.ok(two.details.includes('2 zombie children not yet reaped'));
  assert.ok(!judge(pair).details.some((line) => line.includes('zombie')));
});

test('-v has each process with its reasons, stripped of what would move the cursor', () => {
  const { details } = judge({
    parts: [
      { ...orphan(37, { state: 'D', waitChannel: 'nfs_wait' }), reasons: ['a\x1b[2J', 'b'] },
      { ...manager, facts: { ...manager.facts, waitChannel: 'ep_poll' } },
    ],
    daemon: 100,
  });
  assert.deepEqual(details.slice(0, 2), [
    '37 orphan: a; b; state D, 1 thread, session 99, waits in nfs_wait',
    '100 manager: is manager; state S, 1 thread, session 99, started 02:00:00',
  ]);
  const [untold] = judge({ parts: [orphan(37, { state: 'D', waitChannel: null })] }).details;
  assert.doesNotMatch(untold ?? '', /waits/);
});

test('-v has what may leave orphans behind: pid files, the unit, its KillMode', () => {
  const details = (scene: Parameters<typeof knownOf>[0]) => judge({ ...pair, ...scene }).details;
  assert.ok(details({ pidFile: 55 }).includes('pid file /run/salt-api.pid: 55'));
  assert.ok(
    details({ unit: { mainPid: 100 } }).includes(
      'salt-api.service: active (running), main pid 100, KillMode=control-group',
    ),
  );
  const leaves = (killMode: string) =>
    details({ unit: { killMode } }).some((line) => line.includes('makes orphans'));
  assert.deepEqual(['process', 'none', 'control-group', 'mixed'].filter(leaves), [
    'process',
    'none',
  ]);
  assert.ok(service.seen);
  const systemd = blind('timeout', 'systemctl took 5 s');
  assert.ok(
    details({ evidence: { service: seen({ ...service.value, systemd }) } }).includes(
      'systemd: systemctl took 5 s',
    ),
  );
  const pidFiles = [{ path: '/run/\x1b[31ma.pid', pid: null, modifiedAt: 0 }];
  assert.ok(
    details({ evidence: { service: seen({ ...service.value, pidFiles }) } }).includes(
      'pid file /run/a.pid: no pid in it',
    ),
  );
  assert.ok(details({ evidence: { service: blind('timeout', 'slow') } }).includes('service: slow'));
});
