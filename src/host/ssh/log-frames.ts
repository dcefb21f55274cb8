/** Reads the lines of the API log that the collector printed. Pure. */
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
  let log: string[] = [];
  const said = new Map<string, string[]>();
  for (const line of lines) {
    const [word, rest] = firstWord(line);
    if (word === 'line') log.push(rest, '\n');
    else {
      const before = said.get(word) ?? [];
      before.push(stripControl(utf8OfLatin1(rest)));
      said.set(word, before);
    }
    if (word === 'endlog') {
      scanner.push(Buffer.from(log.join(''), 'latin1'));
      scanner.endFile();
      log = [];
    }
  }
  const all = (word: string): readonly string[] => said.get(word) ?? [];

  const silence = unreadLog(said, context);
  if (silence !== null) return silence;
  if (!said.has('endlog')) return blind('malformed', `${path}: its lines did not arrive whole`);

  const files = all('log').map((text) => {
    const [bytes, file] = firstWord(text);
    return { path: file, bytesRead: Number(bytes) || 0 };
  });
  const notes = [
    ...all('packed').map(LOG_NOTES.packed),
    ...all('unreadable').map((file) => LOG_NOTES.unopened(file, 'EACCES')),
    ...all('more').map(LOG_NOTES.more),
    ...all('cut').map((count) => `too many lines to send: ${count} of them do not count`),
  ];
  const journal = said.has('journal');
  const from: LogSource = journal ? { kind: 'journal', unit } : source;
  if (journal) files.push({ path: `journal:${unit}`, bytesRead: 0 });
  return seen(
    factsOf({ source: from, files, windowFrom, dated: said.has('dated'), notes }, scanner.counts()),
  );
}

/** Why neither the file nor the journal could be read; null where one was. */
function unreadLog(
  said: ReadonlyMap<string, readonly string[]>,
  { source, unit }: LogContext,
): Look<never> | null {
  const path = stripControl(source.path);
  const [type] = said.get('type') ?? [];
  if (type !== undefined) return unreadFile.ofType(path, type);
  const [address] = said.get('address') ?? [];
  if (address !== undefined) return unreadFile.address(address);
  if (said.has('denied')) return unreadFile.denied(path);
  if (!said.has('missing')) return null;
  if (source.origin === 'option') return unreadFile.missing(path);
  const complaints = said.get('complaint') ?? [];
  const silent = said.has('journal')
    ? silentJournal(complaints.join('\n'), said.has('dated'), unit)
    : blindJournal('absent', unit);
  return silent === null ? null : inPlaceOfFile(path, silent);
}
