import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { verdictExitCode } from '../../src/diagnosis/verdict.ts';
import { blind, type Evidence, type ServiceFacts, seen } from '../../src/evidence/evidence.ts';
import { planFix } from '../../src/plan/plan.ts';
import { nextCommand } from '../../src/report/next-command.ts';
import { repeated } from '../report/repeated.ts';
import { evidenceOf, type Situation, saltApi } from './situation.ts';

const NOTHING: ServiceFacts = {
  pidFiles: [],
  systemd: seen(null),
  systemdRuns: false,
  otherUnits: [],
  relatedUnits: [],
  initScript: false,
  openRc: false,
  installed: false,
};

/** A laptop, but for what a test puts there. */
function laptop(change: Partial<Evidence> = {}, situation: Partial<Situation> = {}): Evidence {
  return evidenceOf({
    processes: [],
    ...situation,
    evidence: {
      instance: { configDirectory: '/etc/salt', defaultConfigured: false, origin: 'default' },
      port: { number: 443, origin: { kind: 'default', why: 'no config' } },
      config: blind('missing', 'no Salt master config at /etc/salt/master'),
      service: seen(NOTHING),
      apiLog: blind('missing', '/var/log/salt/api does not exist'),
      ...change,
    },
  });
}

function verdictOf(evidence: Evidence): string {
  return diagnoseEvidence(evidence).verdict.code;
}

describe('a host with nothing of Salt', () => {
  it('is unknown, asks whether another is meant, and gets no fix', () => {
    const diagnosis = diagnoseEvidence(laptop());
    const { code, summary } = diagnosis.verdict;
    assert.equal(code, 'unknown');
    assert.match(summary, /name the host that runs it with --host/);
    assert.equal(verdictExitCode(code, false), 3);
    assert.match(nextCommand(diagnosis, repeated()).next, /^salt-triage diagnose --host HOST/);
    const plan = planFix(diagnosis, null, { only: undefined, restart: 'always' });
    assert.equal(plan.kind, 'refused');
  });

  it('is that too where the journal is closed to us, and where systemd knows no such unit', () => {
    assert.equal(verdictOf(laptop({ apiLog: blind('permission', 'the journal') })), 'unknown');
    const { service } = evidenceOf({ processes: [], unit: { loadState: 'not-found' } });
    assert.ok(service.seen);
    const { systemd } = service.value;
    assert.equal(verdictOf(laptop({ service: seen({ ...NOTHING, systemd }) })), 'unknown');
  });

  it("is that too where a container's salt-api runs, or a drill", () => {
    const drill = ['python3', '/tmp/salt-triage-drill-a1b2c3/salt-api', '-c'];
    const processes = [
      saltApi({ pid: 50, ppid: 1, pidNamespace: 'other' }),
      saltApi({ pid: 51, ppid: 1, argv: [...drill, '/tmp/salt-triage-drill-a1b2c3/etc'] }),
    ];
    assert.equal(diagnoseEvidence(laptop({}, { processes })).verdict.withoutSalt, true);
  });

  it('is that too where another program has the port that nobody has named', () => {
    const nginx = saltApi({ pid: 9, ppid: 1, argv: ['/usr/sbin/nginx'], listens: [7001] });
    const diagnosis = diagnoseEvidence(laptop({}, { processes: [nginx] }));
    assert.equal(diagnosis.verdict.withoutSalt, true);
    const port = { number: 443, origin: { kind: 'option' } } as const;
    assert.equal(verdictOf(laptop({ port }, { processes: [nginx] })), 'foreign-holder');
  });
});

describe('a host is not without Salt', () => {
  const { service } = evidenceOf({ processes: [], unit: {} });
  assert.ok(service.seen);
  const { systemd } = service.value;
  assert.ok(systemd.seen && systemd.value !== null);
  const unit = systemd.value;
  const pidFile = { path: '/run/salt-api.pid', pid: null, modifiedAt: 0 };
  const found: readonly (readonly [string, Partial<Evidence>])[] = [
    ['a package', { service: seen({ ...NOTHING, installed: true }) }],
    ['a unit', { service: seen({ ...NOTHING, systemd }) }],
    ['a unit of another name', { service: seen({ ...NOTHING, otherUnits: [unit] }) }],
    ['an init script', { service: seen({ ...NOTHING, initScript: true }) }],
    ['a pid file', { service: seen({ ...NOTHING, pidFiles: [pidFile] }) }],
    ['a log', { apiLog: evidenceOf({ processes: [] }).apiLog }],
    ['a config', { config: evidenceOf({ processes: [] }).config }],
    ['a config that is closed to us', { config: blind('permission', 'EACCES') }],
    ['a service that could not be asked', { service: blind('timeout', 'systemctl') }],
    ['evidence of old', { service: seen({ ...NOTHING, installed: undefined }) }],
  ];
  for (const [what, change] of found) {
    it(`where there is ${what}`, () => {
      assert.equal(diagnoseEvidence(laptop(change)).verdict.withoutSalt, undefined);
    });
  }

  it('where a salt-api runs, of whatever configuration', () => {
    for (const more of [[], ['-c', '/srv/salt']]) {
      const argv = ['/usr/bin/python3', '/usr/bin/salt-api', '-d', ...more];
      const processes = [saltApi({ pid: 50, ppid: 1, argv })];
      assert.equal(diagnoseEvidence(laptop({}, { processes })).verdict.withoutSalt, undefined);
    }
  });
});
