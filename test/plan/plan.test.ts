/** The plan for each verdict: a pure function of the diagnosis, the options and the service manager. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import type { VerdictCode } from '../../src/diagnosis/verdict.ts';
import { leftoversOf, type Plan, type PlanOptions, planFix } from '../../src/plan/plan.ts';
import { chooseServiceManager, type ServiceManager } from '../../src/plan/service-manager.ts';
import {
  evidenceOf,
  INODE,
  type Situation,
  saltApi,
  server,
  TITLED,
} from '../diagnosis/situation.ts';

const COMMANDS = commands(['stop']);
const daemon = saltApi({ pid: 100, ppid: 1, argv: TITLED, age: 60 });
const child = server({ pid: 101, ppid: 100, age: 55 });
/** As `wheel_async` leaves it: reparented by design, one thread, the socket inherited. */
const job = saltApi({ pid: 200, ppid: 1, session: 199, age: 5, listens: [INODE] });
const orphan = server({ pid: 37, ppid: 1, session: 12, age: 9_000 });
const stray = server({
  pid: 37,
  ppid: 1,
  session: 12,
  age: 9_000,
  listens: [],
  portConnections: 4,
});
const nginx = saltApi({ pid: 800, ppid: 1, argv: ['nginx: master'], listens: [INODE] });
const silent = {
  answer: { seen: true, value: { kind: 'no-reply', afterMs: 11_000, tls: true } },
} as const;

function commands(stop: readonly string[] | undefined): ServiceManager {
  const options = {
    service: 'auto',
    unit: 'salt-api',
    unitNamed: false,
    stopCommand: stop,
  } as const;
  const manager = chooseServiceManager(evidenceOf({ processes: [] }).service, {
    ...options,
    startCommand: ['start'],
  });
  assert.ok(manager !== null);
  return manager;
}

function plan(
  situation: Situation,
  options: Partial<PlanOptions> = {},
  manager: ServiceManager | null = COMMANDS,
): Plan {
  const diagnosis = diagnoseEvidence(evidenceOf(situation));
  return planFix(diagnosis, manager, { only: undefined, restart: 'always', ...options });
}

/** The steps in a few words: `kill 37`, `stop`, … */
function steps(of: Plan): string[] {
  assert.ok(of.kind === 'fix', JSON.stringify(of));
  return of.steps.map((step) =>
    step.kind === 'kill' ? `kill ${step.target.identity.pid}` : step.kind,
  );
}

const RESTART = ['stop', 'kill-leftovers', 'wait-port-free', 'start', 'verify'];

describe('the plan for a verdict', () => {
  const cases: readonly [VerdictCode, Situation, readonly string[]][] = [
    ['orphan-holds-port', { processes: [orphan, daemon] }, ['kill 37', ...RESTART]],
    ['orphan-holds-port', { processes: [orphan] }, ['kill 37', ...RESTART]],
    ['hung', { processes: [daemon, child], evidence: silent }, RESTART],
    [
      'restart-loop',
      { processes: [daemon, saltApi({ pid: 102, ppid: 100, state: 'Z', argv: [] })] },
      RESTART,
    ],
    // A daemon that serves is left alone.
    ['orphan-stray', { processes: [stray, daemon, child], pidFile: 100 }, ['kill 37', 'verify']],
    ['orphan-stray', { processes: [stray] }, ['kill 37', ...RESTART]],
    // What nobody has stopped can't have stayed.
    ['down', { processes: [] }, ['wait-port-free', 'start', 'verify']],
  ];
  for (const [code, situation, expected] of cases) {
    const pids = situation.processes.map(({ pid }) => pid).join(', ') || 'nothing';
    it(`${code}, with ${pids} there`, () => {
      const made = plan(situation);
      assert.equal(made.verdict, code);
      assert.deepEqual(steps(made), ['save-evidence', ...expected]);
    });
  }

  it('healthy: nothing to do', () => {
    assert.equal(plan({ processes: [daemon, child], pidFile: 100 }).kind, 'nothing-to-do');
  });

  it('foreign-holder: refused, and no step names it', () => {
    const made = plan({ processes: [nginx, daemon] });
    assert.deepEqual([made.kind, made.verdict], ['refused', 'foreign-holder']);
  });

  it('unknown: refused', () => {
    const processes = { seen: false, cause: 'permission', why: 'EACCES' } as const;
    const made = plan({ processes: [orphan], evidence: { processes } });
    assert.deepEqual([made.kind, made.verdict], ['refused', 'unknown']);
  });

  it('no service manager: refused, but for --only kill', () => {
    assert.equal(plan({ processes: [orphan] }, {}, null).kind, 'refused');
    const killed = plan({ processes: [orphan] }, { only: 'kill' }, null);
    assert.deepEqual(steps(killed), ['save-evidence', 'kill 37', 'verify']);
  });
});

describe('options of a plan', () => {
  it('--only kill leaves the service alone', () => {
    const situation = { processes: [orphan, daemon] };
    assert.deepEqual(steps(plan(situation, { only: 'kill' })), [
      'save-evidence',
      'kill 37',
      'verify',
    ]);
  });

  it('--restart if-needed waits for the daemon before it stops anything', () => {
    const made = steps(
      plan({ processes: [orphan, daemon], pidFile: 100 }, { restart: 'if-needed' }),
    );
    assert.deepEqual(made.slice(0, 4), ['save-evidence', 'kill 37', 'await-recovery', 'stop']);
  });

  it('without a stop command each process that runs is named beforehand', () => {
    const made = steps(
      plan({ processes: [orphan, daemon], pidFile: 100 }, {}, commands(undefined)),
    );
    assert.deepEqual(made.slice(0, 3), ['save-evidence', 'kill 37', 'kill 100']);
  });

  it('says that killing the orphan may be enough', () => {
    const made = plan({ processes: [orphan, daemon], pidFile: 100 });
    assert.ok(made.kind === 'fix');
    assert.match(made.remarks.join(), /100 may recover by itself/);
  });
});

describe('a kill step says what is lost', () => {
  function losses(situation: Situation): (string | null)[] {
    const made = plan(situation, {}, commands(undefined));
    assert.ok(made.kind === 'fix');
    return made.steps.flatMap((step) => (step.kind === 'kill' ? [step.loss] : []));
  }

  it('a job that a live server forked', () => {
    const all = losses({ processes: [daemon, child, job], pidFile: 100, evidence: silent });
    assert.ok(all.includes('the job that it runs'), all.join());
  });

  it('what was a job and holds the port alone', () => {
    assert.match(losses({ processes: [job] })[0] ?? '', /forked job .*, that job/);
  });

  it('an orphaned server with its pool has none but its requests', () => {
    assert.deepEqual(losses({ processes: [orphan] }), [null]);
    const busy = { ...orphan, portConnections: 3 };
    assert.match(losses({ processes: [busy] })[0] ?? '', /requests/);
  });
});

describe('what a stop has left behind', () => {
  const agent = saltApi({
    pid: 31,
    ppid: 1,
    session: 31,
    argv: ['/usr/bin/python3', '/opt/agent'],
  });
  const started = saltApi({ pid: 500, ppid: 31, session: 500, threads: 20 });
  const fork = saltApi({ pid: 501, ppid: 500, session: 500 });

  it('is neither what a parent that lives has started, nor what that has forked', () => {
    const evidence = evidenceOf({ processes: [daemon, child, agent, started, fork], pidFile: 100 });
    const pids = leftoversOf(diagnoseEvidence(evidence)).map(({ facts }) => facts.pid);
    assert.deepEqual(pids, [100, 101]);
  });
});
