/** One dot of a lane: an event, or several that lie too close to be told apart. */
export interface Dot {
  readonly place: number;
  /** `3`; `3–9` where it is each of these, else `3, 9` or `3…9`. */
  readonly label: string;
}

/** Two labels closer than this run into each other, user units. */
const ROOM = 30;

/** @param events of one lane, in order of time */
export function dotsOf(
  events: readonly { readonly at: number; readonly number: number }[],
  place: (at: number) => number,
): Dot[] {
  const dots: { place: number; numbers: number[] }[] = [];
  for (const { at, number } of events) {
    const x = place(at);
    const before = dots.at(-1);
    if (before !== undefined && x - before.place < ROOM) before.numbers.push(number);
    else dots.push({ place: x, numbers: [number] });
  }
  return dots.map(({ place: x, numbers }) => ({ place: x, label: labelOf(numbers) }));
}

/** Numbers between those of one lane may be those of another. */
function labelOf(numbers: readonly number[]): string {
  const [first = 0, last = first] = [numbers[0], numbers.at(-1)];
  if (last - first === numbers.length - 1) return first === last ? `${first}` : `${first}–${last}`;
  return `${first}${numbers.length === 2 ? ', ' : '…'}${last}`;
}
