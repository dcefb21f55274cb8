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
import { FailedBinds, sampleOf } from './bind-failure-tally.ts';
import type { StartFailureFacts } from './evidence.ts';
import { needleSearch } from './needle-search.ts';
import { StartFailures } from './start-failure-tally.ts';

/** How far before a hit the head of its record is looked for, in bytes. */
const LOOK_BACK = 64 * 1024;
/** How far behind a hit its line may end and its traceback go on, in bytes. */
const LOOK_AHEAD = 32 * 1024;
/** Bytes of a line that are decoded; what stands behind them is no head and no error. */
const LINE_LIMIT = 8 * 1024;
/** What is pushed is scanned in pieces of at most so many bytes. */
const PUSH_BLOCK = 256 * 1024;
const BLANK = 32;
/** Lines that a record's head is looked for above a hit. */
const RECORD_LINES = 400;
/** In how many bytes at its beginning a log must show a time to count as dated. */
const DATED_WITHIN = 64 * 1024;

/** What begins a record that most often ends in a held port. */
const START_NEEDLE = "'start' lis";
const NEEDLES = needleSearch(SEARCHED_WORDINGS.map(({ needle }) => needle));

/** What the scan of a log adds up to: the part of `ApiLogFacts` that its lines tell. */
export type ApiLogCounts = ReturnType<FailedBinds['counts']> & {
  readonly startFailures: readonly StartFailureFacts[];
  readonly childDeaths: number;
  readonly lastChildDeathAt: number | null;
  readonly dated: boolean;
};

interface Opening {
  readonly line: LogLine;
  readonly kind: RecordKind;
  /** Where in the stream the record begins. */
  readonly offset: number;
}

/** A line in which a needle was found. */
interface Hit {
  readonly line: LogLine;
  /** Of the record that it begins or goes on with. */
  readonly opening: Opening | null;
  readonly lineOffset: number;
  /** True where it follows a source line of a traceback. */
  readonly afterSourceLine: boolean;
  /** Its message, taken apart where syslog had folded a record into one line. */
  readonly messages: readonly string[];
  /** The exception that ends the traceback below. */
  readonly exceptionBelow: () => string | null;
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

  private readonly inWindow: (at: number | null) => boolean;
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
  private pushed: Buffer | null = null;

  private lastHit: { readonly lineOffset: number; readonly opening: Opening | null } | null = null;
  private readonly failedBinds: FailedBinds;
  private readonly startFailures = new StartFailures();
  private childDeaths = 0;
  private lastChildDeathAt: number | null = null;
  private dated = false;

  /** @param windowFrom epoch ms before which nothing counts; null counts everything */
  constructor(windowFrom: number | null, clock: LogClock) {
    this.inWindow = (at) => at === null || windowFrom === null || at >= windowFrom;
    this.failedBinds = new FailedBinds(this.inWindow);
    this.clock = clock;
  }

  /** Takes the next bytes of the file; they are copied. */
  push(chunk: Uint8Array): void {
    const { HEADROOM } = ApiLogScanner;
    this.pushed ??= Buffer.alloc(HEADROOM + PUSH_BLOCK);
    for (let taken = 0; taken < chunk.length; taken += PUSH_BLOCK) {
      const part = chunk.subarray(taken, taken + PUSH_BLOCK);
      this.pushed.set(part, HEADROOM);
      this.scanBlock(this.pushed, HEADROOM, HEADROOM + part.length);
    }
  }

  /**
   * Takes the next bytes of the file from `block[start..end)`; the `HEADROOM` bytes before `start`
   * are overwritten with what came before. The block may be used again when this returns.
   */
  scanBlock(block: Buffer, start: number, end: number): void {
    const from = start - this.carryLength;
    this.carry.copy(block, from, 0, this.carryLength);
    const base = this.received - this.carryLength;
    this.received += end - start;
    this.scan({ bytes: block, from, to: end, base }, false);
    const keepFrom = Math.max(from, end - ApiLogScanner.HEADROOM);
    this.carryLength = block.copy(this.carry, 0, keepFrom, end);
  }

