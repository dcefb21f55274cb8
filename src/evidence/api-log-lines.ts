import { BIND_WORDINGS, type BindWording } from './api-log-wordings.ts';

/** Turns a wall clock reading of the log's host (month 1 to 12) into epoch milliseconds. */
export type LocalTime = (
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
) => number;

/** The zone of the host that this runs on, with its daylight saving. */
export const hostLocalTime: LocalTime = (year, month, day, hour, minute, second) =>
  new Date(year, month - 1, day, hour, minute, second).getTime();

/** A zone that is `utcOffsetMinutes` east of UTC the whole year. */
export function fixedOffsetTime(utcOffsetMinutes: number): LocalTime {
  return (year, month, day, hour, minute, second) =>
    Date.UTC(year, month - 1, day, hour, minute - utcOffsetMinutes, second);
}

/** What it takes to read a log's times. */
export interface LogClock {
  readonly localTime: LocalTime;
  /** The host's clock, epoch ms: syslog times carry no year. */
  readonly now: number;
}

/** One line of a log, split into its head and its message. */
export interface LogLine {
  /** Epoch ms, null where the line carries no time. */
  readonly at: number | null;
  readonly pid: number | null;
  /** `ERROR`, `DEBUG`, … or null. */
  readonly level: string | null;
  /** The logger, without its line number: `cherrypy.error`. */
  readonly logger: string | null;
  /** True where the line begins a record, false where it goes on with one (a traceback). */
  readonly opens: boolean;
  /** What follows the head. */
  readonly message: string;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAY = 86_400_000;

const ISO_TIME =
  /^\[?(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?: ?(Z|[+-]\d\d:?\d\d)(?![\w:]))?\]?/;
const SYSLOG_TIME =
  /^(?:<\d{1,3}>)?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?= )/;
const C_TIME = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4})/;
const CLOCK_ONLY = /^\d\d:\d\d:\d\d(?:[.,]\d{1,9})? ?(?=\[)/;
/** CherryPy's own stamp, `[13/Jul/2018:09:27:57]` (salt-facts §3). */
const CHERRYPY_TIME = /^(\d\d)\/([A-Z][a-z]{2})\/(\d{4}):(\d\d):(\d\d):(\d\d)(?: ?([+-]\d{4}))?$/;
/** `host ident[pid]: ` of syslog and of `journalctl -o short-iso`. */
const SYSLOG_IDENT = /^ ?(?!\[)\S{1,256} ([^\s[\]:]{1,128})(?:\[(\d{1,10})\])?: ?/;
const BRACKETS = /^\s{0,8}\[([^\]]{0,512})\]/;
const LEVEL = /^(CRITICAL|FATAL|ERROR|WARNING|WARN|INFO|PROFILE|DEBUG|TRACE|GARBAGE|QUIET)\s*$/;
const LOGGER = /^([A-Za-z_][\w.]*)\s*(?::\d+\s*)?$/;
const BARE_LEVEL =
  /^(?:\s*[^\s[\]]{1,128}){0,2}?\s*\b(CRITICAL|FATAL|ERROR|WARNING|WARN|INFO|PROFILE|DEBUG|TRACE|GARBAGE)\b/;
const TRACEBACK_GOES_ON =
  /^(?:\s|$|Traceback \(most recent|During handling of|The above exception|[A-Za-z_][\w.]*: )/;

function zoneOffset(zone: string): number {
  if (zone === 'Z') return 0;
  const sign = zone.startsWith('-') ? -1 : 1;
  return sign * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2)));
}

type Numeral = string | undefined;

function epoch(
  { localTime }: LogClock,
  year: number,
  month: number,
  [day, hour, minute, second]: readonly Numeral[],
  zone?: Numeral,
): number | null {
  const fields = [Number(day), Number(hour), Number(minute), Number(second)] as const;
  const [d, h, m, s] = fields;
  if (month < 1 || month > 12 || d < 1 || d > 31 || h > 23 || m > 59 || s > 60) return null;
  const local = zone === undefined ? localTime : fixedOffsetTime(zoneOffset(zone));
  return local(year, month, ...fields);
}

