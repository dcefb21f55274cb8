/** The sequence against a host that changes under it: each premise of a step has a test. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { ExitCode, TriageError } from '../../src/errors.ts';
import {
  type AnswerFacts,
  blind,
  type Evidence,
  LEFT_OUT,
  type Listener,
  type Look,
  type LookRequest,
  type ProcessFacts,
  type StartFailureFacts,
  type SystemdUnitFacts,
  seen,
} from '../../src/evidence/evidence.ts';
import type { PythonStacks } from '../../src/evidence/python-stacks.ts';
import type { Answer, RunContext } from '../../src/fix/fix-run.ts';
import { runPlan } from '../../src/fix/run-plan.ts';
import type { CommandOutcome, KillTarget } from '../../src/host/host.ts';
import { RecordedHost } from '../../src/host/recorded-host.ts';
import { type PlanOptions, planFix } from '../../src/plan/plan.ts';
import { chooseServiceManager } from '../../src/plan/service-manager.ts';
import type { JournalEntry } from '../../src/trail/trail.ts';
import { evidenceOf, INODE, saltApi, server, TITLED } from '../diagnosis/situation.ts';

const orphan = server({ pid: 37, ppid: 1, session: 12, age: 9_000 });
const daemon = saltApi({ pid: 100, ppid: 1, argv: TITLED, age: 60 });
const child = server({ pid: 101, ppid: 100, age: 55 });
const started = [
  saltApi({ pid: 500, ppid: 1, argv: TITLED, session: 499, age: 2 }),
  server({ pid: 501, ppid: 500, session: 499, age: 1 }),
];
const OTHER_INODE = 7_002;
const stranger = saltApi({ pid: 800, ppid: 1, argv: ['nginx: master'], listens: [OTHER_INODE] });

/** A host in memory: what a step does to it is the test's to say. */
class World {
  processes: readonly ProcessFacts[];
  listeners: readonly Partial<Listener>[] | undefined;
  silent = false;
  takesTime = true;
  looks = 0;
  /** Looks at the log and the answer as well. */
  wholeLooks = 0;
  /** What the API log says of failed starts. */
  startFailures: readonly StartFailureFacts[] = [];
  /** How long GET / is waited for in vain, ms, while it is silent. */
  silenceMs = 11_000;
  /** What a second, longer GET / brings. */
  second: AnswerFacts | null = null;
  /** More of the evidence, on top of all else. */
  also: Partial<Evidence> = {};
  gone = false;
  interrupted = false;
  readonly kills: number[] = [];
  readonly saved = new Map<string, string>();
  readonly commands: string[] = [];
  readonly warnings: string[] = [];
  readonly journal: JournalEntry[] = [];
  stacksMs = 10_000;
  onStacks = async (_pid: number, _boundMs: number): Promise<Look<PythonStacks>> => {
    return blind('unsupported', 'neither py-spy nor gdb is there');
  };
  onKill = (_pid: number): void => undefined;
  onStop = (): void => undefined;
  onStart = (): void => undefined;
  onWaiting = (): void => undefined;
  onQuestion = (_kind: string): Answer => 'yes';
  stopExit = 0;
  startExit = 0;
  waitMs = 20;
  pidFile: number | null = null;
  managed = true;
  stoppable = true;
  readonly asked: string[] = [];
  readonly secondAsks: number[] = [];

  constructor(processes: readonly ProcessFacts[]) {
    this.processes = processes;
  }

  evidence() {
    const answer = {
      seen: true,
      value: { kind: 'no-reply', afterMs: this.silenceMs, tls: true },
    } as const;
    const { apiLog } = evidenceOf({ processes: [] });
    assert.ok(apiLog.seen);
    const log = { ...apiLog.value, startFailures: this.startFailures };
    return evidenceOf({
      processes: this.processes,
      pidFile: this.pidFile,
      ...(this.listeners === undefined ? {} : { listeners: this.listeners }),
      evidence: {
        apiLog: { seen: true, value: log },
        ...(this.silent ? { answer } : {}),
        ...this.also,
      },
    });
  }

