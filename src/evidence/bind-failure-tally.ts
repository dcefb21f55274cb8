import { redactSecrets, stripControl } from '../untrusted.ts';
import type { BindFailure, RecordKind } from './api-log-lines.ts';
import type { BindWording } from './api-log-wordings.ts';
import {
  type BindFailureTally,
  MAX_EVENT_TIMES,
  MAX_LOG_PORTS,
  type PortBindFailures,
} from './evidence.ts';

/** Errors of one process this close together are one failed start, in ms. */
const SAME_START_WITH_PID = 3_000;
/** The same where the log tells no pids, in ms. */
const SAME_START_WITHOUT_PID = 2_000;
/** An error after the wrapper is the next start even within that time, if this much later, in ms. */
const NEXT_START_AFTER_WRAPPER = 500;
/** How long after a `'stop' listener` error the same process's wrapper belongs to it, in ms. */
const STOP_BLOCK = 10_000;

const MAX_PORTS = 20;
const MAX_PIDS = 50;
const NEWEST_SAMPLES = 4;
const SAMPLE_LENGTH = 300;
/** Processes whose last failed start is remembered. */
const MAX_RECENT = 256;

/** The record that a failed bind stands in. */
export interface BindRecord {
  readonly at: number | null;
  readonly pid: number | null;
  readonly kind: RecordKind;
  /** Where in the stream it begins. */
  readonly offset: number;
}

interface FailedStart extends BindRecord {
  offset: number;
  /** The wrapper came, which is the last word. */
  wrapped: boolean;
  /** Of its first line that named one. */
  readonly port: number | null;
}

/** A log's line as evidence keeps it: printable, without secrets, of bounded length. */
export function sampleOf(message: string): string {
  const clean = redactSecrets(stripControl(message)).trim();
  return clean.length > SAMPLE_LENGTH ? `${clean.slice(0, SAMPLE_LENGTH - 1)}…` : clean;
}

/** Adds up the starts that failed for a held port, each once however often it says so. */
export class FailedBinds {
  readonly #inWindow: (at: number | null) => boolean;
  readonly #recent = new Map<number | null, FailedStart>();
  readonly #stops = new Map<number | null, number | null>();
  readonly #all = new Tally();
  readonly #byPort = new Map<number | null, Tally>();
  readonly #ports = new Set<number>();
  #undated = 0;

  constructor(inWindow: (at: number | null) => boolean) {
    this.#inWindow = inWindow;
  }

