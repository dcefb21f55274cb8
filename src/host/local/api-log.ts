import type { Stats } from 'node:fs';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';
import type { LocalTime, LogClock } from '../../evidence/api-log-lines.ts';
import { ApiLogScanner, firstDatedLine } from '../../evidence/api-log-scan.ts';
import {
  type ApiLogFacts,
  blind,
  type LogSource,
  type Look,
  seen,
} from '../../evidence/evidence.ts';
import { blindJournal, journalComplaint } from '../../evidence/journal.ts';
import { stripControl } from '../../untrusted.ts';
import { isOnPath } from './on-path.ts';
import { codeOrText } from './proc-files.ts';

/** Bytes of one read; two buffers of this size make up most of the memory that a scan takes. */
const READ_SIZE = 4 * 1024 * 1024;
/** What is scanned at once, in bytes; a log full of failed starts takes longest. */
const SLICE_SIZE = 512 * 1024;
/** How long the event loop waits at most before it gets a turn between slices, in ms. */
const TURN_AFTER = 20;
/** What is read of a log without times when only a window of it was asked for, in bytes. */
const UNDATED_TAIL = 64 * 1024 * 1024;
/** Rotated files that are read at most. */
const MAX_ROTATED = 10;
/** Bytes that one compressed file may unpack to. */
const MAX_UNPACKED = 2 * 1024 * 1024 * 1024;
/** Bytes of a unit's journal that are read at most. */
const MAX_JOURNAL = 256 * 1024 * 1024;
/** How much earlier than the window the scan begins: processes do not log in step, in ms. */
const SLACK = 10_000;

const PROBE_SIZES = [8 * 1024, 64 * 1024, 256 * 1024] as const;
/** Below this many bytes, scanning is cheaper than searching. */
const SEARCH_END = 64 * 1024;
/** Probes before the found start that check whether the log is in order at all. */
const ORDER_PROBES = 12;

interface ReadLimits {
  /** Start of the window, epoch ms; null for the whole log. */
  readonly windowFrom: number | null;
  /** The host's clock, epoch ms. */
  readonly now: number;
  /** How the log's local times are read. */
  readonly localTime: LocalTime;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ReadApiLogOptions extends ReadLimits {
  readonly path: string;
  readonly origin: Extract<LogSource, { kind: 'file' }>['origin'];
}

export interface ReadJournalOptions extends ReadLimits {
  /** `salt-api` or `salt-api.service`. */
  readonly unit: string;
  /** Program to run instead of `journalctl`, for tests. */
  readonly journalctl?: string | undefined;
}

/** A read that ended because its time was up or the operator gave up. */
class Stopped extends Error {}

/** What a reading has so far; also told when time runs out. */
class Reading {
  readonly scanner: ApiLogScanner;
  readonly files: { path: string; bytesRead: number }[] = [];
  readonly notes: string[] = [];
  readonly clock: LogClock;
  readonly limits: ReadLimits;
  stopped = false;

  constructor(limits: ReadLimits) {
    this.limits = limits;
    this.clock = { localTime: limits.localTime, now: limits.now };
    this.scanner = new ApiLogScanner(limits.windowFrom, this.clock);
  }

  goOn(): void {
    if (this.stopped) throw new Stopped();
  }

  facts(source: LogSource, dated: boolean): ApiLogFacts {
    const { undatedEvents, ...counts } = this.scanner.counts();
    const notes = [...this.notes];
    if (undatedEvents > 0 && this.limits.windowFrom !== null) {
      notes.push(`${undatedEvents} of the failed starts carry no time; they were counted`);
    }
    return {
      source,
      files: this.files.toReversed(),
      windowFrom: this.limits.windowFrom,
      ...counts,
      dated: dated || counts.dated,
      notes,
    };
  }

