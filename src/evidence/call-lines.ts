/**
 * Lines of logs that tell of calls (salt-advice §4), reduced to what is counted: to the minute,
 * without query strings, with no more of a path than its first part. `ssh/call-script.ts` reduces
 * them in the same way where they lie; `test/host/call-logs.test.ts` holds the two together.
 */
import { type LogClock, monthNamed, parseLogLine } from './api-log-lines.ts';
import type { CallKind } from './clients-facts.ts';

/** What stands in such a line of the API log, all of one length: an access line, a login, a call that waits. */
export const CALL_NEEDLES = { access: 'ypy.access.', login: '[api_acl] A', sync: '_returns fo' };
/**
 * How far from the beginning of a line each may stand. Further in, a stranger's own words may say so:
 * at level debug Salt logs what it was sent.
 */
export const NEEDLE_WITHIN = { access: 100, login: 160, sync: 160 };
/** How far behind the logger's name the address of an access line ends. */
export const ACCESS_WITHIN = 120;
/** Characters of an address, of an agent and of a user that are kept. */
export const KEPT = { address: 64, agent: 80, user: 64, head: 200 };
/** Reduced lines of one log that differ: beyond the first bound without their agents, then not at all. */
export const MOST_REDUCED = { whole: 60_000, all: 80_000 };