  async fix(options: Partial<PlanOptions> = {}) {
    const before = diagnoseEvidence(this.evidence());
    const manager = chooseServiceManager(before.evidence.service, {
      service: 'auto',
      unit: 'salt-api',
      unitNamed: false,
      stopCommand: this.stoppable ? ['stop'] : undefined,
      startCommand: this.managed ? ['start'] : undefined,
    });
    const plan = planFix(before, manager, { only: undefined, restart: 'always', ...options });
    assert.ok(plan.kind === 'fix', JSON.stringify(plan));
    const result = await runPlan(plan, before, this.#context(manager));
    const status = (kind: string) => {
      return result.outcomes.find(({ step }) => step.kind === kind);
    };
    return { ...result, status };
  }

  #context(manager: RunContext['manager']): RunContext {
    const host = {
      name: 'world',
      look: ({ leaveOut = [] }: LookRequest) => {
        this.looks += 1;
        if (leaveOut.length === 0) this.wholeLooks += 1;
        if (this.gone) throw new TriageError('it is gone', 'look', ExitCode.unknown);
        const askAgain = async (timeoutMs: number) => {
          this.secondAsks.push(timeoutMs);
          if (this.second?.kind === 'answered') this.silent = false;
          return this.second === null ? blind('unsupported', 'no way') : seen(this.second);
        };
        const left = leaveOut.map((name) => [name, Promise.resolve(LEFT_OUT)]);
        const look = new RecordedHost(this.evidence()).look();
        return { ...look, ...Object.fromEntries(left), askAgain };
      },
      lookBehind: async () => ({}),
    };
    return {
      host,
      actions: {
        kill: async ({ identity }: KillTarget) => {
          this.kills.push(identity.pid);
          this.#end(identity.pid);
          this.onKill(identity.pid);
          return { kind: 'gone' };
        },
        run: async (argv) => this.#run(argv),
        hasProgram: async () => true,
        recordProcess: async () => new Map(),
        readStacks: async (target, boundMs) => this.onStacks(target.identity.pid, boundMs),
        recordHost: async () => new Map(),
        missingRights: async () => null,
      },
      request: {
        port: undefined,
        configDirectory: undefined,
        log: undefined,
        sinceMs: null,
        probeTimeoutMs: 1_000,
        lookTimeoutMs: 1_000,
      },
      policy: { closeWaitWarn: 5, closeWaitFail: 20 },
      manager,
      stacksMs: this.stacksMs,
      consent: {
        label: 'test',
        takesTime: this.takesTime,
        ask: async (step) => {
          this.asked.push(step.title);
          return this.onQuestion(step.kind);
        },
      },
      trail: {
        saveFile: async (name, text) => {
          this.saved.set(name, text);
        },
        saveProcess: async () => undefined,
        journal: async (entry) => {
          this.journal.push(entry);
        },
      },
      observer: {
        stepBegins: () => undefined,
        stepEnds: () => undefined,
        waiting: () => this.onWaiting(),
        warn: (text) => this.warnings.push(text),
      },
      waitMs: this.waitMs,
      commandTimeoutMs: 1_000,
      interrupted: () => this.interrupted,
      // What waits for something here waits for its deadline alone.
      pause: () => new Promise((resolve) => setTimeout(resolve, 5)),
    };
  }

  /** What the kernel does with the child of a process that has ended. */
  reparent(pid: number): void {
    this.processes = this.processes.map((facts) =>
      facts.pid === pid ? { ...facts, ppid: 1 } : facts,
    );
  }

  #end(pid: number): void {
    this.processes = this.processes.filter((facts) => facts.pid !== pid);
  }

  #run(argv: readonly string[]): CommandOutcome {
    const [word = ''] = argv;
    this.commands.push(word);
    const stops = word === 'stop';
    if (stops) this.onStop();
    else this.onStart();
    const exitCode = stops ? this.stopExit : this.startExit;
    const ended = { output: '', timedOut: false, failed: null, lost: false, durationMs: 1 };
    return { argv, exitCode, ...ended };
  }
}

/** A world in which stop ends the daemon and start brings a new one. */
function world(processes: readonly ProcessFacts[]): World {
  const made = new World(processes);
  made.onStop = () => {
    made.processes = made.processes.filter(({ pid }) => pid !== daemon.pid && pid !== child.pid);
  };
  made.onStart = () => {
    made.silent = false;
    made.processes = [...made.processes, ...started];
  };
  return made;
}

