import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { ExitCode, TriageError } from '../../src/errors.ts';
import { type Evidence, seen } from '../../src/evidence/evidence.ts';
import { boundedEvidence, parseEvidence, writeEvidence } from '../../src/evidence/evidence-file.ts';
import { evidenceOf, saltApi, server, UNTITLED } from '../diagnosis/situation.ts';
import { stageEvidence } from '../recorded/captures.ts';

const evidence = stageEvidence('jammed/restarted');
const text = writeEvidence(evidence);

function refused(input: string, exitCode: ExitCode, message: RegExp): void {
  assert.throws(
    () => parseEvidence(input),
    (error) => {
      assert.ok(error instanceof TriageError);
      assert.match(error.message, message);
      assert.equal(error.exitCode, exitCode);
      assert.notEqual(error.advice, '');
      return true;
    },
  );
}

/** The file with one thing in it changed. */
function forged(change: (evidence: Record<string, unknown>) => void): string {
  const file = JSON.parse(text);
  change(file.evidence);
  return JSON.stringify(file);
}

test('what was written is read back', () => {
  assert.deepEqual(parseEvidence(text), evidence);
  assert.equal(text.trimEnd().split('\n').length, 1);
  const { format, schemaVersion } = JSON.parse(text);
  assert.deepEqual([format, schemaVersion], ['salt-triage-evidence', 1]);
});

test('a file from before units were looked at beside the one is read, with nothing of them', () => {
  const whole = evidenceOf({ processes: [], unit: {} });
  const copy = structuredClone(whole) as unknown as {
    service: { value: { systemd: { value: Record<string, unknown> } } & Record<string, unknown> };
  };
  const { value } = copy.service;
  const newer = ['exitStatus', 'statusText', 'sockets', 'dropIns', 'startsSaltApi', 'ports'];
  for (const name of newer) delete value.systemd.value[name];
  for (const name of ['systemdRuns', 'otherUnits', 'relatedUnits']) delete value[name];
  const { service } = parseEvidence(JSON.stringify({ ...JSON.parse(text), evidence: copy }));
  assert.ok(service.seen && whole.service.seen && service.value.systemd.seen);
  assert.deepEqual(service.value.relatedUnits, []);
  assert.deepEqual(
    { ...service.value, systemdRuns: true, systemd: null },
    { ...whole.service.value, systemd: null },
  );
  assert.deepEqual(service.value.systemd.value?.sockets, []);
});

test('a file that was only laid out anew is still good', () => {
  const { evidence: body, ...head } = JSON.parse(text);
  const reversed = Object.fromEntries(Object.entries(body).reverse());
  assert.deepEqual(
    parseEvidence(JSON.stringify({ evidence: reversed, ...head }, null, 2)),
    evidence,
  );
});

test('what is no evidence file is a usage error', () => {
  for (const input of ['', 'salt', '{}', '[]', 'null', '{"format":"x","schemaVersion":1}']) {
    refused(input, ExitCode.usage, /not a salt-triage evidence file/);
  }
});

test('a newer schema version is a usage error that says which', () => {
  const newer = text.replace('"schemaVersion":1', '"schemaVersion":2');
  refused(newer, ExitCode.usage, /schema version 2; this salt-triage reads 1/);
});

test('a file that was saved with a digest of itself still reads', () => {
  const { evidence: body, ...head } = JSON.parse(text);
  const old = JSON.stringify({ ...head, sha256: 'f'.repeat(64), evidence: body });
  assert.deepEqual(parseEvidence(old), evidence);
});

test('a file beyond every bound is refused before it is taken apart', () => {
  const head = '{"format":"salt-triage-evidence","schemaVersion":1,"evidence":';
  refused(' '.repeat(64 * 1024 * 1024 + 1), ExitCode.unknown, /larger than 64 MiB/);
  refused(`${head}[${'{},'.repeat(1_000_001)}{}]}`, ExitCode.unknown, /more than 1000000 values/);
  refused(`${head}${'['.repeat(1e6)}`, ExitCode.unknown, /nests more than 16 deep/);
  // Nothing of that within a string counts.
  const brackets = forged((copy) =>
    Object.assign(copy['host'] as object, { name: '\\"[,'.repeat(9) }),
  );
  assert.equal(parseEvidence(brackets).host.name, '\\"[,'.repeat(9));
});

test('a cut file is damage', () => {
  refused(text.slice(0, text.length / 2), ExitCode.unknown, /not whole/);
});

test('what is saved is read, however much a host has shown', () => {
  const one = saltApi({ pid: 37, ppid: 1, argv: UNTITLED });
  const processes = Array.from({ length: 10_001 }, (_, at) => ({ ...one, pid: at + 1 }));
  const many = parseEvidence(writeEvidence(evidenceOf({ processes })));
  assert.ok(!many.processes.seen && /not saved/.test(many.processes.why));
  assert.equal(diagnoseEvidence(many).verdict.code, 'unknown');
  const wordy = processes
    .slice(0, 300)
    .map((facts) => ({ ...facts, argv: Array(5_000).fill('x') }));
  const read = parseEvidence(writeEvidence(evidenceOf({ processes: wordy })));
  assert.ok(!read.processes.seen && read.sockets.seen);
  const bounded = boundedEvidence(evidenceOf({ processes }));
  assert.ok(!bounded.processes.seen);
});

