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
import {
  isExceptionLine,
  opensStartTraceback,
  recogniseStartFailure,
  type StartFailureLine,
  saysPortIsHeld,
  startFailureOf,
} from './api-log-starts.ts';
import { SEARCHED_WORDINGS } from './api-log-wordings.ts';
import { BindFailures } from './bind-failure-tally.ts';
import {
  type ApiLogFacts,
  type BindFailureTally,
  MAX_LOG_PORTS,
  type PortBindFailures,
  type StartFailureFacts,
} from './evidence.ts';
import { needleSearch } from './needle-search.ts';
import { StartFailures } from './start-failure-tally.ts';

/** How far before a hit the head of its record is looked for, in bytes. */
const LOOK_BACK = 64 * 1024;
/** How far behind a hit its line may end and its traceback go on, in bytes. */
const LOOK_AHEAD = 32 * 1024;
/** Bytes of a line that are decoded; what stands behind them is no head and no error. */
const LINE_LIMIT = 8 * 1024;
const BLANK = 32;
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

const MAX_PORTS = 20;
const SAMPLE_LENGTH = 300;
/** Processes whose last failed start is remembered. */
const MAX_RECENT = 256;

/** What begins a record that most often ends in a held port. */
const START_NEEDLE = "'start' lis";
const NEEDLES = needleSearch(SEARCHED_WORDINGS.map(({ needle }) => needle));

/** What the scan of a log adds up to: the part of `ApiLogFacts` that its lines tell. */
export type ApiLogCounts = BindFailureTally &
  Pick<ApiLogFacts, 'ports' | 'childDeaths' | 'lastChildDeathAt' | 'dated'> & {
    readonly byPort: readonly PortBindFailures[];
    readonly startFailures: readonly StartFailureFacts[];
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
  /** Of its first line that named one. */
  port: number | null;
}

/** A line in which a needle was found. */
interface Hit {
  readonly line: LogLine;
  readonly opening: Opening | null;
  readonly lineOffset: number;
  /** Its message, taken apart where syslog had folded a record into one line. */
  readonly messages: readonly string[];
}

/** Kinds whose exception is proof of a failed start in whatever record it stands. */
const TELLS_ALONE: ReadonlySet<StartFailureLine['kind']> = new Set([
  'bind-permission',
  'bind-address',
  'certificate',
]);