describe('a fix', () => {
  it('kills the orphan, stops, starts and sees the API serve', async () => {
    const host = world([orphan, daemon]);
    const { recovered, ended } = await host.fix();
    assert.deepEqual([recovered, ended], [true, 'completed']);
    assert.deepEqual([host.kills, host.commands], [[37], ['stop', 'start']]);
  });

  describe('whose start fails', () => {
    const { now } = evidenceOf({ processes: [] }).host;
    const [manager] = started;
    const failure = {
      kind: 'certificate',
      port: null,
      module: null,
      count: 1,
      lastAt: now,
      sample: 'Exception: Could not find a certificate: /etc/pki/api.crt',
    } as const;

    function failing(lastAt: number | null): World {
      const host = world([orphan, daemon]);
      host.waitMs = 60_000;
      host.onStart = () => {
        host.processes = manager === undefined ? [] : [manager];
        host.startFailures = [{ ...failure, lastAt }];
      };
      return host;
    }

    it('waits no longer once the log says so, and shows the line and what helps', async () => {
      const host = failing(now);
      const began = performance.now();
      const { recovered, status, after } = await host.fix();
      assert.ok(performance.now() - began < 30_000, 'not for as long as --wait says');
      assert.equal(recovered, false);
      assert.equal(status('start')?.status, 'done');
      const detail = status('verify')?.detail ?? '';
      assert.match(
        detail,
        /^the start failed: Could not find a certificate: \/etc\/pki\/api.crt\n/,
      );
      assert.match(detail, /ssl_crt and ssl_key/);
      assert.equal(after?.verdict.startFailure?.kind, 'certificate');
    });

    it('goes on waiting where what failed was a start before ours, or has no time', async () => {
      for (const lastAt of [now - 5_000, null]) {
        const host = failing(lastAt);
        host.waitMs = 30;
        const { status } = await host.fix();
        assert.match(status('verify')?.detail ?? '', /^after /);
      }
    });

    it('goes on where the daemon serves all the same', async () => {
      const host = world([orphan, daemon]);
      host.startFailures = [{ ...failure, port: 443, lastAt: now - 3_000 }];
      const { recovered } = await host.fix();
      assert.equal(recovered, true);
    });
  });

  it('kills nothing that has another part by the time of the answer', async () => {
    const host = world([orphan, daemon]);
    host.onQuestion = (kind) => {
      // It has got a manager: what was an orphan is a server's child now.
      if (kind === 'kill')
        host.processes = [
          { ...orphan, ppid: 90 },
          saltApi({ pid: 90, ppid: 1, age: 9_100 }),
          daemon,
        ];
      return 'yes';
    };
    const { status } = await host.fix({ only: 'kill' });
    assert.equal(status('kill')?.status, 'refused');
    assert.match(status('kill')?.detail ?? '', /was orphan when planned and is child now/);
    assert.deepEqual(host.kills, []);
  });

  it('kills nothing that is not salt-api any more', async () => {
    const host = world([orphan, daemon]);
    host.onQuestion = () => {
      host.processes = [{ ...orphan, argv: ['nginx'] }, daemon];
      return 'yes';
    };
    const { status } = await host.fix({ only: 'kill' });
    assert.equal(status('kill')?.status, 'refused');
    assert.match(status('kill')?.detail ?? '', /not salt-api any more/);
    assert.deepEqual(host.kills, []);
  });

  it('sends no signal once the operator has interrupted it, though the answer was yes', async () => {
    const host = world([orphan, daemon]);
    host.onQuestion = () => {
      host.interrupted = true;
      return 'yes';
    };
    const { ended } = await host.fix();
    assert.equal(ended, 'interrupted');
    assert.deepEqual([host.kills, host.commands], [[], []]);
  });

  it('does not start while another program has the port', async () => {
    const host = world([orphan, daemon]);
    host.onKill = () => {
      host.processes = [...host.processes, { ...stranger, listens: [INODE] }];
    };
    const { status, recovered } = await host.fix();
    assert.equal(status('start')?.status, 'refused');
    assert.deepEqual([recovered, host.commands], [false, ['stop']]);
  });

  it('does not start where another program took the port while the question was open', async () => {
    const host = world([orphan, daemon]);
    host.onQuestion = (kind) => {
      if (kind === 'start') host.processes = [{ ...stranger, listens: [INODE] }];
      return 'yes';
    };
    const { status } = await host.fix();
    assert.equal(status('start')?.status, 'refused');
    assert.deepEqual(host.commands, ['stop']);
  });

  it('does start beside a program that had another address of the port before', async () => {
    const host = world([orphan, daemon, stranger]);
    const beside = { address: '127.0.0.2', inode: OTHER_INODE };
    host.listeners = [{}, beside];
    host.onKill = () => {
      host.listeners = [beside];
    };
    const start = host.onStart;
    host.onStart = () => {
      host.listeners = [{}, beside];
      start();
    };
    const { recovered, status } = await host.fix();
    assert.ok(recovered, JSON.stringify(status('verify')));
    assert.deepEqual(host.kills, [37]);
  });

  it('does not start beside a program that shares the address of the port', async () => {
    const host = world([orphan, daemon, stranger]);
    const shared = { inode: OTHER_INODE };
    host.listeners = [{}, shared];
    host.onKill = () => {
      host.listeners = [shared];
    };
    const { recovered, status } = await host.fix();
    assert.equal(recovered, false);
    assert.equal(status('wait-port-free')?.status, 'failed');
    assert.ok(!host.commands.includes('start'));
  });

  it('looks at the whole host once for many kills that nobody is asked about', async () => {
    const orphans = Array.from({ length: 40 }, (_, index) => ({ ...orphan, pid: 1000 + index }));
    const host = world([daemon, child, ...orphans]);
    host.takesTime = false;
    const { recovered } = await host.fix();
    assert.ok(recovered);
    assert.equal(host.kills.length, 40);
    assert.ok(host.looks < 20, `${host.looks} looks`);
  });

  it('is not recovered while the old process has the port', async () => {
    const host = world([daemon, child]);
    host.silent = true;
    host.onStop = () => {
      host.silent = false;
    };
    host.onQuestion = (kind) => (kind === 'kill' ? 'skip' : 'yes');
    const { recovered, status } = await host.fix();
    assert.equal(recovered, false);
    assert.match(status('verify')?.detail ?? '', /the old process still holds the port/);
  });

  it('stops nothing that serves again by the time of the answer, and calls that recovered', async () => {
    const host = world([daemon, child]);
    host.silent = true;
    host.onQuestion = () => {
      host.silent = false;
      return 'yes';
    };
    const { recovered, status } = await host.fix();
    assert.deepEqual([recovered, status('stop')?.status, host.commands], [true, 'not-needed', []]);
  });

  it('kills no daemon that could not be stopped and serves by then', async () => {
    const host = world([orphan, daemon]);
    host.stopExit = 1;
    host.onStop = () => {
      host.processes = [...host.processes, child];
    };
    const { recovered, status } = await host.fix();
    assert.equal(status('kill-leftovers')?.status, 'not-needed');
    assert.deepEqual([recovered, host.kills], [true, [37]]);
  });

  it('leaves a daemon alone that something else has started after the stop', async () => {
    const host = world([orphan, daemon]);
    host.onStop = () => {
      host.processes = started;
    };
    const { recovered, status } = await host.fix();
    assert.equal(status('start')?.status, 'not-needed');
    assert.deepEqual([recovered, host.kills, host.commands], [true, [37], ['stop']]);
  });

  it('warns before the stop where the person keeps what holds the port', async () => {
    const host = world([orphan, daemon]);
    host.onQuestion = (kind) => (kind === 'kill' ? 'skip' : 'yes');
    const { recovered, status } = await host.fix();
    assert.match(host.warnings.join(), /37 was skipped and keeps the port/);
    assert.equal(status('start')?.status, 'refused');
    assert.deepEqual([recovered, host.kills], [false, []]);
  });

  it('tells what was done and what not where the host is gone', async () => {
    const host = world([orphan, daemon]);
    host.onStop = () => {
      host.gone = true;
    };
    const { ended, recovered, status } = await host.fix();
    assert.deepEqual([ended, recovered], ['cut off', false]);
    assert.equal(status('kill')?.status, 'done');
    assert.equal(status('start')?.status, 'not-started');
    assert.match(host.journal.at(-1)?.result ?? '', /not recovered, cut off/);
  });
});

