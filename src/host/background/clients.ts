/** Reads who called the API from its logs: the API log, and the file that `log_access_file` names. */
import {
  LOG_NOTES,
  MAX_ROTATED,
  OTHERWISE_PACKED,
  ROTATED_SUFFIX,
} from '../../evidence/api-log-facts.ts';
import { fixedOffsetTime } from '../../evidence/api-log-lines.ts';
import { type TalliedLog, tallyCalls } from '../../evidence/call-tally.ts';
import { type ClientsFacts, MAX_MINUTES } from '../../evidence/clients-facts.ts';
import { blind, type Evidence, seen } from '../../evidence/evidence.ts';
import { stripControl } from '../../untrusted.ts';
import type { CallLog, FileFacts, ReducedLog } from '../raw-host.ts';
import type { BackgroundReader } from './background-reader.ts';

/** Bytes that are searched: on a slow machine with nothing but access lines in them, a second's work. */
const MOST_BYTES = 64 * 1024 * 1024;
/** How long, ms; what is not read by then is the oldest. */
const MOST_MS = 700;
/** What logs are packed to at best, as a guess of what will come out of one. */
const PACKED_TO = 12;
const MINUTE = 60_000;

export const readClients: BackgroundReader<'clients'> = async ({ raw, evidence }) => {
  const { accessFile, apiLog, why } = logPaths(evidence);
  const paths = [accessFile, apiLog].filter(
    (path) => path !== null && !path.includes('*'),
  ) as string[];
  if (paths.length === 0) return blind('missing', why);
  const files = await raw.stat(paths.flatMap((path) => [path, `${path}.*`, `${path}-*`]));
  const choices = paths.map((path) => {
    const kind = path === accessFile ? 'access-file' : 'api-log';
    return { kind, ...chooseLogs(files, path, kind, MOST_BYTES / paths.length) } as const;
  });
  const logs = choices.flatMap((choice) =>
    choice.logs.map((log) => ({ ...log, kind: choice.kind })),
  );
  const read = upToHoles(whole(await raw.readCalls(logs, MOST_MS)), choices);
  const tallied = read.map((log) => {
    const kind: TalliedLog['kind'] = logs.find(({ path }) => path === log.path)?.kind ?? 'api-log';
    return { ...log, kind };
  });
  if (tallied.length === 0) return blind('missing', noneRead(paths, files));
  const { host } = evidence;
  const clock = { localTime: fixedOffsetTime(host.utcOffsetMinutes), now: host.now };
  const { calls, tooOld, ...counted } = tallyCalls(tallied, clock);
  const facts: ClientsFacts = {
    logs: tallied.map(({ kind, path, bytesRead }, index) => {
      return { kind, path: stripControl(path), bytesRead, calls: calls[index] ?? 0 };
    }),
    accessFile: accessFile === null ? null : stripControl(accessFile),
    reach: reachOf(read, logs, choices, tooOld),
    ...counted,
    notes: [...choices.flatMap(({ notes }) => notes), ...notesOf(logs, read)],
  };
  return seen(facts);
};

/** Where lines about calls may be, and why nowhere. */
function logPaths({ config, apiLog }: Pick<Evidence, 'config' | 'apiLog'>) {
  const option = config.seen ? config.value.options?.['rest_cherrypy.log_access_file'] : undefined;
  const accessFile = typeof option === 'string' && option.startsWith('/') ? option : null;
  if (!apiLog.seen) return { accessFile, apiLog: null, why: apiLog.why };
  const { source } = apiLog.value;
  const why = 'the API log goes to the journal, which is not searched for calls';
  return { accessFile, apiLog: source.kind === 'file' ? source.path : null, why };
}

interface Choice {
  readonly logs: readonly CallLog[];
  /** Why it goes no further back; null where it is all there is. */
  readonly bound: 'bytes' | 'window' | 'unread' | null;
  readonly notes: readonly string[];
}

