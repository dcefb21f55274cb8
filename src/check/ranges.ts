/** Thresholds in the range syntax of the Monitoring Plugins guidelines ("Threshold and Ranges"). */

/** Alerts outside `start`..`end`, both of which are still well; `inside` turns that round. */
export interface Range {
  readonly start: number;
  readonly end: number;
  readonly inside: boolean;
  /** As it was typed, and as performance data repeats it. */
  readonly text: string;
}

const RANGE = /^(@)?(?:(~|-?\d{1,12}(?:\.\d{1,6})?)?:)?(-?\d{1,12}(?:\.\d{1,6})?)?$/;

/** Reads `10`, `10:`, `~:10`, `10:20` or `@10:20`; null for what is no range. */
export function parseRange(text: string): Range | null {
  const match = RANGE.exec(text);
  if (match === null || !/\d/.test(text)) return null;
  const [, at, from, to] = match;
  const start = from === '~' ? Number.NEGATIVE_INFINITY : Number(from ?? 0);
  const end = to === undefined ? Number.POSITIVE_INFINITY : Number(to);
  return start > end ? null : { start, end, inside: at !== undefined, text };
}

/** Whether a value alerts. */
export function alerts({ start, end, inside }: Range, value: number): boolean {
  return (value >= start && value <= end) === inside;
}

/** The range that alerts from a count on, as `diagnose` has its limits: `from 5` is `4`. */
export function fromCount(count: number): Range {
  return { start: 0, end: count - 1, inside: false, text: String(count - 1) };
}

/** The reverse of {@link fromCount}; null for a range that is no upper limit alone. */
export function countFrom({ start, end, inside }: Range): number | null {
  return inside || start > 0 || !Number.isFinite(end) || end < 0 ? null : Math.floor(end) + 1;
}
