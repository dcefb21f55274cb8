import { scaleLinear, scaleUtc } from 'd3-scale';

/** A place on an axis, with what stands there. */
interface Tick {
  readonly place: number;
  readonly label: string;
}

export interface Axis {
  /** Where a value lies. */
  place(value: number): number;
  readonly ticks: readonly Tick[];
}

type Extent = readonly [number, number];

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/**
 * An axis of time.
 * @param domain epoch ms
 * @param range what it is drawn from and to
 */
export function timeAxis(domain: Extent, range: Extent, utcOffsetMinutes: number): Axis {
  // The scale knows UTC alone: the host's own hours are what is round to its people.
  const shift = utcOffsetMinutes * MINUTE;
  const scale = scaleUtc([domain[0] + shift, domain[1] + shift], [...range]);
  const label = timeLabel(domain[1] - domain[0]);
  const ticks = scale.ticks(4).map((date) => ({ place: scale(date), label: label(date) }));
  return { place: (at) => scale(at + shift), ticks: apart(ticks) };
}

/** Without those that would run into the one before. */
function apart(ticks: readonly Tick[]): Tick[] {
  const kept: Tick[] = [];
  for (const tick of ticks) {
    const before = kept.at(-1);
    // Some to spare: at the edge a label is moved inwards.
    const room = tick.label.length * 7 + 16;
    if (before === undefined || tick.place - before.place >= room) kept.push(tick);
  }
  return kept;
}

function timeLabel(span: number): (date: Date) => string {
  if (span < 4 * MINUTE) return (date) => date.toISOString().slice(11, 19);
  if (span < 36 * HOUR) return (date) => date.toISOString().slice(11, 16);
  return (date) => date.toISOString().slice(5, 16).replace('T', ' ');
}

/** An axis of counts, from 0 to a round number that is no less than `most`. */
export function countAxis(most: number, range: Extent): Axis {
  const scale = scaleLinear([0, Math.max(1, most)], [...range]).nice(4);
  const ticks = scale.ticks(4).map((value) => ({ place: scale(value), label: String(value) }));
  return { place: scale, ticks };
}
