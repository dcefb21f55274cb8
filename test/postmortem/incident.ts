/**
 * The incident of 2018 as the trail would have it today: the process table and the log are recorded ones;
 * rates, looks of checks, stacks and the journal are made up to fit the story that was told of it.
 */
import type { KeptLook } from '../../src/check/kept-looks.ts';
import { type Diagnosis, diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import type { ClientFacts } from '../../src/evidence/clients-facts.ts';
import { type Evidence, seen } from '../../src/evidence/evidence.ts';
import type { PostmortemCase } from '../../src/report/postmortem/case.ts';
import type { IncidentRecord } from '../../src/trail/incidents.ts';
import { incident2018 } from '../recorded/captures.ts';

const MINUTE = 60_000;
export const HOST = 'salt-master-01.corp.example.com';
export const BUSY = '10.2.3.4';

/** A moment of the night of the incident, in the host's zone. */
function night(clock: string): number {
  const day = clock > '12' ? '2018-07-12' : '2018-07-13';
  return Date.parse(`${day}T${clock}:00+08:00`);
}

const LAST_CALL = night('01:58');
const FIRST_CALL = night('20:00');

/** Calls a minute that sway a little around a rate. */
function calls(from: number, to: number, rate: (at: number) => number): number[] {
  return Array.from({ length: (to - from) / MINUTE }, (_, minute) => {
    return Math.max(0, rate(from + minute * MINUTE) + ((minute * 7) % 5) - 2);
  });
}

function client(address: string, agent: string | null, rate: (at: number) => number): ClientFacts {
  const counts = calls(FIRST_CALL, LAST_CALL, rate);
  const kinds = { ...NO_CALLS, run: counts.reduce((sum, count) => sum + count, 0) };
  return { address, agent, calls: kinds.run, kinds, firstMinute: FIRST_CALL, counts };
}

const NO_CALLS = {
  ...{ welcome: 0, login: 0, run: 0, 'start-job': 0 },
  ...{ 'all-grains': 0, jobs: 0, events: 0, other: 0 },
};

export function incidentEvidence(): Evidence {
  const evidence = incident2018('after-restart', { listener: 17_502, pidFile: 12_603 });
  const clients = [
    client(BUSY, 'cmdb/2.1', (at) => (at < night('22:40') ? 10 : 51)),
    client('10.2.3.9', 'deploy-tool', () => 6),
    client('10.9.0.66', null, () => 3),
  ];
  const total = clients[0]?.counts.map((_, minute) => {
    return clients.reduce((sum, { counts }) => sum + (counts[minute] ?? 0), 0);
  });
  return {
    ...evidence,
    host: { ...evidence.host, name: HOST },
    sockets: seen({
      listeners: [{ family: 'ipv4', address: '0.0.0.0', inode: 4711, uid: 0, acceptQueue: 31 }],
      peers: [
        { address: BUSY, state: 'CLOSE_WAIT', accepted: 1034, unaccepted: 31, unreadBytes: 4096 },
        { address: '10.2.3.9', state: 'CLOSE_WAIT', accepted: 219, unaccepted: 0, unreadBytes: 0 },
      ],
      overflow: [],
      ipv6: false,
    }),
    background: {
      ...evidence.background,
      clients: seen({
        logs: [{ kind: 'api-log', path: '/var/log/salt/api', bytesRead: 1e6, calls: 9000 }],
        accessFile: null,
        reach: 'all',
        from: FIRST_CALL,
        lastCallAt: LAST_CALL - MINUTE,
        all: { firstMinute: FIRST_CALL, counts: total ?? [] },
        clients,
        furtherClients: 0,
        logins: [{ address: BUSY, user: 'cmdb-svc', count: 300 }],
        processLogins: [],
        syncCalls: 0,
        notes: [],
      }),
    },
  };
}

/** One every five minutes: well, then with ever more sockets, then silent. */
function nightOfLooks(): KeptLook[] {
  const looks: KeptLook[] = [];
  for (let at = night('20:00'); at < night('09:25'); at += 5 * MINUTE) {
    const waiting = Math.max(0, Math.round((at - night('01:38')) / MINUTE / 0.36));
    const closeWait = Math.min(1270, waiting);
    const verdict = at < night('01:40') ? 'healthy' : at < night('02:05') ? 'degraded' : 'hung';
    looks.push({ at, closeWait, verdict });
  }
  return looks;
}

const WHO = { uid: 0, user: 'root', sudoUser: 'alice', tty: 'pts/3', sshClient: '10.7.7.7' };

function journal(): IncidentRecord['journal'] {
  const about = { host: HOST, port: 443, who: WHO };
  const line = (second: number) => ({
    ...about,
    time: `2018-07-13T09:34:${String(second).padStart(2, '0')}.000+08:00`,
  });
  const kill = { action: 'kill -9 17502', identity: { pid: 17_502, startTicks: 1 } };
  return [
    { ...line(0), phase: 'note', action: 'begin', result: 'orphan-holds-port' },
    { ...line(5), phase: 'before', ...kill },
    { ...line(5), phase: 'after', ...kill, result: 'gone: 17502 is dead', durationMs: 40 },
    { ...line(9), phase: 'after', action: 'stop the service', result: 'exit 0' },
    {
      ...line(12),
      phase: 'after',
      action: 'kill -9 17248',
      identity: { pid: 17_248, startTicks: 2 },
      result: 'gone: 17248 is dead',
    },
    { ...line(15), phase: 'after', action: 'start the service', result: 'exit 0' },
    { ...line(21), phase: 'note', action: 'end', result: 'recovered' },
  ];
}

function incidentRecord(before: Diagnosis): IncidentRecord {
  const lines = journal();
  return {
    id: '20180713T013400Z-443-3f9a1c',
    directory: '/var/log/salt-triage/20180713T013400Z-443-3f9a1c',
    host: HOST,
    port: 443,
    beganAt: lines[0]?.time ?? '',
    endedAt: lines.at(-1)?.time ?? null,
    verdict: 'orphan-holds-port',
    result: 'recovered',
    actions: lines
      .filter(({ phase }) => phase === 'after')
      .map(({ action, result }) => ({ action, result: result ?? null })),
    who: WHO,
    before: before.verdict,
    after: null,
    plan: null,
    journal: lines,
  };
}

export function incidentCase(evidence: Evidence = incidentEvidence()): PostmortemCase {
  const before = diagnoseEvidence(evidence);
  return {
    incident: incidentRecord(before),
    earlier: [],
    before,
    after: null,
    stacks: [
      {
        pid: 17_502,
        startTicks: 1,
        tookMs: 6_700,
        tool: 'gdb',
        why: null,
        threads: 103,
        withoutPython: 0,
        unseen: 0,
        folded: [
          {
            count: 87,
            waitsFor: 'master',
            frames: [
              { function: 'send', file: '/usr/lib/python2.6/site-packages/salt/payload.py' },
              {
                function: 'mk_token',
                file: '/usr/lib/python2.6/site-packages/salt/auth/__init__.py',
              },
            ],
          },
          {
            count: 16,
            waitsFor: null,
            frames: [{ function: 'get', file: '/usr/lib/python2.6/Queue.py' }],
          },
        ],
      },
    ],
    looks: { file: 'check-443.json', looks: nightOfLooks() },
    files: { before: 'evidence-before.json', after: 'evidence-after.json' },
  };
}