/** A silence that nothing else confirms, and what the second ask brings. */
const SHORT_MS = 5_000;
const OK = { kind: 'answered', status: 200, afterMs: 4_000, tls: true } as const;

describe('a fix of a server that hangs', () => {
  it('asks once more before it stops anything, and has nothing to do where the API came back', async () => {
    const host = world([daemon, child]);
    host.silent = true;
    host.onQuestion = () => {
      host.silenceMs = SHORT_MS;
      host.second = OK;
      return 'yes';
    };
    const { recovered, status } = await host.fix();
    assert.deepEqual(host.secondAsks, [11_000]);
    assert.equal(status('stop')?.status, 'not-needed');
    assert.match(status('stop')?.detail ?? '', /nothing to do: the API serves again, .*HTTP 200/);
    assert.deepEqual([recovered, host.commands, host.kills], [true, [], []]);
  });

  it('stops it where the second ask is silent as well', async () => {
    const host = world([daemon, child]);
    host.silent = true;
    host.onQuestion = () => {
      host.silenceMs = SHORT_MS;
      host.second = { kind: 'no-reply', afterMs: 11_000, tls: true };
      return 'yes';
    };
    const { recovered } = await host.fix();
    assert.deepEqual([recovered, host.commands], [true, ['stop', 'start']]);
  });

  it('asks before the first kill where a kill is the stop', async () => {
    const host = world([daemon, child]);
    host.stoppable = false;
    host.silent = true;
    host.onQuestion = () => {
      host.silent = false;
      return 'yes';
    };
    const { recovered } = await host.fix();
    assert.deepEqual([recovered, host.kills, host.commands], [true, [], []]);
  });
});