/** 1 to 12, 0 for what is no month: `Nov`. */
export function monthNamed(name: Numeral): number {
  return MONTHS.indexOf(name ?? '') + 1;
}

interface Stamp {
  readonly at: number | null;
  readonly length: number;
  readonly syslog: boolean;
}

function leadingStamp(line: string, clock: LogClock): Stamp | null {
  const iso = ISO_TIME.exec(line);
  if (iso !== null) {
    const [all, year, month, day, hour, minute, second, fraction, zone] = iso;
    const at = epoch(clock, Number(year), Number(month), [day, hour, minute, second], zone);
    const ms = fraction === undefined ? 0 : Math.floor(Number(`0.${fraction}`) * 1000);
    return { at: at === null ? null : at + ms, length: all.length, syslog: false };
  }
  const syslog = SYSLOG_TIME.exec(line);
  const named = syslog ?? C_TIME.exec(line);
  if (named === null) return null;
  const [all, month, day, hour, minute, second, year] = named;
  const inYear = (of: number): number | null =>
    epoch(clock, of, monthNamed(month), [day, hour, minute, second]);
  const thisYear = new Date(clock.now).getUTCFullYear();
  // A year-less time is of the latest year that does not put it in the future.
  const at =
    year === undefined
      ? ([thisYear + 1, thisYear].map(inYear).find((t) => t !== null && t <= clock.now + DAY) ??
        inYear(thisYear - 1))
      : inYear(Number(year));
  return { at, length: all.length, syslog: syslog !== null };
}

function cherryPyTime(text: string, clock: LogClock): number | null {
  const stamp = CHERRYPY_TIME.exec(text);
  if (stamp === null) return null;
  const [, day, month, year, hour, minute, second, zone] = stamp;
  return epoch(clock, Number(year), monthNamed(month), [day, hour, minute, second], zone);
}

/**
 * Reads the head of one line, in any of Salt's formats (salt-facts §3: with and without pid and
 * line number, name column of any width, other `log_datefmt`), in CherryPy's own `log_error_file`
 * format, or behind the prefix of syslog and journald.
 *
 * @param line without its line end; leading NULs (a hole that copytruncate left) are skipped
 */
export function parseLogLine(line: string, clock: LogClock): LogLine {
  const text = line.replace(/^[\0\ufeff]+/, '').replace(/\r$/, '');
  const stamp = leadingStamp(text, clock);
  const behindStamp = stamp === null ? text : text.slice(stamp.length);
  const ident = stamp === null ? null : syslogIdent(behindStamp, stamp.syslog);
  const behindPrefix = behindStamp.slice(ident?.length ?? 0);
  const clockOnly = CLOCK_ONLY.exec(behindPrefix)?.[0] ?? '';
  const fields: Fields = {
    at: stamp?.at ?? null,
    pid: ident?.pid ?? null,
    level: null,
    logger: null,
    stampedByCherryPy: false,
  };
  const rest = takeBrackets(behindPrefix.slice(clockOnly.length), fields, clock);
  if (stamp !== null) fields.level ??= BARE_LEVEL.exec(rest)?.[1] ?? null;
  const { at, pid, level, logger, stampedByCherryPy } = fields;

  const headed = level !== null || stampedByCherryPy || clockOnly !== '';
  const prefixed = ident === null ? stamp !== null : !TRACEBACK_GOES_ON.test(rest);
  const opens = headed || prefixed;
  return { at, pid, level, logger, opens, message: opens ? rest.replace(/^\s+/, '') : rest };
}

/** Behind another time than syslog's, two words without a pid are a message. */
function syslogIdent(text: string, syslog: boolean) {
  const ident = SYSLOG_IDENT.exec(text);
  if (ident === null || !(syslog || ident[2] !== undefined)) return null;
  return { pid: ident[2] === undefined ? null : Number(ident[2]), length: ident[0].length };
}

interface Fields {
  at: number | null;
  pid: number | null;
  level: string | null;
  logger: string | null;
  stampedByCherryPy: boolean;
}

