/** Two netapi modules, two ports: every one is named, and the instance is judged. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import {
  type ApiLogFacts,
  type Evidence,
  type PortBindFailures,
  type ProcessFacts,
  seen,
} from '../../src/evidence/evidence.ts';
import { nextCommand } from '../../src/report/next-command.ts';
import { repeated } from '../report/repeated.ts';
import { evidenceOf, saltApi, server, TITLED } from './situation.ts';

const host = evidenceOf({ processes: [] });
const { now } = host.host;
const daemon = saltApi({ pid: 100, ppid: 1, argv: TITLED, age: 60 });
const cherrypy = server({ pid: 101, ppid: 100, age: 55 });
const tornado = saltApi({ pid: 102, ppid: 100, age: 55, otherPorts: [8000] });
/** What an earlier daemon left on the second port. */
const orphan = saltApi({ pid: 37, ppid: 1, session: 12, age: 9_000, otherPorts: [8000] });

function binds(port: number | null, secondsAgo: readonly number[]): PortBindFailures {
  const times = secondsAgo.map((seconds) => now - seconds * 1000).toSorted((a, b) => a - b);
  return {
    port,
    events: times.length,
    times,
    firstAt: times[0] ?? null,
    lastAt: times.at(-1) ?? null,
    pids: [],
    wordings: { 'port-not-free': times.length },
    samples: [`OSError: Port ${port} not free on '0.0.0.0'`],
  };
}

function twoModules(
  processes: readonly ProcessFacts[],
  {
    listening = [8000],
    failures = [],
    deniedFds = 0,
    single = false,
  }: {
    readonly listening?: readonly number[] | null;
    readonly failures?: readonly PortBindFailures[];
    readonly deniedFds?: number;
    readonly single?: boolean;
  } = {},
) {
  const { config, apiLog } = host;
  assert.ok(config.seen && apiLog.seen && config.value.netapi !== null);
  const second = { ...config.value.netapi, module: 'rest_tornado', port: 8000 } as const;
  const all = failures.flatMap(({ times }) => times).toSorted((a, b) => a - b);
  const log: Partial<ApiLogFacts> = {
    events: all.length,
    times: all,
    firstAt: all[0] ?? null,
    lastAt: all.at(-1) ?? null,
    ports: failures.flatMap(({ port }) => (port === null ? [] : [port])),
    byPort: failures,
  };
  const evidence: Evidence = evidenceOf({
    processes,
    pidFile: 100,
    deniedFds,
    evidence: {
      config: seen({ ...config.value, otherNetapis: single ? [] : [second] }),
      apiLog: seen({ ...apiLog.value, ...log }),
    },
  });
  const { sockets } = evidence;
  assert.ok(sockets.seen);
  const heard = listening === null ? {} : { alsoListening: listening };
  return diagnoseEvidence({ ...evidence, sockets: seen({ ...sockets.value, ...heard }) });
}

const others = (diagnosis: ReturnType<typeof twoModules>) =>
  diagnosis.findings['port-holder'].evidence.otherPorts?.map(({ port, state, pids }) => [
    port,
    state,
    pids.join(),
  ]);