  /** Says that the file is complete: what was held back is judged. */
  endFile(): void {
    const to = this.carryLength;
    this.scan({ bytes: this.carry, from: 0, to, base: this.received - to }, true);
    this.carryLength = 0;
    this.received = 0;
    this.resume = 0;
    this.skippingLine = false;
    this.datedDecided = false;
    this.lastHit = null;
    this.failedBinds.endFile();
    this.startFailures.endFile();
  }

  /** What was counted so far; complete after `endFile`. */
  counts(): ApiLogCounts {
    return {
      ...this.failedBinds.counts(),
      startFailures: this.startFailures.facts(),
      childDeaths: this.childDeaths,
      lastChildDeathAt: this.lastChildDeathAt,
      dated: this.dated,
    };
  }

  private scan(stretch: Stretch, final: boolean): void {
    const { bytes, from, to, base } = stretch;
    this.decideDated(stretch, final);
    // A hit is judged once all of what may follow it is here, wherever the pieces were cut.
    const limit = final ? to : Math.max(from, to - LOOK_AHEAD);
    let at = Math.max(from, from + this.resume - base);
    while (at < limit) {
      if (this.skippingLine) {
        const end = lineEnd(bytes, at, to);
        this.skippingLine = end === to;
        at = Math.min(to, end + 1);
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

  private decideDated({ bytes, from, to }: Stretch, final: boolean): void {
    if (this.datedDecided || this.dated) return;
    if (!final && to - from < DATED_WITHIN) return;
    this.datedDecided = true;
    const end = Math.min(to, from + DATED_WITHIN);
    this.dated = firstDatedLine(bytes, from, end, this.clock) !== null;
  }

  private judge(stretch: Stretch, at: number): void {
    const hit = this.hitAt(stretch, at);
    if (hit === null) return;
    this.judgeStart(hit);
    for (const message of hit.messages) {
      if (hit.line.opens) this.judgeDeath(hit.line, message);
      this.judgeBind(hit, message);
    }
  }

  /** The line with a needle at `at`, in its record; null where it is overlong, or no news. */
  private hitAt(stretch: Stretch, at: number): Hit | null {
    const { bytes, from, to, base } = stretch;
    const floor = Math.max(from, at - LOOK_BACK);
    const start = lineStart(bytes, floor, at, base + floor - from === 0);
    if (start === -1 || at - pastHole(bytes, start, at) > LINE_LIMIT) return null;
    const ahead = Math.min(to, at + LOOK_AHEAD);
    const end = lineEnd(bytes, at, ahead);
    const exceptionBelow = (): string | null => this.exceptionBelow(bytes, end, ahead);
    // Most starts fail for a held port, and the line that says so is a hit of its own.
    const started = bytes.toString('latin1', at, at + START_NEEDLE.length) === START_NEEDLE;
    if (started && saysPortIsHeld(exceptionBelow() ?? '')) return null;
    const line = parseLogLine(decode(bytes, start, end), this.clock);
    const lineOffset = base + start - from;

    const { opening, afterSourceLine } = line.opens
      ? { opening: { line, kind: recordKind(line), offset: lineOffset }, afterSourceLine: false }
      : this.openingAbove(stretch, floor, start);
    this.lastHit = { lineOffset, opening };
    if (opening?.line.at != null || line.at !== null) this.dated = true;
    // rsyslog writes the line breaks of a traceback as #012.
    const messages = line.message.split('#012');
    return { line, opening, lineOffset, afterSourceLine, messages, exceptionBelow };
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
    let end = from;
    for (let count = 0; count < RECORD_LINES && end + 1 < to; count += 1) {
      const at = end + 1;
      end = lineEnd(bytes, at, to);
      // Source lines are by far the most, and neither begin nor end anything.
      if (bytes[at] === BLANK) continue;
      const text = decode(bytes, at, end);
      const line = isExceptionLine(text) ? null : parseLogLine(text, this.clock);
      if (line?.opens) break;
      const message = line?.message ?? text;
      if (!isExceptionLine(message)) continue;
      exception = message;
      if (saysPortIsHeld(message)) break;
    }
    return exception;
  }

  /** Whether the line tells of a start that failed for another reason than a held port. */
  private judgeStart(hit: Hit): void {
    if (isBelowError((hit.opening?.line ?? hit.line).level)) return;
    if (hit.line.opens) this.judgeHead(hit);
    else this.judgeException(hit);
  }

  private judgeHead({ line, lineOffset, messages, exceptionBelow }: Hit): void {
    const [message = '', ...folded] = messages;
    const told = recogniseStartFailure(message);
    if (told !== null) this.countStart(told, line, lineOffset, message);
    if (!opensStartTraceback(message)) return;
    const exception = folded.findLast(isExceptionLine) ?? exceptionBelow();
    const failure = exception === null ? null : startFailureOf(exception);
    if (exception !== null && failure !== null) {
      this.countStart(failure, line, lineOffset, exception);
    }
  }

  /** What multiprocessing itself prints, to the journal: Salt up to 2018.3 logs no such record. */
  private judgeException({ line, opening, lineOffset, messages: [message = ''] }: Hit): void {
    const traced = opening !== null && opensStartTraceback(opening.line.message);
    const failure = traced || !isExceptionLine(message) ? null : startFailureOf(message);
    if (failure === null || !TELLS_ALONE.has(failure.kind)) return;
    this.countStart(failure, opening?.line ?? line, opening?.offset ?? lineOffset, message);
  }

  private countStart(
    failure: StartFailureLine,
    { at, pid }: LogLine,
    record: number,
    message: string,
  ): void {
    if (!this.inWindow(at)) return;
    this.startFailures.add({ line: failure, at, pid, record, sample: sampleOf(message) });
  }

  private judgeDeath(line: LogLine, message: string): void {
    const pid = recogniseChildDeath(message);
    if (pid === null) return;
    if (line.pid === null) this.failedBinds.addPidOfLast(pid);
    if (!this.inWindow(line.at)) return;
    this.childDeaths += 1;
    // The clock may have been set back in a file.
    if (line.at !== null) this.lastChildDeathAt = Math.max(this.lastChildDeathAt ?? 0, line.at);
  }

  /** Whether a part of the line's message tells of a start that failed for a held port. */
  private judgeBind(hit: Hit, message: string): void {
    const failure = recogniseBindFailure(message);
    if (failure === null || isQuoted(hit, failure, message)) return;
    const { line, opening, lineOffset, exceptionBelow } = hit;
    const exception = failure.wording === 'tornado-unable' ? exceptionBelow() : null;
    const otherwise = exception === null ? null : startFailureOf(exception);
    if (exception !== null && otherwise !== null && /\[Errno \d/.test(exception)) {
      const kind = TORNADO_KINDS[otherwise.kind] ?? otherwise.kind;
      this.countStart({ ...otherwise, kind, port: failure.port }, line, lineOffset, exception);
      return;
    }
    const record = {
      at: opening?.line.at ?? line.at,
      pid: opening?.line.pid ?? line.pid,
      kind: opening?.kind ?? 'other',
      offset: opening?.offset ?? lineOffset,
    };
    this.failedBinds.add(failure, record, message);
  }
}

/** True for the words of a failed bind where none is told: in a debug record, out of a traceback. */
function isQuoted(hit: Hit, { wording, wrapper }: BindFailure, message: string): boolean {
  const { line, opening, afterSourceLine } = hit;
  if (isBelowError(opening?.line.level ?? null)) return true;
  const folded = message !== line.message;
  if (line.opens && !folded && wording !== 'tornado-unable') {
    if (!['ERROR', 'CRITICAL', null].includes(line.level)) return true;
  }
  if (wording !== 'address-in-use' || wrapper) return false;
  return !(afterSourceLine || folded) || opening?.kind === 'salt-master';
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
    const begin = pastHole(bytes, index, end);
    const { at } = parseLogLine(decode(bytes, begin, Math.min(end, begin + 1024)), clock);
    if (at !== null) return { index: begin, at };
    index = end + 1;
  }
  return null;
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

function pastHole(bytes: Buffer, at: number, to: number): number {
  let end = at;
  while (end < to && bytes[end] === 0) end += 1;
  return end;
}

/** Where the line that contains `at` ends, `to` where it goes on behind that. */
function lineEnd(bytes: Buffer, at: number, to: number): number {
  const newline = bytes.subarray(at, to).indexOf(10);
  return newline === -1 ? to : at + newline;
}

function decode(bytes: Buffer, start: number, end: number): string {
  const begin = pastHole(bytes, start, end);
  return bytes.toString('utf8', begin, Math.min(end, begin + LINE_LIMIT));
}