describe('a look within a fix', () => {
  it('reads the log and asks the API where a step goes by them alone', async () => {
    const host = world([orphan, daemon]);
    const { recovered } = await host.fix();
    assert.ok(recovered);
    assert.equal(host.wholeLooks, 1, 'the one of the verify step');
  });

  it('is whole at the end, as it is saved and told', async () => {
    const host = world([orphan, daemon]);
    host.onQuestion = (kind) => (kind === 'kill' ? 'yes' : 'abort');
    const { after } = await host.fix();
    const { evidence } = JSON.parse(host.saved.get('evidence-after.json') ?? '{}');
    assert.deepEqual([evidence.apiLog.seen, evidence.answer.seen], [true, true]);
    assert.equal(after?.verdict.code, 'down');
  });

  for (const [takesTime, asks] of [
    [false, 1],
    [true, 2],
  ] as const) {
    it(`asks a silent API ${asks === 1 ? 'not ' : ''}again before the stop where ${takesTime ? 'a person' : 'nobody'} was asked meanwhile`, async () => {
      const host = world([daemon, child]);
      host.silent = true;
      host.takesTime = takesTime;
      const { recovered } = await host.fix();
      assert.deepEqual([recovered, host.wholeLooks], [true, asks]);
    });
  }
});

describe('the Python stacks of what is killed', () => {
  const stack = [{ function: 'login', file: '/usr/bin/salt-api' }];
  const taken = { tool: 'gdb', stacks: [stack], withoutPython: 0, unseen: 0 } as const;
  const second = server({ pid: 38, ppid: 1, session: 13, age: 9_000 });
  const slowly = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  it('are read after the yes, kept, and told under the kill', async () => {
    const host = world([orphan, daemon]);
    host.onStacks = async (pid) => {
      assert.deepEqual([pid, host.kills, host.asked.length], [37, [], 1]);
      return seen(taken);
    };
    const { recovered, status } = await host.fix();
    assert.ok(recovered);
    assert.match(
      status('kill')?.detail ?? '',
      /^37 is gone\nPython stacks: 1 × in salt-api\.login\n1 thread seen by gdb in .*: stacks-37\.txt$/,
    );
    assert.match(host.saved.get('stacks-37.txt') ?? '', /login \(\/usr\/bin\/salt-api\)/);
    assert.equal(JSON.parse(host.saved.get('stacks-37.json') ?? '{}').folded.length, 1);
    const noted = host.journal.find(({ action }) => action === 'Python stacks of 37');
    assert.match(noted?.result ?? '', /^1 × in salt-api\.login; 1 thread/);
  });

  it('stop no kill where there are none, and the reason is told once', async () => {
    const host = world([orphan, second, daemon]);
    const { outcomes } = await host.fix();
    assert.deepEqual(host.kills, [37, 38]);
    const details = outcomes.filter(({ step }) => step.kind === 'kill').map((one) => one.detail);
    assert.deepEqual(details, [
      '37 is gone\nPython stacks: none: neither py-spy nor gdb is there',
      '38 is gone',
    ]);
    assert.match(host.saved.get('stacks-38.json') ?? '', /neither py-spy nor gdb is there/);
  });

  it('stop no kill where the tool can not even be started', async () => {
    const host = world([orphan, daemon]);
    host.onStacks = async () => {
      throw new Error('spawn ENOMEM');
    };
    const { status } = await host.fix();
    assert.equal(status('kill')?.detail, '37 is gone\nPython stacks: none: spawn ENOMEM');
    assert.deepEqual(host.kills, [37]);
  });

  it('are not asked for with --stacks never', async () => {
    const host = world([orphan, daemon]);
    host.stacksMs = 0;
    host.onStacks = () => assert.fail('nobody has asked for them');
    const { status } = await host.fix();
    assert.equal(status('kill')?.detail, '37 is gone');
  });

  it('share one time: who comes when it is over goes without', async () => {
    const host = world([orphan, second, daemon]);
    host.stacksMs = 3_100;
    const bounds: number[] = [];
    host.onStacks = async (_pid, boundMs) => {
      bounds.push(boundMs);
      await slowly(150);
      return seen(taken);
    };
    await host.fix();
    assert.deepEqual([bounds, host.kills], [[3_100], [37, 38]]);
    assert.match(host.saved.get('stacks-38.json') ?? '', /other processes have taken the time/);
  });

  it('take time, after which it is judged again what the process is', async () => {
    const host = world([orphan, daemon]);
    host.takesTime = false;
    host.onStacks = async () => {
      await slowly(2_100);
      host.processes = [{ ...orphan, argv: ['nginx'] }, daemon];
      return seen(taken);
    };
    const { status } = await host.fix({ only: 'kill' });
    assert.match(status('kill')?.detail ?? '', /^37 is not salt-api any more\n/);
    assert.deepEqual([status('kill')?.status, host.kills], ['refused', []]);
  });

  it('take time, in which the operator may say no after all', async () => {
    const host = world([orphan, daemon]);
    host.onStacks = async () => {
      host.interrupted = true;
      return seen(taken);
    };
    const { ended } = await host.fix();
    assert.deepEqual([ended, host.kills], ['interrupted', []]);
  });
});

