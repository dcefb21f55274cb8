/** What is said of who called: what logs and sockets show, and never that one caused it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clients } from '../../../src/diagnosis/checks/clients.ts';
import { NO_BACKGROUND } from '../../../src/evidence/background.ts';
import {
  CALL_KINDS,
  type ClientFacts,
  type ClientsFacts,
} from '../../../src/evidence/clients-facts.ts';
import { blind, type Evidence, type PeerSockets, seen } from '../../../src/evidence/evidence.ts';
import { server } from '../situation.ts';
import { knownOf } from './known.ts';

const MINUTE = 60_000;
const NO_KINDS = Object.fromEntries(CALL_KINDS.map((kind) => [kind, 0])) as ClientFacts['kinds'];
/** Of situation.ts: 03:00 of the host. */
const NOW = Date.UTC(2024, 4, 2, 3);

/** Calls a minute for so many minutes each; the first of them begins so long before now. */
function client(
  name: string,
  rates: readonly (readonly [minutes: number, calls: number])[],
  more: Partial<ClientFacts> = {},
): ClientFacts {
  const [address = '', agent = null] = name.split(' ');
  const counts = rates.flatMap(([minutes, calls]) => new Array<number>(minutes).fill(calls));
  const calls = counts.reduce((sum, number) => sum + number, 0);
  return {
    address,
    agent,
    calls,
    kinds: { ...NO_KINDS, run: calls },
    firstMinute: NOW - 300 * MINUTE,
    counts,
    ...more,
  };
}

function factsOf(told: readonly ClientFacts[], more: Partial<ClientsFacts> = {}): ClientsFacts {
  const length = Math.max(0, ...told.map(({ counts }) => counts.length));
  const counts = Array.from({ length }, (_, minute) => {
    return told.reduce((sum, one) => sum + (one.counts[minute] ?? 0), 0);
  });
  const firstMinute = NOW - 300 * MINUTE;
  return {
    logs: [{ kind: 'api-log', path: '/var/log/salt/api', bytesRead: 5000, calls: 9 }],
    accessFile: null,
    reach: 'all',
    from: length === 0 ? null : firstMinute,
    lastCallAt: length === 0 ? null : firstMinute + (length - 1) * MINUTE,
    all: { firstMinute, counts },
    clients: told,
    furtherClients: 0,
    logins: [],
    processLogins: [],
    syncCalls: 0,
    notes: [],
    ...more,
  };
}

const waiting = (address: string, accepted: number): PeerSockets => {
  return { address, state: 'CLOSE_WAIT', accepted, unaccepted: 0, unreadBytes: 0 };
};

function judge(
  facts: ClientsFacts,
  peers: readonly PeerSockets[] = [],
  more: Partial<Evidence> = {},
) {
  const background = { ...NO_BACKGROUND, clients: seen(facts) };
  const parts = [{ facts: server({ pid: 12, ppid: 1 }), role: 'child' as const }];
  const known = knownOf({ parts, evidence: { background, ...more } });
  assert.ok(known.sockets.seen);
  return clients.judge({ ...known, sockets: seen({ ...known.sockets.value, peers }) });
}

const summaries = (found: ReturnType<typeof judge>) => found.causes.map(({ summary }) => summary);

const CMDB = '10.2.3.4 cmdb/2.1';
const WEB = client('10.9.9.9 web/1', [[200, 6]]);
/** It rises 120 minutes after the first call, so at 00:00, and 80 minutes later all is silent. */
const RISING = [
  client(CMDB, [
    [120, 10],
    [80, 51],
  ]),
  WEB,
];

