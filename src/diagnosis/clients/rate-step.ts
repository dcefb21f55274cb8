/**
 * Finds when a rate rose and stayed up: the difference of medians over split points, as Chromium's
 * `find_change_points.py` has it, held to a Mann-Whitney test. Told to the minute or not at all.
 */

/** Minutes on each side that are compared: a rate that follows the time of day hardly changes in these. */
const WINDOW = 60;
/** Minutes before and after it at least: in less, nobody can tell a step from a burst. */
const LEAST_MINUTES = { before: 30, after: 15 };
/** Times as much as before at least, and as much as at any time before, calls a minute afterwards. */
const LEAST = { factor: 2, overEarlier: 1.5, rate: 3 };
/** How often a flat rate may pass for a step, over all splits of a series. */
const FALSE_CLAIMS = 1e-4;
/** How sure it must be that the step lies within a minute of where it is said to. */
const SURE = 0.9999;
/** Minutes between two splits that are tried; the likelihood then finds the minute. */
const STRIDE = 5;
/** Minutes at the ends of what is searched closely, where no likelihood tells sides apart. */
const EDGE = 5;

export interface RateStep {
  /** Index of the first count of the higher rate. */
  readonly at: number;
  /** Medians, calls a minute. */
  readonly before: number;
  readonly after: number;
}

/** @param counts calls of each minute, whole minutes alone @returns null where no step is sound */
export function findRateStep(counts: readonly number[]): RateStep | null {
  const { length } = counts;
  let best: { split: number; rise: number } | null = null;
  for (let split = LEAST_MINUTES.before; split <= length - LEAST_MINUTES.after; split += STRIDE) {
    const [before, after] = sidesOf(counts, split);
    const rise = median(after) - median(before);
    if (rise > (best?.rise ?? 0)) best = { split, rise };
  }
  if (best === null) return null;
  const at = locate(counts, best.split);
  return at === null ? null : soundStep(counts, at);
}

/** The counts next to a split, on both sides. */
function sidesOf(counts: readonly number[], split: number) {
  return [
    counts.slice(Math.max(0, split - WINDOW), split),
    counts.slice(split, split + WINDOW),
  ] as const;
}

/** The likeliest split near one; null where it might as well lie more than a minute off. */
function locate(counts: readonly number[], near: number): number | null {
  const from = Math.max(0, near - WINDOW);
  const nearby = counts.slice(from, near + WINDOW);
  const splits = nearby.map((_, index) => index).slice(EDGE, -EDGE);
  const likelihoods = splits.map(
    (split) => poisson(nearby.slice(0, split)) + poisson(nearby.slice(split)),
  );
  const most = Math.max(...likelihoods);
  const at = splits[likelihoods.indexOf(most)];
  if (at === undefined) return null;
  // Counts that scatter more than those of independent calls say less.
  const scatter = Math.max(1, dispersion(nearby.slice(0, at)), dispersion(nearby.slice(at)));
  const weights = likelihoods.map((likelihood) => Math.exp((likelihood - most) / scatter));
  const close = weights.filter((_, index) => Math.abs((splits[index] ?? 0) - at) <= 1);
  return sum(close) >= SURE * sum(weights) ? from + at : null;
}

function soundStep(counts: readonly number[], at: number): RateStep | null {
  const [left, right] = sidesOf(counts, at);
  if (left.length < LEAST_MINUTES.before || right.length < LEAST_MINUTES.after) return null;
  // It must have stayed up, and be up in the end.
  const { before, after } = ratesAround(counts, at);
  if (after < LEAST.rate || after < LEAST.factor * before) return null;
  if (after < LEAST.overEarlier * highestBefore(counts, at, right.length)) return null;
  const tries = Math.max(1, counts.length - LEAST_MINUTES.before - LEAST_MINUTES.after);
  const inflation = Math.sqrt(correlation(left, right));
  if (upperTail(mannWhitney(left, right) / inflation) * tries > FALSE_CLAIMS) return null;
  return { at, before, after };
}

/** Medians on both sides: after it the least of the first hour, of all and of the last hour. */
export function ratesAround(counts: readonly number[], at: number): Omit<RateStep, 'at'> {
  const [left, right] = sidesOf(counts, at);
  const since = counts.slice(at);
  const after = [right, since, since.slice(-WINDOW)].map(median);
  return { before: median(left), after: Math.min(...after) };
}

/** The highest median of as many minutes before: bursts that came before are no step. */
function highestBefore(counts: readonly number[], at: number, minutes: number): number {
  let highest = 0;
  for (let end = at; end >= LEAST_MINUTES.after; end -= STRIDE) {
    highest = Math.max(highest, median(counts.slice(Math.max(0, end - minutes), end)));
  }
  return highest;
}

/** Log likelihood of counts of one rate, but for what is the same at every split. */
function poisson(counts: readonly number[]): number {
  const total = sum(counts);
  return total === 0 ? 0 : total * Math.log(total / counts.length);
}

/** Variance by mean: 1 for calls that know nothing of each other. */
function dispersion(counts: readonly number[]): number {
  const mean = sum(counts) / counts.length;
  return mean === 0 ? 1 : sum(counts.map((count) => (count - mean) ** 2)) / counts.length / mean;
}

/** How much less minutes say that follow their neighbours, by the correlation of each with the next. */
function correlation(...sides: readonly (readonly number[])[]): number {
  let [square, product] = [0, 0];
  for (const side of sides) {
    const mean = sum(side) / side.length;
    const rest = side.map((count) => count - mean);
    square += sum(rest.map((value) => value ** 2));
    product += sum(rest.slice(1).map((value, index) => value * (rest[index] ?? 0)));
  }
  const next = square === 0 ? 0 : Math.min(0.95, Math.max(0, product / square));
  return (1 + next) / (1 - next);
}

/** How many standard deviations the second side ranks higher, ties corrected (Mann & Whitney, 1947). */
function mannWhitney(left: readonly number[], right: readonly number[]): number {
  const [n, m] = [left.length, right.length];
  const sorted = [...left, ...right].toSorted((a, b) => a - b);
  const rankOf = new Map<number, number>();
  let ties = 0;
  for (let start = 0; start < sorted.length; ) {
    const value = sorted[start] ?? 0;
    let end = start;
    while (sorted[end] === value) end += 1;
    rankOf.set(value, (start + 1 + end) / 2);
    ties += (end - start) ** 3 - (end - start);
    start = end;
  }
  const ranks = sum(right.map((value) => rankOf.get(value) ?? 0));
  const u = ranks - (m * (m + 1)) / 2;
  const deviation = Math.sqrt(((n * m) / 12) * (n + m + 1 - ties / ((n + m) * (n + m - 1))));
  return deviation === 0 ? 0 : (u - (n * m) / 2) / deviation;
}

/** The upper tail of the normal distribution (Abramowitz & Stegun, 26.2.17, as a bound: 26.2.12). */
function upperTail(z: number): number {
  if (z <= 0) return 1;
  return Math.min(1, Math.exp((-z * z) / 2) / (z * Math.sqrt(2 * Math.PI)));
}

function median(counts: readonly number[]): number {
  const sorted = Float64Array.from(counts).sort();
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
