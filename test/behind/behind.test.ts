/** What is behind salt-api, seen on real processes, on this host and by the scripts for one behind ssh. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { diagnoseHost } from '../../src/diagnosis/diagnose.ts';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import type { Background } from '../../src/evidence/background.ts';
import type { Evidence, LookRequest } from '../../src/evidence/evidence.ts';
import { parseEvidence, writeEvidence } from '../../src/evidence/evidence-file.ts';
import { lookBackground } from '../../src/host/background/look-background.ts';
import { collectEvidence } from '../../src/host/collect-evidence.ts';
import { LocalHost } from '../../src/host/local/local-host.ts';
import { LocalRawHost } from '../../src/host/local/local-raw-host.ts';
import type { RawHost } from '../../src/host/raw-host.ts';
import { SshRawHost } from '../../src/host/ssh/ssh-raw-host.ts';
import { LOOK_REQUEST } from '../host/look-request.ts';
import { runnerIn, SHELLS } from '../ssh/shells.ts';
import { end, type Staged, stageBehind, suspend } from './staged.ts';

const POLICY = { closeWaitWarn: 5, closeWaitFail: 20 };
const SIDES: readonly (readonly [string, () => RawHost])[] = [
  ['this host', () => new LocalRawHost()],
  ...SHELLS.map((shell) => {
    return [shell.join(' '), () => new SshRawHost(runnerIn(shell), 20_000)] as const;
  }),
];

function requestOf({ configDirectory }: Staged, probeTimeoutMs: number | null): LookRequest {
  const background = ['workers', 'master'] as const;
  return { ...LOOK_REQUEST, configDirectory, probeTimeoutMs, background };
}

async function look(staged: Staged): Promise<Evidence> {
  const parts = new LocalHost().look(requestOf(staged, null));
  return collectEvidence(parts, POLICY);
}

/** The same with the answer of the API. */
async function answered(staged: Staged): Promise<Evidence> {
  return collectEvidence(new LocalHost().look(requestOf(staged, 20_000)), POLICY);
}

async function behind<Name extends 'workers' | 'master'>(
  raw: RawHost,
  evidence: Evidence,
  name: Name,
): Promise<Background[Name]> {
  const found = await lookBackground({ raw, evidence, request: LOOK_REQUEST }, [name]);
  return found[name] as Background[Name];
}

/** A diagnosis as `diagnose` makes it. */
const diagnose = (staged: Staged) => {
  return diagnoseHost(new LocalHost(), requestOf(staged, 20_000), POLICY);
};

/** The same look judged with something more seen. */
const seenAs = (evidence: Evidence, background: Partial<Background>) => {
  return diagnoseEvidence({ ...evidence, background: { ...evidence.background, ...background } });
};

