/** Who gets time to end by itself before a kill -9: what has something to finish, and nobody else. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { blind, type PeerSockets, type ProcessFacts, seen } from '../../src/evidence/evidence.ts';
import { identityOf } from '../../src/fix/fix-run.ts';
import { graceOf } from '../../src/fix/grace.ts';
import { leftoversOf } from '../../src/plan/plan.ts';
import { evidenceOf, saltApi, server, TITLED } from '../diagnosis/situation.ts';

const manager = saltApi({ pid: 100, ppid: 1, argv: TITLED });
const child = server({ pid: 101, ppid: 100 });
/** Its listener is closed: it has had its SIGTERM. */
const ending = { ...child, listens: [] };
const ORPHAN = { ppid: 1, session: 12, age: 9_000 };
const orphan = server({ pid: 37, ...ORPHAN });
const newcomer = saltApi({ pid: 102, ppid: 100, age: 1 });
const fork = server({ pid: 103, ppid: 101, threads: 1, age: 60 });
const job = server({ pid: 104, ppid: 1, session: 104, threads: 1, age: 60 });
const young = saltApi({ pid: 210, ppid: 1, session: 209, processGroup: 209, age: 1 });
const newer = saltApi({ pid: 200, ppid: 1, argv: TITLED, age: 60 });

const peer = { address: '10.0.0.9', accepted: 1, unaccepted: 0, unreadBytes: 0 } as const;
const GONE: PeerSockets = { ...peer, state: 'CLOSE_WAIT' };
const WAITS: PeerSockets = { ...peer, state: 'ESTABLISHED' };
const QUEUED: PeerSockets = { ...WAITS, accepted: 0, unaccepted: 1 };

interface Left {
  readonly processes: readonly ProcessFacts[];
  readonly peers?: readonly PeerSockets[];
  /** Of peers beyond those that are told one by one. */
  readonly overflow?: readonly PeerSockets[];
  /** The server was judged to hang before the stop. */
  readonly hangs?: boolean;
  readonly blind?: boolean;
  /** The last of the processes has another port of salt-api's. */
  readonly aside?: boolean;
  /** The last of the processes was not there when the stop went out. */
  readonly anew?: boolean;
}

function grace({
  processes,
  peers = [],
  overflow = [],
  hangs = false,
  blind: unseen = false,
  aside = false,
  anew = false,
}: Left): number {
  const evidence = evidenceOf({ processes, pidFile: manager.pid });
  const { sockets } = evidence;
  assert.ok(sockets.seen);
  return graceOf(leftoversOf(diagnoseEvidence(evidence)), {
    sockets: unseen ? blind('timeout', 'late') : seen({ ...sockets.value, peers, overflow }),
    hung: new Set(hangs ? processes.map(identityOf) : []),
    aside: new Set(aside ? processes.slice(-1).map(identityOf) : []),
    stopped: new Set((anew ? processes.slice(0, -1) : processes).map(identityOf)),
  });
}

const at = (facts: ProcessFacts, portConnections: number) => ({ ...facts, portConnections });

describe('all the time that CherryPy takes for its threads', () => {
  const cases: Record<string, Left> = {
    'a server with a request in work': { processes: [manager, at(child, 1)], peers: [WAITS] },
    'one that has closed its listener and finishes': { processes: [manager, at(ending, 1)] },
    'one that listens: it may serve whoever comes': { processes: [manager, child] },
    'one that hangs, with a client that waits': {
      processes: [manager, at(child, 2)],
      peers: [GONE, WAITS],
      hangs: true,
    },
    'one that hangs, with a client among many that waits': {
      processes: [manager, at(child, 2)],
      overflow: [WAITS],
      hangs: true,
    },
    'one that hangs, whose clients can not be seen': {
      processes: [manager, at(child, 1)],
      hangs: true,
      blind: true,
    },
    'a healthy one whose clients have closed their half': {
      processes: [manager, at(child, 1)],
      peers: [GONE],
    },
    'an orphan that the stop has made of a server at work': { processes: [at(orphan, 1)] },
    'a fork: it runs a job': {
      processes: [manager, child, { ...fork, listens: [] }],
      hangs: true,
    },
    'a job that a stop has made an orphan of, with its server gone': {
      processes: [job],
      hangs: true,
    },
    'a child of another port, beside one that hangs': {
      processes: [manager, at(child, 25), { ...newcomer, otherPorts: [] }],
      peers: [GONE],
      hangs: true,
      aside: true,
    },
    'what somebody has started meanwhile, before it shows as a daemon': {
      processes: [young],
      anew: true,
    },
    'the same beside what is left of the stop': { processes: [orphan, young], anew: true },
    'a job that has no parent any more': { processes: [manager, child, job], hangs: true },
    'whom we may not look into': { processes: [manager, { ...newcomer, fds: 'denied' }] },
  };
  for (const [who, left] of Object.entries(cases)) {
    it(`is for ${who}`, () => assert.equal(grace(left), 5_000));
  }
});

describe('a second at most', () => {
  const cases: Record<string, Left> = {
    'a server that hangs, whose clients are all gone': {
      processes: [manager, at(child, 25)],
      peers: [GONE, QUEUED],
      hangs: true,
    },
    'the same with its listener closed': {
      processes: [manager, at(ending, 25)],
      peers: [GONE],
      hangs: true,
    },
    'a child that serves nobody any more': { processes: [manager, ending] },
    'a child that serves nobody yet': { processes: [manager, newcomer] },
  };
  for (const [who, left] of Object.entries(cases)) {
    it(`is for ${who}`, () => assert.equal(grace(left), 1_000));
  }

  it('is more than a manager without a child needs', () => {
    assert.equal(grace({ processes: [manager] }), 250);
  });
});

describe('no time at all', () => {
  const cases: Record<string, Left> = {
    'an orphan that holds the port': { processes: [orphan] },
    'an orphan that hung, whose clients are all gone': {
      processes: [at(orphan, 31)],
      peers: [GONE],
      hangs: true,
    },
    'a server that is stopped, and all that wait for it': {
      processes: [manager, at({ ...child, state: 'T' }, 1)],
      peers: [WAITS],
    },
    'what came up when the stop went out': { processes: [young] },
    'an orphan that holds nothing': { processes: [newer, { ...orphan, listens: [] }] },
    nobody: { processes: [] },
  };
  for (const [who, left] of Object.entries(cases)) {
    it(`is for ${who}`, () => assert.equal(grace(left), 0));
  }
});
