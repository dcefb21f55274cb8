/** Whether a parent is dead, and what then proves an orphan: each sign by itself. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  hasPool,
  looksLikeForkedJob,
  type OrphanContext,
  orphanProofs,
  parentageOf,
} from '../../src/diagnosis/orphan-signs.ts';
import { takesOrphans } from '../../src/diagnosis/orphan-takers.ts';
import type { ProcessFacts, SystemdUnitFacts } from '../../src/evidence/evidence.ts';
import { readSaltApiArgv } from '../../src/evidence/salt-api-argv.ts';
import { evidenceOf, INODE, type ProcessSketch, saltApi, TITLED } from './situation.ts';

describe('a parent', () => {
  const shell = saltApi({ pid: 700, ppid: 1, argv: ['-bash'], comm: 'ba\u001b[1msh' });
  const tini = saltApi({ pid: 700, ppid: 1, argv: ['/usr/bin/tini', '-s'], comm: 'tini' });
  const of = (sketch: Partial<ProcessSketch>, parent?: ProcessFacts, units: string[] = []) => {
    const { reparented, sign } = parentageOf(
      saltApi({ pid: 37, ppid: 1, ...sketch }),
      parent,
      units,
    );
    return `${reparented}: ${sign}`;
  };

  it('is dead where pid 1 has the process, and for pid 1 of a container', () => {
    assert.equal(of({}), 'true: parent dead, reparented to pid 1');
    assert.match(of({ ppid: 0 }), /^true/);
  });

  it('lives where it is any other, pid 2 too, and is named without its escapes', () => {
    assert.equal(of({ ppid: 700 }, shell), 'false: parent 700 (bash) lives');
    assert.equal(of({ ppid: 2 }), 'false: parent 2 lives');
    assert.equal(of({ ppid: 700 }), 'false: parent 700 lives');
  });

  it('is dead where a taker of orphans has the process, unless that leads a group or a service', () => {
    assert.equal(of({ ppid: 700 }, tini), 'true: parent dead, reparented to 700 (tini)');
    assert.match(of({ ppid: 700, processGroup: 37 }, tini), /^false/);
    const own = { ppid: 700, session: 37, cgroup: '/user.slice/app.slice/checks.service' };
    assert.match(of(own, tini), /^false/);
    assert.match(of({ ...own, session: 12 }, tini), /^true/);
  });

  it('that can not be read may be the manager; one that is a zombie has no argv either', () => {
    const unread = saltApi({ pid: 700, ppid: 1, argv: [], comm: 'x' });
    assert.equal(of({ ppid: 700 }, unread), "false: parent 700 (x) can't be read");
    assert.equal(of({ ppid: 700 }, { ...unread, state: 'Z' }), 'false: parent 700 (x) lives');
  });

  it('is systemd, and lives, for the first process of a service that is not salt-api’s', () => {
    const first = { session: 37, cgroup: '/system.slice/che\u001b[1mcks.service' };
    assert.equal(of(first), 'false: started by pid 1 as checks.service');
    assert.match(of({ ...first, session: 12 }), /^true/);
    assert.match(of(first, undefined, [first.cgroup]), /^true/);
    assert.match(of({ ...first, cgroup: null }), /^true/);
    assert.match(of({ ...first, cgroup: '/system.slice/x.service/session-3.scope' }), /^true/);
  });
});

describe('a program that takes orphans', () => {
  const takes = (...argv: string[]) => takesOrphans({ argv });

  it('is known by its name, where packages and images put it', () => {
    for (const argv of [
      ['/lib/systemd/systemd', '--user'],
      ['/usr/lib/systemd/systemd', '--user', '--deserialize=3'],
      ['/usr/bin/tini', '-s', '--', 'x'],
      ['/tini-static', '-s'],
      ['/sbin/docker-init', '--', 'x'],
      ['/dev/init', '--user'],
      ['/usr/libexec/podman/catatonit', '-P'],
      ['/usr/bin/containerd-shim-runc-v2', '-id', 'x'],
      ['/usr/bin/docker-containerd-shim', 'x'],
      ['/usr/libexec/podman/conmon', '-c', 'x'],
      ['/usr/libexec/cri-o/conmon', '-c', 'x'],
      ['/usr/libexec/catatonit'],
      ['/usr/lib/podman/conmonrs'],
      ['/lib/cri-o/conmon'],
      ['/usr/lib/containerd/containerd-shim'],
      ['/usr/bin/containerd-shim-io.containerd.x-v1'],
      ['/sbin/upstart', '--user'],
      ['tini', '-s'],
    ]) {
      assert.ok(takes(...argv), argv.join(' '));
    }
  });

  it('is no other, nor one of that name elsewhere, nor without what makes it one', () => {
    for (const argv of [
      ['/lib/systemd/systemd'],
      ['/lib/systemd/systemd-logind', '--user'],
      ['/home/eve/tini', '-s'],
      ['/usr/bin/xtini', '-s'],
      ['/usr/bin/tinier', '-s'],
      ['/usr/bin/my-systemd', '--user'],
      ['/usr/bin/xcatatonit'],
      ['/usr/bin/catatonits'],
      ['/usr/bin/xcontainerd-shim'],
      ['/usr/bin/containerd-shimmer'],
      ['/usr/bin/xconmon'],
      ['/usr/bin/conmonitor'],
      ['/usr/bin/my-init', '--user'],
      ['/usr/bin/initd', '--user'],
      ['/usr/libexec'],
      ['/opt/checks/conmon'],
      ['/usr/bin/dumb-init', '-c', 'x'],
      ['/usr/bin/python3', '/usr/bin/tini'],
      ['/sbin/init'],
      ['-bash'],
      [],
    ]) {
      assert.ok(!takes(...argv), argv.join(' '));
    }
  });
});

describe('what proves an orphan', () => {
  const daemonFacts = saltApi({ pid: 100, ppid: 1, session: 98, age: 600, argv: TITLED });
  const unit = {
    unit: 'salt-api.service',
    mainPid: 0,
    controlGroup: '/system.slice/salt-api.service',
  } as SystemdUnitFacts;

  function proofs(sketch: Partial<ProcessSketch>, more: Partial<OrphanContext> = {}): string[] {
    const facts = saltApi({ pid: 37, ppid: 1, session: 12, ...sketch });
    const argv = readSaltApiArgv(facts.argv);
    assert.ok(argv !== null);
    const context = { unit: null, daemon: null, stale: [], hasChildren: () => false, ...more };
    return orphanProofs({ facts, argv }, { ...context, evidence: evidenceOf({ processes: [] }) });
  }

  function beside(named: boolean, argv = TITLED): Partial<OrphanContext> {
    const read = readSaltApiArgv(argv);
    assert.ok(read !== null);
    return { daemon: { facts: { ...daemonFacts, argv }, argv: read, named } };
  }

  it('is nothing of a lone process that has nothing', () => {
    assert.deepEqual(proofs({}), []);
  });

  it('is the listening socket, one accepted connection, a title without its escapes', () => {
    assert.match(proofs({ listens: [INODE] })[0] ?? '', /holds the listening socket/);
    assert.match(proofs({ portConnections: 1 })[0] ?? '', /owns 1 accepted connections/);
    const title = ['/usr/bin/python3 /usr/bin/salt-api RunNetapi(x\u001b[1m)'];
    assert.deepEqual(proofs({ argv: title }), ['title says child: RunNetapi(x)']);
  });

  it('is a pool of ten threads, from 20 s on, when a daemon would be known', () => {
    assert.deepEqual(proofs({ threads: 10, age: 20 }), [
      '10 threads, as a server has and a manager has not',
    ]);
    assert.deepEqual(proofs({ threads: 10, age: 19.9 }), []);
    assert.deepEqual(proofs({ threads: 9 }), []);
    assert.deepEqual(
      [9, 10].map((threads) => hasPool(saltApi({ pid: 1, ppid: 1, threads }))),
      [false, true],
    );
  });

  it('goes with the doubt that it may be a forked job: five threads at most, and the socket', () => {
    const job = (threads: number, listens = [INODE]) =>
      looksLikeForkedJob(saltApi({ pid: 37, ppid: 1, threads, listens }));
    assert.deepEqual([job(1), job(5), job(6), job(1, [])], [true, true, false, false]);
    assert.match(proofs({ threads: 5, listens: [INODE] }).at(-1) ?? '', /5 threads: a forked job/);
  });

  it('is a stale pid file of another, where no daemon runs', () => {
    const stale = [{ pid: 55, words: 'names 55' }];
    assert.deepEqual(proofs({}, { stale }), ['names 55']);
    assert.deepEqual(proofs({ age: 5 }, { stale }), []);
    assert.deepEqual(proofs({}, { stale: [{ pid: 37, words: 'names 37' }] }), []);
    assert.ok(!proofs({ age: 900 }, { stale, ...beside(true) }).includes('names 55'));
  });

  it('beside a daemon is to be older, or of its session and not its child', () => {
    assert.deepEqual(proofs({ age: 660 }, beside(false)), [
      'started 1 min before the daemon 100',
      "session 12, the daemon's is 98",
    ]);
    assert.deepEqual(proofs({ age: 60, session: 98 }, beside(false)), [
      'in the session of the daemon 100, but not its child',
    ]);
    assert.deepEqual(
      proofs({ age: 600 }, beside(false)),
      [],
      'of the same tick, of another session',
    );
  });

  it('beside a named daemon with a title is to have none, and no child, from 20 s on', () => {
    const words = 'no title of a manager, as the daemon 100 has';
    const says = (sketch: Partial<ProcessSketch>, more: Partial<OrphanContext>) =>
      proofs({ age: 60, ...sketch }, more).includes(words);
    assert.ok(says({}, beside(true)));
    assert.ok(says({}, beside(true, ['/usr/bin/python3 /usr/bin/salt-api MainProcess'])));
    assert.ok(!says({}, beside(false)));
    assert.ok(!says({ age: 10 }, beside(true)));
    assert.ok(!says({ argv: TITLED }, beside(true)));
    assert.ok(!says({}, beside(true, ['/usr/bin/python3', '/usr/bin/salt-api'])));
    assert.ok(!says({}, { ...beside(true), hasChildren: () => true }));
  });

  it('is the cgroup of a unit whose main process is gone; outside of it only supports', () => {
    const headless = 'in the cgroup of salt-api.service, whose main process is not there';
    const group = unit.controlGroup;
    const says = (cgroup: string | null, more: Partial<OrphanContext> = {}) =>
      proofs({ cgroup }, { unit, ...more });
    assert.deepEqual(says(group), [headless]);
    assert.deepEqual(says(`${group}/child`), [headless]);
    assert.deepEqual(says(`${group}-two`), []);
    assert.deepEqual(says('/user.slice'), []);
    assert.deepEqual(says(null), []);
    assert.deepEqual(says(group, { unit: { ...unit, mainPid: 37 } }), []);
    assert.deepEqual(says(group, { unit: { ...unit, controlGroup: '' } }), []);
    assert.ok(!says(group, beside(true)).includes(headless));
    assert.ok(
      proofs({ listens: [INODE], cgroup: '/user.slice' }, { unit }).includes(
        'outside the cgroup of salt-api.service',
      ),
    );
  });
});
