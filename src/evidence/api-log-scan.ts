import { redactSecrets, stripControl } from '../untrusted.ts';
import {
  type BindFailure,
  isBelowError,
  type LogClock,
  type LogLine,
  parseLogLine,
  type RecordKind,
  recogniseBindFailure,
  recogniseChildDeath,
  recordKind,
} from './api-log-lines.ts';
import { type ApiLogFacts, type BindWording, MAX_EVENT_TIMES } from './evidence.ts';
import { needleSearch } from './needle-search.ts';

/** How far before a hit the head of its record is looked for, in bytes. */
const LOOK_BACK = 64 * 1024;
/** How far behind a hit its line may end and its traceback go on, in bytes. */
const LOOK_AHEAD = 32 * 1024;
/** Bytes of a line that are decoded; what stands behind them is no head and no error. */
const LINE_LIMIT = 8 * 1024;
/** Lines that a record's head is looked for above a hit. */
const RECORD_LINES = 400;
/** In how many bytes at its beginning a log must show a time to count as dated. */
const DATED_WITHIN = 64 * 1024;

/** Errors of one process this close together are one failed start, in ms. */
const SAME_START_WITH_PID = 3_000;
/** The same where the log tells no pids, in ms. */
const SAME_START_WITHOUT_PID = 2_000;
/** An error after the wrapper is the next start even within that time, if this much later, in ms. */
const NEXT_START_AFTER_WRAPPER = 500;
/** How long after a `'stop' listener` error the same process's wrapper belongs to it, in ms. */
const STOP_BLOCK = 10_000;

const MAX_PIDS = 50;
const MAX_PORTS = 20;
const SAMPLE_LENGTH = 300;
const NEWEST_SAMPLES = 4;
/** Processes whose last failed start is remembered. */
const MAX_RECENT = 256;

/** Eleven bytes of each wording, those that are the least common in a debug log. */
const NEEDLES = needleSearch([
  ' not free o', // not free on
  'could be cr', // No socket could be created
  'do unable t', // Rest_tornado unable to bind to port
  's already i', // Address already in use
  'd with exit', // died with exit status
]);

/** What the scan of a log adds up to: the part of `ApiLogFacts` that its lines tell. */
export type ApiLogCounts = Pick<
  ApiLogFacts,
  | 'events'
  | 'firstAt'
  | 'lastAt'
  | 'times'
  | 'pids'
  | 'wordings'
  | 'ports'
  | 'samples'
  | 'childDeaths'
  | 'lastChildDeathAt'
  | 'dated'
> & {
  /** Failed starts that carried no time, so that the window could not be applied to them. */
  readonly undatedEvents: number;
};

interface Opening {
  readonly line: LogLine;
  readonly kind: RecordKind;
  /** Where in the stream the record begins. */
  readonly offset: number;
}

interface FailedStart {
  readonly at: number | null;
  readonly pid: number | null;
  readonly kind: RecordKind;
  recordOffset: number;
  wrapped: boolean;
}

/** A stretch of the stream in memory: `bytes[from..to)`, where `from` is at `base` in the stream. */
interface Stretch {
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
  readonly base: number;
}

function sample(message: string): string {
  const clean = redactSecrets(stripControl(message)).trim();
  return clean.length > SAMPLE_LENGTH ? `${clean.slice(0, SAMPLE_LENGTH - 1)}…` : clean;
}

/**
 * Counts failed starts in a log that is fed to it in pieces of any size, in constant memory. The
 * counts do not depend on where the pieces are cut.
 *
 * Feed it with `push`, or without a copy: read into `buffer.subarray(ApiLogScanner.HEADROOM)` and
 * call `scanBlock`. Call `endFile` after each file; files come oldest first.
 */
export class ApiLogScanner {
  /** Bytes that must be free before the payload of a block. */
  static readonly HEADROOM = LOOK_BACK + LOOK_AHEAD;
  private static readonly PUSH_BLOCK = 256 * 1024;

  private readonly windowFrom: number | null;
  private readonly clock: LogClock;

  private readonly carry = Buffer.alloc(ApiLogScanner.HEADROOM);
  private carryLength = 0;
  /** Bytes of this file seen so far. */
  private received = 0;
  /** Where in the stream the search goes on. */
  private resume = 0;
  /** True while the rest of an overlong line is being skipped. */
  private skippingLine = false;
  private datedDecided = false;
  private pushBuffer: Buffer | null = null;
  private pushLength = 0;

  private lastHit: { readonly lineOffset: number; readonly opening: Opening | null } | null = null;
  private readonly recent = new Map<number | null, FailedStart>();
  private readonly stops = new Map<number | null, number | null>();