  soFar(): string {
    const bytes = this.files.reduce((sum, file) => sum + file.bytesRead, 0);
    const { events } = this.scanner.counts();
    return `${Math.round(bytes / 1024 / 1024)} MiB read, ${events} failed starts found until then`;
  }
}

/** Runs `work` until it ends, the time is up or the signal comes; a hung read is left behind. */
async function bounded<T>(
  reading: Reading,
  what: string,
  work: () => Promise<Look<T>>,
): Promise<Look<T>> {
  const { timeoutMs, signal } = reading.limits;
  const { promise: stop, resolve } = withResolvers<Look<never>>();
  const timer = setTimeout(() => {
    reading.stopped = true;
    resolve(blind('timeout', `reading ${what} took over ${timeoutMs} ms (${reading.soFar()})`));
  }, timeoutMs);
  const abort = (): void => {
    reading.stopped = true;
    resolve(blind('timeout', `reading ${what} was interrupted (${reading.soFar()})`));
  };
  if (signal?.aborted === true) abort();
  signal?.addEventListener('abort', abort, { once: true });
  const guarded = work().catch((error: unknown) => {
    if (error instanceof Stopped) return stop;
    return blindFrom(error, what);
  });
  try {
    return await Promise.race([stop, guarded]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function blindFrom(error: unknown, what: string): Look<never> {
  const code = codeOrText(error);
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return blind('permission', `${what} may not be read by this user; run as root`);
    case 'ENOENT':
    case 'ENOTDIR':
      return blind('missing', `${what} does not exist`);
    default:
      return blind('unsupported', `${what} could not be read: ${stripControl(code)}`);
  }
}

function fileType(stats: Stats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
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
  const { path, origin } = options;
  const shown = stripControl(path);
  if (/^[a-z]+:\/\//i.test(path)) {
    return blind('unsupported', `the API log goes to ${shown}, which is no file`);
  }
  const reading = new Reading(options);
  return bounded(reading, shown, async () => {
    const stats = await stat(path);
    if (!stats.isFile()) return blind('unsupported', `${shown} is ${fileType(stats)}, not a file`);
    const live = await openLog(path);
    const rotated: OpenLog[] = [];
    try {
      reading.goOn();
      await openRotatedInWindow(live, rotated, reading);
      let dated = false;
      for (const log of [...rotated.toReversed(), live])
        dated = (await scanLog(log, reading)) || dated;
      if (!(await isStillAt(live))) reading.notes.push(`${shown} was rotated while it was read`);
      return seen(reading.facts({ kind: 'file', path, origin }, dated));
    } finally {
      await Promise.allSettled([live, ...rotated].map((log) => log.handle.close()));
    }
  });
}

interface OpenLog {
  readonly path: string;
  readonly handle: FileHandle;
  readonly stats: Stats;
  /** Bytes at the time of opening; what is written later is left for the next look. */
  readonly size: number;
  readonly gzipped: boolean;
  bytesRead: number;
}

async function openLog(path: string): Promise<OpenLog> {
  // O_NONBLOCK: a FIFO that came here since the stat must not hold us (open(2)).
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw Object.assign(new Error('not a file'), { code: 'not a file' });
    return { path, handle, stats, size: stats.size, gzipped: path.endsWith('.gz'), bytesRead: 0 };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function isStillAt(log: OpenLog): Promise<boolean> {
  try {
    const now = await stat(log.path);
    return now.ino === log.stats.ino && now.dev === log.stats.dev;
  } catch {
    return false;
  }
}

/**
 * Opens the rotated siblings (logrotate(8): `.1`, `-YYYYMMDD`, `.gz`), newest first.
 * @param opened takes them one by one, so that whoever closes them has all, whatever happens here
 */
async function openRotatedInWindow(
  live: OpenLog,
  opened: OpenLog[],
  reading: Reading,
): Promise<void> {
  const { windowFrom } = reading.limits;
  const directory = dirname(live.path);
  const base = basename(live.path);
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    reading.notes.push(`rotated logs could not be listed: ${codeOrText(error)}`);
    return;
  }
  const rotatedName = /^(?:\.\d{1,4}|[-.]\d{8}(?:[-.]?\d{1,10})?)(?:\.(gz|xz|bz2|zst))?$/;
  const found: { path: string; stats: Stats; compression: string | undefined }[] = [];
  for (const name of names) {
    if (!name.startsWith(base)) continue;
    const suffix = rotatedName.exec(name.slice(base.length));
    if (suffix === null) continue;
    const path = join(directory, name);
    try {
      const stats = await stat(path);
      if (!stats.isFile() || stats.size === 0) continue;
      if (stats.ino === live.stats.ino && stats.dev === live.stats.dev) continue;
      // The last line of a rotated log is about as old as its mtime, which gzip keeps.
      if (windowFrom !== null && stats.mtimeMs < windowFrom - SLACK) continue;
      found.push({ path, stats, compression: suffix[1] });
    } catch (error) {
      reading.notes.push(`${stripControl(path)} could not be looked at: ${codeOrText(error)}`);
    }
  }
  found.sort((a, b) => b.stats.mtimeMs - a.stats.mtimeMs || (a.path < b.path ? -1 : 1));

  let newer = live;
  for (const { path, compression } of found) {
    reading.goOn();
    if (windowFrom !== null && (await beginsBefore(newer, windowFrom, reading))) break;
    // While logrotate compresses, both the plain file and its .gz are there.
    if (opened.some((log) => log.path === path || `${log.path}.gz` === path)) continue;
    if (compression !== undefined && compression !== 'gz') {
      reading.notes.push(`${stripControl(path)} was not read: only gzip is understood`);
      continue;
    }
    if (opened.length === MAX_ROTATED) {
      reading.notes.push(
        `only the newest ${MAX_ROTATED} of ${found.length} rotated logs were read`,
      );
      break;
    }
    try {
      newer = await openLog(path);
      const plain = opened.findIndex((log) => log.path === `${path}.gz`);
      if (plain !== -1) await opened.splice(plain, 1)[0]?.handle.close();
      opened.push(newer);
    } catch (error) {
      reading.notes.push(`${stripControl(path)} could not be opened: ${codeOrText(error)}`);
    }
  }
}

async function beginsBefore(log: OpenLog, time: number, reading: Reading): Promise<boolean> {
  if (log.gzipped) return false;
  const first = await probe(log, 0, log.size, reading);
  return first !== null && first.at < time;
}

/** Scans what of a log may lie in the window. Returns whether its lines carry times. */
async function scanLog(log: OpenLog, reading: Reading): Promise<boolean> {
  const account = { path: log.path, bytesRead: 0 };
  reading.files.push(account);
  let dated = false;
  try {
    if (log.gzipped) await scanGzipped(log, reading);
    else {
      const start = await windowStart(log, reading);
      dated = start.dated;
      await scanPlain(log, start.offset, reading, account);
    }
  } finally {
    account.bytesRead = log.bytesRead;
  }
  reading.scanner.endFile();
  return dated;
}

/** Reads ahead into one buffer while the other is scanned. */
async function scanPlain(
  log: OpenLog,
  start: number,
  reading: Reading,
  account: { bytesRead: number },
): Promise<void> {
  const headroom = ApiLogScanner.HEADROOM;
  const size = Math.min(READ_SIZE, Math.max(1, log.size - start));
  const buffers = [Buffer.allocUnsafe(headroom + size), Buffer.allocUnsafe(headroom + size)];
  let position = start;
  const readNext = async (buffer: Buffer): Promise<{ buffer: Buffer; length: number }> => {
    const length = Math.min(size, log.size - position);
    if (length === 0) return { buffer, length: 0 };
    const { bytesRead } = await log.handle.read(buffer, headroom, length, position);
    position += bytesRead;
    log.bytesRead += bytesRead;
    account.bytesRead = log.bytesRead;
    return { buffer, length: bytesRead };
  };
  let turn = 0;
  const nextBuffer = (): Buffer => {
    turn = 1 - turn;
    return buffers[turn] ?? Buffer.alloc(headroom + size);
  };
  let pending = readNext(nextBuffer());
  for (;;) {
    const { buffer, length } = await pending;
    let turned = performance.now();
    reading.goOn();
    if (length === 0) break;
    pending = readNext(nextBuffer());
    // Rejections are met by the await above; until then this one has a handler.
    pending.catch(() => {});
    for (let at = 0; at < length; at += SLICE_SIZE) {
      const end = headroom + Math.min(length, at + SLICE_SIZE);
      reading.scanner.scanBlock(buffer, headroom + at, end);
      if (performance.now() - turned > TURN_AFTER) {
        await setImmediate();
        turned = performance.now();
        reading.goOn();
      }
    }
  }
  if (position < log.size) {
    reading.notes.push(
      `${stripControl(log.path)} shrank while it was read: ${position} of ${log.size} bytes`,
    );
  }
}

async function scanGzipped(log: OpenLog, reading: Reading): Promise<void> {
  const source = log.handle.createReadStream({
    autoClose: false,
    start: 0,
    highWaterMark: 262_144,
  });
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
    if (error instanceof Stopped) throw error;
    reading.notes.push(`${stripControl(log.path)} is damaged gzip: ${codeOrText(error)}`);
  } finally {
    source.destroy();
    unpacked.destroy();
  }
}

interface Probe {
  /** Where the dated line begins. */
  readonly offset: number;
  readonly at: number;
}

/** The first dated line that begins at or after `from` and before `to`, within 256 KiB. */
async function probe(
  log: OpenLog,
  from: number,
  to: number,
  reading: Reading,
): Promise<Probe | null> {
  // One byte earlier, to see whether a line begins right at `from`.
  const start = Math.max(0, from - 1);
  for (const size of PROBE_SIZES) {
    reading.goOn();
    const length = Math.min(size, log.size - start);
    const buffer = Buffer.allocUnsafe(length);
    const { bytesRead } = await log.handle.read(buffer, 0, length, start);
    log.bytesRead += bytesRead;
    const bytes = buffer.subarray(0, bytesRead);
    const newline = from === 0 ? -1 : bytes.indexOf(10);
    if (from === 0 || newline !== -1) {
      const dated = firstDatedLine(bytes, newline + 1, bytes.length, reading.clock);
      if (dated !== null) {
        const offset = start + dated.index;
        return offset < to ? { offset, at: dated.at } : null;
      }
    }
    if (bytesRead < size || start + bytesRead >= to) return null;
  }
  return null;
}

/** Where to begin scanning so that nothing of the window is missed. */
async function windowStart(
  log: OpenLog,
  reading: Reading,
): Promise<{ offset: number; dated: boolean }> {
  const { windowFrom } = reading.limits;
  if (windowFrom === null) return { offset: 0, dated: false };
  const target = windowFrom - SLACK;
  const first = await probe(log, 0, log.size, reading);
  if (first !== null && first.at >= target) return { offset: 0, dated: true };
  const last = await probe(log, Math.max(0, log.size - 65_536), log.size, reading);
  if (first === null && last === null) {
    const offset = await undatedTail(log, reading);
    return { offset, dated: false };
  }

  // What stands before the first time is as old as that.
  let low = first?.offset ?? 0;
  let high = log.size;
  while (high - low > SEARCH_END) {
    const found = await probeBetween(log, low, high, reading);
    if (found === null) break;
    if (found.line.at < target) low = found.line.offset;
    else high = found.from;
  }
  for (let count = 0; count < ORDER_PROBES && low > SEARCH_END; count += 1) {
    const from = Math.floor((low * count) / ORDER_PROBES);
    const line = await probe(log, from, low, reading);
    if (line !== null && line.at >= target) {
      reading.notes.push(`the times in ${stripControl(log.path)} are not in order: read in full`);
      return { offset: 0, dated: true };
    }
  }
  return { offset: low, dated: true };
}

/** A dated line near the middle of a range, or further off where the middle has none. */
async function probeBetween(
  log: OpenLog,
  low: number,
  high: number,
  reading: Reading,
): Promise<{ from: number; line: Probe } | null> {
  for (const share of [1 / 2, 1 / 4, 3 / 4, 1 / 8, 7 / 8, 1 / 64, 63 / 64]) {
    const from = low + Math.max(1, Math.floor((high - low) * share));
    const line = await probe(log, from, high, reading);
    if (line !== null) return { from, line };
  }
  return null;
}

async function undatedTail(log: OpenLog, reading: Reading): Promise<number> {
  if (log.size <= UNDATED_TAIL) return 0;
  const from = log.size - UNDATED_TAIL;
  reading.notes.push(`${stripControl(log.path)} carries no times: its last 64 MiB were read`);
  const buffer = Buffer.allocUnsafe(65_536);
  const { bytesRead } = await log.handle.read(buffer, 0, buffer.length, from);
  log.bytesRead += bytesRead;
  return from + buffer.subarray(0, bytesRead).indexOf(10) + 1;
}

/**
 * Reads a unit's journal (`journalctl -u UNIT -o short-iso`) and counts the failed starts in it.
 *
 * @returns blind with `missing` where there is no journalctl or no journal, `permission`, or
 * `timeout`; at most 256 MiB are read
 */
export async function readJournal(options: ReadJournalOptions): Promise<Look<ApiLogFacts>> {
  const { unit, windowFrom } = options;
  const what = `the journal of ${stripControl(unit)}`;
  const reading = new Reading(options);
  const since = windowFrom === null ? [] : ['--since', `@${Math.floor(windowFrom / 1000)}`];
  // Not --quiet: that leaves out the hint that rights are wanting (journalctl(1)).
  const argv = ['--no-pager', '-o', 'short-iso', ...since, `--unit=${unit}`];
  const account = { path: `journal:${unit}`, bytesRead: 0 };
  reading.files.push(account);
  return bounded(reading, what, async () => {
    if (options.journalctl === undefined && !(await isOnPath('journalctl'))) {
      return blindJournal('absent', unit);
    }
    let entries = false;
    const { execa } = await import('execa');
    const stop = new AbortController();
    const journal = execa(options.journalctl ?? 'journalctl', argv, {
      stdin: 'ignore',
      buffer: { stdout: false },
      encoding: 'buffer',
      maxBuffer: 65_536,
      reject: false,
      env: { LC_ALL: 'C' },
      timeout: options.timeoutMs,
      cancelSignal: stop.signal,
      forceKillAfterDelay: 1_000,
    });
    try {
      for await (const chunk of journal.iterable({ from: 'stdout', binary: true })) {
        reading.goOn();
        reading.scanner.push(chunk);
        account.bytesRead += chunk.length;
        entries ||= hasEntry(chunk);
        if (account.bytesRead > MAX_JOURNAL) {
          return blind('unsupported', `${what} holds over 256 MiB; ask for less with --since`);
        }
      }
    } catch (error) {
      if (error instanceof Stopped) throw error;
    } finally {
      stop.abort();
    }
    const result = await journal;
    if (result.code === 'ENOENT') return blindJournal('absent', unit);
    const complaint = stripControl(Buffer.from(result.stderr).toString('utf8')).trim();
    const failed = result.exitCode !== 0 && result.exitCode !== undefined;
    const silent = journalComplaint(
      failed ? `${complaint}\nfailed: ${result.exitCode}` : complaint,
      unit,
    );
    if (silent !== null) return silent;
    if (!entries) return blindJournal('empty', unit);
    reading.scanner.endFile();
    return seen(reading.facts({ kind: 'journal', unit }, true));
  });
}

/** True where more than journalctl's own lines are in it, such as `-- No entries --`. */
function hasEntry(output: Uint8Array): boolean {
  return Buffer.from(output)
    .toString('latin1')
    .split('\n')
    .some((line) => line !== '' && !line.startsWith('-- '));
}
