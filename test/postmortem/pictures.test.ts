/** What stands beside the dots and lines of a picture. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { htmlReport } from '../../src/report/postmortem/html.ts';
import { writePostmortem } from '../../src/report/postmortem/model.ts';
import { drawSvg } from '../../src/report/postmortem/pictures/svg.ts';
import { dotsOf } from '../../src/report/postmortem/pictures/track-layout.ts';
import { incidentCase } from './incident.ts';

const TRACK = { kind: 'track', id: 'a', title: 'a', description: 'a', source: 'a' } as const;

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

describe('the times below a picture', () => {
  it('stand apart, however long it lasted', () => {
    for (let seconds = 2; seconds < 300_000; seconds = Math.ceil(seconds * 1.13)) {
      const from = Date.parse('2018-07-13T09:33:57Z');
      const events = [from, from + seconds * 1000].map((at, index) => {
        return { at, kind: 'action' as const, number: index + 1 };
      });
      const drawn = drawSvg({ ...TRACK, panels: [{ title: '', events }] }, 0);
      const labels = [...String(drawn).matchAll(/x="([\d.]+)" y="\d+">([-\d :]+:\d\d)</g)];
      let end = 0;
      for (const [, middle, text = ''] of labels) {
        const half = text.length * 3.1;
        assert.ok(Number(middle) - half > end && Number(middle) + half <= 400, String(drawn));
        end = Number(middle) + half;
      }
    }
  });
});
