/** `-v` shows everything, and says each thing once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { textReport } from '../../src/report/diagnosis-text.ts';
import { nextCommand } from '../../src/report/next-command.ts';
import { screenOn } from '../../src/report/screen.ts';
import { STAGES, stageEvidence } from '../recorded/captures.ts';
import { repeated } from './repeated.ts';

/** What -v prints, each line whole. */
function printed(stage: (typeof STAGES)[number]): string[] {
  const text: string[] = [];
  const stream = { isTTY: false, write: (part: string) => text.push(part) };
  const screen = screenOn(stream as unknown as NodeJS.WriteStream, { color: false });
  const report = textReport({ ...screen, columns: 10_000 }, 'verbose', (seen) =>
    nextCommand(seen, repeated()),
  );
  const diagnosis = diagnoseEvidence(stageEvidence(stage));
  report.begin?.(diagnosis.evidence);
  for (const step of diagnosis.steps) report.step?.(step);
  report.end?.(diagnosis);
  return text.join('').split('\n');
}

for (const stage of STAGES) {
  test(`${stage}: nothing is said twice`, () => {
    const parts = printed(stage)
      .flatMap((line) => line.split(/[;:] |, (?=started|session|\d+ threads)/))
      .map((part) => part.trim())
      // A name or a number has to be said again where something else is said of it.
      .filter((part) => part.split(' ').length >= 2);
    const twice = parts.filter((part, at) => parts.indexOf(part) !== at && !OF_SEVERAL.test(part));
    assert.deepEqual(twice, []);
  });
}

/** What each process has of its own, though it may be the same. */
const OF_SEVERAL = /^(?:session|started|state|\d+ threads?)\b|^state/;
