/** Threads against the pool, and what is said of what they wait for. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../../src/diagnosis/diagnosis.ts';
import { NO_BACKGROUND } from '../../../src/evidence/background.ts';
import { blind, type Evidence, seen } from '../../../src/evidence/evidence.ts';
import { foldThreads, type ProcessThreads } from '../../../src/evidence/workers-facts.ts';
import { stageEvidence } from '../../recorded/captures.ts';
import { evidenceOf, saltApi, server, TITLED } from '../situation.ts';

const SILENT = seen({ kind: 'no-reply', afterMs: 60_000, tls: true } as const);
const OK = { kind: 'answered', status: 200, afterMs: 7, tls: true } as const;
const CHERRYPY = seen({ ...OK, server: 'CherryPy/18.8.0' });
const MASTER = { kind: 'called', address: '127.0.0.1', port: 4506 } as const;

const wait = (threads: number, more: Partial<ProcessThreads['waits'][number]> = {}) => {
  return { threads, state: 'S', name: 'salt-api', call: 'futex', channel: null, on: [], ...more };
};

/** A daemon whose child has so many threads. */
function host(threads: number, more: Partial<Evidence> = {}): Evidence {
  const processes = [
    saltApi({ pid: 100, ppid: 1, argv: TITLED }),
    server({ pid: 101, ppid: 100, threads }),
  ];
  return evidenceOf({ processes, pidFile: 100, evidence: { answer: CHERRYPY, ...more } });
}

function judged(evidence: Evidence, one: Partial<ProcessThreads> = {}) {
  assert.ok(evidence.processes.seen);
  const child = evidence.processes.value.processes.find(({ pid }) => pid === 101);
  const { startTicks = 0, threads = 0 } = child ?? {};
  const facts = { pid: 101, startTicks, threads, sampled: 0, denied: 0, waits: [], ...one };
  const workers = seen({ processes: [facts], passedOver: 0 });
  const diagnosis = diagnoseEvidence({ ...evidence, background: { ...NO_BACKGROUND, workers } });
  return { ...diagnosis.explanations.workers, code: diagnosis.verdict.code };
}

