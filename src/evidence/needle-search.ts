/** Finds the first of several byte strings in one pass over the bytes. */
export interface NeedleSearch {
  /** Index where a needle begins at or after `from` and ends at or before `to`, or -1. */
  find(bytes: Uint8Array, from: number, to: number): number;
}

/**
 * Looks at three bytes out of every `length - 2`: each occurrence of a needle covers exactly one of
 * these samples, and few samples are part of any needle. Steps of one width let the processor look
 * ahead, which makes one pass for all needles as fast as one `Buffer.indexOf` for one of them.
 *
 * @param needles at least one, all of the same length of 3 bytes or more, in latin1
 */
export function needleSearch(needles: readonly string[]): NeedleSearch {
  const patterns = needles.map((needle) => Buffer.from(needle, 'latin1'));
  const length = patterns[0]?.length ?? 0;
  if (length < 3 || patterns.some((pattern) => pattern.length !== length)) {
    throw new RangeError('needles must have one length, of 3 bytes or more');
  }
  const step = length - 2;
  const partOfNeedle = new Uint8Array(65_536);
  /** By sample, which needles have it and how far from their beginning. */
  const places = new Map<number, { readonly pattern: Buffer; readonly distance: number }[]>();
  for (const pattern of patterns) {
    for (let distance = 0; distance < step; distance += 1) {
      const sample = sampleAt(pattern, distance);
      partOfNeedle[sample] = 1;
      places.set(sample, [...(places.get(sample) ?? []), { pattern, distance }]);
    }
  }
  // Of two possible beginnings the earlier one is tried first.
  for (const place of places.values()) place.sort((a, b) => b.distance - a.distance);

  return {
    find(bytes, from, to) {
      const end = Math.min(to, bytes.length);
      let at = from;
      for (;;) {
        at = nextSample(bytes, at, end - 2, step, partOfNeedle);
        if (at >= end - 2) return -1;
        for (const { pattern, distance } of places.get(sampleAt(bytes, at)) ?? []) {
          const start = at - distance;
          if (start >= from && start + length <= end && isAt(pattern, bytes, start)) return start;
        }
        at += step;
      }
    },
  };
}

function isAt(pattern: Uint8Array, bytes: Uint8Array, start: number): boolean {
  for (let index = 0; index < pattern.length; index += 1) {
    if (bytes[start + index] !== pattern[index]) return false;
  }
  return true;
}

/** Three bytes folded into 16 bits. */
function sampleAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  const second = bytes[at + 1] ?? 0;
  const third = bytes[at + 2] ?? 0;
  return ((first << 9) ^ (second << 4) ^ third) & 0xffff;
}

/** The next of every `step` bytes where a sample of a needle stands; `end` or more if none. */
function nextSample(
  bytes: Uint8Array,
  from: number,
  end: number,
  step: number,
  partOfNeedle: Uint8Array,
): number {
  let at = from;
  while (at < end && partOfNeedle[sampleAt(bytes, at)] === 0) at += step;
  return at;
}
