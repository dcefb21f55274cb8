import type { Stats } from 'node:fs';
import { type FileHandle, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runningMs } from '../../clock.ts';
import {
  LOG_NOTES,
  MAX_ROTATED,
  MAX_UNPACKED,
  OTHERWISE_PACKED,
  ROTATED_SUFFIX,
  UNDATED_TAIL,
} from '../../evidence/api-log-facts.ts';
import { ApiLogScanner, firstDatedLine } from '../../evidence/api-log-scan.ts';
import { type ApiLogFacts, type LogSource, type Look, seen } from '../../evidence/evidence.ts';
import { unreadFile } from '../../evidence/unread-log.ts';
import { stripControl } from '../../untrusted.ts';
import { bounded, Reading, type ReadLimits } from './log-reading.ts';
import type { LogThreadOptions } from './log-thread.ts';
import { openPlain } from './plain-file.ts';
import { Breather, codeOrText, errorCode } from './proc-files.ts';

/** Bytes of one read; two buffers of this size make up most of the memory that a scan takes. */
const READ_SIZE = 2 * 1024 * 1024;
/** What is scanned at once, in bytes; a log full of failed starts takes longest. */
const SLICE_SIZE = 512 * 1024;
/** How much earlier than the window the scan begins: processes do not log in step, in ms. */
const SLACK = 10_000;

/** Bytes in which a dated line is looked for: most often the first are enough. */
const SAMPLE_SIZES = [8 * 1024, 256 * 1024] as const;
/** Below this many bytes, scanning is cheaper than searching. */
const SEARCH_END = 64 * 1024;
/** Samples before the found start that check whether the log is in order at all. */
const ORDER_SAMPLES = 12;

/** How long a log may be away between its rotation and the new one, ms. */
const ROTATION_MS = 50;

/** From so many bytes on a window is read aside: what a thread takes to start is little then. */
const LARGE_WINDOW = 64 * 1024 * 1024;
/** What a gzipped log counts for each of its bytes: unpacking it costs as much as reading so many. */
const UNPACKING = 8;
/** A reading aside ends so much earlier, to tell itself how far it has come, ms. */
const AHEAD_MS = 100;

export interface ReadApiLogOptions extends ReadLimits {
  readonly path: string;
  readonly origin: Extract<LogSource, { kind: 'file' }>['origin'];
  /** Reads a large window somewhere else; null where that can't be. */
  readonly aside?: (options: LogThreadOptions) => Promise<Look<ApiLogFacts> | null>;
}

/**
 * Reads the API log and counts the failed starts in it.
 *
 * A window on a plain file is found by binary search on its timestamps, so cost grows with the
 * window and not with the file; rotated and gzipped siblings are read while the window reaches
 * into them. Memory is constant.
 *
 * @returns blind with `missing`, `permission`, `unsupported` (a directory, a FIFO, a device, a
 * `udp://` address) or `timeout`; never rejects for what the file is like
 */
