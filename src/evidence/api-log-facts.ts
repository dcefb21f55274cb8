/** Puts together what was read of a log, here or by the script behind ssh. */
import type { ApiLogCounts } from './api-log-scan.ts';
import type { ApiLogFacts, LogSource } from './evidence.ts';

/** Rotated files that are read at most. */
export const MAX_ROTATED = 10;
/** How the names of rotated logs end that are packed in a way we can't read. */
export const OTHERWISE_PACKED_ENDINGS = ['xz', 'bz2', 'zst'] as const;
/** The name of such a log. */
export const OTHERWISE_PACKED = new RegExp(`\\.(?:${OTHERWISE_PACKED_ENDINGS.join('|')})$`);
/** What follows a log's name when it has been rotated (logrotate(8)); JavaScript and grep -E read it. */
export const ROTATED_SUFFIX = `^([.][0-9]{1,4}|[-.][0-9]{8}([-.]?[0-9]{1,10})?)([.](gz|${OTHERWISE_PACKED_ENDINGS.join('|')}))?$`;
/** Bytes that one compressed file may unpack to. */
export const MAX_UNPACKED = 2 * 1024 ** 3;
/** Bytes of a unit's journal that are read at most. */
export const MAX_JOURNAL = 256 * 1024 ** 2;
/** What is read of a log without times when only a window of it was asked for, in bytes. */
export const UNDATED_TAIL = 64 * 1024 ** 2;

/** What was met while a log was read, in words. @param path as it is shown */
export const LOG_NOTES = {
  packed: (path: string) => `${path} was not read: only gzip is understood`,
  unopened: (path: string, why: string) => `${path} could not be opened: ${why}`,
  more: () => `only the newest ${MAX_ROTATED} rotated logs were read`,
};

/** What was read, besides what the lines tell. */
export interface LogReading {
  readonly source: LogSource;
  /** Oldest first. */
  readonly files: ApiLogFacts['files'];
  readonly windowFrom: number | null;
  /** True where a time was seen, be it in a line that was not scanned. */
  readonly dated: boolean;
  readonly notes: readonly string[];
}

/** The facts of a log. @param counts of its lines, complete */
export function apiLogFacts(reading: LogReading, counts: ApiLogCounts): ApiLogFacts {
  const { source, files, windowFrom, dated, notes } = reading;
  const { undatedEvents, ...counted } = counts;
  const uncertain = undatedEvents > 0 && windowFrom !== null;
  const undated = `${undatedEvents} of the failed starts carry no time; they were counted`;
  return {
    source,
    files: files.toReversed(),
    windowFrom,
    ...counted,
    dated: dated || counted.dated,
    notes: uncertain ? [...notes, undated] : [...notes],
  };
}