describe('a client whose rate rose', () => {
  it('is told of with when, how much, how long before the silence, and what it owns', () => {
    const found = judge(factsOf(RISING), [waiting('10.2.3.4', 33), waiting('10.9.9.9', 7)]);
    assert.deepEqual(summaries(found), [
      '10.2.3.4 (cmdb/2.1) rose 5.1× at 00:00, 1 h 20 min before the calls stop; it owns 83% of the CLOSE_WAIT',
    ]);
    const [cause] = found.causes;
    assert.deepEqual([cause?.basis, cause?.weight], ['seen', 90]);
    assert.equal(
      cause?.advice,
      'have cmdb/2.1 on 10.2.3.4 call local_async and ask /jobs/JID or listen to /events, and keep its token',
    );
    assert.match(
      cause?.details.join('\n') ?? '',
      /10 calls a minute before, 51 calls a minute since/,
    );
    assert.deepEqual(found.evidence.steps, [
      {
        address: '10.2.3.4',
        agent: 'cmdb/2.1',
        at: '2024-05-02T00:00:00.000Z',
        before: 10,
        after: 51,
        factor: 5.1,
      },
    ]);
    assert.equal(found.evidence.silentFrom, '2024-05-02T01:20:00.000Z');
  });

  it('is put beside the first failed start where calls still come', () => {
    const still = [
      client(CMDB, [
        [120, 10],
        [180, 51],
      ]),
    ];
    const apiLog = knownOf({}).apiLog;
    assert.ok(apiLog.seen);
    const failed = { ...apiLog.value, firstAt: NOW - 10 * MINUTE };
    const [summary] = summaries(judge(factsOf(still), [], { apiLog: seen(failed) }));
    assert.equal(
      summary,
      '10.2.3.4 (cmdb/2.1) rose 5.1× at 00:00, 2 h 50 min before the first failed start',
    );
    const [alone] = summaries(judge(factsOf(still)));
    assert.equal(alone, '10.2.3.4 (cmdb/2.1) rose 5.1× at 00:00');
  });

  it('is the same client after its release has another name', () => {
    const released = [
      client('10.2.3.4 cmdb/2.0', [[120, 10]]),
      client(CMDB, [
        [120, 0],
        [80, 51],
      ]),
      WEB,
    ];
    assert.match(
      summaries(judge(factsOf(released)))[0] ?? '',
      /^10\.2\.3\.4 \(cmdb\/2\.1\) rose 5\.1×/,
    );
  });

  it('may begin from nothing', () => {
    const begun = [
      client(CMDB, [
        [120, 0],
        [80, 40],
      ]),
      WEB,
    ];
    const found = judge(factsOf(begun));
    assert.match(summaries(found)[0] ?? '', /^10\.2\.3\.4 \(cmdb\/2\.1\) began to call at 00:00, /);
    assert.equal(found.evidence.steps[0]?.factor, null);
  });

  it('behind a proxy is told by its agent, without a share of sockets that are the proxy’s', () => {
    const proxied = [
      client('10.0.0.1 cmdb/2.1', [
        [120, 10],
        [80, 51],
      ]),
      client('10.0.0.1 web/1', [[200, 6]]),
    ];
    const found = judge(factsOf(proxied), [waiting('10.0.0.1', 40)]);
    assert.equal(
      summaries(found)[0],
      '10.0.0.1 (cmdb/2.1) rose 5.1× at 00:00, 1 h 20 min before the calls stop',
    );
    assert.match(found.details.join('\n'), /every call comes from 10\.0\.0\.1: behind a proxy/);
    assert.equal(found.evidence.onlyAddress, '10.0.0.1');
  });

  it('may be all of them together', () => {
    const many = Array.from({ length: 12 }, (_, index) =>
      client(`10.1.0.${index} a/1`, [
        [120, 1],
        [80, 4],
      ]),
    );
    const [summary] = summaries(judge(factsOf(many)));
    assert.match(summary ?? '', /^all clients together rose 4× at 00:00/);
  });

  it('is not told first where all together call no more: calls have moved to it', () => {
    const moved = [
      client('10.2.3.4 cmdb/2.1', [
        [120, 51],
        [80, 0],
      ]),
      client('10.2.3.5 cmdb/2.1', [
        [120, 0],
        [80, 51],
      ]),
      WEB,
    ];
    const [cause] = judge(factsOf(moved)).causes;
    assert.match(
      cause?.summary ?? '',
      /^10\.2\.3\.5 .* began to call at 00:00, .*; all clients together hardly call more$/,
    );
    assert.equal(cause?.weight, 50);
    assert.match(
      cause?.details.join('\n') ?? '',
      /all clients together: 57 calls a minute before, 57 calls a minute since/,
    );
  });

  it('is not the one that calls most from an address, but the one that rose', () => {
    const beside = [
      client('10.2.3.4 steady/1', [[200, 40]]),
      client(CMDB, [
        [120, 0],
        [80, 41],
      ]),
    ];
    const among = (more: readonly ClientFacts[]) => summaries(judge(factsOf([...more, WEB])))[0];
    assert.match(among(beside) ?? '', /^10\.2\.3\.4 \(cmdb\/2\.1\) rose 2× /);
    const two = ['a/1', 'b/1'].map((agent) =>
      client(`10.2.3.4 ${agent}`, [
        [120, 0],
        [80, 25],
      ]),
    );
    assert.match(among([...beside.slice(0, 1), ...two]) ?? '', /^10\.2\.3\.4 rose 2\.3× /);
  });

  it('does not begin to call where it called before, if seldom', () => {
    const seldom = client(CMDB, []);
    const counts = Array.from({ length: 200 }, (_, minute) =>
      minute >= 120 ? 40 : Number(minute % 10 === 0),
    );
    const found = judge(factsOf([{ ...seldom, counts }, WEB]));
    assert.match(summaries(found)[0] ?? '', / rose from few calls to 40 calls a minute at 00:00/);
  });

  it('owns as many sockets as there are: a share of a few is none', () => {
    const found = judge(factsOf(RISING), [waiting('10.2.3.4', 1)]);
    assert.match(summaries(found)[0] ?? '', /; it owns 1 of 1 CLOSE_WAIT$/);
  });

  it('is not told of where the log is ahead of the clock: its minutes came twice', () => {
    const back = factsOf(RISING, { lastCallAt: NOW + 20 * MINUTE });
    const found = judge(back);
    assert.deepEqual(found.evidence.steps, []);
    assert.match(found.summary, /its log is ahead of the clock/);
  });

  it('is never said to have caused anything', () => {
    const found = judge(factsOf(RISING), [waiting('10.2.3.4', 33)]);
    const words = [
      found.summary,
      ...found.details,
      ...found.causes.flatMap((cause) => [cause.summary, ...cause.details, cause.advice ?? '']),
    ];
    assert.doesNotMatch(words.join('\n'), /caus|because|due to|fault|blame/i);
  });
});