/** What the brackets at the beginning say goes to `fields`; what follows them comes back. */
function takeBrackets(text: string, fields: Fields, clock: LogClock): string {
  let rest = text;
  for (let count = 0; count < 8; count += 1) {
    const bracket = BRACKETS.exec(rest);
    if (bracket === null || !takeField(bracket[1] ?? '', fields, clock)) break;
    rest = rest.slice(bracket[0].length);
  }
  return rest;
}

/** True where the text is of a log's head. */
function takeField(content: string, fields: Fields, clock: LogClock): boolean {
  const time = cherryPyTime(content, clock);
  const level = LEVEL.exec(content)?.[1];
  const logger = LOGGER.exec(content)?.[1];
  if (time !== null) {
    fields.stampedByCherryPy = true;
    fields.at ??= time;
  } else if (level !== undefined) fields.level ??= level;
  else if (/^\s*\d{1,10}\s*$/.test(content)) fields.pid = Number(content);
  else if (logger !== undefined) fields.logger ??= logger;
  else return content.startsWith('JID: ');
  return true;
}

/** A line that says that the port could not be bound. */
export interface BindFailure {
  readonly wording: BindWording;
  /** Null where the line names no port. */
  readonly port: number | null;
  /** True for CherryPy's `ChannelFailures`, which repeats an error that was logged before. */
  readonly wrapper: boolean;
}

const CHANNEL_FAILURES = /^\s*(?:[\w.]{0,200}\.)?ChannelFailures: (.*)/s;
/**
 * Recognises every wording of "the port can't be bound" in salt-facts §4.1 and §9, where it is
 * what an exception said: `not bound on`, source lines of a traceback, salt-master's
 * `Unable to bind socket` and text that merely quotes an error are none.
 *
 * @param message a line without its log head
 */
export function recogniseBindFailure(message: string): BindFailure | null {
  const failures = CHANNEL_FAILURES.exec(message)?.[1];
  const wrapper = failures !== undefined;
  for (const { wording, bare, repeated } of BIND_WORDINGS) {
    const found = wrapper ? repeated?.exec(failures) : bare.exec(message);
    if (!found) continue;
    const port = Number(found[1]);
    return { wording, port: port > 0 && port < 65_536 ? port : null, wrapper };
  }
  return null;
}

/** What kind of record an error stands in, by the message that opened it (salt-facts §4.1). */
export type RecordKind =
  | 'start-listener'
  | 'stop-listener'
  | 'http-server'
  | 'salt-master'
  | 'other';

/** Tells a failed start from CherryPy's check after a stop and from salt-master's own ports. */
export function recordKind(opening: LogLine): RecordKind {
  const listener = /Error in '(\w+)' listener/.exec(opening.message)?.[1];
  if (listener !== undefined) return listener === 'start' ? 'start-listener' : 'stop-listener';
  if (/error in start listener/i.test(opening.message)) return 'start-listener';
  if (/Error in HTTP server/.test(opening.message)) return 'http-server';
  const masterLogger = /^salt\.(?:master|transport|daemons|minion)\b/.test(opening.logger ?? '');
  if (masterLogger || /:450[56]\b|Unable to bind socket/.test(opening.message)) {
    return 'salt-master';
  }
  return 'other';
}

/** Levels at which nothing is an error: what stands in such a record is quoted. */
export function isBelowError(level: string | null): boolean {
  return level !== null && /^(?:INFO|PROFILE|DEBUG|TRACE|GARBAGE|QUIET)$/.test(level);
}

/**
 * The pid of a netapi child that the manager says has died (salt-facts §1.5); null for any other
 * line, those of salt-master's own process manager included.
 */
export function recogniseChildDeath(message: string): number | null {
  const death = /^\s*Process (.{1,400}?) \((\d{1,10})\) died with exit status -?\w+/.exec(message);
  if (death === null) return null;
  const [, what = '', pid] = death;
  if (/\bsalt\.(?!client\.netapi|loaded|netapi)/.test(what)) return null;
  return Number(pid);
}
