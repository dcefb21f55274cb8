/**
 * The access lines that a drill's log begins with, as the salt-api of 2018 left them at level debug:
 * a client whose new release calls five times as often as the old one, beside two that call as ever.
 * Nobody made these calls; their times lie in the hours before the drill.
 */

/** Format word for word from captures-3002. */
const ACCESS = '[cherrypy.access.139883199361376          :284 ][INFO    ]';
const LOGIN = '[salt.loaded.int.netapi.rest_cherrypy.app :748 ][INFO    ]';
const MINUTE = 60_000;
const MINUTES = 240;
/** Before the drill; from then on the new release calls. */
const STEP_MINUTES = 120;

/** Who logs in from the addresses of the drill's clients (stage.ts). */
export const USERS: Readonly<Record<string, string>> = {
  '127.0.0.2': 'cmdb',
  '127.0.0.3': 'deploy',
};

interface Caller {
  readonly address: string;
  readonly agent: string;
  readonly perMinute: number;
  /** Minutes before the drill. */
  readonly from: number;
  readonly to: number;
  /** Whether it logs in for each call. */
  readonly logsIn: boolean;
}

const CMDB = { address: '127.0.0.2', logsIn: true };
const CALLERS: readonly Caller[] = [
  { ...CMDB, agent: 'cmdb/2.0', perMinute: 2, from: MINUTES, to: STEP_MINUTES },
  { ...CMDB, agent: 'cmdb/2.1', perMinute: 10, from: STEP_MINUTES, to: 0 },
  { address: '127.0.0.3', logsIn: false, agent: 'deploy/1.4', perMinute: 3, from: MINUTES, to: 0 },
];

/** @param now when the drill begins, epoch ms @returns whole lines, in the order of their times */
export function callsBefore(now: number): string {
  const lines = CALLERS.flatMap((one) => linesOf(one, Math.floor(now / MINUTE) * MINUTE));
  return lines
    .toSorted((a, b) => a.at - b.at)
    .map(({ text }) => `${text}\n`)
    .join('');
}

interface DatedLine {
  readonly at: number;
  readonly text: string;
}

function linesOf(
  { address, agent, perMinute, from, to, logsIn }: Caller,
  end: number,
): DatedLine[] {
  const calls = Array.from({ length: (from - to) * perMinute }, (_, index) => {
    return end - from * MINUTE + Math.floor(((index + 0.5) * MINUTE) / perMinute);
  });
  const access = (at: number, line: string): DatedLine => ({
    at,
    text: `${logStamp(at)} ${ACCESS}[${process.pid}] ${address} - - [${accessStamp(at)}] "${line}" 200 146 "" "${agent}"`,
  });
  return calls.flatMap((at) => {
    const call = access(at, 'POST / HTTP/1.1');
    if (!logsIn) return [call];
    const login = `[api_acl] Authentication not checked for user ${USERS[address]} from IP ${address}`;
    return [
      { at, text: `${logStamp(at)} ${LOGIN}[${process.pid}] ${login}` },
      access(at, 'POST /login HTTP/1.1'),
      call,
    ];
  });
}

/** `2026-11-24 00:20:59,542`, local time. */
function logStamp(at: number): string {
  const date = new Date(at);
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${clock(date)},${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** `24/Nov/2026:00:20:59`, local time. */
function accessStamp(at: number): string {
  const date = new Date(at);
  const month = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')[date.getMonth()];
  return `${two(date.getDate())}/${month}/${date.getFullYear()}:${clock(date)}`;
}

function clock(date: Date): string {
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
