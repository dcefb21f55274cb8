/** How a fix ends on the screen: what stands, what is not done, and the command that goes on. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Diagnosis, diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { NO_BACKGROUND } from '../../src/evidence/background.ts';
import { blind, seen } from '../../src/evidence/evidence.ts';
import { masterAddress } from '../../src/evidence/master-facts.ts';
import type { StepOutcome } from '../../src/fix/fix-run.ts';
import type { RunResult } from '../../src/fix/run-plan.ts';
import { killStep, planFix } from '../../src/plan/plan.ts';
import { chooseServiceManager } from '../../src/plan/service-manager.ts';
import { errorText } from '../../src/report/error-text.ts';
import { fixEnd } from '../../src/report/fix-end.ts';
import { planText } from '../../src/report/fix-text.ts';
import { type Screen, screenOn } from '../../src/report/screen.ts';
import { stateNow } from '../../src/report/state-now.ts';
import { evidenceOf, type Situation, saltApi, server, TITLED } from '../diagnosis/situation.ts';
import { repeated } from './repeated.ts';

const daemon = saltApi({ pid: 100, ppid: 1, argv: TITLED, age: 60 });
const child = server({ pid: 101, ppid: 100, age: 55 });
const orphan = server({ pid: 37, ppid: 1, session: 12, age: 9_000, portConnections: 3 });
const stray = { ...orphan, pid: 38, listens: [] };

const diagnosed = (situation: Situation): Diagnosis => diagnoseEvidence(evidenceOf(situation));
const STOPPED = diagnosed({ processes: [] });
const HEALTHY = diagnosed({ processes: [daemon, child], pidFile: 100 });
const before = diagnosed({ processes: [orphan, daemon], pidFile: 100 });

const manager = chooseServiceManager(before.evidence.service, repeated().service);
const made = planFix(before, manager, { only: undefined, restart: 'always' });
assert.ok(made.kind === 'fix');
const plan = made;

function screenOf(color = false): { screen: Screen; text: () => string } {
  const lines: string[] = [];
  const write = (text: string) => lines.push(text);
  const stream = { isTTY: color, columns: 80, write } as unknown as NodeJS.WriteStream;
  return { screen: screenOn(stream, { color }), text: () => lines.join('') };
}

type Said = Partial<Record<StepOutcome['step']['kind'], StepOutcome['status']>>;

/** The end of a run of which each step that is not named was not started. */
function ended(said: Said, run: Partial<RunResult>, more: readonly StepOutcome[] = []): string {
  const outcomes = plan.steps.map((step) => {
    const status = said[step.kind] ?? 'not-started';
    const detail = status === 'declined' ? 'skipped' : '';
    return { step, status, detail, durationMs: 1, notPermitted: false };
  });
  const about = { kind: 'ran', before, manager, dryRun: false, plan, trail: '/trail/1' } as const;
  const rest = { after: null, unseen: null, ended: 'interrupted', recovered: false } as const;
  const result = { ...about, ...rest, outcomes: [...outcomes, ...more], ...run };
  return fixEnd(screenOf().screen, result, repeated(['--port', '443']));
}

describe('how the host stands', () => {
  const unseenTable = { processes: blind('timeout', 'too slow') };
  const cases: readonly (readonly [Diagnosis, RegExp])[] = [
    [STOPPED, /^salt-api is stopped: nothing listens on port 443$/],
    [
      diagnosed({ processes: [daemon], pidFile: 100 }),
      /^salt-api 100 is running, but nothing listens on port 443$/,
    ],
    [
      diagnosed({ processes: [{ ...daemon, state: 'T' }], pidFile: 100 }),
      /^salt-api 100 is suspended \(state T\), but nothing listens/,
    ],
    [
      diagnosed({ processes: [daemon] }),
      /^nothing listens on port 443; salt-api processes still there: 100$/,
    ],
    [before, /^orphan 37 still holds port 443; salt-api 100 is running without it$/],
    [
      diagnosed({ processes: [orphan, stray] }),
      /^orphan 37 still holds port 443; orphan 38 still there$/,
    ],
    [
      diagnosed({ processes: [stray] }),
      /^no salt-api daemon is running, nothing listens on port 443; orphan 38 still there$/,
    ],
    [HEALTHY, /^443 is held by 101, child of the daemon 100; GET \/: HTTP 200/],
    [
      diagnosed({ processes: [], evidence: unseenTable }),
      /^nothing listens on port 443; whether salt-api is running is not known$/,
    ],
    [
      diagnosed({ processes: [], hidden: true }),
      /nothing listens on port 443, and no salt-api is seen/,
    ],
  ];
  for (const [diagnosis, expected] of cases) {
    it(String(expected), () => assert.match(stateNow(diagnosis), expected));
  }
});

