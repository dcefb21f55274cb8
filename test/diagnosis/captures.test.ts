import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import type { VerdictCode } from '../../src/diagnosis/verdict.ts';
import { type Evidence, seen } from '../../src/evidence/evidence.ts';
import { parseEvidence, writeEvidence } from '../../src/evidence/evidence-file.ts';
import { RecordedHost } from '../../src/host/recorded-host.ts';
import { incident2018, STAGES, type Stage, stageEvidence } from '../recorded/captures.ts';

interface Expected {
  readonly verdict: VerdictCode;
  /** PID:ROLE of who holds the listening socket. */
  readonly holders: readonly string[];
  readonly orphans: readonly number[];
  readonly daemon: number | null;
  /** CLOSE_WAIT sockets, and how many of them nobody has accepted. */
  readonly closeWait: readonly [total: number, unaccepted: number];
  /** Failed starts in the log: three error lines of one start are one. */
  readonly events: number;
  readonly zombies?: number;
}

function judged(evidence: Evidence): Expected {
  const { findings, verdict } = diagnoseEvidence(evidence);
  const { count, unaccepted } = findings['close-wait'].evidence;
  const { zombies } = findings.orphans.evidence;
  return {
    verdict: verdict.code,
    holders: findings['port-holder'].evidence.holders.map(({ pid, role }) => `${pid}:${role}`),
    orphans: findings.orphans.evidence.processes.map(({ pid }) => pid),
    daemon: findings.orphans.evidence.daemonPid,
    closeWait: [count ?? -1, unaccepted],
    events: findings['api-log'].evidence.events ?? -1,
    ...(zombies > 0 ? { zombies } : {}),
  };
}

const STAGE_TABLE: Record<Stage, Expected> = {
  'jammed/healthy': {
    verdict: 'healthy',
    holders: ['37:child'],
    orphans: [],
    daemon: 13,
    closeWait: [0, 0],
    events: 0,
  },
  'jammed/hung': {
    verdict: 'hung',
    holders: ['37:child'],
    orphans: [],
    daemon: 13,
    closeWait: [120, 0],
    events: 0,
  },
  'jammed/orphan': {
    verdict: 'orphan-holds-port',
    holders: ['37:orphan'],
    orphans: [37],
    daemon: null,
    closeWait: [121, 0],
    events: 0,
  },
  'jammed/restarted': {
    verdict: 'orphan-holds-port',
    holders: ['37:orphan'],
    orphans: [37],
    daemon: 1580,
    closeWait: [172, 0],
    events: 1,
    zombies: 1,
  },
  // SIGTERM closed the listener; the process and its sockets stay (salt-facts §1.7).
  'jammed/sigterm-orphan': {
    verdict: 'orphan-stray',
    holders: [],
    orphans: [37],
    daemon: null,
    closeWait: [223, 0],
    events: 2,
  },
  // Recorded after the kill and before the start: what it holds is a host without salt-api.
  'jammed/healed': {
    verdict: 'down',
    holders: [],
    orphans: [],
    daemon: null,
    closeWait: [0, 0],
    events: 2,
  },
  'stopped/healthy': {
    verdict: 'healthy',
    holders: ['37:child'],
    orphans: [],
    daemon: 13,
    closeWait: [0, 0],
    events: 0,
  },
  'stopped/hung': {
    verdict: 'hung',
    holders: ['37:child'],
    orphans: [],
    daemon: 13,
    closeWait: [12, 12],
    events: 0,
  },
  'stopped/orphan': {
    verdict: 'orphan-holds-port',
    holders: ['37:orphan'],
    orphans: [37],
    daemon: null,
    closeWait: [13, 13],
    events: 0,
  },
  'stopped/restarted': {
    verdict: 'orphan-holds-port',
    holders: ['37:orphan'],
    orphans: [37],
    daemon: 564,
    closeWait: [31, 31],
    events: 1,
    zombies: 1,
  },
  'stopped/sigterm-manager': {
    verdict: 'orphan-holds-port',
    holders: ['37:orphan'],
    orphans: [37],
    daemon: null,
    closeWait: [31, 31],
    events: 1,
  },
  // The manager has started the next child, which bears its title and serves.
  'child-killed/child-killed': {
    verdict: 'healthy',
    holders: ['163:child'],
    orphans: [],
    daemon: 13,
    closeWait: [0, 0],
    events: 0,
  },
};

