/** What stands beside the dots and lines of a picture. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { htmlReport } from '../../src/report/postmortem/html.ts';
import { writePostmortem } from '../../src/report/postmortem/model.ts';
import { dotsOf } from '../../src/report/postmortem/pictures/track-layout.ts';
import { incidentCase } from './incident.ts';

describe('a dot of several events', () => {
  const labels = (...numbers: readonly number[]) =>
    dotsOf(
      numbers.map((number) => ({ at: number, number })),
      (at) => at,
    ).map(({ label }) => label);

  it('names those of its lane alone', () => {
    assert.deepEqual(labels(6, 7, 8), ['6–8']);
    assert.deepEqual(labels(6, 11), ['6, 11']);
    assert.deepEqual(labels(2, 3, 9), ['2…9']);
    assert.deepEqual(labels(6, 60), ['6', '60']);
  });
});

describe('the mark of a step', () => {
  it('has its words beside its line, never across it', () => {
    const html = htmlReport(writePostmortem(incidentCase()));
    const marks = [
      ...html.matchAll(/class="mark" d="M([\d.]+) [^>]*><text class="told (\w+)" x="([\d.]+)"/g),
    ].map(([, line, side, words]) => [side, Math.round(Number(words) - Number(line))]);
    assert.equal(marks.length, 4);
    for (const [side, gap] of marks)
      assert.deepEqual(gap, side === 'end' ? -4 : side === 'start' ? 4 : side);
  });
});