describe('the Salt master behind a salt-api that answers', () => {
  async function serving(t: TestContext, staging = {}) {
    const staged = await stageBehind(t, { idle: 3, threadPool: 3, ...staging });
    const master = await staged.startMaster();
    await staged.startApi();
    return { staged, master };
  }

  it('is healthy with it, degraded where it is suspended; one that is gone is told of', async (t) => {
    const { staged, master } = await serving(t);
    const well = await diagnose(staged);
    assert.equal(well.verdict.code, 'healthy', well.verdict.summary);
    const { status, evidence } = well.explanations.master;
    assert.deepEqual([status, evidence.state], ['pass', 'answers']);
    assert.deepEqual(
      evidence.processes.map(({ pid }) => pid),
      master,
    );
    assert.deepEqual(evidence.ipc?.listening, ['workers.ipc']);

    const [holder = 0, worker = 0] = master;
    await suspend([worker]);
    const partly = await diagnose(staged);
    assert.equal(partly.verdict.code, 'degraded');
    assert.equal(partly.explanations.master.evidence.state, 'partly-frozen');
    // What takes the calls is what counts, whoever else runs.
    process.kill(worker, 'SIGCONT');
    await suspend([holder]);
    const frozen = await diagnose(staged);
    assert.equal(frozen.verdict.code, 'degraded');
    assert.match(frozen.verdict.summary, /answers, but the Salt master is frozen: 1 of its 2 proc/);
    const [cause] = frozen.causes;
    assert.deepEqual([cause?.id, cause?.basis], ['master', 'seen']);
    assert.match(cause?.advice ?? '', new RegExp(`kill -CONT ${holder} `));

    await end(master);
    const gone = await diagnose(staged);
    assert.equal(gone.verdict.code, 'healthy');
    assert.match(gone.causes[0]?.summary ?? '', /the Salt master is not there: .*port \d+$/);
  });

  it('is degraded where calls lie in its queue, though nothing of it is suspended', async (t) => {
    const { staged, master } = await serving(t, { deaf: true, receivers: 2, idle: 1 });
    const evidence = await answered(staged);
    const seen: unknown[] = [];
    for (const [name, side] of SIDES) {
      const raw = side();
      const { value } = await eventually(async () => {
        const found = await behind<'master'>(raw, evidence, 'master');
        return found.seen && found.value.stuck?.connections === 2 ? found : null;
      }, name);
      const { stuck, ...rest } = value;
      assert.ok((stuck?.afterMs ?? 0) >= 400, name);
      seen.push(rest);
      const { verdict, explanations } = seenAs(evidence, {
        master: { seen: true, value },
      });
      assert.equal(verdict.code, 'degraded');
      assert.equal(explanations.master.evidence.state, 'frozen');
      assert.match(
        verdict.summary,
        /frozen: 2 connections to port \d+ lay untouched for .*, 8 bytes/,
      );
    }
    const [first] = seen;
    for (const other of seen) assert.deepEqual(other, first);
    const diagnosis = await diagnose(staged);
    assert.equal(diagnosis.verdict.code, 'degraded');
    assert.deepEqual(
      diagnosis.explanations.master.evidence.processes.map(({ pid, state }) => [pid, state]),
      master.map((pid) => [pid, 'S']),
    );
  });
});

describe('the threads of a salt-api that is silent', () => {
  it('are told by whose answer they wait for, alike from both sides', async (t) => {
    const staging = { receivers: 12, watchers: 5, idle: 4, silent: true, threadPool: 15 };
    const staged = await stageBehind(t, staging);
    await staged.startMaster();
    const [, child] = await staged.startApi();
    const evidence = await look(staged);
    for (const [name, side] of SIDES) {
      const raw = side();
      // They have been started, and get there by and by.
      const diagnosis = await eventually(async () => {
        const found = seenAs(evidence, { workers: await behind(raw, evidence, 'workers') });
        const [one] = found.explanations.workers.evidence.processes;
        return one?.forMaster === 17 ? found : null;
      }, name);
      const [one] = diagnosis.explanations.workers.evidence.processes;
      assert.ok(one !== undefined);
      assert.deepEqual([one.pid, one.role, one.denied], [child, 'child', 0]);
      const to = { kind: 'called', address: '127.0.0.1', port: staged.retPort } as const;
      const waits = one.waits.map(({ threads, call, on }) => {
        return { threads, call: call?.replace(/^epoll_p?wait2?$/, 'epoll'), on };
      });
      assert.deepEqual(waits.slice(0, 3), [
        { threads: 12, call: 'recvfrom', on: [to] },
        { threads: 5, call: 'epoll', on: [to] },
        { threads: 4, call: 'futex', on: [] },
      ]);
      const cause = diagnosis.causes.find(({ id }) => id === 'workers');
      assert.equal(cause?.basis, 'seen');
      assert.match(
        cause.summary,
        new RegExp(
          `^17 threads of salt-api ${child} wait for 127.0.0.1:${staged.retPort}, the Salt`,
        ),
      );
      const { evidence: saved } = diagnosis;
      assert.deepEqual(parseEvidence(writeEvidence(saved)).background, saved.background);
    }
  });

  it('are not told of a process that has ended meanwhile', async (t) => {
    const staged = await stageBehind(t, { idle: 8, silent: true, threadPool: 8 });
    const api = await staged.startApi();
    const evidence = await look(staged);
    await end(api);
    for (const [name, side] of SIDES) {
      const found = await behind(side(), evidence, 'workers');
      assert.ok(found.seen, name);
      assert.deepEqual(
        found.value.processes.filter(({ pid }) => api.includes(pid)),
        [],
      );
    }
  });
});

async function eventually<T>(look: () => Promise<T | null>, what: string): Promise<T> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (Date.now() > deadline) throw new Error(`did not come: ${what}`);
  }
}
