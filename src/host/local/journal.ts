/** A unit's journal, read for failed starts. */
import { MAX_JOURNAL } from '../../evidence/api-log-facts.ts';
import { type ApiLogFacts, blind, type Look, seen } from '../../evidence/evidence.ts';
import { blindJournal, silentJournal } from '../../evidence/unread-log.ts';
import { stripControl } from '../../untrusted.ts';
import { bounded, Reading, type ReadLimits } from './log-reading.ts';
import { isOnPath } from './on-path.ts';

export interface ReadJournalOptions extends ReadLimits {
  /** `salt-api` or `salt-api.service`. */
  readonly unit: string;
  /** Program to run instead of `journalctl`, for tests. */
  readonly journalctl?: string | undefined;
}

/**
 * Reads a unit's journal (`journalctl -u UNIT -o short-iso`) and counts the failed starts in it.
 *
 * @returns blind with `missing` where there is no journalctl or no journal, `permission`, or
 * `timeout`; at most 256 MiB are read
 */
export async function readJournal(options: ReadJournalOptions): Promise<Look<ApiLogFacts>> {
  const { unit, windowFrom, timeoutMs, journalctl } = options;
  const what = `the journal of ${stripControl(unit)}`;
  const reading = new Reading(options);
  const since = windowFrom === null ? [] : ['--since', `@${Math.floor(windowFrom / 1000)}`];
  // Not --quiet: that leaves out the hint that rights are wanting (journalctl(1)).
  const argv = ['--no-pager', '-o', 'short-iso', ...since, `--unit=${unit}`];
  return bounded(reading, what, async () => {
    if (journalctl === undefined && !(await isOnPath('journalctl'))) {
      return blindJournal('absent', unit);
    }
    const { execa } = await import('execa');
    const stop = new AbortController();
    const journal = execa(journalctl ?? 'journalctl', argv, {
      stdin: 'ignore',
      buffer: { stdout: false },
      encoding: 'buffer',
      maxBuffer: 65_536,
      reject: false,
      env: { LC_ALL: 'C' },
      timeout: timeoutMs,
      cancelSignal: stop.signal,
      forceKillAfterDelay: 1_000,
    });
    const log = { path: `journal:${unit}`, bytesRead: 0 };
    reading.logs.push(log);
    try {
      await scanOutput(journal.iterable({ from: 'stdout', binary: true }), log, reading);
    } finally {
      stop.abort();
    }
    if (log.bytesRead > MAX_JOURNAL) {
      return blind('unsupported', `${what} holds over 256 MiB; ask for less with --since`);
    }
    const { code, exitCode, stderr } = await journal;
    if (code === 'ENOENT') return blindJournal('absent', unit);
    reading.scanner.endFile();
    const complaint = stripControl(Buffer.from(stderr).toString('utf8')).trim();
    const status = exitCode === 0 || exitCode === undefined ? '' : `\nfailed: ${exitCode}`;
    // Each entry has its time, and journalctl's own lines, such as `-- No entries --`, have none.
    const silent = silentJournal(complaint + status, reading.scanner.counts().dated, unit);
    return silent ?? seen(reading.facts({ kind: 'journal', unit }));
  });
}

async function scanOutput(
  output: AsyncIterable<Uint8Array>,
  log: { bytesRead: number },
  reading: Reading,
): Promise<void> {
  try {
    for await (const chunk of output) {
      reading.goOn();
      reading.scanner.push(chunk);
      log.bytesRead += chunk.length;
      if (log.bytesRead > MAX_JOURNAL) return;
    }
  } catch {
    // A journalctl that can't run ends its output so; what became of it, its exit tells.
    reading.goOn();
  }
}
