import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import type { Evidence } from '../../src/evidence/evidence.ts';
import { evidenceOf, type Situation, saltApi, server } from './situation.ts';

const USER = 1000;
const DRILL = '/tmp/salt-triage-drill-a1b2c3/etc';
const argv = ['/usr/bin/python3', '/tmp/salt-triage-drill-a1b2c3/salt-api', '-c', DRILL, '-d'];
const hers = { uid: USER, argv };
const serving = [
  saltApi({ pid: 50, ppid: 1, ...hers }),
  server({ pid: 51, ppid: 50, age: 3599, ...hers }),
];
/** Somebody else's, whose fds she can't read. */
const roots = saltApi({ pid: 60, ppid: 1, fds: 'denied', environment: null });

/** What an ordinary user sees of a drill. */
function verdict(situation: Situation, looker: Partial<Evidence['host']> = {}): string {
  const evidence = evidenceOf({ pidFile: 50, ...situation });
  const instance = { configDirectory: DRILL, defaultConfigured: true, origin: 'option' } as const;
  const host = { ...evidence.host, uid: USER, ...looker };
  return diagnoseEvidence({ ...evidence, instance, host }).verdict.code;
}

describe('a drill', () => {
  it('is judged by its own processes, whatever else is hidden from her who runs it', () => {
    const all = [...serving, roots];
    for (const blindness of [{}, { hidden: true }, { deniedArgv: 3 }, { deniedFds: 90 }]) {
      assert.equal(verdict({ processes: all, ...blindness }), 'healthy', JSON.stringify(blindness));
    }
  });

  it('whose daemon has no child is down, though other processes are hidden', () => {
    const processes = serving.slice(0, 1);
    assert.equal(verdict({ processes, hidden: true }), 'down');
  });

  it("of somebody else's is unknown where much is hidden", () => {
    const looker = { uid: 2000 };
    const unread = serving.map((facts) => ({ ...facts, fds: 'denied' as const }));
    assert.equal(verdict({ processes: unread }, looker), 'unknown');
    assert.equal(verdict({ processes: serving, hidden: true }, looker), 'unknown');
  });

  it("of which nothing runs is unknown where processes are hidden: it may be anybody's", () => {
    assert.equal(verdict({ processes: [], pidFile: null, hidden: true }), 'unknown');
  });
});

it('a salt-api that is no drill stays unknown where much is hidden', () => {
  const ours = serving.map((facts) => ({
    ...facts,
    argv: ['/usr/bin/python3', '/usr/bin/salt-api', '-d'],
  }));
  const evidence = evidenceOf({ processes: ours, pidFile: 50, hidden: true });
  assert.equal(diagnoseEvidence(evidence).verdict.code, 'unknown');
});
