/**
 * Releases as numbers. Salt has had three schemes: 2014.7.0 to 2019.2.8 by year and month, 3000 to
 * 3005.5 with the major alone as a line, 3006.0 and on with a point; part by part they compare alike.
 */

/** Releases from the first, where one is named, up to but not including another, the first mended. */
export interface ReleaseRange {
  readonly from?: string;
  readonly before?: string;
}

/** Below 0 where `a` came before `b`; what is no number in them, `+ds1` or `rc1`, has no say. */
export function compareReleases(a: string, b: string): number {
  const [ones, others] = [numbersOf(a), numbersOf(b)];
  for (let at = 0; at < Math.max(ones.length, others.length); at += 1) {
    const difference = (ones[at] ?? 0) - (others[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Whether a release is in one of the ranges; what is no release is in none. */
export function isWithin(release: string, ranges: readonly ReleaseRange[]): boolean {
  if (numbersOf(release).length === 0) return false;
  return ranges.some(({ from, before }) => {
    const late = from === undefined || compareReleases(release, from) >= 0;
    return late && (before === undefined || compareReleases(release, before) < 0);
  });
}

/** The line that a release of Salt is of: `2018.3` of 2018.3.1, `3006` of 3006.9. */
export function saltLine(release: string): string {
  const [major = 0, minor = 0] = numbersOf(release);
  return major < 3000 ? `${major}.${minor}` : String(major);
}

function numbersOf(release: string): number[] {
  const text = /^\d{1,6}(?:\.\d{1,6}){0,4}/.exec(release)?.[0];
  return text === undefined ? [] : text.split('.').map(Number);
}