describe('a client whose rate did not rise', () => {
  it('is told of where it owns most of what was left', () => {
    const found = judge(factsOf([client(CMDB, [[200, 20]]), WEB]), [
      waiting('10.2.3.4', 30),
      waiting('10.9.9.9', 3),
    ]);
    assert.deepEqual(summaries(found), [
      '10.2.3.4 (cmdb/2.1) owns 91% of the CLOSE_WAIT; no rise of its calls is sound',
    ]);
  });

  it('is told of by its address alone where several programs call from there', () => {
    const two = [client(CMDB, [[200, 20]]), client('10.2.3.4 curl/7', [[200, 2]])];
    const found = judge(factsOf([...two, WEB]), [waiting('10.2.3.4', 30)]);
    assert.match(summaries(found)[0] ?? '', /^10\.2\.3\.4 owns 100% of the CLOSE_WAIT; no rise/);
  });

  it('and is in no log is named by its sockets alone', () => {
    const found = judge(factsOf([WEB]), [waiting('10.2.3.4', 30)]);
    assert.deepEqual(summaries(found), [
      '10.2.3.4 owns 100% of the CLOSE_WAIT; no log tells of its calls',
    ]);
    assert.equal(found.causes[0]?.advice, null);
    const many = judge(factsOf([WEB], { furtherClients: 3 }), [waiting('10.2.3.4', 30)]);
    assert.match(summaries(many)[0] ?? '', /; it is not among those that call most$/);
  });

  it('is none where few are left, or this host left them, or nobody owns most', () => {
    const steady = factsOf([client(CMDB, [[300, 20]])]);
    assert.deepEqual(summaries(judge(steady, [waiting('10.2.3.4', 4)])), []);
    assert.deepEqual(summaries(judge(steady, [waiting('127.0.0.1', 40)])), []);
    const three = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address) => waiting(address, 10));
    assert.deepEqual(summaries(judge(steady, three)), []);
  });
});

