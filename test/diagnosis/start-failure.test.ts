/** A start that failed for another reason than a held port: said in step 4, the verdict and Next. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import {
  type ApiLogFacts,
  type NetapiFacts,
  type ProcessFacts,
  START_FAILURE_KINDS,
  type StartFailureFacts,
  seen,
} from '../../src/evidence/evidence.ts';
import { planFix } from '../../src/plan/plan.ts';
import { chooseServiceManager } from '../../src/plan/service-manager.ts';
import { nextCommand } from '../../src/report/next-command.ts';
import { repeated } from '../report/repeated.ts';
import { evidenceOf, saltApi, server, TITLED } from './situation.ts';

const healthyHost = evidenceOf({ processes: [] });
const { now } = healthyHost.host;
const daemon = saltApi({ pid: 100, ppid: 1, argv: TITLED, age: 60 });
const zombie = saltApi({ pid: 101, ppid: 100, state: 'Z', argv: [], age: 5 });

function failed(
  secondsAgo: number | null,
  more: Partial<StartFailureFacts> = {},
): StartFailureFacts {
  return {
    kind: 'certificate',
    port: null,
    module: null,
    count: 3,
    lastAt: secondsAgo === null ? null : now - secondsAgo * 1000,
    sample: 'Exception: Could not find a certificate: /etc/pki/api.crt',
    ...more,
  };
}

function diagnose(
  startFailures: readonly StartFailureFacts[],
  {
    processes = [daemon, zombie],
    log = {},
    otherNetapis = [],
  }: {
    readonly processes?: readonly ProcessFacts[];
    readonly log?: Partial<ApiLogFacts>;
    readonly otherNetapis?: readonly NetapiFacts[];
  } = {},
) {
  const { apiLog, config } = healthyHost;
  assert.ok(apiLog.seen && config.seen);
  const evidence = evidenceOf({
    processes,
    pidFile: 100,
    evidence: {
      apiLog: seen({ ...apiLog.value, startFailures, ...log }),
      config: seen({ ...config.value, otherNetapis }),
    },
  });
  const diagnosis = diagnoseEvidence(evidence);
  return { ...diagnosis, log: diagnosis.findings['api-log'] };
}

describe('a start that failed for want of a certificate', () => {
  it('fails step 4, which says the reason beside "no failed bind"', () => {
    const { log } = diagnose([failed(7)]);
    assert.equal(log.status, 'fail');
    assert.equal(
      log.summary,
      'no failed bind in the last 24 h, but a start failed at 02:59:53: Could not find a certificate: /etc/pki/api.crt',
    );
    assert.equal(log.evidence.events, 0);
    assert.equal(log.evidence.startFailure?.kind, 'certificate');
    assert.equal(log.evidence.startFailures[0]?.count, 3);
  });

  it('is the reason of the verdict, which no longer says that the child never gets the port', () => {
    const { verdict } = diagnose([failed(7)]);
    assert.equal(verdict.code, 'restart-loop');
    assert.match(verdict.summary, /does not come up on port 443: Could not find a certificate/);
    assert.doesNotMatch(verdict.summary, /never gets/);
    assert.match(verdict.evidence[0] ?? '', /^API log: /);
  });

  it('is a daemon that is down where it has no child, and where none runs', () => {
    assert.equal(diagnose([failed(7)], { processes: [daemon] }).verdict.code, 'down');
    const { verdict } = diagnose([failed(7)], { processes: [] });
    assert.equal(verdict.code, 'down');
    assert.match(verdict.summary, /nobody listens on port 443: a start failed at/);
  });

  it('is told of a daemon that has just started, without waiting for it to come up', () => {
    const young = saltApi({ pid: 100, ppid: 1, argv: TITLED, age: 4 });
    assert.equal(diagnose([failed(2)], { processes: [young] }).verdict.code, 'down');
    assert.equal(diagnose([], { processes: [young] }).verdict.code, 'unknown');
  });

  it('makes Next look at the certificate, not restart', () => {
    const { next, nextNote } = nextCommand(diagnose([failed(7)]), repeated());
    assert.equal(next, 'ls -l /etc/pki/api.crt');
    assert.match(nextNote, /ssl_crt and ssl_key/);
  });

  it('is warned of before the first question of a fix', () => {
    const diagnosis = diagnose([failed(7)]);
    const manager = chooseServiceManager(diagnosis.evidence.service, {
      service: 'auto',
      unit: 'salt-api',
      unitNamed: false,
      stopCommand: ['stop'],
      startCommand: ['start'],
    });
    const plan = planFix(diagnosis, manager, { only: undefined, restart: 'always' });
    assert.ok(plan.kind === 'fix');
    assert.match(
      plan.remarks.join('\n'),
      /Could not find a certificate.*a restart alone does not help/,
    );
  });

  it('quotes a path that a stranger may have put into the log', () => {
    const sample = 'Exception: Could not find a certificate: /x;reboot';
    assert.equal(
      nextCommand(diagnose([failed(7, { sample })]), repeated()).next,
      "ls -l '/x;reboot'",
    );
  });

  it('quotes it whole, though it ends in an escape sequence that would take the quote along', () => {
    const sample = 'Exception: Could not find a certificate: /x;reboot\x1b[';
    assert.equal(
      nextCommand(diagnose([failed(7, { sample })]), repeated()).next,
      "ls -l '/x;reboot'",
    );
  });
});

describe('which failed start stands', () => {
  const child = server({ pid: 102, ppid: 100, age: 30 });

  it('is none from before the server that serves now', () => {
    const { log, verdict } = diagnose([failed(40)], { processes: [daemon, child] });
    assert.deepEqual([log.status, log.summary], ['pass', 'no failed bind in the last 24 h']);
    assert.equal(verdict.code, 'healthy');
    assert.ok(
      log.details.some((line) => line.includes('/etc/pki/api.crt')),
      'it stays in -v',
    );
  });

  it('is none from before the daemon that runs now', () => {
    assert.equal(diagnose([failed(70)]).log.status, 'pass');
    assert.equal(diagnose([failed(59)]).log.status, 'fail');
  });

  it('is one of the first second too, as long as nothing serves', () => {
    const { log, verdict } = diagnose([failed(59.9)]);
    assert.equal(log.status, 'fail');
    assert.equal(verdict.startFailure?.kind, 'certificate');
    assert.equal(diagnose([failed(29.9)], { processes: [daemon, child] }).log.status, 'pass');
  });

  it('is one without a time only as a warning', () => {
    assert.equal(diagnose([failed(null)], { processes: [daemon, child] }).log.status, 'warn');
  });

  it('is the newest', () => {
    const older = failed(20);
    const newer = failed(3, { kind: 'permission', sample: 'PermissionError: [Errno 13]' });
    for (const all of [
      [older, newer],
      [newer, older],
    ]) {
      assert.equal(diagnose(all).verdict.startFailure?.kind, 'permission');
    }
  });

  it('is none of another port, or of a module that has another port', () => {
    const tornado = { module: 'rest_tornado', port: 8000 } as const;
    assert.equal(diagnose([failed(7, { port: 8000 })]).log.status, 'pass');
    assert.equal(diagnose([failed(7, { port: 443 })]).log.status, 'fail');
    // Old releases log this whether anybody has configured it or not.
    const noPort = failed(7, { kind: 'no-port', module: 'rest_tornado' });
    assert.equal(diagnose([noPort]).log.status, 'pass');
    assert.equal(diagnose([failed(7, { module: 'rest_cherrypy' })]).log.status, 'fail');
    const netapi = { ...tornado, file: 'x', host: '0.0.0.0', tls: false, backlog: 128 };
    const { log } = diagnose([failed(7, { module: 'rest_tornado' })], { otherNetapis: [netapi] });
    assert.equal(log.status, 'pass');
  });

  it('is not the reason where the port was found held since', () => {
    const times = [5, 3].map((seconds) => now - seconds * 1000);
    const binds = { events: 2, times, firstAt: times[0] ?? null, lastAt: times[1] ?? null };
    const { verdict, log } = diagnose([failed(7)], { log: { ...binds, ports: [443] } });
    assert.equal(verdict.startFailure, undefined);
    assert.match(verdict.summary, /the daemon 100 failed to bind it 3 s ago/);
    assert.match(log.summary, /; a start failed at/);
  });

  it('is none in evidence of a version that did not tell', () => {
    const { apiLog } = healthyHost;
    assert.ok(apiLog.seen && apiLog.value.startFailures === undefined);
    const { findings } = diagnoseEvidence(
      evidenceOf({ processes: [daemon, zombie], pidFile: 100 }),
    );
    assert.equal(findings['api-log'].evidence.startFailure, null);
  });
});

describe('what helps against a failed start', () => {
  it('is something to look at and something to do, for each kind', () => {
    const commands = START_FAILURE_KINDS.map((kind) => {
      const { next, nextNote } = nextCommand(
        diagnose([failed(7, { kind, sample: 'x' })]),
        repeated(),
      );
      assert.notEqual(nextNote, '');
      assert.doesNotMatch(next, /salt-triage fix/);
      return [kind, next];
    });
    assert.deepEqual(Object.fromEntries(commands), {
      'bind-permission': "grep -rnE '^user:|port:' /etc/salt/master /etc/salt/master.d",
      'bind-address': "grep -rnE 'host:|address:' /etc/salt/master /etc/salt/master.d",
      certificate: 'grep -rnE ssl_ /etc/salt/master /etc/salt/master.d',
      permission: "grep -rnE '^user:|ssl_' /etc/salt/master /etc/salt/master.d",
      'tls-options': 'grep -rnE ssl /etc/salt/master /etc/salt/master.d',
      'no-port': "grep -rnE 'rest_|port:' /etc/salt/master /etc/salt/master.d",
      'no-netapi': "grep -rnE 'rest_|port:' /etc/salt/master /etc/salt/master.d",
      import: 'salt-api --versions-report',
      exception: 'tail -n 50 /var/log/salt/api',
    });
  });

  it('says of an exception that the child ended, not that a start failed', () => {
    const { log } = diagnose([failed(7, { kind: 'exception', sample: 'KeyError: 1' })]);
    assert.match(log.summary, /but the API child ended with an error at 02:59:53: KeyError: 1$/);
  });
});
