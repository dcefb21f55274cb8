import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { ExitCode, TriageError } from '../../src/errors.ts';
import { parseEvidence, sealEvidence, writeEvidence } from '../../src/evidence/evidence-file.ts';
import { evidenceOf, saltApi, UNTITLED } from '../diagnosis/situation.ts';
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

/** The file with one thing in it changed and its digest made anew. */
function forged(change: (evidence: Record<string, unknown>) => void): string {
  const copy = structuredClone(evidence) as unknown as Record<string, unknown>;
  change(copy);
  return sealEvidence(copy as unknown as typeof evidence);
}

test('what was written is read back', () => {
  assert.deepEqual(parseEvidence(text), evidence);
  assert.equal(text.trimEnd().split('\n').length, 1);
  const { format, schemaVersion, sha256 } = JSON.parse(text);
  assert.deepEqual([format, schemaVersion], ['salt-triage-evidence', 1]);
  assert.match(sha256, /^[0-9a-f]{64}$/);
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
  const { service } = parseEvidence(sealEvidence(copy as unknown as typeof whole));
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
    refused(input, ExitCode.usage, /no salt-triage evidence file/);
  }
});

test('a newer schema version is a usage error that says which', () => {
  const newer = text.replace('"schemaVersion":1', '"schemaVersion":2');
  refused(newer, ExitCode.usage, /schema version 2; this salt-triage reads 1/);
});

test('a file over 64 MiB is refused unread', () => {
  refused(' '.repeat(64 * 1024 * 1024 + 1), ExitCode.usage, /larger than 64 MiB/);
});

test('a changed value, a wrong digest or none, and a cut file are damage', () => {
  refused(text.replace('"acceptQueue":0', '"acceptQueue":1'), ExitCode.unknown, /digest/);
  refused(text.replace(/"wordings":\{.*?\}/, '"wordings":[]'), ExitCode.unknown, /digest/);
  refused(text.replace(/"sha256":"../, '"sha256":"zz'), ExitCode.unknown, /digest/);
  refused(text.replace(/"sha256":"\w+",/, ''), ExitCode.unknown, /digest/);
  refused(text.slice(0, text.length / 2), ExitCode.unknown, /not whole/);
});

test('evidence of the wrong shape is damage even with a right digest, and says where', () => {
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

test('a key from a stranger reaches no terminal raw', () => {
  const input = forged((copy) => Object.assign(copy, { '\u001b[2Jx': 1 }));
  assert.throws(
    () => parseEvidence(input),
    (error) => error instanceof TriageError && !/[\u0000-\u001f\u007f-\u009f]/.test(error.message),
  );
});

test('a file that nests a million deep is refused, not a stack overflow', () => {
  const deep = `{"format":"salt-triage-evidence","schemaVersion":1,"sha256":"","evidence":${'['.repeat(1e6)}${']'.repeat(1e6)}}`;
  assert.throws(() => parseEvidence(deep), TriageError);
});

test('secrets of command lines are masked in it, and the verdict is the same', () => {
  const processes = [saltApi({ pid: 37, ppid: 1, argv: [...UNTITLED, '--token', 'hunter2'] })];
  const secret = evidenceOf({ processes });
  const file = writeEvidence(secret);
  assert.ok(!file.includes('hunter2'));
  const verdict = diagnoseEvidence(parseEvidence(file)).verdict.code;
  assert.equal(verdict, diagnoseEvidence(secret).verdict.code);
});