describe('logins under way', () => {
  const logins = [{ address: '10.2.3.4', user: 'lab', count: 101 }];

  it('are those that the serving process has begun and not ended', () => {
    const processLogins = [
      { pid: 12, begun: 101, ended: 1, lastBegunAt: NOW },
      { pid: 99, begun: 3, ended: 3, lastBegunAt: NOW },
    ];
    const found = judge(factsOf([WEB], { logins, processLogins }));
    assert.equal(found.evidence.loginsInFlight, 100);
    assert.deepEqual(summaries(found), ['100 logins under way: begun, and not answered']);
  });

  it('are those of the newest process where a container has other pids', () => {
    const processLogins = [
      { pid: 7, begun: 9, ended: 0, lastBegunAt: NOW - MINUTE },
      { pid: 8, begun: 60, ended: 2, lastBegunAt: NOW },
    ];
    assert.equal(judge(factsOf([WEB], { logins, processLogins })).evidence.loginsInFlight, 58);
  });

  it('ended with the process that had them: a server that began since has none of them', () => {
    const before = NOW - 48 * 60 * MINUTE;
    const of = (pid: number | null, lastBegunAt: number) => {
      const processLogins = [{ pid, begun: 101, ended: 1, lastBegunAt }];
      return judge(factsOf([WEB], { logins, processLogins })).evidence.loginsInFlight;
    };
    assert.equal(of(7, before), null);
    assert.equal(of(12, before), null, 'its number has been used again');
    assert.equal(of(null, NOW), null, 'nothing tells whose they are');
    // The server has started an hour ago, by a fix that took seconds.
    const sameMinute = NOW - 60 * MINUTE - MINUTE / 2;
    assert.equal(of(7, sameMinute), null, 'they may be those of the process before');
    assert.equal(of(12, sameMinute), 100, 'its own, of the minute in which it started');
  });

  it('are not known of a log that has no access lines to tell which have ended', () => {
    const processLogins = [{ pid: 12, begun: 101, ended: 0, lastBegunAt: NOW }];
    const { logs } = factsOf([WEB]);
    const silent = logs.map((log) => ({ ...log, calls: 0 }));
    const found = judge(factsOf([WEB], { logs: silent, logins, processLogins }));
    assert.equal(found.evidence.loginsInFlight, null);
  });

  it('ended with the process where none serves', () => {
    const processLogins = [{ pid: 12, begun: 101, ended: 1, lastBegunAt: NOW }];
    const background = {
      ...NO_BACKGROUND,
      clients: seen(factsOf([WEB], { logins, processLogins })),
    };
    const found = clients.judge(knownOf({ evidence: { background } }));
    assert.equal(found.evidence.loginsInFlight, null);
    assert.deepEqual(found.causes, []);
  });
});

describe('a log that hides who called', () => {
  it('is said to, with the setting that would show it next time', () => {
    const found = judge(factsOf([]));
    assert.equal(found.status, 'unknown');
    assert.deepEqual(summaries(found), [
      'who called is not known: /var/log/salt/api has no calls; at a level above info it never has',
    ]);
    assert.equal(found.causes[0]?.weight, 20);
    assert.match(
      found.causes[0]?.advice ?? '',
      /log_access_file: .* rest_cherrypy .*log_level_logfile: info/,
    );
  });

  it('is not told to set what is set', () => {
    const found = judge(factsOf([], { accessFile: '/var/log/salt/access' }));
    assert.equal(found.causes[0]?.advice, null);
    assert.match(found.summary, /\/var\/log\/salt\/access has no calls/);
  });

  it('that could not be read explains nothing', () => {
    const background = { ...NO_BACKGROUND, clients: blind('permission', 'run as root') };
    const found = clients.judge(knownOf({ evidence: { background } }));
    assert.deepEqual([found.status, found.summary, found.causes], ['unknown', 'run as root', []]);
    assert.equal(clients.judge(knownOf({})).status, 'skip');
  });
});

describe('how a client calls', () => {
  const used = (kinds: Partial<ClientFacts['kinds']>) => {
    const rates = [
      [120, 10],
      [80, 51],
    ] as const;
    const one = client(CMDB, rates, { kinds: { ...NO_KINDS, ...kinds } });
    const found = judge(factsOf([one, WEB]));
    return { advice: found.causes[0]?.advice, details: found.details.join('\n') };
  };

  it('is told as far as its requests prove it', () => {
    assert.match(used({ run: 9 }).details, /9 POST \/ or \/run, synchronous or not: not known/);
    assert.match(used({ 'start-job': 9 }).details, /9 POST \/minions, asynchronous/);
    assert.match(used({ 'all-grains': 9 }).details, /9 GET \/minions, synchronous/);
  });

  it('is what the advice is for: nobody is told to do what he does', () => {
    assert.doesNotMatch(used({ 'start-job': 9 }).advice ?? '', /local_async/);
    assert.match(used({ jobs: 9, run: 2 }).advice ?? '', /\/events/);
    assert.match(used({ login: 9, run: 2 }).advice ?? '', /local_async.* keep its token/);
    assert.match(used({ login: 9 }).advice ?? '', /keep its token/);
    assert.equal(used({ other: 9 }).advice, null);
  });
});
