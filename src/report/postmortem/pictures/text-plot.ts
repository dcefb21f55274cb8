/** Pictures in plain characters, ASCII alone, for Markdown. */
import type { BarsPicture, LinesPicture, Point } from './picture.ts';

const COLUMNS = 60;
const ROWS = 6;

/** Each line of a picture as a plot of its own, all on one scale. @param time of a moment, in words */
export function plotLines(
  { series, marks, unit }: LinesPicture,
  time: (at: number) => string,
): string {
  const points = series.flatMap(({ points: own }) => own);
  // Where two clocks differ, or evidence lies, a mark may stand before all points.
  const times = [...points, ...marks].map(({ at }) => at);
  const [from, to] = [Math.min(...times), Math.max(...times)];
  const most = Math.max(1, ...points.map(({ value }) => value));
  const column = (at: number) =>
    Math.min(COLUMNS - 1, Math.floor(((at - from) / Math.max(1, to - from)) * COLUMNS));
  const width = String(most).length;
  const plots = series.map(({ name, points: own }) => {
    const heights = columnsOf(own, column, to);
    const rows = Array.from({ length: ROWS }, (_, index) => {
      const level = ROWS - index;
      const label = index === 0 ? String(most) : '';
      const line = heights.map((value) => ((value / most) * ROWS > level - 1 ? '#' : ' ')).join('');
      return `${label.padStart(width)} |${line}`.trimEnd();
    });
    return [`${name}, ${unit}`, ...rows, `${'0'.padStart(width)} +${'-'.repeat(COLUMNS)}`].join(
      '\n',
    );
  });
  const told = marks.map(({ at, label }) => `${' '.repeat(width + 2 + column(at))}^ ${label}`);
  const ends = `${' '.repeat(width + 2)}${time(from)}  to  ${time(to)}`;
  return [...plots, ...told, ends].join('\n');
}

/** The greatest value in each column; it holds until the next. */
function columnsOf(points: readonly Point[], column: (at: number) => number, to: number): number[] {
  const heights = new Array<number>(COLUMNS).fill(0);
  for (const [index, { at, value }] of points.entries()) {
    const end = column(points[index + 1]?.at ?? to);
    const start = column(at);
    for (let each = start; each <= Math.max(start, end - 1); each += 1) {
      heights[each] = Math.max(heights[each] ?? 0, value);
    }
  }
  return heights;
}

export function plotBars({ bars }: BarsPicture): string {
  const most = Math.max(1, ...bars.map(({ value }) => value));
  const width = Math.max(...bars.map(({ value }) => String(value).length));
  return bars
    .map(({ label, value }) => {
      const bar = '#'.repeat(Math.max(1, Math.round((value / most) * 40)));
      return `${String(value).padStart(width)} ${bar.padEnd(40)} ${label}`;
    })
    .join('\n');
}