describe('fix --only kill', () => {
  it('waits for the daemon to take the port that it has freed', async () => {
    const host = world([orphan, daemon]);
    host.waitMs = 5_000;
    host.onWaiting = () => {
      host.processes = [daemon, child];
    };
    const { recovered, status } = await host.fix({ only: 'kill' });
    assert.deepEqual([recovered, host.kills, host.commands], [true, [37], []]);
    assert.match(status('verify')?.detail ?? '', /no orphan is left; 443 is held by 101/);
  });

  it('has not recovered a host on which nobody listens', async () => {
    const host = world([orphan, daemon]);
    const { recovered, status, after } = await host.fix({ only: 'kill' });
    assert.deepEqual([recovered, host.kills], [false, [37]]);
    assert.match(status('verify')?.detail ?? '', /nobody listens on 443/);
    assert.equal(after?.verdict.code, 'down');
  });

  it('does not wait for the whole time where nothing runs that could take the port', async () => {
    const host = world([orphan]);
    host.waitMs = 60_000;
    const began = performance.now();
    const { recovered } = await host.fix({ only: 'kill' });
    assert.ok(!recovered);
    assert.ok(performance.now() - began < 20_000);
  });

  it('has recovered nothing while the daemon is silent', async () => {
    const host = world([orphan, daemon]);
    host.onKill = () => {
      host.processes = [daemon, child];
      host.silent = true;
    };
    const { recovered, status } = await host.fix({ only: 'kill' });
    assert.ok(!recovered);
    assert.match(status('verify')?.detail ?? '', /GET \/: connected, no reply/);
  });
});

describe('fix --restart if-needed', () => {
  it('needs no service manager where the daemon recovers by itself', async () => {
    const host = world([orphan, daemon]);
    host.managed = false;
    host.pidFile = daemon.pid;
    host.waitMs = 5_000;
    host.onKill = () => {
      host.processes = [daemon, child];
    };
    const { recovered, outcomes } = await host.fix({ restart: 'if-needed' });
    assert.ok(recovered);
    assert.deepEqual(
      outcomes.map(({ step }) => step.kind),
      ['save-evidence', 'kill', 'await-recovery', 'verify'],
    );
  });

  it('fails there and says what would help where it does not', async () => {
    const host = world([orphan, daemon]);
    host.managed = false;
    host.pidFile = daemon.pid;
    const { recovered, status } = await host.fix({ restart: 'if-needed' });
    assert.equal(status('await-recovery')?.status, 'failed');
    assert.match(status('await-recovery')?.detail ?? '', /--service, or give --stop-cmd/);
    assert.equal(recovered, false);
  });
});

