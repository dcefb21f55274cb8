import { type BindFailureTally, type BindWording, MAX_EVENT_TIMES } from './evidence.ts';

const MAX_PIDS = 50;
const NEWEST_SAMPLES = 4;

/** Adds up failed binds in constant memory: of the whole log, or of one port in it. */
export class BindFailures {
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

  tally(): BindFailureTally {
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
