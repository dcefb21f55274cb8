/** Reads the lines of the API log that the probe script sent. Pure. */
import { apiLogFacts as factsOf, LOG_NOTES } from '../../evidence/api-log-facts.ts';
import { fixedOffsetTime } from '../../evidence/api-log-lines.ts';
import { ApiLogScanner } from '../../evidence/api-log-scan.ts';
import {
  type ApiLogFacts,
  blind,
  type HostFacts,
  type LogSource,
  type Look,
  seen,
} from '../../evidence/evidence.ts';
import { utf8OfLatin1 } from '../../evidence/proc-text.ts';
import {
  blindJournal,
  inPlaceOfFile,
  silentJournal,
  unreadFile,
} from '../../evidence/unread-log.ts';
import { stripControl } from '../../untrusted.ts';
import { firstWord, type Part, timedOut } from './frame-part.ts';

export interface LogContext {
  readonly source: Extract<LogSource, { kind: 'file' }>;
  readonly unit: string;
  readonly windowFrom: number | null;
  readonly host: HostFacts;
}

/** What the part says so far. */
class LogPart {
  readonly scanner: ApiLogScanner;
  readonly files: { path: string; bytesRead: number }[] = [];
  readonly notes: string[] = [];
  readonly complaints: string[] = [];
  readonly said = new Set<string>();
  readonly #path: string;
  /** Of the file at hand. */
  readonly #lines: string[] = [];
  refused: Look<never> | null = null;

  constructor(path: string, { windowFrom, host }: LogContext) {
    this.#path = path;
    this.scanner = new ApiLogScanner(windowFrom, {
      localTime: fixedOffsetTime(host.utcOffsetMinutes),
      now: host.now,
    });
  }

  take(line: string): void {
    const [word, rest] = firstWord(line);
    if (word === 'line') {
      this.#lines.push(rest, '\n');
      return;
    }
    this.said.add(word);
    const text = stripControl(utf8OfLatin1(rest));
    switch (word) {
      case 'endlog':
        this.scanner.push(Buffer.from(this.#lines.join(''), 'latin1'));
        this.scanner.endFile();
        this.#lines.length = 0;
        break;
      case 'log': {
        const [bytes, path] = firstWord(text);
        this.files.push({ path, bytesRead: Number(bytes) || 0 });
        break;
      }
      case 'complaint':
        this.complaints.push(text);
        break;
      case 'cut':
        this.notes.push(`too many lines to send: ${text} of them do not count`);
        break;
      case 'packed':
        this.notes.push(LOG_NOTES.packed(text));
        break;
      case 'unreadable':
        this.notes.push(LOG_NOTES.unopened(text, 'EACCES'));
        break;
      case 'more':
        this.notes.push(LOG_NOTES.more());
        break;
      case 'type':
        this.refused = unreadFile.ofType(this.#path, text);
        break;
      case 'denied':
        this.refused = unreadFile.denied(this.#path);
        break;
      case 'address':
        this.refused = unreadFile.address(text);
        break;
    }
  }
}

/**
 * What the log part says, counted by the scanner that reads a log here.
 * @param context where the script was to look, and the clock of that host
 */
export function apiLogFacts({ lines, late }: Part, context: LogContext): Look<ApiLogFacts> {
  const { source, unit, windowFrom } = context;
  const path = stripControl(source.path);
  if (late) return timedOut(path);
  const part = new LogPart(path, context);
  for (const line of lines) part.take(line);
  const { said, files, notes, scanner, refused } = part;
  if (refused !== null) return refused;
  const dated = said.has('dated');
  const journal = said.has('journal');
  if (said.has('missing') && !journal) {
    if (source.origin === 'option') return unreadFile.missing(path);
    return inPlaceOfFile(path, blindJournal('absent', unit));
  }
  const silent = journal ? silentJournal(part.complaints.join('\n'), dated, unit) : null;
  if (silent !== null) return inPlaceOfFile(path, silent);
  if (!said.has('endlog')) return blind('malformed', `${path}: its lines did not arrive whole`);
  if (journal) files.push({ path: `journal:${unit}`, bytesRead: 0 });
  const from: LogSource = journal ? { kind: 'journal', unit } : source;
  return seen(factsOf({ source: from, files, windowFrom, dated, notes }, scanner.counts()));
}