describe('a start that failed', () => {
  function failing(unit: Partial<SystemdUnitFacts> = {}): World {
    const host = world([orphan, daemon]);
    host.waitMs = 60_000;
    host.startExit = 1;
    host.onStart = () => {
      const { service } = evidenceOf({ processes: [], unit });
      host.also = { service };
    };
    return host;
  }

  it('is not verified for the whole time where nothing comes up', async () => {
    const began = performance.now();
    const { recovered, status } = await failing({ activeState: 'failed' }).fix();
    assert.equal(status('start')?.status, 'failed');
    assert.ok(!recovered);
    assert.ok(performance.now() - began < 20_000);
  });

  it('is waited for where systemd tries again', async () => {
    const host = failing({ activeState: 'activating', subState: 'auto-restart' });
    host.waitMs = 20_000;
    let looks = 0;
    const began = performance.now();
    host.onWaiting = () => {
      // Beyond the time after which nothing is waited for where nothing comes.
      if (performance.now() - began > 4_000) host.processes = started;
      looks += 1;
    };
    assert.ok((await host.fix()).recovered);
    assert.ok(looks > 1);
  });
});

describe('what a person has said no to', () => {
  it('a stop: then no daemon and no child is put up for a kill', async () => {
    const host = world([daemon, child]);
    host.silent = true;
    host.onQuestion = (kind) => (kind === 'stop' ? 'skip' : 'yes');
    await host.fix();
    assert.deepEqual(host.kills, []);
    assert.ok(!host.asked.some((title) => title.startsWith('kill')), host.asked.join());
  });

  it('a kill: it is asked once, and not again as a leftover', async () => {
    const host = world([orphan, daemon]);
    host.onQuestion = (kind) => (kind === 'kill' ? 'skip' : 'yes');
    await host.fix();
    assert.deepEqual(
      host.asked.filter((title) => title.startsWith('kill')),
      ['kill -9 37 (orphan)'],
    );
  });

  it('nothing, by a terminal that went away while the stop was asked: no stop', async () => {
    const host = world([daemon, child]);
    host.silent = true;
    host.onQuestion = () => {
      host.interrupted = true;
      return 'yes';
    };
    const { ended, status } = await host.fix();
    assert.deepEqual(
      [ended, host.commands, status('stop')?.status],
      ['interrupted', [], 'declined'],
    );
  });

  it('a leftover: nothing is waited for any more, and an interrupt then is one', async () => {
    const host = world([daemon, child]);
    host.silent = true;
    host.onStop = () => undefined;
    host.onQuestion = (kind) => {
      if (kind !== 'kill') return 'yes';
      host.interrupted = true;
      return 'abort';
    };
    const { ended, status } = await host.fix();
    assert.deepEqual([ended, host.kills], ['interrupted', []]);
    assert.equal(status('kill-leftovers')?.status, 'declined');
  });

  it('a start: it was not asked for where something else has started salt-api by then', async () => {
    const host = world([orphan, daemon]);
    host.onStop = () => {
      host.processes = [...started];
    };
    const { recovered } = await host.fix();
    assert.ok(recovered);
    assert.ok(!host.asked.includes('start the service'), host.asked.join());
  });

  it('nothing, while the start was asked: no start', async () => {
    const host = world([orphan, daemon]);
    host.onQuestion = (kind) => {
      host.interrupted = kind === 'start';
      return 'yes';
    };
    const { ended, after, unseen } = await host.fix();
    assert.deepEqual([ended, host.commands], ['interrupted', ['stop']]);
    assert.deepEqual([after?.verdict.code, unseen], ['down', null]);
  });

  it('nothing more, while it was stopped: how it stands then is looked at', async () => {
    const host = world([daemon, child]);
    host.silent = true;
    host.onStop = () => {
      host.processes = [];
      host.interrupted = true;
    };
    const seen = await host.fix();
    assert.deepEqual(
      [seen.ended, seen.after?.verdict.code, seen.unseen],
      ['interrupted', 'down', null],
    );
    const lost = world([daemon, child]);
    lost.silent = true;
    lost.onStop = () => {
      lost.gone = true;
      lost.interrupted = true;
    };
    const { unseen } = await lost.fix();
    assert.equal(unseen, 'it is gone');
  });
});

