import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KillTarget } from '../../src/host/host.ts';
import {
  judgeKill,
  type KillMoment,
  refuseTarget,
  refuseToKill,
  relatePidNamespace,
} from '../../src/host/kill-guard.ts';

const target: KillTarget = {
  identity: { pid: 17502, startTicks: 4_711, bootId: 'a-boot' },
  argv: ['/usr/bin/python2.7', '/usr/bin/salt-api', '-d'],
};
const moment: KillMoment = {
  startTicks: 4_711,
  bootId: 'a-boot',
  argv: target.argv,
  dead: false,
  parent: 1,
  pidNamespace: 'ours',
  self: 900,
  ancestors: [800, 700, 1],
};

function refusal(change: Partial<KillMoment>, planned: Partial<KillTarget> = {}): string {
  return refuseToKill({ ...target, ...planned }, { ...moment, ...change }) ?? 'killed';
}

describe('a kill is refused', () => {
  it('never for the process that the plan names, unchanged', () => {
    assert.equal(refuseToKill(target, moment), null);
  });

  it('for pid 1, and for what kill(2) takes for a group or for everything', () => {
    for (const pid of [1, 0, -1, -17502, 1.5, Number.NaN]) {
      const identity = { ...target.identity, pid };
      assert.match(refusal({ ancestors: [] }, { identity }), /is never killed/, String(pid));
    }
  });

  it('for salt-triage itself, however it is called', () => {
    assert.match(refusal({ self: 17502 }), /salt-triage itself/);
  });

  it('for every process that salt-triage descends from', () => {
    assert.match(refusal({ ancestors: [800, 17502, 1] }), /what started salt-triage/);
  });

  it('when the pid was given out again', () => {
    assert.match(refusal({ startTicks: 4_712 }), /given out again/);
  });

  it('after another boot, where start ticks and pid may be the same by chance', () => {
    assert.match(refusal({ bootId: 'another-boot' }), /booted/);
  });

  it("where the boot can't be told, even if the plan could not tell it either", () => {
    const identity = { ...target.identity, bootId: '' };
    assert.match(refusal({ bootId: '' }, { identity }), /can't be told/);
  });

  it('when an orphan has another parent than in the plan', () => {
    assert.match(
      refusal({ parent: 950 }, { parent: 1 }),
      /the parent of 17502 is 950 now, and was 1/,
    );
    assert.equal(refusal({ parent: 1 }, { parent: 1 }), 'killed');
    // A child's manager may be what was killed just before it.
    assert.equal(refusal({ parent: 1 }), 'killed');
  });

  it('in another PID namespace', () => {
    assert.match(refusal({ pidNamespace: 'other' }), /another PID namespace/);
  });

  it("in a PID namespace that can't be judged", () => {
    assert.match(refusal({ pidNamespace: 'unseen' }), /can't be told/);
  });

  it('when it is no salt-api by position, even if the plan said the same', () => {
    for (const argv of [
      ['/usr/sbin/nginx'],
      ['vim', '/usr/bin/salt-api'],
      ['/bin/sh', '/etc/init.d/salt-api', 'stop'],
      [],
    ]) {
      assert.match(refusal({ argv }, { argv }), /not salt-api/, argv.join(' '));
    }
  });

  it('when it is another salt-api than planned', () => {
    const argv = [...target.argv, '-c', '/etc/salt-two'];
    assert.match(refusal({ argv }), /another command line/);
    assert.match(
      refusal({ argv: ['/usr/bin/python2.7', '/opt/salt-api', '-d'] }),
      /another command/,
    );
  });

  it('when it differs behind a word that only looks like a title', () => {
    const planned = ['/usr/bin/salt-api', 'MainProcess', '-d'];
    const argv = ['/usr/bin/salt-api', 'MainProcess', '--no'];
    assert.match(refusal({ argv }, { argv: planned }), /another command line/);
  });

  it('never because setproctitle has padded the title with NULs', () => {
    assert.equal(refuseToKill(target, { ...moment, argv: [...target.argv, '', ''] }), null);
  });

  it('never because setproctitle has rewritten the title meanwhile', () => {
    const titled = ['/usr/bin/python2.7 /usr/bin/salt-api -d NetAPIProcessManager'];
    const again = ['/usr/bin/python2.7 /usr/bin/salt-api -d NetAPIProcessManager RunNetapi'];
    assert.equal(refuseToKill(target, { ...moment, argv: titled }), null);
    assert.equal(refuseToKill({ ...target, argv: titled }, { ...moment, argv: again }), null);
  });
});

describe('a target is refused before any look', () => {
  it('never where the plan names a salt-api', () => {
    assert.equal(refuseTarget(target), null);
  });

  it('for pid 1, and for what kill(2) takes for a group or for everything', () => {
    for (const pid of [1, 0, -1, -17502, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      const identity = { ...target.identity, pid };
      assert.match(refuseTarget({ ...target, identity }) ?? '', /is never killed/, String(pid));
    }
    assert.equal(refuseTarget({ ...target, identity: { ...target.identity, pid: 2 } }), null);
  });

  it('where it was no salt-api when the plan was made', () => {
    for (const argv of [['/usr/sbin/nginx'], ['vim', '/usr/bin/salt-api'], []]) {
      assert.match(refuseTarget({ ...target, argv }) ?? '', /was no salt-api/, argv.join(' '));
    }
  });
});

describe('a kill is judged', () => {
  it('as nothing to do where the process is gone, or dead and not reaped', () => {
    assert.deepEqual(judgeKill(target, 'gone'), { kind: 'gone-before' });
    const zombie = { kind: 'zombie', parent: 12 };
    const dead = { ...moment, argv: [], dead: true, parent: 12 };
    assert.deepEqual(judgeKill(target, dead), zombie);
  });

  it('as a refusal where what is dead is another process', () => {
    for (const other of [{ startTicks: 1 }, { bootId: 'another-boot' }]) {
      const outcome = judgeKill(target, { ...moment, dead: true, ...other });
      assert.equal(outcome?.kind, 'refused');
    }
  });

  it("as not permitted where the process can't be read", () => {
    assert.deepEqual(judgeKill(target, 'denied'), { kind: 'not-permitted' });
  });

  it('by every guard, and lets the process through that is meant', () => {
    assert.equal(judgeKill(target, moment), null);
    assert.deepEqual(judgeKill(target, { ...moment, startTicks: 1 }), {
      kind: 'refused',
      why: '17502 is another process now: the pid was given out again',
    });
  });
});

it('tells a PID namespace by its link, else by NSpid, and is blind without both', () => {
  assert.equal(relatePidNamespace('pid:[1]', 'pid:[1]', 2), 'ours');
  assert.equal(relatePidNamespace('pid:[1]', 'pid:[2]', 1), 'other');
  for (const [ours, theirs] of [
    [null, null],
    ['pid:[1]', null],
    [null, 'pid:[1]'],
  ] as const) {
    assert.equal(relatePidNamespace(ours, theirs, 1), 'ours');
    assert.equal(relatePidNamespace(ours, theirs, 2), 'other');
    assert.equal(relatePidNamespace(ours, theirs, 0), 'unseen');
  }
});