for (const stage of STAGES) {
  test(`captures-3002 ${stage} is ${STAGE_TABLE[stage].verdict}`, () => {
    assert.deepEqual(judged(stageEvidence(stage)), STAGE_TABLE[stage]);
  });
}

test('a jammed orphan owns its CLOSE_WAIT sockets, a stopped one owns none', () => {
  const owned = (stage: Stage, pid: number) => {
    const { processes } = stageEvidence(stage);
    assert.ok(processes.seen);
    return processes.value.processes.find((facts) => facts.pid === pid)?.portConnections;
  };
  assert.equal(owned('jammed/restarted', 37), 172);
  assert.equal(owned('stopped/restarted', 37), 0);
});

test('the accept queue of the stopped orphan is backlog + 1', () => {
  const { findings } = diagnoseEvidence(stageEvidence('stopped/restarted'));
  assert.equal(findings['close-wait'].evidence.acceptQueue, 31);
  assert.equal(findings['close-wait'].evidence.backlog, 30);
});

test('2018, after the restart: 17502 is the orphan, 12603 the daemon that it keeps from the port', () => {
  const evidence = incident2018('after-restart', { listener: 17_502, pidFile: 12_603 });
  assert.deepEqual(judged(evidence), {
    verdict: 'orphan-holds-port',
    holders: ['17502:orphan'],
    orphans: [17_502],
    daemon: 12_603,
    closeWait: [0, 0],
    events: 1,
  });
});

test('2018, after the restart, without a pid file: the manager is known by its child', () => {
  const evidence = incident2018('after-restart', { listener: 17_502, pidFile: null });
  const { orphans, daemon } = judged(evidence);
  assert.deepEqual([orphans, daemon], [[17_502], 12_603]);
});

test('2018, after the stop: 17248, titled ProcessManager like its dead parent, is an orphan', () => {
  const onPort = judged(incident2018('after-stop', { listener: 17_248, pidFile: null }));
  assert.equal(onPort.verdict, 'orphan-holds-port');
  assert.deepEqual(onPort.orphans, [17_248]);
  const stray = judged(incident2018('after-stop', { listener: null, pidFile: 12_603 }));
  assert.equal(stray.verdict, 'orphan-stray');
  assert.deepEqual(stray.orphans, [17_248]);
});

test('2018, after the stop, with nothing but a ppid of 1: said, and not called an orphan', () => {
  const { verdict, findings } = diagnoseEvidence(
    incident2018('after-stop', { listener: null, pidFile: null }),
  );
  assert.equal(verdict.code, 'down');
  assert.match(verdict.summary, /17248/);
  assert.equal(findings.orphans.status, 'warn');
});

test('a healthy host of which anything is hidden is unknown: an orphan may be among that', () => {
  const evidence = stageEvidence('jammed/healthy');
  assert.ok(evidence.processes.seen);
  const { value } = evidence.processes;
  for (const hidden of [{ hidden: true }, { deniedArgv: 1 }]) {
    const { verdict } = diagnoseEvidence({ ...evidence, processes: seen({ ...value, ...hidden }) });
    assert.equal(verdict.code, 'unknown', JSON.stringify(hidden));
  }
});

test('every recording is judged the same after --save and --from', async () => {
  for (const stage of STAGES) {
    const evidence = stageEvidence(stage);
    const again = parseEvidence(writeEvidence(evidence));
    assert.deepEqual(again, evidence);
    const look = new RecordedHost(again).look();
    assert.deepEqual(await look.processes, evidence.processes);
    assert.deepEqual(diagnoseEvidence(again).verdict, diagnoseEvidence(evidence).verdict);
  }
});