describe('what a stop has left behind', () => {
  it('is killed, the manager before its child, so that it can start no other', async () => {
    const host = world([daemon, child]);
    host.silent = true;
    host.onStop = () => undefined;
    host.onKill = () => host.reparent(child.pid);
    const { recovered } = await host.fix();
    assert.deepEqual(host.kills, [100, 101]);
    assert.deepEqual([recovered, host.commands], [true, ['stop', 'start']]);
  });

  it('is killed at once where it is stopped, and its manager may then end by itself', async () => {
    const host = world([daemon, { ...child, state: 'T' }]);
    host.silent = true;
    host.onStop = () => undefined;
    // It has had its SIGTERM, and waited for its child.
    host.onKill = () => {
      host.processes = [];
    };
    const began = performance.now();
    const { recovered } = await host.fix();
    assert.deepEqual([recovered, host.kills], [true, [child.pid]]);
    assert.ok(performance.now() - began < 4_500, 'no grace for what can not end');
  });

  it('is not killed where it ends soon after the request that it had in work', async () => {
    const host = world([daemon, child]);
    host.silent = true;
    const ending = { ...child, listens: [], portConnections: 1 };
    const began = performance.now();
    host.onStop = () => {
      host.processes = [daemon, ending];
      const { sockets } = host.evidence();
      assert.ok(sockets.seen);
      const waits = { address: '10.0.0.9', state: 'ESTABLISHED', accepted: 1 } as const;
      const peers = [{ ...waits, unaccepted: 0, unreadBytes: 0 }];
      host.also = { sockets: seen({ ...sockets.value, peers }) };
    };
    host.onWaiting = () => {
      const passed = performance.now() - began;
      if (passed > 1_500) host.processes = [daemon, { ...ending, portConnections: 0 }];
      if (passed > 1_900) {
        host.processes = [];
        host.also = {};
      }
    };
    const { recovered } = await host.fix();
    assert.deepEqual([recovered, host.kills], [true, []]);
  });

  it('is killed where the stop has failed and the server still hangs', async () => {
    const host = world([daemon, child]);
    host.silent = true;
    host.stopExit = 1;
    host.onStop = () => undefined;
    host.onKill = () => host.reparent(child.pid);
    await host.fix();
    assert.deepEqual(host.kills, [100, 101]);
  });
});

describe('a verification', () => {
  const peer = { address: '10.0.0.9', state: 'CLOSE_WAIT', unreadBytes: 0, unaccepted: 0 } as const;

  function afterStart(host: World, also: (evidence: Evidence) => Partial<Evidence>): World {
    const start = host.onStart;
    host.onStart = () => {
      start();
      host.also = also(host.evidence());
    };
    return host;
  }

  for (const [count, recovers] of [
    [4, true],
    [5, false],
  ] as const) {
    it(`has ${recovers ? '' : 'not '}recovered with ${count} CLOSE_WAIT, of which 5 are a warning`, async () => {
      const host = afterStart(world([orphan, daemon]), ({ sockets }) => {
        assert.ok(sockets.seen);
        const peers = [{ ...peer, accepted: count }];
        return { sockets: seen({ ...sockets.value, peers }) };
      });
      const { recovered, status } = await host.fix();
      assert.equal(recovered, recovers);
      if (!recovers) assert.match(status('verify')?.detail ?? '', /CLOSE_WAIT: 5 on port 443/);
    });
  }

  it('has not recovered where the log has a failed start since the server began', async () => {
    const host = afterStart(world([orphan, daemon]), ({ apiLog, host: { now } }) => {
      assert.ok(apiLog.seen);
      const failed = { events: 1, times: [now], firstAt: now, lastAt: now };
      return { apiLog: seen({ ...apiLog.value, ...failed, ports: [443] }) };
    });
    const { recovered, status } = await host.fix();
    assert.equal(recovered, false);
    assert.match(status('verify')?.detail ?? '', /API log: /);
  });

  it('that was interrupted is no verdict on the host', async () => {
    const host = world([orphan, daemon]);
    host.waitMs = 5_000;
    host.onStart = () => undefined;
    host.onWaiting = () => {
      host.interrupted = host.commands.includes('start');
    };
    const { ended, recovered } = await host.fix();
    assert.deepEqual([ended, recovered], ['interrupted', false]);
  });
});