  private events = 0;
  private undatedEvents = 0;
  private firstAt: number | null = null;
  private lastAt: number | null = null;
  private times: number[] = [];
  private pids: number[] = [];
  private readonly ports: number[] = [];
  private readonly wordings: Partial<Record<BindWording, number>> = {};
  private firstSample: string | null = null;
  private newestSamples: string[] = [];
  private childDeaths = 0;
  private lastChildDeathAt: number | null = null;
  private dated = false;

  /** @param windowFrom epoch ms before which nothing counts; null counts everything */
  constructor(windowFrom: number | null, clock: LogClock) {
    this.windowFrom = windowFrom;
    this.clock = clock;
  }

  /** Takes the next bytes of the file; they are copied. */
  push(chunk: Uint8Array): void {
    this.pushBuffer ??= Buffer.alloc(ApiLogScanner.HEADROOM + ApiLogScanner.PUSH_BLOCK);
    for (let taken = 0; taken < chunk.length; ) {
      const part = chunk.subarray(taken, taken + ApiLogScanner.PUSH_BLOCK - this.pushLength);
      this.pushBuffer.set(part, ApiLogScanner.HEADROOM + this.pushLength);
      this.pushLength += part.length;
      taken += part.length;
      if (this.pushLength === ApiLogScanner.PUSH_BLOCK) this.flushPushed();
    }
  }

  /**
   * Takes the next bytes of the file from `block[start..end)`; the `HEADROOM` bytes before `start`
   * are overwritten with what came before. The block may be used again when this returns.
   */
  scanBlock(block: Buffer, start: number, end: number): void {
    this.flushPushed();
    this.scanPayload(block, start, end);
  }

  /** Says that the file is complete: what was held back is judged. */
  endFile(): void {
    this.flushPushed();
    const bytes = this.carry.subarray(0, this.carryLength);
    this.scan(
      { bytes, from: 0, to: this.carryLength, base: this.received - this.carryLength },
      true,
    );
    this.carryLength = 0;
    this.received = 0;
    this.resume = 0;
    this.skippingLine = false;
    this.datedDecided = false;
    this.lastHit = null;
    for (const start of this.recent.values()) start.recordOffset = -1;
  }

  /** What was counted so far; complete after `endFile`. */
  counts(): ApiLogCounts {
    const times = this.newestTimes();
    return {
      events: this.events,
      undatedEvents: this.undatedEvents,
      firstAt: this.firstAt,
      lastAt: this.lastAt,
      times,
      pids: [...this.pids],
      wordings: { ...this.wordings },
      ports: [...this.ports],
      samples: this.firstSample === null ? [] : [this.firstSample, ...this.newestSamples],
      childDeaths: this.childDeaths,
      lastChildDeathAt: this.lastChildDeathAt,
      dated: this.dated,
    };
  }

  private flushPushed(): void {
    if (this.pushBuffer === null || this.pushLength === 0) return;
    const end = ApiLogScanner.HEADROOM + this.pushLength;
    this.pushLength = 0;
    this.scanPayload(this.pushBuffer, ApiLogScanner.HEADROOM, end);
  }

  private scanPayload(block: Buffer, start: number, end: number): void {
    const from = start - this.carryLength;
    this.carry.copy(block, from, 0, this.carryLength);
    const base = this.received - this.carryLength;
    this.received += end - start;
    this.scan({ bytes: block, from, to: end, base }, false);
    const keepFrom = Math.max(from, end - ApiLogScanner.HEADROOM);
    this.carryLength = block.copy(this.carry, 0, keepFrom, end);
  }

  private scan(stretch: Stretch, final: boolean): void {
    const { bytes, from, to, base } = stretch;
    this.decideDated(stretch, final);
    // A hit is judged once all of what may follow it is here, wherever the pieces were cut.
    const limit = final ? to : Math.max(from, to - LOOK_AHEAD);
    let at = Math.max(from, from + this.resume - base);
    while (at < limit) {
      if (this.skippingLine) {
        const lineEnd = bytes.subarray(at, to).indexOf(10);
        if (lineEnd === -1) {
          at = to;
          break;
        }
        at += lineEnd + 1;
        this.skippingLine = false;
        continue;
      }
      const hit = NEEDLES.find(bytes, at, to);
      if (hit === -1 || hit >= limit) {
        at = limit;
        break;
      }
      this.judge(stretch, hit);
      // One judgement for each line: an overlong line full of needles must not cost more.
      this.skippingLine = true;
      at = hit;
    }
    this.resume = base + at - from;
  }

