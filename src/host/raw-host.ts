/**
 * Raw reading of a host, alike for this one and for one behind ssh: what is read is read by one code,
 * and judged by one. A pattern is an absolute path in which a component may be or hold `*`, which
 * stands for any characters but a slash; a path with a colon or a line break is passed over.
 */

/** What ls(1) and stat(1) tell of a file. */
export interface FileFacts {
  readonly size: number;
  /** Epoch ms of the host's clock. */
  readonly modifiedAt: number;
  /**
   * When its inode last changed, by the same clock. A package manager sets back the time of the
   * content to that of the build; this one tells when the file came to this host.
   */
  readonly changedAt: number;
  readonly uid: number;
  readonly kind: 'file' | 'directory' | 'other';
}

/** One process of a salt-master, by its command line. */
export interface FoundMaster {
  /** Split at NUL. */
  readonly argv: readonly string[];
  /** Its `/proc/PID/stat`; empty where it has gone. */
  readonly stat: string;
}

export interface RawHost {
  /**
   * The text of small files whose read does not block, such as those of `/proc`.
   * @param most lines of each that are read
   * @returns path to text, without the last line break; what is not there, or may not be read, is not in it
   */
  readTexts(patterns: readonly string[], most?: number): Promise<ReadonlyMap<string, string>>;
  /**
   * Lines of tables of the kernel's, which may be long, such as those of `/proc/net`.
   * @param words the lines that hold one of them are wanted; each of one line
   * @returns as `readTexts`; the table of a path that is not there, or has no such line, is not in it
   */
  readRows(
    paths: readonly string[],
    words: readonly string[],
  ): Promise<ReadonlyMap<string, string>>;
  /** The processes of this host that are salt-master by their command lines, by pid. */
  findMasters(): Promise<ReadonlyMap<number, FoundMaster>>;
  /** Where symbolic links point, by their paths. */
  readLinks(patterns: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** What is there, by path; a link is followed. */
  stat(patterns: readonly string[]): Promise<ReadonlyMap<string, FileFacts>>;
  /**
   * Searches logs for lines that tell of calls, and reduces them where they lie.
   * @param logs the newest first; no patterns
   * @param timeoutMs after which no further log is begun, and what was not read is left out
   * @returns those that could be read, in that order
   */
  readCalls(logs: readonly CallLog[], timeoutMs: number): Promise<readonly ReducedLog[]>;
}

/** A log, or what of it is searched. */
export interface CallLog {
  readonly path: string;
  /** Bytes from its end; a gzipped one is read from its beginning, and as far as so many come out of it. */
  readonly bytes: number;
  /** It holds bare access lines and nothing else (`log_access_file`). */
  readonly everyLine: boolean;
}

/** What a log was reduced to (`reduceCallLine`). */
export interface ReducedLog {
  readonly path: string;
  /** Of a gzipped one as they came out of it. */
  readonly bytesRead: number;
  /** False where the time was up, or more came out of a gzipped one, before all that was asked for was read. */
  readonly complete: boolean;
  /** Lines that differ, each with how often it came. */
  readonly lines: ReadonlyMap<string, number>;
  /** Lines that count nowhere: there were too many that differ. */
  readonly cut: number;
}

/** Files that one pattern may match; a host with more is told of as far as that. */
export const MOST_MATCHES = 5_000;
/** Bytes of one file, and of all that one call reads. */
export const MOST_BYTES = { file: 256 * 1024, call: 8 * 1024 * 1024 };
/** Rows of one table. */
export const MOST_ROWS = 20_000;
/** Processes of salt-master. */
export const MOST_MASTERS = 300;
/** Lines of one file where nothing is said. */
export const MOST_LINES = 5_000;

/** Whether a pattern, or a path, is one that both sides read alike. */
export function isSound(path: string): boolean {
  return path.startsWith('/') && !/[:\n\r\0]/.test(path);
}