/** What follows an address. */
const FIRST = / - [^ ]+ \[(\d\d\/[A-Z][a-z][a-z]\/\d\d\d\d:\d\d:\d\d):\d\d[^\]"]*\] "/y;
/** Without referer and agent where the format is the common one. */
const REST =
  /((?:[^"\\]|\\.)*)" \d\d\d (?:\d+|-)(?: "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)"(?: |$)|$| (?!"))/y;
const REQUEST = /^([A-Z]+) (\/[a-z_]*)(?:(\/)|(?=[ ?]|$))/;
/** The first number behind the level: a second one is a thread's. */
const PID = /\[INFO *\]\[(\d+)\]/;
const LOGIN =
  /^\[api_acl\] Authentication (?:not checked|succ?essful|failed) for user (.*) from IP ([^ ]+)$/;

/**
 * Reduces one line of a log.
 * @param line without its line end, in latin1
 * @param everyLine the log holds access lines and nothing else, without heads (`log_access_file`)
 * @returns fields parted by tabs: `call PID ADDRESS MINUTE REQUEST AGENT`, `login ADDRESS USER HEAD` or
 * `sync`; null for a line that tells of no call
 */
export function reduceCallLine(line: string, everyLine: boolean): string | null {
  const text = /[\0\r\t]/.test(line) ? line.replace(/[\0\r]/g, '').replaceAll('\t', ' ') : line;
  if (everyLine) return reduceAccess(text, 0, KEPT.address);
  const access = text.indexOf(CALL_NEEDLES.access);
  const login = text.indexOf(CALL_NEEDLES.login);
  if (access !== -1 && access < NEEDLE_WITHIN.access && (login === -1 || access < login)) {
    return reduceAccess(text, access, ACCESS_WITHIN);
  }
  if (login !== -1 && login < NEEDLE_WITHIN.login) return reduceLogin(text, login);
  const sync = text.indexOf(CALL_NEEDLES.sync);
  return sync !== -1 && sync < NEEDLE_WITHIN.sync ? 'sync' : null;
}

/** @param within characters behind `from` in which the address must end */
function reduceAccess(text: string, from: number, within: number): string | null {
  const dash = text.indexOf(' - ', from);
  if (dash === -1 || dash - from > within) return null;
  const address = text.slice(Math.max(from, text.lastIndexOf(' ', dash - 1) + 1), dash);
  FIRST.lastIndex = dash;
  const first = FIRST.exec(text);
  if (first === null || address === '' || address.length > KEPT.address) return null;
  const [, minute = ''] = first;
  REST.lastIndex = FIRST.lastIndex;
  const rest = REST.exec(text);
  if (rest === null) return null;
  const [, request = '', agent = ''] = rest;
  const [, method = '-', path = '-', deeper = ''] = REQUEST.exec(request) ?? [];
  const called = `${method} ${path}${deeper}`;
  // Logins are told apart by process: a kill ends those of one.
  const pid = called === 'POST /login' ? (PID.exec(text.slice(from, dash))?.[1] ?? '-') : '-';
  return `call\t${pid}\t${address}\t${minute}\t${called}\t${agent.slice(0, KEPT.agent)}`;
}

function reduceLogin(text: string, at: number): string | null {
  const [, user, address] = LOGIN.exec(text.slice(at)) ?? [];
  if (user === undefined || address === undefined || address.length > KEPT.address) return null;
  const head = text
    .slice(0, at)
    .replace(/(\d\d:\d\d):\d\d(?:[.,]\d+)?/, '$1:00')
    .slice(0, KEPT.head);
  return `login\t${address}\t${user.slice(0, KEPT.user)}\t${head}`;
}

/** The reduced lines of one log, each with how often it came. */
export class ReducedLines {
  readonly lines = new Map<string, number>();
  /** Lines that are in no number: there were too many that differ. */
  cut = 0;

  /** @param times how often it came */
  add(reduced: string, times = 1): void {
    const { lines } = this;
    const known = lines.get(reduced);
    if (known !== undefined) lines.set(reduced, known + times);
    else if (lines.size < MOST_REDUCED.whole) lines.set(reduced, times);
    else {
      // Whoever makes up an agent for each call must not hide all others.
      const bare = reduced.startsWith('call\t') ? reduced.replace(/\t[^\t]*$/, '\t') : reduced;
      if (lines.has(bare) || lines.size < MOST_REDUCED.all) {
        lines.set(bare, (lines.get(bare) ?? 0) + times);
      } else this.cut += times;
    }
  }
}

/** What one reduced line tells. Times are epoch ms, null where the line has none that can be read. */
export type CallLine =
  | {
      readonly tells: 'call';
      readonly pid: number | null;
      readonly address: string;
      readonly at: number | null;
      readonly kind: CallKind;
      readonly agent: string;
    }
  | {
      readonly tells: 'login';
      readonly pid: number | null;
      readonly address: string;
      readonly user: string;
      readonly at: number | null;
    }
  | { readonly tells: 'sync' };

/** Reads what {@link reduceCallLine} returned; null for what is none of it. */
export function readReducedLine(reduced: string, clock: LogClock): CallLine | null {
  const [tells, ...fields] = reduced.split('\t');
  if (tells === 'sync') return { tells };
  const [one = '', two = '', three = '', four = '', five = ''] = fields;
  if (tells === 'call') {
    const at = minuteOf(three, clock);
    const pid = one === '-' ? null : Number(one);
    return { tells, pid, address: plainAddress(two), at, kind: kindOf(four), agent: five };
  }
  if (tells !== 'login') return null;
  const pid = PID.exec(three)?.[1];
  const { at } = parseLogLine(three, clock);
  return {
    tells,
    pid: pid === undefined ? null : Number(pid),
    address: plainAddress(one),
    user: two,
    at,
  };
}

/** A server on `::` has IPv4 clients as `::ffff:10.2.3.4`; the tables of sockets have them plain. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '');
}

/** `24/Nov/2026:00:20`, which is local time (salt-advice §4). */
function minuteOf(text: string, { localTime }: LogClock): number | null {
  const [, day, name, year, hour, minute] =
    /^(\d\d)\/([A-Za-z]{3})\/(\d{4}):(\d\d):(\d\d)$/.exec(text) ?? [];
  const month = monthNamed(name);
  if (month === 0 || Number(day) > 31 || Number(hour) > 23 || Number(minute) > 59) return null;
  return localTime(Number(year), month, Number(day), Number(hour), Number(minute), 0);
}

const KINDS: Readonly<Record<string, CallKind>> = {
  'GET /': 'welcome',
  'HEAD /': 'welcome',
  'POST /login': 'login',
  'POST /': 'run',
  'POST /run': 'run',
  'POST /run/': 'run',
  'POST /minions': 'start-job',
  'POST /minions/': 'start-job',
  'GET /minions': 'all-grains',
  'GET /jobs': 'jobs',
  'GET /jobs/': 'jobs',
  'GET /keys': 'jobs',
  'GET /keys/': 'jobs',
  'GET /events': 'events',
  'GET /ws': 'events',
  'GET /ws/': 'events',
  'GET /all_events': 'events',
};

function kindOf(request: string): CallKind {
  return KINDS[request] ?? 'other';
}