describe('the end of a fix that has not recovered', () => {
  it('says what was seen after the last action, what is not done, and what goes on', () => {
    const text = ended({ 'save-evidence': 'done', kill: 'done', stop: 'done' }, { after: STOPPED });
    assert.deepEqual(text.trim().split('\n'), [
      'Not recovered (interrupted).',
      'Now      salt-api is stopped: nothing listens on port 443',
      'Done     kill -9 37 (orphan); stop the service',
      'Not done check for leftover salt-api processes; start the service',
      'Trail    /trail/1',
      'Next     salt-triage fix --port 443    start; asks before each step',
    ]);
  });

  it('says so where nothing was changed, and then plans as before', () => {
    const text = ended({}, { ended: 'aborted' });
    assert.match(
      text,
      /^Now {6}nothing was changed; as first seen: orphan 37 still holds port 443/m,
    );
    assert.match(text, /^Next {5}salt-triage fix --port 443\n {9}kill -9 37, stop,/m);
    assert.doesNotMatch(text, /^Done/m);
  });

  it('does not claim to know how a host stands that it could not look at', () => {
    const text = ended(
      { kill: 'done' },
      { ended: 'cut off', unseen: 'no connection', after: before },
    );
    assert.match(text, /^Now {6}not known: no connection$/m);
    assert.match(text, /^Next {5}salt-triage diagnose --port 443 /m);
  });

  it('names a process once, by what came of it last', () => {
    const [member] = before.roles.all.filter(({ facts }) => facts.pid === 37);
    assert.ok(member !== undefined);
    const again = (status: StepOutcome['status']): StepOutcome => ({
      ...{ step: killStep(member, before), status, detail: 'skipped' },
      ...{ durationMs: 1, notPermitted: false },
    });
    const skipped = ended({ kill: 'declined' }, {}, [again('declined')]);
    assert.equal(skipped.match(/kill -9 37 \(orphan\)/g)?.length, 1, skipped);
    const killed = ended({ kill: 'declined' }, {}, [again('done')]);
    assert.doesNotMatch(killed, /^Not done .*kill/m);
  });

  it('does not call broken what serves at the last look', () => {
    const text = ended({ kill: 'done' }, { after: HEALTHY, ended: 'aborted' });
    assert.match(
      text,
      /^Ended before it was verified \(aborted\); at the last look salt-api served\.$/m,
    );
    assert.match(text, /^Next {5}salt-triage diagnose --port 443 {4}checks once more$/m);
  });
});

describe('the end of a fix behind whose API the master is frozen', () => {
  const processes = [{ pid: 7, ppid: 1, startTicks: 9, state: 'T', threads: 4, title: '' }];
  const lies = { connections: 0, bytes: 0 };
  const master = seen({
    ...{
      asked: masterAddress(blind('missing', '')),
      isHere: true,
      installed: true,
      processes,
      holders: [7],
    },
    ...{ listeners: [], backlog: { acceptQueue: 0, unread: lies, unsent: lies } },
    ...{ stuck: null, ipc: null },
  });
  const background = { ...NO_BACKGROUND, master };
  const frozen = diagnosed({ processes: [daemon, child], pidFile: 100, evidence: { background } });

  it('says what answers and what does not, and what is to be done', () => {
    const text = ended({ verify: 'done' }, { after: frozen, ended: 'completed', recovered: true });
    assert.deepEqual(text.trim().split('\n'), [
      'The API answers GET /; the Salt master does not.',
      'Now      the Salt master is frozen: 1 of its 1 process suspended (state T), 7',
      'Trail    /trail/1',
      'Next     salt-triage diagnose --port 443',
      '         find out who has stopped it; kill -CONT 7 lets it run on',
    ]);
    const well = ended({ verify: 'done' }, { after: HEALTHY, ended: 'completed', recovered: true });
    assert.match(well, /^Recovered: the API serves again\.$/m);
  });

  it('was told by its plan, unless that restarts nothing', () => {
    const evidence = { background };
    const jammed = diagnosed({ processes: [orphan, daemon], pidFile: 100, evidence });
    for (const only of [undefined, 'kill'] as const) {
      const told = planFix(jammed, manager, { only, restart: 'always' });
      assert.ok(told.kind === 'fix');
      const warned = /the Salt master is frozen: .* restart of salt-api alone .* jam it again/;
      assert.equal(warned.test(told.remarks.join()), only === undefined);
    }
  });
});

describe('what decides about a kill', () => {
  it('is printed as strongly as the kill, and nothing of a plan is dim', () => {
    const { screen } = screenOf(true);
    const text = planText(screen, plan, manager);
    assert.match(text, /\x1b\[1mkill -9 37 \(orphan\)/);
    assert.match(text, /\x1b\[1mwhy: parent dead/);
    assert.match(text, /\x1b\[1mloss: the requests/);
    assert.ok(!text.includes('\x1b[2m'));
  });
});

describe('an error', () => {
  it('begins with what to type, whole and on its own line, and then says why', () => {
    const command = `sudo salt-triage fix --config /${'x'.repeat(100)}`;
    const why = 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen';
    assert.deepEqual(
      errorText({ message: why, advice: 'Nothing was changed.', command }, 80).split('\n'),
      [
        'salt-triage: type this instead:',
        `    ${command}`,
        '  one two three four five six seven eight nine ten eleven twelve thirteen',
        '  fourteen',
        '  Nothing was changed.',
        '',
      ],
    );
  });

  it('without a command begins with what is wrong; its lines stay lines', () => {
    const text = errorText({ message: 'a\nb', advice: '', command: null }, 80);
    assert.equal(text, 'salt-triage: a\n  b\n');
    const long = 'one two '.repeat(20).trim();
    const piped = errorText({ message: long, advice: '', command: null }, null);
    assert.equal(piped, `salt-triage: ${long}\n`);
    const advised = errorText({ message: 'a', advice: 'Do b.', command: null }, 80);
    assert.equal(advised, 'salt-triage: a\n  Do b.\n');
  });
});