  private decideDated(stretch: Stretch, final: boolean): void {
    if (this.datedDecided || this.dated) return;
    if (!final && stretch.to - stretch.from < DATED_WITHIN) return;
    this.datedDecided = true;
    this.dated =
      firstDatedLine(
        stretch.bytes,
        stretch.from,
        Math.min(stretch.to, stretch.from + DATED_WITHIN),
        this.clock,
      ) !== null;
  }

  private judge(stretch: Stretch, hit: number): void {
    const { bytes, from, to, base } = stretch;
    const floor = Math.max(from, hit - LOOK_BACK);
    const start = lineStart(bytes, floor, hit, base + floor - from === 0);
    if (start === -1 || hit - start > LINE_LIMIT) return;
    const ahead = Math.min(to, hit + LOOK_AHEAD);
    const end = lineEnd(bytes, hit, ahead);
    const line = parseLogLine(decode(bytes, start, end), this.clock);
    const lineOffset = base + start - from;

    const { opening, afterSourceLine } = line.opens
      ? { opening: { line, kind: recordKind(line), offset: lineOffset }, afterSourceLine: false }
      : this.openingAbove(stretch, floor, start);
    this.lastHit = { lineOffset, opening };
    if (opening?.line.at != null || line.at !== null) this.dated = true;

    // rsyslog writes the line breaks of a traceback as #012.
    for (const message of line.message.split('#012')) {
      const death = line.opens ? recogniseChildDeath(message) : null;
      if (death !== null) this.countChildDeath(line, death);
      const failure = recogniseBindFailure(message);
      if (failure === null) continue;
      const quoted = message === line.message && line.opens && failure.wording !== 'tornado-unable';
      if (quoted && line.level !== null && line.level !== 'ERROR' && line.level !== 'CRITICAL') {
        continue;
      }
      if (isBelowError(opening?.line.level ?? null)) continue;
      if (failure.wording === 'address-in-use' && !failure.wrapper) {
        const folded = message !== line.message;
        if (!(afterSourceLine || folded) || opening?.kind === 'salt-master') continue;
      }
      if (failure.wording === 'tornado-unable' && this.failedOtherwise(bytes, end, ahead)) continue;
      this.countFailure(failure, line, opening, message, lineOffset);
    }
  }

  /** The record that the line at `start` goes on with. */
  private openingAbove(
    stretch: Stretch,
    floor: number,
    start: number,
  ): { opening: Opening | null; afterSourceLine: boolean } {
    const { bytes, from, base } = stretch;
    let afterSourceLine = false;
    let end = start - 1;
    for (let count = 0; count < RECORD_LINES && end > floor; count += 1) {
      const above = lineStart(bytes, floor, end, base + floor - from === 0);
      if (above === -1) break;
      const offset = base + above - from;
      const line = parseLogLine(decode(bytes, above, end), this.clock);
      if (count === 0) afterSourceLine = /^\s+\S/.test(line.message) && !line.opens;
      if (line.opens) {
        return { opening: { line, kind: recordKind(line), offset }, afterSourceLine };
      }
      if (this.lastHit !== null && offset <= this.lastHit.lineOffset) {
        return { opening: this.lastHit.opening, afterSourceLine };
      }
      end = above - 1;
    }
    return { opening: null, afterSourceLine };
  }

  /** True where the traceback below gives an errno other than EADDRINUSE. */
  private failedOtherwise(bytes: Buffer, from: number, to: number): boolean {
    let at = from + 1;
    for (let count = 0; count < RECORD_LINES && at < to; count += 1) {
      const end = lineEnd(bytes, at, to);
      const line = parseLogLine(decode(bytes, at, end), this.clock);
      if (line.opens) return false;
      const errno = /\[Errno (\d+)\]/.exec(line.message)?.[1];
      if (errno !== undefined) return errno !== '98' && errno !== '48';
      at = end + 1;
    }
    return false;
  }

  private inWindow(at: number | null): boolean {
    return at === null || this.windowFrom === null || at >= this.windowFrom;
  }

  private countChildDeath(line: LogLine, pid: number): void {
    if (this.inWindow(line.at)) {
      this.childDeaths += 1;
      // Files come newest first, and the clock may have been set back in one.
      if (line.at !== null) this.lastChildDeathAt = Math.max(this.lastChildDeathAt ?? 0, line.at);
    }
    // Salt up to 2014.7 logs no pid: the manager's line says whose start had failed.
    const last = this.recent.get(null);
    if (last === undefined || line.pid !== null || !this.inWindow(last.at)) return;
    this.recent.delete(null);
    this.addPid(pid);
  }

