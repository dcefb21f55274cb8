/** What each premise of a role rests on, one by one: a fault in any of them may kill a stranger. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  classifyProcesses,
  type ProcessRoles,
  type SaltApiProcess,
} from '../../src/diagnosis/process-roles.ts';
import type { Evidence } from '../../src/evidence/evidence.ts';
import {
  evidenceOf,
  INODE,
  type ProcessSketch,
  type Situation,
  saltApi,
  server,
  TITLED,
  UNTITLED,
} from './situation.ts';

const manager = saltApi({ pid: 100, ppid: 1, session: 98, argv: TITLED });
const child = server({ pid: 101, ppid: 100, session: 98 });

function classify(situation: Situation): ProcessRoles {
  return classifyProcesses(evidenceOf(situation));
}

function member(pid: number, situation: Situation): SaltApiProcess {
  const found = classify(situation).all.find(({ facts }) => facts.pid === pid);
  assert.ok(found !== undefined, `no ${pid}`);
  return found;
}

function instance(configDirectory: string, defaultConfigured = true): Partial<Evidence> {
  return { instance: { configDirectory, defaultConfigured, origin: 'option' } };
}

describe('the processes', () => {
  it('come oldest first, of one tick by pid, those of others among them', () => {
    const { all } = classify({
      processes: [
        saltApi({ pid: 9, ppid: 1, age: 10 }),
        saltApi({ pid: 30, ppid: 1, age: 50 }),
        saltApi({ pid: 20, ppid: 1, age: 50 }),
        saltApi({ pid: 8, ppid: 1, age: 30, uid: 1001 }),
        saltApi({ pid: 40, ppid: 1, age: 90 }),
      ],
    });
    assert.deepEqual(
      all.map(({ facts }) => facts.pid),
      [40, 20, 30, 8, 9],
    );
  });

  it('count once for each pid, the older for both', () => {
    const { all } = classify({
      processes: [saltApi({ pid: 9, ppid: 1, age: 10 }), saltApi({ pid: 9, ppid: 1, age: 99 })],
    });
    assert.deepEqual(
      all.map(({ facts }) => facts.startTicks),
      [(86_400 - 99) * 100],
    );
  });
});

describe('whose a process is', () => {
  const bare = saltApi({ pid: 50, ppid: 1 });
  const ofX = saltApi({ pid: 60, ppid: 1, argv: [...UNTITLED, '-c', '/srv/x'] });
  const ofY = saltApi({ pid: 70, ppid: 1, argv: [...UNTITLED, '-c', '/srv/y'] });

  it('is told by its -c; one without is ours where no default instance can be meant', () => {
    const role = (processes: Situation['processes'], defaultConfigured: boolean) =>
      member(50, { processes, evidence: instance('/srv/x', defaultConfigured) }).role;
    assert.equal(role([bare], false), 'unclear');
    assert.equal(role([bare], true), 'elsewhere');
    assert.equal(role([bare, ofX], false), 'elsewhere', 'ours names itself');
    assert.equal(role([bare, ofY], false), 'unclear', 'a neighbour that names itself says nothing');
    assert.equal(role([bare, ofX, ofY], false), 'elsewhere');
  });

  it('is said, without the escapes of a name', () => {
    const words = (more: Partial<typeof bare>, directory = '/etc/salt') =>
      member(50, { processes: [{ ...bare, ...more }], evidence: instance(directory) }).reasons;
    const drill = '/tmp/salt-triage-drill-abc/etc';
    assert.deepEqual(words({ networkNamespace: 'other' }), ['lives in another network namespace']);
    assert.deepEqual(words({ argv: [...UNTITLED, '-c', '/x\u001b[31m'] }), [
      'runs with another configuration, /x',
    ]);
    assert.deepEqual(words({ argv: [...UNTITLED, '-c', drill] }), [
      'belongs to a salt-triage drill',
    ]);
    assert.deepEqual(words({}, drill), ['is not part of the drill']);
    assert.deepEqual(words({ uid: 1001 }), ['belongs to uid 1001, an ordinary user']);
    assert.match(words({ uid: -1 })[0] ?? '', /can ?not be told|can't be told/);
    assert.notEqual(member(50, { processes: [{ ...bare, uid: 0 }] }).role, 'elsewhere');
  });

  it("makes it nobody's orphan, and proves nothing, where it is not ours", () => {
    const { reparented, proven, servesInstead } = member(50, {
      processes: [{ ...bare, uid: 1001, otherPorts: [8000] }],
    });
    assert.deepEqual([reparented, proven, servesInstead], [false, false, []]);
  });

  it('in a drill is nobody else’s, whatever user runs it', () => {
    const drill = '/tmp/salt-triage-drill-abc/etc';
    const one = saltApi({ pid: 50, ppid: 1, uid: 1001, argv: [...UNTITLED, '-c', drill] });
    assert.equal(member(50, { processes: [one], evidence: instance(drill) }).role, 'unclear');
  });
});

describe('an ordinary user whose salt-api it is', () => {
  const his = server({ pid: 37, ppid: 1, uid: 1001 });

  it('is the one of the main process of the unit', () => {
    const main = saltApi({ pid: 100, ppid: 1, uid: 1001, argv: TITLED });
    const role = (mainPid: number) =>
      member(37, { processes: [his, main], unit: { mainPid } }).role;
    assert.equal(role(100), 'orphan');
    assert.equal(role(0), 'elsewhere');
  });

  it('is not the one of a process that got the pid of a stale pid file', () => {
    const other = saltApi({ pid: 100, ppid: 1, uid: 1001, age: 60 });
    const role = (pidFileAge: number) =>
      member(37, { processes: [his, other], pidFile: 100, pidFileAge }).role;
    assert.equal(role(600), 'elsewhere');
    assert.equal(role(30), 'orphan');
  });
});

describe('a manager', () => {
  it('is none for a child that is another program, alive', () => {
    const lone = saltApi({ pid: 100, ppid: 1 });
    const other = saltApi({ pid: 200, ppid: 100, argv: ['/usr/bin/logger'] });
    assert.equal(member(100, { processes: [lone, other] }).role, 'unclear');
    const dead = { ...other, argv: [], state: 'Z' };
    assert.equal(member(100, { processes: [lone, dead] }).role, 'manager');
  });

  it('is the daemon where it serves, before a younger one; where it is named, before both', () => {
    const young = saltApi({ pid: 500, ppid: 1, session: 498, age: 60 });
    const its = saltApi({ pid: 501, ppid: 500, session: 498, age: 59 });
    const processes = [manager, child, young, its];
    assert.equal(classify({ processes }).daemon?.facts.pid, 100);
    assert.equal(classify({ processes, pidFile: 500 }).daemon?.facts.pid, 500);
    const idle = { ...child, listens: [] };
    assert.equal(classify({ processes: [manager, idle, young, its] }).daemon?.facts.pid, 500);
  });

  it('is no child that has forks of its own, though it holds nothing yet', () => {
    const starting = { ...child, listens: [], threads: 1 };
    const fork = saltApi({ pid: 201, ppid: 101 });
    assert.equal(classify({ processes: [manager, starting, fork] }).daemon?.facts.pid, 100);
  });

  it('is named by no pid file that names its child', () => {
    const roles = classify({ processes: [manager, child], pidFile: 101 });
    assert.deepEqual(
      roles.all.map(({ role, reasons }) => [role, reasons]),
      [
        ['manager', ['has salt-api children']],
        ['child', ['child of the manager 100']],
      ],
    );
  });

  it('of which it can not be told whose it is, is none, nor is what it has forked its child', () => {
    const untold = { ...manager, rootDirectory: 'unseen' as const };
    const processes = [untold, { ...child, rootDirectory: 'unseen' as const }];
    const roles = classify({ processes, pidFile: 100 });
    assert.deepEqual(
      roles.all.map(({ role, proven }) => [role, proven]),
      [
        ['unclear', false],
        ['unclear', false],
      ],
    );
    assert.match(roles.all[0]?.reasons[1] ?? '', /root directory/);
    assert.deepEqual(roles.all[1]?.reasons[0], 'forked by 100');
    assert.match(roles.all[1]?.reasons[1] ?? '', /root directory/);
  });
});

describe('the reasons', () => {
  it('of a manager are who names it, and its children', () => {
    const reasons = (processes: Situation['processes'], more: Partial<Situation>) =>
      member(100, { processes, ...more }).reasons;
    const named = 'named by /run/salt-api.pid';
    assert.deepEqual(reasons([manager, child], { pidFile: 100 }), [named, 'has salt-api children']);
    assert.deepEqual(reasons([manager], { pidFile: 100 }), [named]);
    const unit = { mainPid: 100 };
    assert.deepEqual(reasons([manager], { unit }), ['main process of salt-api.service']);
  });

  it('of what is unclear begin with its parent', () => {
    const reasons = (sketch: Partial<ProcessSketch>) =>
      member(37, { processes: [saltApi({ pid: 37, ppid: 1, ...sketch })] }).reasons;
    const dead = 'parent dead, reparented to pid 1';
    assert.deepEqual(reasons({}), [dead, 'nothing proves an orphan']);
    assert.deepEqual(reasons({ otherPorts: [8000] }), [dead, 'listens on port 8000, not on 443']);
  });

  it('do not speak of a root directory where we are not root and could not see it', () => {
    const { host } = evidenceOf({ processes: [] });
    const one = server({ pid: 37, ppid: 1, rootDirectory: 'unseen' });
    const role = (uid: number) =>
      member(37, { processes: [one], evidence: { host: { ...host, uid } } }).role;
    assert.deepEqual([role(0), role(1000)], ['unclear', 'orphan']);
  });

  it('of a port are its connections too: one is enough to have to do with it', () => {
    const one = saltApi({ pid: 37, ppid: 1, otherPorts: [8000], portConnections: 1 });
    assert.equal(member(37, { processes: [one] }).role, 'orphan');
  });
});

describe('a pid file', () => {
  const lone = saltApi({ pid: 100, ppid: 1, age: 60 });

  it('is believed up to 3 s before the start that it names: two clocks tell them', () => {
    const role = (pidFileAge: number) =>
      member(100, { processes: [lone], pidFile: 100, pidFileAge }).role;
    assert.equal(role(63), 'manager');
    assert.equal(role(63.01), 'unclear');
    assert.equal(role(55), 'manager');
  });

  it('of its own makes no orphan of a daemon whose clock was set since', () => {
    const { role, reasons } = member(100, { processes: [lone], pidFile: 100, pidFileAge: 9000 });
    assert.deepEqual([role, reasons.at(-1)], ['unclear', 'nothing proves an orphan']);
  });

  it('that names what is not there, or another than it named, is a sign of an orphan', () => {
    const orphan = saltApi({ pid: 37, ppid: 1, age: 600 });
    const reasons = (pidFile: number, processes: Situation['processes']) =>
      member(37, { processes, pidFile, pidFileAge: 9000 }).reasons.join('; ');
    assert.match(reasons(55, [orphan]), /names 55, which is not salt-api/);
    const reused = saltApi({ pid: 100, ppid: 1, age: 300 });
    assert.match(reasons(100, [orphan, reused]), /older than process 100: the pid was given out/);
  });
});

describe('a line of processes', () => {
  it('shares what it listens on instead, in order, and nothing where it has the port', () => {
    const other = saltApi({ pid: 101, ppid: 100, session: 98, otherPorts: [9000, 8000] });
    assert.deepEqual(member(100, { processes: [manager, other] }).servesInstead, [8000, 9000]);
    const both = { ...child, otherPorts: [8000] };
    assert.deepEqual(member(100, { processes: [manager, both] }).servesInstead, []);
  });

  it('has all the holders of a socket, the eldest as theirs', () => {
    const jobs = [300, 301, 302].map((pid, index) =>
      saltApi({ pid, ppid: 1, session: pid - 1, age: 900 - index, listens: [INODE] }),
    );
    const roles = classify({ processes: jobs });
    assert.deepEqual(
      roles.all.map(({ role, under }) => [role, under]),
      [
        ['orphan', null],
        ['fork', 300],
        ['fork', 300],
      ],
    );
  });

  it('has a job of the live server also where an older one is left of the server before it', () => {
    const old = saltApi({ pid: 300, ppid: 1, session: 299, age: 9000, listens: [INODE] });
    const young = saltApi({ pid: 301, ppid: 1, session: 300, age: 5, listens: [INODE] });
    const processes = [manager, child, old, young];
    assert.deepEqual(
      [member(301, { processes }).role, member(301, { processes }).under],
      ['job', 101],
    );
  });

  it('has jobs: forked after the server, no older than the daemon, told by one thread', () => {
    const job = (sketch: Partial<ProcessSketch>, more: Partial<Situation> = {}) => {
      const one = saltApi({ pid: 300, ppid: 1, session: 299, age: 5, listens: [INODE], ...sketch });
      const { role, under, reasons } = member(300, { processes: [manager, child, one], ...more });
      return { role, under, reasons };
    };
    const shares = 'shares the listening socket with the live server 101, started after it';
    const thread = 'single thread: a job fork';
    assert.deepEqual(job({}), { role: 'job', under: 101, reasons: [shares, thread] });
    assert.deepEqual(job({ threads: 2 }).reasons, [shares]);
    assert.equal(job({ age: 3600 }).role, 'job', 'of the tick of its server');
    const late = { processes: [manager, { ...child, startTicks: child.startTicks + 100 }] };
    const between = saltApi({ pid: 300, ppid: 1, session: 299, age: 3599.5, listens: [INODE] });
    const early = member(300, { processes: [...late.processes, between] });
    assert.equal(early.role, 'orphan', 'forked before the server that is live now');
    assert.equal(job({ age: 9000 }).role, 'orphan', 'older than the daemon');
    // A manager that is named and holds the socket itself is no server that could fork jobs.
    const itself = { ...manager, listens: [INODE] };
    const lone = saltApi({ pid: 300, ppid: 1, session: 299, age: 5, listens: [INODE] });
    const named = member(300, { processes: [itself, lone], pidFile: 100 });
    assert.deepEqual([named.role, named.under], ['fork', 100]);
    assert.deepEqual(named.reasons, [
      'shares the listening socket with 100, which is older',
      thread,
    ]);
  });

  it('is not given to pid 1 below its root, though pid 1 is the manager of a container', () => {
    const processes = [
      saltApi({ pid: 1, ppid: 0, session: 1 }),
      server({ pid: 9, ppid: 1, session: 1 }),
    ];
    assert.equal(member(9, { processes }).reparented, false);
  });

  it('says of each how it came about', () => {
    const fork = saltApi({ pid: 201, ppid: 101, listens: [INODE] });
    const reasons = (pid: number) => member(pid, { processes: [manager, child, fork] }).reasons;
    assert.deepEqual(reasons(101), ['child of the manager 100']);
    assert.deepEqual(reasons(201), ['forked by 101']);
    const alone = saltApi({ pid: 50, ppid: 1, saltSigns: [] });
    assert.deepEqual(member(50, { processes: [alone] }).reasons, [
      'parent dead, reparented to pid 1',
      'nothing but its command line says that it is Salt',
    ]);
  });
});

describe('a service that is salt-api’s own', () => {
  const leader = (cgroup: string) => server({ pid: 37, ppid: 1, session: 37, age: 9000, cgroup });

  it('is the one of the unit, and the one that a live manager is in', () => {
    const unit = { mainPid: 0, controlGroup: '/system.slice/salt-api.service' };
    const role = (cgroup: string, more: Partial<Situation> = {}) =>
      member(37, { processes: [leader(cgroup)], unit, ...more }).role;
    assert.equal(role('/system.slice/salt-api.service'), 'orphan');
    assert.equal(role('/system.slice/rest.service'), 'unclear');
    const inRest = { ...manager, cgroup: '/system.slice/rest.service' };
    const processes = [inRest, { ...child, listens: [] }, leader('/system.slice/rest.service')];
    assert.equal(role('', { processes }), 'orphan');
  });
});
