import type { StartFailureLine } from './api-log-starts.ts';
import { MAX_START_FAILURES, type StartFailureFacts } from './evidence.ts';

/** Lines of one process this close together are of one start, in ms. */
const SAME_START = 3_000;

interface Counted {
  readonly line: StartFailureLine;
  readonly at: number | null;
  readonly pid: number | null;
  /** Where the record begins that tells it; -1 where that is in a file before this one. */
  readonly record: number;
  readonly sample: string;
}

/** Adds up failed starts by reason, in constant memory. */
export class StartFailures {
  readonly #byReason = new Map<string, StartFailureFacts>();
  #last: Counted | null = null;

  /** What one start says twice, in two records of one process, counts once. */
  add(failure: Counted): void {
    const { line, at, sample } = failure;
    const last = this.#last;
    this.#last = failure;
    const key = `${line.kind} ${line.port} ${line.module}`;
    const known = this.#byReason.get(key);
    const again = last !== null && isSameStart(last, failure) && known !== undefined;
    this.#byReason.delete(key);
    this.#byReason.set(key, {
      ...line,
      count: (known?.count ?? 0) + (again ? 0 : 1),
      lastAt: at ?? known?.lastAt ?? null,
      sample,
    });
    for (const oldest of this.#byReason.keys()) {
      if (this.#byReason.size <= MAX_START_FAILURES) break;
      this.#byReason.delete(oldest);
    }
  }

  endFile(): void {
    if (this.#last !== null) this.#last = { ...this.#last, record: -1 };
  }

  facts(): StartFailureFacts[] {
    return [...this.#byReason.values()];
  }
}

function isSameStart(last: Counted, next: Counted): boolean {
  if (last.record === next.record) return true;
  if (last.pid !== next.pid || last.line.kind !== next.line.kind) return false;
  if (last.at === null || next.at === null) return next.pid !== null;
  return Math.abs(next.at - last.at) <= SAME_START;
}
