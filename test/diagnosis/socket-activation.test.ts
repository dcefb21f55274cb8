/** A port that systemd itself holds for the service, so as to start it when it is asked. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import {
  type Evidence,
  type ProcessFacts,
  type RelatedUnit,
  seen,
} from '../../src/evidence/evidence.ts';
import { evidenceOf, INODE, saltApi, server, TITLED } from './situation.ts';

const systemd = saltApi({
  pid: 1,
  ppid: 0,
  argv: ['/sbin/init'],
  comm: 'systemd',
  listens: [INODE],
});
const daemon = saltApi({ pid: 100, ppid: 1, argv: TITLED, age: 60, listens: [INODE] });
const child = server({ pid: 101, ppid: 100, age: 55 });
const orphan = server({ pid: 37, ppid: 1, session: 12, age: 9_000 });

function diagnosed(
  processes: readonly ProcessFacts[],
  socket: Partial<RelatedUnit> = {},
  evidence: Partial<Evidence> = {},
) {
  const mainPid = processes.includes(daemon) ? daemon.pid : 0;
  const plain = evidenceOf({
    processes,
    unit: { mainPid, sockets: ['salt-api.socket'] },
    evidence,
  });
  assert.ok(plain.service.seen);
  const relatedUnits = [
    { unit: 'salt-api.socket', activeState: 'active', ports: [443], ...socket },
  ];
  return diagnoseEvidence({ ...plain, service: seen({ ...plain.service.value, relatedUnits }) });
}

function holder(...about: Parameters<typeof diagnosed>) {
  return diagnosed(...about).findings['port-holder'];
}

describe('the listening socket that systemd holds', () => {
  it('is the service’s own beside the daemon, whose child is named', () => {
    const { verdict, findings } = diagnosed([systemd, daemon, child]);
    assert.equal(verdict.code, 'healthy');
    assert.equal(
      findings['port-holder'].summary,
      '443 is held by 101, child of the daemon 100; systemd holds it too, for salt-api.socket',
    );
    const [first] = findings['port-holder'].evidence.holders;
    assert.deepEqual(first?.reasons, ['systemd itself, for salt-api.socket']);
  });

  it('leaves an orphan on the port an orphan', () => {
    assert.equal(holder([systemd, orphan]).evidence.state, 'orphan');
  });

  it('is a port that nobody serves where salt-api does not run, and never a foreign one', () => {
    const answer = seen({ kind: 'no-reply', afterMs: 5_000, tls: true } as const);
    const { verdict, findings } = diagnosed([systemd], {}, { answer });
    assert.equal(findings['port-holder'].evidence.state, 'free');
    assert.match(
      findings['port-holder'].summary,
      /only systemd itself listens on 443, for salt-api/,
    );
    assert.equal(verdict.code, 'down');
    assert.match(verdict.summary, /only systemd listens on port 443/);
  });

  it('is not known to be without a server where the question itself has started one', () => {
    const { verdict } = diagnosed([systemd]);
    assert.equal(verdict.code, 'unknown');
    assert.match(verdict.summary, /as this look did: look again/);
  });

  it('is another program’s where the socket unit is for another port, or not listening', () => {
    assert.equal(holder([systemd], { ports: [8000] }).evidence.state, 'foreign');
    assert.equal(holder([systemd], { activeState: 'inactive' }).evidence.state, 'foreign');
  });

  it('is another program’s where any but pid 1 has it', () => {
    const nginx = saltApi({ pid: 800, ppid: 1, argv: ['nginx: master'], listens: [INODE] });
    assert.equal(holder([systemd, nginx]).evidence.state, 'foreign');
  });
});

describe('a service that is down', () => {
  it('is told with what systemd says of it', () => {
    const unit = { mainPid: 0, activeState: 'failed', result: 'exit-code', restarts: 3 };
    const { verdict } = diagnoseEvidence(evidenceOf({ processes: [], unit }));
    assert.match(verdict.summary, /no salt-api daemon runs.*systemd has given up on salt-api/);
    assert.match(verdict.evidence.join('\n'), /Result=exit-code/);
  });
});
