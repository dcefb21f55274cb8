/** Reads the lines of the API log that the probe script sent. Pure. */
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
import { blindJournal, journalComplaint, noLog, noLogFile } from '../../evidence/journal.ts';
import { utf8OfLatin1 } from '../../evidence/proc-text.ts';
import { stripControl } from '../../untrusted.ts';
import { firstWord, type Part, timedOut } from './frames.ts';

export interface LogContext {
  readonly source: Extract<LogSource, { kind: 'file' }>;
  readonly unit: string;
  readonly windowFrom: number | null;
  readonly host: HostFacts;
}

/**
 * What the log part says, counted by the scanner that reads a log here.
 * @param context where the script was to look, and the clock of that host
 */
export function apiLogFacts({ lines, late }: Part, context: LogContext): Look<ApiLogFacts> {
  const { source, unit, windowFrom, host } = context;
  const path = stripControl(source.path);
  if (late) return timedOut(path);
  const scanner = new ApiLogScanner(windowFrom, {
    localTime: fixedOffsetTime(host.utcOffsetMinutes),
    now: host.now,
  });
  const files: { path: string; bytesRead: number }[] = [];
  const notes: string[] = [];
  const complaints: string[] = [];
  let from: LogSource = source;
  let ended = false;
  let missing = false;
  let dated = false;
  for (const line of lines) {
    const [word, rest] = firstWord(line);
    const text = stripControl(utf8OfLatin1(rest));
    if (word === 'line') scanner.push(Buffer.from(`${rest}\n`, 'latin1'));
    else if (word === 'endlog') {
      scanner.endFile();
      ended = true;
    } else if (word === 'log') {
      const [bytes, file] = firstWord(text);
      files.push({ path: file, bytesRead: Number(bytes) || 0 });
    } else if (word === 'journal') from = { kind: 'journal', unit };
    else if (word === 'complaint') complaints.push(text);
    else if (word === 'missing') missing = true;
    else if (word === 'dated') dated = true;
    else if (word === 'cut') notes.push(`too many lines to send: ${text} of them do not count`);
    else if (word === 'packed') notes.push(`${text} was not read: only gzip is understood`);
    else if (word === 'unreadable') notes.push(`${text} could not be opened: EACCES`);
    else if (word === 'more') notes.push('only the newest 10 rotated logs were read');
    else if (word === 'type') return blind('unsupported', `${path} is ${text}, not a file`);
    else if (word === 'denied') {
      return blind('permission', `${path} may not be read by this user; run as root`);
    } else if (word === 'address') {
      return blind('unsupported', `the API log goes to ${text}, which is no file`);
    }
  }
  if (missing && from.kind === 'file') {
    return source.origin === 'option' ? noLogFile(path) : noLog(path, blindJournal('absent', unit));
  }
  if (from.kind === 'journal') {
    const silent = journalComplaint(complaints.join('\n'), unit);
    if (silent !== null || !dated) return noLog(path, silent ?? blindJournal('empty', unit));
  }
  if (!ended) return blind('malformed', `${path}: its lines did not arrive whole`);
  if (from.kind === 'journal') files.push({ path: `journal:${unit}`, bytesRead: 0 });
  const { undatedEvents, ...counts } = scanner.counts();
  if (undatedEvents > 0 && windowFrom !== null) {
    notes.push(`${undatedEvents} of the failed starts carry no time; they were counted`);
  }
  return seen({
    source: from,
    files: files.toReversed(),
    windowFrom,
    ...counts,
    dated: counts.dated || dated,
    notes,
  });
}
