/** After which kill it is waited whether something starts salt-api again. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import type { SystemdUnitFacts } from '../../src/evidence/evidence.ts';
import { isKept } from '../../src/fix/respawn.ts';
import { evidenceOf, type ProcessSketch, saltApi, server, TITLED } from '../diagnosis/situation.ts';

const supervisor = saltApi({
  pid: 50,
  ppid: 1,
  age: 9_000,
  argv: ['/usr/bin/python3', '/usr/bin/supervisord'],
  comm: 'supervisord',
  saltSigns: null,
});

function kept(pid: number, sketch: Partial<ProcessSketch>, unit?: Partial<SystemdUnitFacts>) {
  const manager = saltApi({ pid: 100, ppid: 1, argv: TITLED, ...sketch });
  const processes = [supervisor, manager, server({ pid: 101, ppid: 100, age: 60 })];
  const situation = { processes, pidFile: 100, ...(unit === undefined ? {} : { unit }) };
  const diagnosis = diagnoseEvidence(evidenceOf(situation));
  const member = diagnosis.roles.all.find(({ facts }) => facts.pid === pid);
  assert.ok(member !== undefined);
  return isKept(member, diagnosis);
}

describe('something may start anew', () => {
  it('the child of a supervisor that lives', () => assert.ok(kept(100, { ppid: 50 })));

  it('what pid 1 itself has started, and not what has forked itself away', () => {
    assert.ok(kept(100, { session: 100, processGroup: 100 }));
    assert.ok(!kept(100, {}));
  });

  it('what leads a process group under pid 1, as under a supervisord in a container', () => {
    assert.ok(kept(100, { session: 1, processGroup: 100 }));
  });

  it('what is of a unit that is not stopped', () => {
    assert.ok(kept(100, {}, { activeState: 'active' }));
    assert.ok(kept(100, {}, { activeState: 'activating' }));
    assert.ok(kept(100, {}, { activeState: 'reloading' }));
    assert.ok(!kept(100, {}, { activeState: 'failed' }));
    assert.ok(!kept(100, {}, { activeState: 'inactive' }));
  });

  it('no child by itself: its manager does that, and is looked at by itself', () => {
    assert.ok(!kept(101, { ppid: 50 }));
  });

  it('no orphan', () => {
    const orphan = server({ pid: 37, ppid: 1, session: 12, age: 9_000 });
    const now = diagnoseEvidence(evidenceOf({ processes: [orphan] }));
    const [member] = now.roles.all;
    assert.ok(member?.role === 'orphan');
    assert.ok(!isKept(member, now));
  });
});
