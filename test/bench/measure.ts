/** Timing of commands in pairs. */
import { spawnSync } from 'node:child_process';

export interface Contestant {
  readonly command: readonly string[];
  /** Throws where the output is not what was staged. */
  readonly check?: (stdout: string) => void;
}

export interface Comparison {
  /** Median wall time of the first, ms. */
  readonly a: number;
  readonly b: number;
  /** Median of the ratios pair by pair: a machine that slows down slows both. */
  readonly ratio: number;
  readonly ratios: readonly number[];
}

/** Runs both in turn, A B A B, after one run of each that is not counted. */
export function compare(a: Contestant, b: Contestant, pairs: number): Comparison {
  time(a);
  time(b);
  return comparison(Array.from({ length: pairs }, () => [time(a), time(b)] as const));
}

/** What times add up to that were taken in pairs, ms. */
export function comparison(taken: readonly (readonly [number, number])[]): Comparison {
  const ratios = taken.map(([first, second]) => first / second);
  return {
    a: median(taken.map(([first]) => first)),
    b: median(taken.map(([, second]) => second)),
    ratio: median(ratios),
    ratios,
  };
}

function time({ command, check }: Contestant): number {
  const [program = '', ...args] = command;
  const startedAt = performance.now();
  const run = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 });
  const took = performance.now() - startedAt;
  if (run.error !== undefined) throw run.error;
  check?.(run.stdout);
  return took;
}

/** How much the second number grows with each unit of the first, by least squares. */
export function slope(points: readonly (readonly [number, number])[]): number {
  const [meanX, meanY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const over = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return over / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