test('what a file may hold is judged in bounded time and memory', () => {
  const api = server({ pid: 1_000, ppid: 1 });
  const many = (count: number, facts: (at: number) => object) =>
    Array.from({ length: count }, (_, at) => ({ ...api, pid: 1_000 + at, ...facts(at) }));
  const inodes = Array.from({ length: 1_000 }, (_, at) => 5_000 + at);
  const pidFiles = Array.from({ length: 50 }, () => ({ path: '/x', pid: 1_000, modifiedAt: 1 }));
  const chained = many(5_000, (at) => ({ ppid: 999 + at, startTicks: 100 + at }));
  const worst = [
    evidenceOf({ processes: many(5_000, () => ({})) }),
    evidenceOf({ processes: chained }),
    evidenceOf({
      processes: many(200, () => ({ listens: inodes })),
      listeners: inodes.map((inode) => ({ inode })),
    }),
  ];
  const { service } = worst[0] ?? {};
  assert.ok(service?.seen);
  const files = { ...service.value, pidFiles };
  worst.push({ ...evidenceOf({ processes: many(2_000, () => ({})) }), service: seen(files) });
  for (const [index, evidence] of worst.entries()) {
    const began = performance.now();
    diagnoseEvidence(parseEvidence(writeEvidence(evidence)));
    const took = performance.now() - began;
    assert.ok(took < 20_000, `${index}: ${Math.round(took)} ms`);
  }
  const more = seen({ ...files, pidFiles: [...pidFiles, ...pidFiles] });
  const unseen = parseEvidence(writeEvidence({ ...evidenceOf({ processes: [] }), service: more }));
  assert.ok(!unseen.service.seen);
});

test('what a screen would act on is gone from what is only shown, and stays in what is judged', () => {
  const nasty = 'a\u001b[2J\u202eb\u2028c\u009bd';
  const odd = forged((copy) => {
    Object.assign(copy['host'] as object, { name: nasty });
    Object.assign(copy, { answer: { seen: false, cause: 'timeout', why: nasty } });
    Object.assign(copy, { port: { number: 443, origin: { kind: 'default', why: nasty } } });
    const { processes } = (copy as unknown as { processes: { value: { processes: object[] } } })
      .processes.value;
    Object.assign(processes[0] ?? {}, { argv: [nasty] });
  });
  const read = parseEvidence(odd);
  assert.equal(read.host.name, 'ab c');
  assert.ok(!read.answer.seen && read.answer.why === 'ab c');
  assert.deepEqual(read.port.origin, { kind: 'default', why: 'ab c' });
  assert.ok(read.processes.seen);
  assert.deepEqual(read.processes.value.processes[0]?.argv, [nasty]);
  // Shown on a terminal, the file itself does no harm.
  assert.match(writeEvidence(read), /^[\n\x20-\x7e]*$/);
});

test('evidence of the wrong shape is damage, and says where', () => {
  const cases: readonly [change: (copy: Record<string, unknown>) => void, where: RegExp][] = [
    [(copy) => delete copy['answer'], /answer/],
    [
      (copy) => Object.assign(copy, { port: { number: 70_000, origin: { kind: 'option' } } }),
      /port\.number/,
    ],
    [(copy) => Object.assign(copy, { sockets: { seen: true } }), /sockets\.value/],
    [
      (copy) => Object.assign(copy, { apiLog: { seen: false, cause: 'bored', why: '' } }),
      /apiLog\.cause/,
    ],
    [(copy) => Object.assign(copy, { extra: 1 }), /extra/],
    // A moment that no Date can hold.
    [(copy) => Object.assign(copy['host'] as object, { now: 1e20 }), /host\.now/],
    [
      (copy) => Object.assign(copy['host'] as object, { ticksPerSecond: 0 }),
      /host\.ticksPerSecond/,
    ],
  ];
  for (const [change, where] of cases) refused(forged(change), ExitCode.unknown, where);
});

test('what later versions tell of ports and failed starts is read, and may be absent', () => {
  const tally = {
    events: 1,
    firstAt: 1,
    lastAt: 1,
    times: [1],
    pids: [2],
    wordings: { 'port-not-free': 1 },
    samples: ['x'],
  } as const;
  const evidence = evidenceOf({ processes: [] });
  const { apiLog, config, sockets } = evidence;
  assert.ok(apiLog.seen && config.seen && sockets.seen && config.value.netapi !== null);
  const failure = {
    kind: 'certificate',
    port: null,
    module: null,
    count: 1,
    lastAt: null,
  } as const;
  const told: Evidence = {
    ...evidence,
    config: seen({ ...config.value, otherNetapis: [config.value.netapi] }),
    sockets: seen({ ...sockets.value, alsoListening: [8000] }),
    apiLog: seen({
      ...apiLog.value,
      byPort: [
        { port: null, ...tally },
        { port: 8000, ...tally },
      ],
      startFailures: [{ ...failure, sample: 'x' }],
    }),
  };
  assert.deepEqual(parseEvidence(writeEvidence(told)), told);
  assert.deepEqual(parseEvidence(writeEvidence(evidence)), evidence);
});

test('a key from a stranger reaches no terminal raw', () => {
  const input = forged((copy) => Object.assign(copy, { '\u001b[2Jx': 1 }));
  assert.throws(
    () => parseEvidence(input),
    (error) => error instanceof TriageError && !/[\u0000-\u001f\u007f-\u009f]/.test(error.message),
  );
});

test('secrets of command lines are masked in it, and the verdict is the same', () => {
  const processes = [saltApi({ pid: 37, ppid: 1, argv: [...UNTITLED, '--token', 'hunter2'] })];
  const secret = evidenceOf({ processes });
  const file = writeEvidence(secret);
  assert.ok(!file.includes('hunter2'));
  const verdict = diagnoseEvidence(parseEvidence(file)).verdict.code;
  assert.equal(verdict, diagnoseEvidence(secret).verdict.code);
});