describe('the second port of an instance', () => {
  it('is well where the daemon serves it too, and named in the details', () => {
    const diagnosis = twoModules([daemon, cherrypy, tornado]);
    assert.equal(diagnosis.verdict.code, 'healthy');
    assert.deepEqual(others(diagnosis), [[8000, 'served', '102']]);
    const { details } = diagnosis.findings['port-holder'];
    assert.ok(details.includes('port 8000 of rest_tornado is held by 102 of the daemon'));
  });

  it('makes the instance degraded where an orphan of an earlier daemon has it', () => {
    const diagnosis = twoModules([orphan, daemon, cherrypy]);
    assert.deepEqual(others(diagnosis), [[8000, 'stray', '37']]);
    assert.equal(diagnosis.findings['port-holder'].status, 'fail');
    assert.equal(diagnosis.verdict.code, 'degraded');
    assert.equal(
      diagnosis.verdict.summary,
      'salt-api holds port 443, but port 8000 of rest_tornado is held by salt-api 37, not by the daemon',
    );
    assert.equal(nextCommand(diagnosis, repeated()).next, 'salt-triage diagnose --port 8000');
  });

  for (const [what, listening, deniedFds, state, code] of [
    ['nobody', [], 0, 'free', 'degraded'],
    ['another program', [8000], 0, 'foreign', 'degraded'],
    ['somebody whom we may not see', [8000], 2, 'unknown', 'healthy'],
    ['who was not looked for, in evidence of an older version', null, 0, 'unknown', 'healthy'],
  ] as const) {
    it(`says so where it is held by ${what}`, () => {
      const diagnosis = twoModules([daemon, cherrypy], { listening, deniedFds });
      assert.deepEqual(others(diagnosis), [[8000, state, '']]);
      assert.equal(diagnosis.verdict.code, code);
    });
  }

  it('gets the time that a start takes', () => {
    const young = saltApi({ pid: 100, ppid: 1, argv: TITLED, age: 15 });
    const child = server({ pid: 101, ppid: 100, age: 14 });
    assert.equal(twoModules([young, child], { listening: [] }).verdict.code, 'healthy');
  });

  it('is told beside the incident of the examined port', () => {
    const holder = server({ pid: 36, ppid: 1, session: 12, age: 9_000 });
    const diagnosis = twoModules([holder, orphan, daemon]);
    assert.equal(diagnosis.verdict.code, 'orphan-holds-port');
    assert.match(
      diagnosis.findings['port-holder'].summary,
      /; port 8000 of rest_tornado is held by salt-api 37, not by the daemon$/,
    );
  });

  it('does not hide that the examined one is not served', () => {
    const diagnosis = twoModules([daemon, tornado]);
    assert.equal(diagnosis.verdict.code, 'down');
    assert.match(diagnosis.verdict.summary, /nobody listens on port 443/);
  });

  it('that nobody has configured still means that salt-api may be meant for it', () => {
    const diagnosis = twoModules([daemon, tornado], { single: true });
    assert.equal(diagnosis.verdict.code, 'unknown');
    assert.equal(diagnosis.verdict.portInstead, 8000);
  });
});

describe('failed binds of two ports', () => {
  const everyTen = [5, 15, 25, 35, 45];
  const between = everyTen.map((seconds) => seconds - 4);

  it('count for their own port: number, interval and loop', () => {
    const failures = [binds(443, everyTen), binds(8000, between)];
    const { evidence } = twoModules([daemon], { failures }).findings['api-log'];
    assert.deepEqual(
      [evidence.events, evidence.eventsSinceDaemon, evidence.loopIntervalSeconds],
      [5, 5, 10],
    );
    assert.deepEqual(
      evidence.otherPorts.map(({ port, events }) => [port, events]),
      [[8000, 5]],
    );
    assert.deepEqual(evidence.samples, ["OSError: Port 443 not free on '0.0.0.0'"]);
  });

  it('of the second alone are no failure of the first', () => {
    const failures = [binds(8000, everyTen)];
    const { findings } = twoModules([orphan, daemon, cherrypy], { failures });
    const { status, summary, evidence } = findings['api-log'];
    assert.deepEqual([status, evidence.events, evidence.looping], ['pass', 0, false]);
    assert.equal(summary, 'no failed bind of 443 in the last 24 h; 5 failed binds of port 8000');
  });

  it('whose line names no port are told apart where it could be either', () => {
    const failures = [binds(null, everyTen), binds(443, [2])];
    const two = twoModules([daemon], { failures }).findings['api-log'];
    assert.equal(two.evidence.events, 1);
    assert.match(two.summary, /5 failed binds that name no port/);
    const one = twoModules([daemon], { failures, single: true }).findings['api-log'];
    assert.equal(one.evidence.events, 6);
    assert.deepEqual(one.evidence.otherPorts, []);
  });

  it('whose line names none are added to those that do, where others name a third', () => {
    const failures = [binds(null, [30]), binds(443, [2, 10]), binds(9, [1])];
    const { evidence } = twoModules([daemon], { failures, single: true }).findings['api-log'];
    assert.deepEqual([evidence.events, evidence.wordings['port-not-free']], [3, 3]);
    assert.equal(Date.parse(evidence.firstAt ?? ''), now - 30_000);
    assert.equal(Date.parse(evidence.lastAt ?? ''), now - 2_000);
  });
});