/** rest_tornado catches whatever ends its bind: then an errno is the bind's. */
const TORNADO_KINDS: Partial<Record<StartFailureLine['kind'], StartFailureLine['kind']>> = {
  permission: 'bind-permission',
};

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

  private undatedEvents = 0;
  private readonly all = new BindFailures();
  private readonly byPort = new Map<number | null, BindFailures>();
  private readonly ports: number[] = [];
  private readonly startFailures = new StartFailures();
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
    this.startFailures.endFile();
  }

  /** What was counted so far; complete after `endFile`. */
  counts(): ApiLogCounts {
    return {
      ...this.all.tally(),
      undatedEvents: this.undatedEvents,
      ports: [...this.ports],
      byPort: [...this.byPort].map(([port, failures]) => ({ port, ...failures.tally() })),
      startFailures: this.startFailures.facts(),
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
    // Most starts fail for a held port, and the line that says so is a hit of its own.
    const started = bytes.toString('latin1', hit, hit + START_NEEDLE.length) === START_NEEDLE;
    if (started && saysPortIsHeld(this.exceptionBelow(bytes, end, ahead) ?? '')) return;
    const line = parseLogLine(decode(bytes, start, end), this.clock);
    const lineOffset = base + start - from;

    const { opening, afterSourceLine } = line.opens
      ? { opening: { line, kind: recordKind(line), offset: lineOffset }, afterSourceLine: false }
      : this.openingAbove(stretch, floor, start);
    this.lastHit = { lineOffset, opening };
    if (opening?.line.at != null || line.at !== null) this.dated = true;

    // rsyslog writes the line breaks of a traceback as #012.
    const messages = line.message.split('#012');
    this.judgeStart({ line, opening, lineOffset, messages }, () => {
      return this.exceptionBelow(bytes, end, ahead);
    });
    for (const message of messages) {
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
      if (failure.wording === 'tornado-unable') {
        const exception = this.exceptionBelow(bytes, end, ahead);
        const otherwise = exception === null ? null : startFailureOf(exception);
        if (exception !== null && otherwise !== null && /\[Errno \d/.test(exception)) {
          const { port } = failure;
          const kind = TORNADO_KINDS[otherwise.kind] ?? otherwise.kind;
          this.countStart({ ...otherwise, kind, port }, line, lineOffset, exception);
          continue;
        }
      }
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

  /**
   * The exception that ends the traceback below, or the one that says that the port is held; null
   * where there is none.
   */
  private exceptionBelow(bytes: Buffer, from: number, to: number): string | null {
    let exception: string | null = null;
    let at = from + 1;
    for (let count = 0; count < RECORD_LINES && at < to; count += 1) {
      const end = lineEnd(bytes, at, to);
      // Source lines are by far the most, and neither begin nor end anything.
      if (bytes[at] !== BLANK) {
        const text = decode(bytes, at, end);
        const plain = isExceptionLine(text);
        const line = plain ? null : parseLogLine(text, this.clock);
        if (line?.opens) break;
        const message = line?.message ?? text;
        if (plain || isExceptionLine(message)) {
          if (saysPortIsHeld(message)) return message;
          exception = message;
        }
      }
      at = end + 1;
    }
    return exception;
  }

  /** Whether the line tells of a start that failed for another reason than a held port. */
  private judgeStart(hit: Hit, exceptionBelow: () => string | null): void {
    const { line, opening, lineOffset, messages } = hit;
    const [message = '', ...folded] = messages;
    if (isBelowError(opening?.line.level ?? line.level)) return;
    if (!line.opens) {
      // What multiprocessing itself prints, to the journal: Salt up to 2018.3 logs no such record.
      const traced = opening !== null && opensStartTraceback(opening.line.message);
      const failure = traced || !isExceptionLine(message) ? null : startFailureOf(message);
      if (failure === null || !TELLS_ALONE.has(failure.kind)) return;
      this.countStart(failure, opening?.line ?? line, opening?.offset ?? lineOffset, message);
      return;
    }
    const told = recogniseStartFailure(message);
    if (told !== null) this.countStart(told, line, lineOffset, message);
    if (!opensStartTraceback(message)) return;
    const exception = folded.findLast(isExceptionLine) ?? exceptionBelow();
    const failure = exception === null ? null : startFailureOf(exception);
    if (exception !== null && failure !== null) {
      this.countStart(failure, line, lineOffset, exception);
    }
  }

  private countStart(
    failure: StartFailureLine,
    { at, pid }: LogLine,
    record: number,
    message: string,
  ): void {
    if (!this.inWindow(at)) return;
    this.startFailures.add({ line: failure, at, pid, record, sample: sample(message) });
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
    this.all.addPid(pid);
    this.byPort.get(last.port)?.addPid(pid);
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
    const { port, wrapper } = failure;
    const current: FailedStart = { at, pid, kind, recordOffset, wrapped: wrapper, port };
    if (last !== undefined && isSameStart(last, current, wrapper)) {
      last.wrapped ||= wrapper;
      last.recordOffset = recordOffset;
      return;
    }
    this.recent.delete(pid);
    this.recent.set(pid, current);
    forgetOldest(this.recent);
    if (!this.inWindow(at)) return;

    if (at === null) this.undatedEvents += 1;
    if (port !== null && !this.ports.includes(port) && this.ports.length < MAX_PORTS) {
      this.ports.push(port);
    }
    const counted = { wording: failure.wording, at, pid, sample: sample(message) };
    this.all.add(counted);
    this.failuresOf(port)?.add(counted);
  }

  private failuresOf(port: number | null): BindFailures | undefined {
    if (!this.byPort.has(port) && this.byPort.size < MAX_LOG_PORTS) {
      this.byPort.set(port, new BindFailures());
    }
    return this.byPort.get(port);
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
  // Two modules may fail within one second: without pids their ports tell them apart.
  const ports = !wrapper && last.port !== null && next.port !== null;
  if (next.pid === null && ports && last.port !== next.port) return false;
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