  private countFailure(
    failure: BindFailure,
    line: LogLine,
    opening: Opening | null,
    message: string,
    lineOffset: number,
  ): void {
    const at = opening?.line.at ?? line.at;
    const pid = opening?.line.pid ?? line.pid;
    const kind = opening?.kind ?? 'other';
    if (kind === 'stop-listener') {
      this.stops.set(pid, at);
      forgetOldest(this.stops);
      return;
    }
    const stoppedAt = this.stops.get(pid);
    if (failure.wrapper && kind !== 'start-listener' && stoppedAt !== undefined) {
      if (at === null || stoppedAt === null || Math.abs(at - stoppedAt) <= STOP_BLOCK) return;
    }

    const recordOffset = opening?.offset ?? lineOffset;
    const last = this.recent.get(pid);
    const current: FailedStart = { at, pid, kind, recordOffset, wrapped: failure.wrapper };
    if (last !== undefined && isSameStart(last, current, failure.wrapper)) {
      last.wrapped ||= failure.wrapper;
      last.recordOffset = recordOffset;
      return;
    }
    this.recent.delete(pid);
    this.recent.set(pid, current);
    forgetOldest(this.recent);
    if (!this.inWindow(at)) return;

    this.events += 1;
    this.wordings[failure.wording] = (this.wordings[failure.wording] ?? 0) + 1;
    if (at === null) this.undatedEvents += 1;
    else this.addTime(at);
    if (pid !== null) this.addPid(pid);
    if (failure.port !== null && !this.ports.includes(failure.port)) {
      if (this.ports.length < MAX_PORTS) this.ports.push(failure.port);
    }
    this.addSample(sample(message));
  }

  private addTime(at: number): void {
    this.firstAt = this.firstAt === null ? at : Math.min(this.firstAt, at);
    this.lastAt = this.lastAt === null ? at : Math.max(this.lastAt, at);
    this.times.push(at);
    if (this.times.length >= 2 * MAX_EVENT_TIMES) this.times = this.newestTimes();
  }

  private newestTimes(): number[] {
    return this.times.toSorted((a, b) => a - b).slice(-MAX_EVENT_TIMES);
  }

  private addPid(pid: number): void {
    this.pids = [...this.pids.filter((known) => known !== pid), pid].slice(-MAX_PIDS);
  }

  private addSample(text: string): void {
    if (this.firstSample === null) this.firstSample = text;
    else if (text !== this.firstSample) {
      const others = this.newestSamples.filter((known) => known !== text);
      this.newestSamples = [...others, text].slice(-NEWEST_SAMPLES);
    }
  }
}

/**
 * The first line of `bytes[from..to)` that carries a time.
 *
 * @param from must be the beginning of a line
 * @returns index of the line and its time in epoch ms
 */
export function firstDatedLine(
  bytes: Buffer,
  from: number,
  to: number,
  clock: LogClock,
): { readonly index: number; readonly at: number } | null {
  for (let index = from; index < to; ) {
    const end = lineEnd(bytes, index, to);
    const { at } = parseLogLine(decode(bytes, index, Math.min(end, index + 1024)), clock);
    if (at !== null) return { index, at };
    index = end + 1;
  }
  return null;
}

function isSameStart(last: FailedStart, next: FailedStart, wrapper: boolean): boolean {
  if (last.recordOffset === next.recordOffset) return wrapper || !last.wrapped;
  if (last.at !== null && next.at !== null) {
    const apart = Math.abs(next.at - last.at);
    if (next.pid !== null) return apart <= SAME_START_WITH_PID;
    if (last.wrapped && !wrapper && apart >= NEXT_START_AFTER_WRAPPER) return false;
    return apart <= SAME_START_WITHOUT_PID;
  }
  if (last.wrapped && !wrapper) return false;
  if (wrapper || next.pid !== null) return true;
  return last.kind === 'http-server' && next.kind === 'start-listener';
}

function forgetOldest(map: Map<number | null, unknown>): void {
  if (map.size <= MAX_RECENT) return;
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}

/**
 * Where the line that contains `at` begins, -1 where that is before `floor`. A NUL ends a line too
 * when nothing else does: copytruncate leaves holes of them.
 */
function lineStart(bytes: Buffer, floor: number, at: number, floorIsStart: boolean): number {
  const before = bytes.subarray(floor, at);
  const newline = before.lastIndexOf(10);
  if (newline !== -1) return floor + newline + 1;
  if (floorIsStart && at - floor <= LINE_LIMIT) return floor;
  const nul = before.lastIndexOf(0);
  return nul === -1 ? -1 : floor + nul + 1;
}

/** Where the line that contains `at` ends, `to` where it goes on behind that. */
function lineEnd(bytes: Buffer, at: number, to: number): number {
  const newline = bytes.subarray(at, to).indexOf(10);
  return newline === -1 ? to : at + newline;
}

function decode(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('utf8', start, Math.min(end, start + LINE_LIMIT));
}
