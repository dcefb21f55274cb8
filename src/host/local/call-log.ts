/** Searches a log of this host for lines that tell of calls. */
import type { ReadStream } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { CALL_NEEDLES, ReducedLines, reduceCallLine } from '../../evidence/call-lines.ts';
import { needleSearch } from '../../evidence/needle-search.ts';
import { utf8OfLatin1 } from '../../evidence/proc-text.ts';
import type { CallLog, ReducedLog } from '../raw-host.ts';
import { openPlain } from './plain-file.ts';
import { Breather } from './proc-files.ts';

/** Bytes of one read. */
const BLOCK = 1024 * 1024;
/** Of a line that goes on in the next block: none that tells of a call is as long. */
const LONGEST_LINE = 64 * 1024;
const LINE_END = 10;

/**
 * A plain log is read from its end backwards: where the time is up, what is missing is the oldest.
 * @param until when to stop, as `performance.now()` has it
 * @returns null for a log that can't be read
 */
export async function readCallLog(log: CallLog, until: number): Promise<ReducedLog | null> {
  const reduced = new ReducedLines();
  const search = new LineSearch(log.everyLine, reduced);
  try {
    const { file, status } = await openPlain(log.path);
    try {
      const from = Math.max(0, status.size - log.bytes);
      const read = log.path.endsWith('.gz')
        ? await searchUnpacked(
            file.createReadStream({ autoClose: false, start: 0 }),
            log.bytes,
            until,
            search,
          )
        : await searchBackwards(file, { from, to: status.size }, until, search);
      return { path: log.path, ...read, lines: inUtf8(reduced.lines), cut: reduced.cut };
    } finally {
      await file.close();
    }
  } catch {
    return null;
  }
}

/** The few that are left; to decode every line would take longer than to search it. */
function inUtf8(lines: ReadonlyMap<string, number>): Map<string, number> {
  return new Map([...lines].map(([line, times]) => [utf8OfLatin1(line), times]));
}

type Read = Pick<ReducedLog, 'bytesRead' | 'complete'>;

/** Takes the lines of a block that tell of calls. */
class LineSearch {
  readonly #everyLine: boolean;
  readonly #reduced: ReducedLines;
  readonly #needles = needleSearch(Object.values(CALL_NEEDLES));

  constructor(everyLine: boolean, reduced: ReducedLines) {
    this.#everyLine = everyLine;
    this.#reduced = reduced;
  }

  /** @param block from a line's beginning to a line's end */
  take(block: Buffer): void {
    for (let at = 0; at < block.length; ) {
      const hit = this.#everyLine ? at : this.#needles.find(block, at, block.length);
      if (hit === -1) return;
      const begin = this.#everyLine ? at : block.lastIndexOf(LINE_END, hit) + 1;
      const next = block.indexOf(LINE_END, hit);
      const end = next === -1 ? block.length : next;
      if (end - begin <= LONGEST_LINE) {
        const line = reduceCallLine(block.toString('latin1', begin, end), this.#everyLine);
        if (line !== null) this.#reduced.add(line);
      }
      at = end + 1;
    }
  }
}

async function searchBackwards(
  file: FileHandle,
  { from, to }: Record<'from' | 'to', number>,
  until: number,
  search: LineSearch,
): Promise<Read> {
  const breather = new Breather();
  const buffer = Buffer.allocUnsafe(BLOCK + LONGEST_LINE);
  // What stands at the beginning of a block ends a line of the block before it.
  let carried = Buffer.alloc(0);
  let end = to;
  while (end > from) {
    // At least one, however late it is: small logs are read whole on the busiest host.
    if (end < to && performance.now() > until) return { bytesRead: to - end, complete: false };
    const start = Math.max(from, end - BLOCK);
    const { bytesRead } = await file.read(buffer, 0, end - start, start);
    // It was cut off meanwhile: nothing of what is left belongs together.
    if (bytesRead < end - start) return { bytesRead: to - end, complete: false };
    carried.copy(buffer, bytesRead);
    const block = buffer.subarray(0, bytesRead + carried.length);
    const begin = start === 0 ? 0 : block.indexOf(LINE_END) + 1;
    // Without a line end the whole block is of a line that is too long.
    if (begin > 0 || start === 0) search.take(block.subarray(begin));
    carried = Buffer.from(block.subarray(0, begin > LONGEST_LINE ? 0 : begin));
    end = start;
    if (breather.due) await breather.breathe();
  }
  return { bytesRead: to - from, complete: true };
}

/** @param most bytes that may come out of it */
async function searchUnpacked(
  source: ReadStream,
  most: number,
  until: number,
  search: LineSearch,
): Promise<Read> {
  const { createGunzip } = await import('node:zlib');
  const unpacked = createGunzip({ chunkSize: BLOCK });
  source.on('error', (error) => unpacked.destroy(error));
  source.pipe(unpacked);
  let bytesRead = 0;
  let carried = Buffer.alloc(0);
  try {
    for await (const chunk of unpacked as AsyncIterable<Buffer>) {
      bytesRead += chunk.length;
      if (bytesRead > most || (bytesRead > chunk.length && performance.now() > until))
        return { bytesRead, complete: false };
      const block = Buffer.concat([carried, chunk]);
      const end = block.lastIndexOf(LINE_END) + 1;
      search.take(block.subarray(0, end));
      carried = block.length - end > LONGEST_LINE ? Buffer.alloc(0) : block.subarray(end);
    }
    search.take(carried);
    return { bytesRead, complete: true };
  } finally {
    source.destroy();
    unpacked.destroy();
  }
}