describe('the threads of a server', () => {
  it('are well where each worker has one, and few beside', () => {
    const { status, code, causes } = judged(host(103));
    assert.deepEqual([status, code, causes], ['pass', 'healthy', []]);
  });

  it('are too few where workers have ended: degraded, and inferred', () => {
    const { status, code, causes } = judged(host(62));
    assert.deepEqual([status, code], ['warn', 'degraded']);
    assert.deepEqual([causes.length, causes[0]?.basis], [1, 'inferred']);
    assert.match(causes[0]?.summary ?? '', /^salt-api 101 has 62 threads where thread_pool is 100/);
    assert.match(causes[0]?.advice ?? '', /cheroot 10\.0\.1/);
  });

  it('that wait for the master are no trouble of a server that answers', () => {
    const waits = [wait(5, { on: [MASTER] })];
    const { status, code, causes } = judged(host(103), { sampled: 103, waits });
    assert.deepEqual([status, code, causes[0]?.basis], ['pass', 'healthy', 'seen']);
    assert.ok((causes[0]?.weight ?? 100) < 80);
  });

  it('are as many as they like in a server that is not CherryPy by its answer', () => {
    for (const answer of [seen(OK), seen({ ...OK, server: 'BaseHTTP/0.6' }), SILENT]) {
      assert.deepEqual(judged(host(2, { answer })).causes, []);
    }
    const { code } = judged(host(2, { answer: seen(OK) }));
    assert.equal(code, 'healthy');
  });

  it('are not called too few while it starts, in a drill, of another module, or of no known pool', () => {
    const young = evidenceOf({
      processes: [
        saltApi({ pid: 100, ppid: 1, argv: TITLED }),
        server({ pid: 101, ppid: 100, threads: 62, age: 5 }),
      ],
      pidFile: 100,
      evidence: { answer: CHERRYPY },
    });
    const well = host(62);
    assert.ok(well.config.seen && well.config.value.netapi !== null);
    const { value } = well.config;
    const netapi = (change: object) => {
      return host(62, {
        config: seen({ ...value, netapi: { ...value.netapi, ...change } as typeof value.netapi }),
      });
    };
    const drill = { ...well.instance, configDirectory: '/tmp/salt-triage-drill-x/etc' };
    const cases = [
      young,
      host(62, { instance: drill }),
      host(62, { config: blind('permission', 'EACCES') }),
      netapi({ module: 'rest_tornado' }),
      host(62, { config: seen({ ...value, options: { 'rest_cherrypy.thread_pool': 60 } }) }),
      netapi({ port: 444 }),
    ];
    for (const [at, evidence] of cases.entries()) {
      assert.deepEqual(judged(evidence).causes, [], String(at));
    }
  });

  it('of a silent server are told by whom they wait for, which is seen', () => {
    const waits = [wait(88, { call: 'recvfrom', on: [MASTER] }), wait(100)];
    const { status, causes } = judged(host(188, { answer: SILENT }), { sampled: 188, waits });
    assert.equal(status, 'warn');
    const [cause] = causes;
    assert.deepEqual([causes.length, cause?.basis, cause?.weight], [1, 'seen', 85]);
    assert.equal(
      cause?.summary,
      '88 threads of salt-api 101 wait for 127.0.0.1:4506, the Salt master; it has 188, beside a thread_pool of 100',
    );
  });

  it('are not called the master’s where another answers, nor a jam where they accept', () => {
    const ldap = { kind: 'called', address: '10.0.0.5', port: 636 } as const;
    const evidence = host(103, { answer: SILENT });
    const waiting = judged(evidence, {
      sampled: 103,
      waits: [wait(99, { call: 'poll' }), wait(4, { on: [ldap] })],
    });
    assert.match(
      waiting.causes[0]?.summary ?? '',
      /^4 threads of salt-api 101 wait for 10\.0\.0\.5:636$/,
    );
    const listener = { kind: 'listener', address: '0.0.0.0', port: 443 } as const;
    const caller = { kind: 'caller', address: '10.2.3.4', port: 443 } as const;
    const accepting = judged(evidence, {
      sampled: 103,
      waits: [wait(99), wait(4, { on: [listener, caller] })],
    });
    assert.deepEqual(accepting.causes, []);
    const pinned = judged(evidence, {
      sampled: 103,
      waits: [wait(90, { call: 'recvfrom', on: [caller] })],
    });
    assert.match(
      pinned.causes[0]?.summary ?? '',
      /^90 threads .* wait for requests of 10\.2\.3\.4$/,
    );
  });

  it('of a sample are told as one', () => {
    const waits = [wait(150, { call: 'recvfrom', on: [MASTER] })];
    const { causes } = judged(host(3_000, { answer: SILENT }), { sampled: 300, waits });
    assert.match(
      causes[0]?.summary ?? '',
      /^150 of 300 threads looked at of salt-api 101 wait for/,
    );
  });

  it('whose calls may not be read are not known, and what would permit it is said', () => {
    const waits = [wait(103, { call: null })];
    const found = judged(host(103, { answer: SILENT }), { sampled: 103, denied: 103, waits });
    assert.equal(found.status, 'unknown');
    assert.match(found.summary, /takes root, or CAP_SYS_PTRACE$/);
  });

  it('of another instance have no part', () => {
    const evidence = host(62);
    assert.deepEqual(judged(evidence, { startTicks: 1 }).evidence.processes, []);
  });
});

describe('the recorded salt-api 3002', () => {
  /** `COUNT NAME CHANNEL`: the recording has no system calls. */
  function recorded(stage: 'healthy' | 'hung') {
    const file = new URL(
      `../../recorded/captures-3002/jammed/${stage}/37.threads`,
      import.meta.url,
    );
    const threads = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .flatMap((line) => {
        const [, count = '', name = '', wchan = ''] = /^ *(\d+) (\S+) (\S+)$/.exec(line) ?? [];
        const stat = `37 (${name}) S 13 12 12 0 -1 0 0 0 0 0 0 0 0 0 20 0 403 0 9900 1 1`;
        return Array.from({ length: Number(count) }, () => ({ stat, wchan, syscall: null }));
      });
    const nothing = { architecture: null, rows: new Map(), port: 443 };
    const folded = foldThreads(threads, { ...nothing, sockets: new Map(), watched: new Map() });
    const evidence = stageEvidence(`jammed/${stage}`);
    assert.ok(evidence.processes.seen);
    const child = evidence.processes.value.processes.find(({ pid }) => pid === 37);
    assert.ok(child?.threads === threads.length);
    const one = { pid: 37, startTicks: child.startTicks, threads: threads.length, ...folded };
    const workers = seen({ processes: [one], passedOver: 0 });
    return diagnoseEvidence({ ...evidence, background: { ...NO_BACKGROUND, workers } });
  }

  it('has calls in flight when it is jammed, each with a ZeroMQ of its own', () => {
    const { causes } = recorded('hung');
    assert.deepEqual(
      causes.map(({ id, basis, weight, summary }) => ({ id, basis, weight, summary })),
      [
        {
          ...{ id: 'workers', basis: 'inferred', weight: 85 },
          summary:
            "salt-api 37 has 403 threads beside a thread_pool of 100: 100 calls in flight, by ZeroMQ's threads",
        },
      ],
    );
  });

  it('has none when it is well', () => {
    assert.deepEqual(recorded('healthy').causes, []);
  });
});
