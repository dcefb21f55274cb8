/** One dot of a lane: an event, or several that lie too close to be told apart. */
export interface Dot {
  readonly place: number;
  /** `3`, or `3–9`. */
  readonly label: string;
}

/** Two labels closer than this run into each other, user units. */
const ROOM = 30;

/** @param events of one lane, in order of time */
export function dotsOf(
  events: readonly { readonly at: number; readonly number: number }[],
  place: (at: number) => number,
): Dot[] {
  const dots: { place: number; first: number; last: number }[] = [];
  for (const { at, number } of events) {
    const x = place(at);
    const before = dots.at(-1);
    if (before !== undefined && x - before.place < ROOM) before.last = number;
    else dots.push({ place: x, first: number, last: number });
  }
  return dots.map(({ place: x, first, last }) => ({
    place: x,
    label: first === last ? `${first}` : `${first}–${last}`,
  }));
}
