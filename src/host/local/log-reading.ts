/** What the readings of a log file and of a journal have in common. */
import { apiLogFacts } from '../../evidence/api-log-facts.ts';
import type { LocalTime, LogClock } from '../../evidence/api-log-lines.ts';
import { ApiLogScanner } from '../../evidence/api-log-scan.ts';
import { type ApiLogFacts, blind, type LogSource, type Look } from '../../evidence/evidence.ts';
import { unreadFile } from '../../evidence/unread-log.ts';
import { stripControl } from '../../untrusted.ts';
import { NotPlain } from './plain-file.ts';
import { codeOrText } from './proc-files.ts';

export interface ReadLimits {
  /** Start of the window, epoch ms; null for the whole log. */
  readonly windowFrom: number | null;
  /** The host's clock, epoch ms. */
  readonly now: number;
  /** How the log's local times are read. */
  readonly localTime: LocalTime;
  readonly timeoutMs: number;
}

/** What a reading has so far; also told when time runs out. */
export class Reading {
  readonly scanner: ApiLogScanner;
  /** What was read, oldest first. */
  readonly logs: { readonly path: string; readonly bytesRead: number }[] = [];
  readonly notes: string[] = [];
  readonly clock: LogClock;
  readonly limits: ReadLimits;
  dated = false;
  late = false;

  constructor(limits: ReadLimits) {
    this.limits = limits;
    this.clock = { localTime: limits.localTime, now: limits.now };
    this.scanner = new ApiLogScanner(limits.windowFrom, this.clock);
  }

  /** @throws where the time is up: nobody waits for the rest */
  goOn(): void {
    if (this.late) throw new Error('the time is up');
  }

  facts(source: LogSource): ApiLogFacts {
    const { dated, notes, limits, scanner } = this;
    const files = this.logs.map(({ path, bytesRead }) => ({ path, bytesRead }));
    const { windowFrom } = limits;
    return apiLogFacts({ source, files, windowFrom, dated, notes }, scanner.counts());
  }

  soFar(): string {
    const bytes = this.logs.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
    const { events } = this.scanner.counts();
    return `${Math.round(bytes / 1024 / 1024)} MiB read, ${events} failed starts found until then`;
  }
}

/** Runs `work` until it ends or the time is up; a hung read is left behind. */
export async function bounded(
  reading: Reading,
  what: string,
  work: () => Promise<Look<ApiLogFacts>>,
): Promise<Look<ApiLogFacts>> {
  const { timeoutMs } = reading.limits;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Look<never>>((resolve) => {
    timer = setTimeout(() => {
      reading.late = true;
      resolve(blind('timeout', `reading ${what} took over ${timeoutMs} ms (${reading.soFar()})`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([late, work()]);
  } catch (error) {
    return unread(error, what);
  } finally {
    clearTimeout(timer);
  }
}

function unread(error: unknown, what: string): Look<never> {
  if (error instanceof NotPlain) return unreadFile.ofType(what, error.kind);
  const code = codeOrText(error);
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return unreadFile.denied(what);
    case 'ENOENT':
    case 'ENOTDIR':
      return unreadFile.missing(what);
    default:
      return blind('unsupported', `${what} could not be read: ${stripControl(code)}`);
  }
}