export async function readApiLog(options: ReadApiLogOptions): Promise<Look<ApiLogFacts>> {
  const { path, origin, windowFrom, now, timeoutMs, aside } = options;
  const startedAt = runningMs();
  const shown = stripControl(path);
  if (/^[a-z]+:\/\//i.test(path)) return unreadFile.address(shown);
  const reading = new Reading(options);
  return bounded(reading, shown, async () => {
    const live = await openLive(path);
    const opened = [live];
    try {
      await openRotatedInWindow(live, opened, reading);
      const stretches = await stretchesOf(opened.toReversed(), reading);
      if (aside !== undefined && costOf(stretches) > LARGE_WINDOW) {
        const left = timeoutMs - (runningMs() - startedAt) - AHEAD_MS;
        const look = await aside({ path, origin, windowFrom, now, timeoutMs: Math.max(1, left) });
        if (look !== null) return look;
      }
      for (const stretch of stretches) await scanStretch(stretch, reading);
      if (!(await isStillAt(live))) reading.notes.push(`${shown} was rotated while it was read`);
      return seen(reading.facts({ kind: 'file', path, origin }));
    } finally {
      await Promise.allSettled(opened.map((log) => log.file.close()));
    }
  });
}

interface OpenLog {
  readonly path: string;
  readonly file: FileHandle;
  /** At the time of opening; what is written later is left for the next look. */
  readonly status: Stats;
  bytesRead: number;
}

/** A log is away for a moment while it is rotated: the new one is made after the old one was moved. */
async function openLive(path: string): Promise<OpenLog> {
  try {
    return await openLog(path);
  } catch (error) {
    const rotates = errorCode(error) === 'ENOENT' && (await hasRotated(path));
    if (!rotates) throw error;
    await delay(ROTATION_MS);
    return openLog(path);
  }
}

async function hasRotated(path: string): Promise<boolean> {
  const siblings = await readSiblings(path).catch(() => []);
  return siblings.length > 0;
}

/** Paths of what a log may have been rotated to. */
async function readSiblings(path: string): Promise<string[]> {
  const [directory, base] = [dirname(path), basename(path)];
  const suffix = new RegExp(ROTATED_SUFFIX);
  const names = await readdir(directory);
  return names
    .filter((name) => name.startsWith(base) && suffix.test(name.slice(base.length)))
    .map((name) => join(directory, name));
}

async function openLog(path: string): Promise<OpenLog> {
  return { path, ...(await openPlain(path)), bytesRead: 0 };
}

function isGzipped({ path }: OpenLog): boolean {
  return path.endsWith('.gz');
}

async function isStillAt({ path, status }: OpenLog): Promise<boolean> {
  const now = await stat(path).catch(() => null);
  return now !== null && isSameFile(now, status);
}

function isSameFile(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

/**
 * Opens the rotated siblings, newest first.
 * @param opened takes them one by one behind the live log, so that whoever closes them has all,
 * whatever happens here
 */
async function openRotatedInWindow(
  live: OpenLog,
  opened: OpenLog[],
  reading: Reading,
): Promise<void> {
  const { windowFrom } = reading.limits;
  for (const path of await rotatedSiblings(live, reading)) {
    reading.goOn();
    const newer = opened.at(-1) ?? live;
    if (windowFrom !== null && (await beginsBefore(newer, windowFrom, reading))) return;
    const shown = stripControl(path);
    if (OTHERWISE_PACKED.test(path)) {
      reading.notes.push(LOG_NOTES.packed(shown));
    } else if (opened.length > MAX_ROTATED) {
      reading.notes.push(LOG_NOTES.more());
      return;
    } else {
      try {
        opened.push(await openLog(path));
      } catch (error) {
        reading.notes.push(LOG_NOTES.unopened(shown, codeOrText(error)));
      }
    }
  }
}

/** Those that hold something and were written to in the window, newest first. */
async function rotatedSiblings(live: OpenLog, reading: Reading): Promise<string[]> {
  const { windowFrom } = reading.limits;
  const paths = await readSiblings(live.path).catch((error: unknown) => {
    reading.notes.push(`rotated logs could not be listed: ${codeOrText(error)}`);
    return [];
  });
  const found = new Map<string, number>();
  for (const path of paths) {
    try {
      const status = await stat(path);
      // The last line of a rotated log is about as old as its mtime, which gzip keeps.
      const reached = windowFrom === null || status.mtimeMs >= windowFrom - SLACK;
      const holdsMore = status.isFile() && status.size > 0 && !isSameFile(status, live.status);
      if (reached && holdsMore) found.set(path, status.mtimeMs);
    } catch (error) {
      reading.notes.push(`${stripControl(path)} could not be looked at: ${codeOrText(error)}`);
    }
  }
  return (
    [...found]
      // While logrotate compresses, both the plain file and its .gz are there.
      .filter(([path]) => !path.endsWith('.gz') || !found.has(path.slice(0, -3)))
      .toSorted(([a, then], [b, later]) => later - then || (a < b ? -1 : 1))
      .map(([path]) => path)
  );
}

async function beginsBefore(log: OpenLog, time: number, reading: Reading): Promise<boolean> {
  if (isGzipped(log)) return false;
  const first = await sample(log, 0, reading);
  return first !== null && first.at < time;
}

/** What of a log may lie in the window: from `start` to its end. */
interface Stretch {
  readonly log: OpenLog;
  readonly start: number;
}

async function stretchesOf(logs: readonly OpenLog[], reading: Reading): Promise<Stretch[]> {
  const stretches: Stretch[] = [];
  for (const log of logs) {
    stretches.push({ log, start: isGzipped(log) ? 0 : await windowStart(log, reading) });
  }
  return stretches;
}

/** Bytes to be read; those of a gzipped log count for more. */
function costOf(stretches: readonly Stretch[]): number {
  const costs = stretches.map(({ log, start }) => {
    return (log.status.size - start) * (isGzipped(log) ? UNPACKING : 1);
  });
  return costs.reduce((sum, cost) => sum + cost, 0);
}

async function scanStretch({ log, start }: Stretch, reading: Reading): Promise<void> {
  reading.logs.push(log);
  if (isGzipped(log)) await scanGzipped(log, reading);
  else await scanPlain(log, start, reading);
  reading.scanner.endFile();
}

/** Reads ahead into one buffer while the other is scanned. */
async function scanPlain(log: OpenLog, start: number, reading: Reading): Promise<void> {
  const { HEADROOM } = ApiLogScanner;
  const end = log.status.size;
  const size = Math.min(READ_SIZE, Math.max(1, end - start));
  let position = start;
  const readInto = async (buffer: Buffer): Promise<number> => {
    const length = Math.min(size, end - position);
    const { bytesRead } = await log.file.read(buffer, HEADROOM, length, position);
    position += bytesRead;
    log.bytesRead += bytesRead;
    return bytesRead;
  };
  const breather = new Breather();
  let current = Buffer.allocUnsafe(HEADROOM + size);
  let next = Buffer.allocUnsafe(HEADROOM + size);
  for (let pending = readInto(current); ; ) {
    const length = await pending;
    reading.goOn();
    if (length === 0) break;
    pending = readInto(next);
    // Rejections are met by the await above; until then this one has a handler.
    pending.catch(() => {});
    for (let at = 0; at < length; at += SLICE_SIZE) {
      const stop = Math.min(length, at + SLICE_SIZE);
      reading.scanner.scanBlock(current, HEADROOM + at, HEADROOM + stop);
      if (breather.due) await breather.breathe();
      reading.goOn();
    }
    [current, next] = [next, current];
  }
  if (position < end) {
    const shown = stripControl(log.path);
    reading.notes.push(`${shown} shrank while it was read: ${position} of ${end} bytes`);
  }
}

async function scanGzipped(log: OpenLog, reading: Reading): Promise<void> {
  const chunks = { autoClose: false, start: 0, highWaterMark: 262_144 };
  const source = log.file.createReadStream(chunks);
  const { createGunzip } = await import('node:zlib');
  const unpacked = createGunzip({ chunkSize: 262_144 });
  source.on('error', (error) => unpacked.destroy(error));
  source.on('data', (chunk) => {
    log.bytesRead += chunk.length;
  });
  source.pipe(unpacked);
  let bytes = 0;
  try {
    for await (const chunk of unpacked as AsyncIterable<Buffer>) {
      reading.goOn();
      reading.scanner.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_UNPACKED) {
        reading.notes.push(`${stripControl(log.path)} was read up to 2 GiB unpacked`);
        break;
      }
    }
  } catch (error) {
    reading.goOn();
    reading.notes.push(`${stripControl(log.path)} is damaged gzip: ${codeOrText(error)}`);
  } finally {
    source.destroy();
    unpacked.destroy();
  }
}

async function readAt(log: OpenLog, start: number, size: number): Promise<Buffer> {
  const { buffer, bytesRead } = await log.file.read(Buffer.allocUnsafe(size), 0, size, start);
  log.bytesRead += bytesRead;
  return buffer.subarray(0, bytesRead);
}

/** The first dated line that begins at or after `from`, within 256 KiB: where, and its time. */
async function sample(
  log: OpenLog,
  from: number,
  reading: Reading,
): Promise<{ readonly offset: number; readonly at: number } | null> {
  // One byte earlier, to see whether a line begins right at `from`.
  const start = Math.max(0, from - 1);
  for (const size of SAMPLE_SIZES) {
    reading.goOn();
    const bytes = await readAt(log, start, size);
    const begin = from === 0 ? 0 : bytes.indexOf(10) + 1 || bytes.length;
    const dated = firstDatedLine(bytes, begin, bytes.length, reading.clock);
    if (dated !== null) {
      reading.dated = true;
      return { offset: start + dated.index, at: dated.at };
    }
    if (bytes.length < size) break;
  }
  return null;
}

/** Where to begin scanning so that nothing of the window is missed. */
async function windowStart(log: OpenLog, reading: Reading): Promise<number> {
  const { windowFrom } = reading.limits;
  if (windowFrom === null) return 0;
  const target = windowFrom - SLACK;
  const first = await sample(log, 0, reading);
  if (first !== null && first.at >= target) return 0;

  let anyDated = first !== null;
  // What stands before the first time is as old as that.
  let start = first?.offset ?? 0;
  let low = start;
  let high = log.status.size;
  while (high - low > SEARCH_END) {
    const middle = Math.floor((low + high) / 2);
    const line = await sample(log, middle, reading);
    anyDated ||= line !== null;
    if (line !== null && line.at >= target) high = middle;
    else {
      // A stretch without times, such as a hole of NULs, tells nothing: the search goes on above.
      start = line?.offset ?? start;
      low = middle;
    }
  }
  if (!anyDated) return undatedTail(log, reading);
  return (await isInOrder(log, start, target, reading)) ? start : 0;
}

/** Whether what lies before `start` is older than the target, wherever one looks. */
async function isInOrder(
  log: OpenLog,
  start: number,
  target: number,
  reading: Reading,
): Promise<boolean> {
  for (let count = 0; count < ORDER_SAMPLES && start > SEARCH_END; count += 1) {
    const line = await sample(log, Math.floor((start * count) / ORDER_SAMPLES), reading);
    if (line !== null && line.at >= target) {
      reading.notes.push(`the times in ${stripControl(log.path)} are not in order: read in full`);
      return false;
    }
  }
  return true;
}

async function undatedTail(log: OpenLog, reading: Reading): Promise<number> {
  const from = log.status.size - UNDATED_TAIL;
  if (from <= 0) return 0;
  reading.notes.push(`${stripControl(log.path)} carries no times: its last 64 MiB were read`);
  return from + (await readAt(log, from, 65_536)).indexOf(10) + 1;
}
