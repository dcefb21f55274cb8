/** Finds the first of several byte strings in one pass over the bytes. */
export interface NeedleSearch {
  /** Index where a needle begins at or after `from` and ends at or before `to`, or -1. */
  find(bytes: Uint8Array, from: number, to: number): number;
}

/** Bytes of a word, which is what is looked at at once. */
const WORD = 4;
/** Words looked at before the loop turns. */
const UNROLLED = 4;
/** Bits of a sample's hash: a table of so many bytes stays in the processor's first cache. */
const HASH_BITS = 14;

/**
 * Looks at one aligned word out of every few: each occurrence of a needle covers exactly one of these
 * samples whole, and few samples are part of any needle. Whole words and several samples a turn make
 * one pass for all needles four times as fast as three single bytes of each sample did: a gibibyte
 * takes as long to search as to read from the page cache.
 *
 * @param needles at least one, all of the same length of 7 bytes or more, in latin1
 */
export function needleSearch(needles: readonly string[]): NeedleSearch {
  const patterns = needles.map((needle) => Buffer.from(needle, 'latin1'));
  const length = patterns[0]?.length ?? 0;
  if (length < 2 * WORD - 1 || patterns.some((pattern) => pattern.length !== length)) {
    throw new RangeError(`needles must have one length, of ${2 * WORD - 1} bytes or more`);
  }
  // Wherever a needle begins, a word at a multiple of this begins and ends in it.
  const step = WORD * Math.floor((length - WORD + 1) / WORD);
  const places = new SamplePlaces(patterns, step);

  return {
    find(bytes, from, to) {
      const end = Math.min(to, bytes.length);
      const piece = { bytes, from, end };
      const { buffer, byteOffset } = bytes;
      const words = new Uint32Array(buffer, 0, Math.floor(buffer.byteLength / WORD));
      const stop = Math.floor((byteOffset + end) / WORD);
      let at = Math.ceil((byteOffset + from) / step) * (step / WORD);
      for (;;) {
        at = nextSample(words, at, stop, step / WORD, places.first);
        if (at >= stop) return -1;
        const start = places.needleAt(words[at] ?? 0, at * WORD - byteOffset, piece);
        if (start !== -1) return start;
        at += step / WORD;
      }
    },
  };
}

/**
 * Where in which needle a sample may stand. Flat and without objects: the words of a needle are common,
 * so that in a debug log a thousand samples of each mebibyte are looked up.
 */
class SamplePlaces {
  /** By hash, the first place of such a sample; 0 where no needle has it. */
  readonly first = new Uint8Array(1 << HASH_BITS);
  /** By place, the next one of the same hash, or 0. */
  readonly #next: number[] = [0];
  /** By place, how far from the beginning of its needle it is. */
  readonly #distance: number[] = [0];
  readonly #needle: Buffer[] = [Buffer.alloc(0)];

  constructor(needles: readonly Buffer[], step: number) {
    if (needles.length * step > 255) throw new RangeError('there are too many needles');
    // Of two possible beginnings the earlier one is tried first.
    for (let distance = 0; distance < step; distance += 1) {
      for (const needle of needles) {
        const key = hash(wordOf(needle, distance));
        this.#next.push(this.first[key] ?? 0);
        this.#distance.push(distance);
        this.first[key] = this.#needle.push(needle) - 1;
      }
    }
  }

  /**
   * Index where a needle begins that has the sample in it, or -1.
   * @param at of the sample in `bytes`
   */
  needleAt(
    sample: number,
    at: number,
    {
      bytes,
      from,
      end,
    }: { readonly bytes: Uint8Array; readonly from: number; readonly end: number },
  ): number {
    for (let place = this.first[hash(sample)] ?? 0; place !== 0; place = this.#next[place] ?? 0) {
      const start = at - (this.#distance[place] ?? 0);
      const needle = this.#needle[place];
      const fits = needle !== undefined && start >= from && start + needle.length <= end;
      if (fits && isAt(needle, bytes, start)) return start;
    }
    return -1;
  }
}

/** A word in the byte order of this machine, as it stands in a view of words. */
function wordOf(pattern: Buffer, at: number): number {
  return new Uint32Array(Uint8Array.from(pattern.subarray(at, at + WORD)).buffer)[0] ?? 0;
}

function isAt(pattern: Uint8Array, bytes: Uint8Array, start: number): boolean {
  for (let index = 0; index < pattern.length; index += 1) {
    if (bytes[start + index] !== pattern[index]) return false;
  }
  return true;
}

/** Fibonacci hashing: the top bits of a product with 2³² / φ (Knuth, TAOCP vol. 3, §6.4). */
function hash(word: number): number {
  return Math.imul(word, 0x9e3779b1) >>> (32 - HASH_BITS);
}

/** True for a word that may be part of a needle. */
function isTold(words: Uint32Array, at: number, partOfNeedle: Uint8Array): number {
  return partOfNeedle[hash(words[at] ?? 0)] ?? 0;
}

/** The next of every `step` words that may be part of a needle; `end` or more if none. */
function nextSample(
  words: Uint32Array,
  from: number,
  end: number,
  step: number,
  table: Uint8Array,
): number {
  let at = from;
  const last = end - (UNROLLED - 1) * step;
  while (at < last) {
    const any =
      isTold(words, at, table) |
      isTold(words, at + step, table) |
      isTold(words, at + 2 * step, table) |
      isTold(words, at + 3 * step, table);
    if (any !== 0) break;
    at += UNROLLED * step;
  }
  while (at < end && isTold(words, at, table) === 0) at += step;
  return at;
}
