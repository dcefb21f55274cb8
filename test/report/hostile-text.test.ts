/** Whatever strangers have written into evidence: no run prints what a terminal would act on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { ExitCode, TriageError } from '../../src/errors.ts';
import type { Evidence } from '../../src/evidence/evidence.ts';
import { parseEvidence, writeEvidence } from '../../src/evidence/evidence-file.ts';
import { planFix } from '../../src/plan/plan.ts';
import { jsonDiagnosis, jsonHostError } from '../../src/report/diagnosis-json.ts';
import { textReport, type Verbosity } from '../../src/report/diagnosis-text.ts';
import { planText } from '../../src/report/fix-text.ts';
import type { JsonDocument } from '../../src/report/json-documents.ts';
import { jsonLine } from '../../src/report/json-line.ts';
import { nextCommand, repeatedForEvidence } from '../../src/report/next-command.ts';
import { type Screen, screenOn, wrap } from '../../src/report/screen.ts';
import { STAGES, stageEvidence } from '../recorded/captures.ts';
import { repeated } from './repeated.ts';

/** C0 but for the line break, DEL, C1, and what reorders, hides or breaks a line. */
const RAW = /[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;
const NASTY = fc.constantFrom(
  ...['\x1b[2J', '\x1b]0;x\x07', '\x9b31m', '\u202e', '\u2028', '\u0085', '\r', '\x00', '\x1b[31m'],
  ...['\n', '\ufeff', '\x7f', '\x1b'],
);

/** A screen whose text is kept. */
function screenOf(lines: string[]): Screen {
  const write = (text: string) => lines.push(text);
  return screenOn({ isTTY: false, write } as unknown as NodeJS.WriteStream, { color: true });
}

function printed(evidence: Evidence, verbosity: Verbosity): string {
  const lines: string[] = [];
  const screen = screenOf(lines);
  const diagnosis = diagnoseEvidence(evidence);
  const again = repeatedForEvidence(evidence, repeated());
  const report = textReport(screen, verbosity, (seen) => nextCommand(seen, again), 'a\x1b[2Jfile');
  report.begin?.(evidence);
  for (const step of diagnosis.steps) report.step?.(step);
  report.end?.(diagnosis);
  const plan = planFix(diagnosis, null, { only: undefined, restart: 'always' });
  if (plan.kind === 'fix') screen.write(planText(screen, plan, null));
  return lines.join('') + jsonLine(jsonDiagnosis(diagnosis, again, 1)) + lineOf(plan);
}

/** Anything at all, as a document would leave. */
const lineOf = (anything: object) => jsonLine(anything as JsonDocument);

/** The strings of a document, as the keys that lead to them. */
function strings(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value === 'string') return [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => strings(inner, [...path, key]));
}

/** A copy with a piece of text put into each of the places. */
function withText(
  file: object,
  changes: readonly (readonly [readonly string[], string])[],
): object {
  const copy = structuredClone(file);
  for (const [path, nasty] of changes) {
    let place = copy as Record<string, unknown>;
    for (const key of path.slice(0, -1)) place = place[key] as Record<string, unknown>;
    const key = path.at(-1) ?? '';
    const old = String(place[key]);
    place[key] = `${old.slice(0, 3)}${nasty}${old.slice(3)}`;
  }
  return copy;
}

/** The file as it is, and with each section unseen. */
function variants(stage: (typeof STAGES)[number]): { evidence: Record<string, unknown> }[] {
  const file = JSON.parse(writeEvidence(stageEvidence(stage)));
  const sections = ['config', 'sockets', 'processes', 'service', 'apiLog', 'answer'];
  const unseen = { seen: false, cause: 'timeout', why: 'too slow' };
  const less = (name: string) => ({ ...file, evidence: { ...file.evidence, [name]: unseen } });
  return [file, ...sections.map(less)];
}

for (const stage of STAGES) {
  const files = variants(stage).map((file) => {
    // Of many strings in a list the first are enough; a word that the schema has must stay.
    const places = strings(file.evidence)
      .filter((path) => path.every((key) => !/^\d\d/.test(key)))
      .map((path) => ['evidence', ...path])
      .filter((path) => reads(withText(file, [[path, '!']])));
    assert.ok(places.length > 5);
    return { file, places };
  });
  const odd = fc
    .constantFrom(...files)
    .chain(({ file, places }) =>
      fc.tuple(
        fc.constant(file),
        fc.array(fc.tuple(fc.constantFrom(...places), NASTY), { minLength: 1, maxLength: 12 }),
        fc.constantFrom<Verbosity>('quiet', 'normal', 'verbose'),
      ),
    );

  test(`${stage}: no control character of odd but valid evidence is printed`, () => {
    fc.assert(
      fc.property(odd, ([file, changes, verbosity]) => {
        const forged = withText(file, changes) as { evidence: Evidence };
        assert.doesNotMatch(printed(parseEvidence(JSON.stringify(forged)), verbosity), RAW);
        // As it comes from the far side, where nothing has been in between.
        assert.doesNotMatch(printed(forged.evidence, verbosity), RAW);
      }),
      { numRuns: 150 },
    );
  });
}

function reads(file: object): boolean {
  try {
    parseEvidence(JSON.stringify(file));
    return true;
  } catch (error) {
    if (error instanceof TriageError) return false;
    throw error;
  }
}

test('the error of a host and the plan that was refused are printed without control characters', () => {
  const error = new TriageError('no \x1b[2J\u202ehost\u2028', 'see \x9b', ExitCode.unknown);
  const line = jsonLine(jsonHostError('a\x1b[31mb', error, 3));
  assert.doesNotMatch(JSON.stringify(JSON.parse(line)).replaceAll(/\\u00\w\w/g, '\x00'), RAW);
  assert.deepEqual(JSON.parse(line).error, { message: 'no host ', advice: 'see ' });
  assert.equal(lineOf({ detail: 'a\nb\u001b[0m é' }), '{"detail":"a\\nb \\u00e9"}\n');
});

test("a colour that is not chalk's own does not get out, nor any cursor code", () => {
  const lines: string[] = [];
  const tty = { isTTY: true, columns: 80, write: (text: string) => lines.push(text) };
  const screen = screenOn(tty as unknown as NodeJS.WriteStream, { color: true });
  screen.write(`\x1b[8mhidden\x1b[31mred\x1b[39m\x1b[2J\x1b]0;t\x07\x1b[1A\r\n`);
  assert.equal(
    lines.join(''),
    screen.interactive ? 'hidden\x1b[31mred\x1b[39m \n' : 'hiddenred \n',
  );
  screen.clearLine();
  assert.equal(lines.at(-1), '\r\x1b[K');
});

test('text that is wrapped brings neither colour nor lines of its own', () => {
  assert.equal(wrap('a\x1b[31mb\nVerdict  healthy', 80, 2), 'ab Verdict  healthy');
});