/** The log and what it was rotated to, the newest first, as far as they may be read. */
function chooseLogs(
  files: ReadonlyMap<string, FileFacts>,
  path: string,
  kind: TalliedLog['kind'],
  bytes: number,
): Choice {
  const notes: string[] = [];
  const logs: CallLog[] = [];
  const there = rotatedTo(files, path);
  const newest = Math.max(0, ...there.map(([, { modifiedAt }]) => modifiedAt));
  let left = bytes;
  for (const [file, { size, modifiedAt }] of there) {
    const chosen = (bound: Choice['bound']) => ({ logs, bound, notes });
    if (modifiedAt < newest - MAX_MINUTES * MINUTE) return chosen('window');
    if (OTHERWISE_PACKED.test(file)) {
      // What is older lies behind a hole, in which nobody seems to call.
      notes.push(LOG_NOTES.packed(stripControl(file)));
      return chosen('unread');
    }
    const packed = file.endsWith('.gz');
    const comes = size * (packed ? PACKED_TO : 1);
    if (left <= 0 || logs.length > MAX_ROTATED || (packed && comes > left)) return chosen('bytes');
    logs.push({
      path: file,
      bytes: packed ? left : Math.min(left, size),
      everyLine: kind === 'access-file',
    });
    left -= comes;
  }
  return { logs, bound: left < 0 ? 'bytes' : null, notes };
}

function rotatedTo(files: ReadonlyMap<string, FileFacts>, path: string) {
  const suffix = new RegExp(ROTATED_SUFFIX);
  return (
    [...files]
      .filter(
        ([file]) =>
          file === path || (file.startsWith(path) && suffix.test(file.slice(path.length))),
      )
      .filter(([, { kind, size }]) => kind === 'file' && size > 0)
      // While logrotate compresses, both the plain file and its .gz are there.
      .filter(([file]) => !file.endsWith('.gz') || !files.has(file.slice(0, -3)))
      .toSorted(([one, a], [other, b]) => {
        if (one === path || other === path) return one === path ? -1 : 1;
        return b.modifiedAt - a.modifiedAt || (one < other ? -1 : 1);
      })
  );
}

/** Without gzipped ones that were read in part: what was read of them is the oldest, behind a hole. */
function whole(read: readonly ReducedLog[]): ReducedLog[] {
  return read.filter(({ path, bytesRead, complete }) => {
    return complete || (bytesRead > 0 && !path.endsWith('.gz'));
  });
}

/** Of each kind the newest, up to the first that could not be read: a hole looks like no calls. */
function upToHoles(
  read: readonly ReducedLog[],
  choices: readonly Pick<Choice, 'logs'>[],
): ReducedLog[] {
  return choices.flatMap(({ logs }) => {
    const found = logs.map(({ path }) => read.find((log) => log.path === path));
    const hole = found.indexOf(undefined);
    return found.slice(0, hole === -1 ? found.length : hole).filter((log) => log !== undefined);
  });
}

function reachOf(
  read: readonly ReducedLog[],
  logs: readonly CallLog[],
  choices: readonly Choice[],
  tooOld: boolean,
): ClientsFacts['reach'] {
  const complete = read.filter((log) => log.complete).length;
  if (complete < read.length || read.length < logs.length) return 'time';
  if (choices.some(({ bound }) => bound === 'bytes')) return 'bytes';
  if (tooOld || choices.some(({ bound }) => bound === 'window')) return 'window';
  return choices.some(({ bound }) => bound === 'unread') ? 'unread' : 'all';
}

function notesOf(logs: readonly CallLog[], read: readonly ReducedLog[]): string[] {
  const missing = logs.filter(({ path }) => !read.some((log) => log.path === path));
  return [
    ...missing.map(({ path }) => `${stripControl(path)} was not read`),
    ...read
      .filter(({ cut }) => cut > 0)
      .map(
        ({ path, cut }) => `${stripControl(path)}: ${cut} calls of too many clients do not count`,
      ),
  ];
}

function noneRead(paths: readonly string[], files: ReadonlyMap<string, FileFacts>): string {
  const shown = stripControl(paths.join(' and '));
  if (paths.every((path) => files.get(path)?.size === 0)) return `${shown} is empty`;
  return `${shown} could not be read`;
}