  add({ wording, port, wrapper }: BindFailure, record: BindRecord, message: string): void {
    const { at, pid } = record;
    if (this.#isOfStop(record, wrapper)) return;
    const last = this.#recent.get(pid);
    const { kind, offset } = record;
    const current: FailedStart = { at, pid, kind, offset, wrapped: wrapper, port };
    if (last !== undefined && isSameStart(last, current, wrapper)) {
      last.wrapped ||= wrapper;
      last.offset = record.offset;
      return;
    }
    remember(this.#recent, pid, current);
    if (!this.#inWindow(at)) return;
    if (at === null) this.#undated += 1;
    if (port !== null && this.#ports.size < MAX_PORTS) this.#ports.add(port);
    if (!this.#byPort.has(port) && this.#byPort.size < MAX_LOG_PORTS) {
      this.#byPort.set(port, new Tally());
    }
    const counted = { wording, at, pid, sample: sampleOf(message) };
    this.#all.add(counted);
    this.#byPort.get(port)?.add(counted);
  }

  /** Salt up to 2014.7 logs no pid with an error: the manager's line says whose start had failed. */
  addPidOfLast(pid: number): void {
    const last = this.#recent.get(null);
    if (last === undefined || !this.#inWindow(last.at)) return;
    this.#recent.delete(null);
    this.#all.addPid(pid);
    this.#byPort.get(last.port)?.addPid(pid);
  }

  endFile(): void {
    for (const start of this.#recent.values()) start.offset = -1;
  }

  counts() {
    const byPort: PortBindFailures[] = [...this.#byPort].map(([port, tally]) => {
      return { port, ...tally.sum() };
    });
    return { ...this.#all.sum(), undatedEvents: this.#undated, ports: [...this.#ports], byPort };
  }

  /** CherryPy looks whether its port is free after a stop, too: that is no failed start. */
  #isOfStop({ at, pid, kind }: BindRecord, wrapper: boolean): boolean {
    if (kind === 'stop-listener') {
      remember(this.#stops, pid, at);
      return true;
    }
    const stoppedAt = this.#stops.get(pid);
    if (!wrapper || kind === 'start-listener' || stoppedAt === undefined) return false;
    return at === null || stoppedAt === null || Math.abs(at - stoppedAt) <= STOP_BLOCK;
  }
}

function isSameStart(last: FailedStart, next: FailedStart, wrapper: boolean): boolean {
  // Two modules may fail within one second: without pids their ports tell them apart.
  const ports = !wrapper && last.port !== null && next.port !== null;
  if (next.pid === null && ports && last.port !== next.port) return false;
  const anew = last.wrapped && !wrapper;
  if (last.offset === next.offset) return !anew;
  if (last.at !== null && next.at !== null) {
    const apart = Math.abs(next.at - last.at);
    if (next.pid !== null) return apart <= SAME_START_WITH_PID;
    return apart <= (anew ? NEXT_START_AFTER_WRAPPER - 1 : SAME_START_WITHOUT_PID);
  }
  const retold = last.kind === 'http-server' && next.kind === 'start-listener';
  return !anew && (wrapper || next.pid !== null || retold);
}

/** As the newest; the oldest of too many is forgotten. */
function remember<T>(map: Map<number | null, T>, pid: number | null, value: T): void {
  map.delete(pid);
  map.set(pid, value);
  for (const oldest of map.keys()) {
    if (map.size <= MAX_RECENT) return;
    map.delete(oldest);
  }
}

/** Adds up failed binds in constant memory: of the whole log, or of one port in it. */
class Tally {
  #events = 0;
  #firstAt: number | null = null;
  #lastAt: number | null = null;
  #times: number[] = [];
  #pids: number[] = [];
  readonly #wordings: Partial<Record<BindWording, number>> = {};
  #firstSample: string | null = null;
  #newestSamples: string[] = [];

  add(failure: {
    readonly wording: BindWording;
    readonly at: number | null;
    readonly pid: number | null;
    readonly sample: string;
  }): void {
    const { wording, at, pid, sample } = failure;
    this.#events += 1;
    this.#wordings[wording] = (this.#wordings[wording] ?? 0) + 1;
    if (at !== null) this.#addTime(at);
    if (pid !== null) this.addPid(pid);
    this.#addSample(sample);
  }

  /** The pid of a start that was counted, where another line names it. */
  addPid(pid: number): void {
    this.#pids = [...this.#pids.filter((known) => known !== pid), pid].slice(-MAX_PIDS);
  }

  sum(): BindFailureTally {
    return {
      events: this.#events,
      firstAt: this.#firstAt,
      lastAt: this.#lastAt,
      times: this.#newestTimes(),
      pids: [...this.#pids],
      wordings: { ...this.#wordings },
      samples: this.#firstSample === null ? [] : [this.#firstSample, ...this.#newestSamples],
    };
  }

  #addTime(at: number): void {
    this.#firstAt = this.#firstAt === null ? at : Math.min(this.#firstAt, at);
    this.#lastAt = this.#lastAt === null ? at : Math.max(this.#lastAt, at);
    this.#times.push(at);
    if (this.#times.length >= 2 * MAX_EVENT_TIMES) this.#times = this.#newestTimes();
  }

  #newestTimes(): number[] {
    return this.#times.toSorted((a, b) => a - b).slice(-MAX_EVENT_TIMES);
  }

  #addSample(text: string): void {
    if (this.#firstSample === null) this.#firstSample = text;
    else if (text !== this.#firstSample) {
      const others = this.#newestSamples.filter((known) => known !== text);
      this.#newestSamples = [...others, text].slice(-NEWEST_SAMPLES);
    }
  }
}
