/** What the benchmark looks at, staged for real: processes, sockets, a log. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, copyFileSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const PYTHON = '/usr/bin/python3';
const SCRIPT = fileURLToPath(new URL('./load.py', import.meta.url));
/** Below every usual limit of open files. */
const SOCKETS_EACH = 5_000;
/** Connections that nobody accepts: they have no inode and no owner. */
const QUEUED = 31;

export interface Staged {
  readonly pids: readonly number[];
  end(): Promise<void>;
}

/** Processes that do nothing. */
export function stageProcesses(directory: string, count: number): Promise<Staged> {
  return run(join(directory, 'idle'), { BENCH_PROCESSES: String(count) });
}

/**
 * A salt-api whose forks share the listening socket and have `count` CLOSE_WAIT sockets of 200
 * peers between them, 31 of which were never accepted.
 * @param orphansLog the API log, where its manager has died and another runs, without the port
 */
export async function stageSockets(
  directory: string,
  port: number,
  count: number,
  orphansLog?: string,
): Promise<Staged & { readonly unaccepted: number }> {
  const workers = Math.ceil((count - QUEUED) / SOCKETS_EACH);
  const each = Math.floor((count - QUEUED) / workers);
  const unaccepted = count - workers * each;
  const staged = await run(join(directory, 'salt-api'), {
    BENCH_PORT: String(port),
    BENCH_WORKERS: String(workers),
    BENCH_EACH: String(each),
    BENCH_QUEUED: String(unaccepted),
    ...(orphansLog === undefined ? {} : { BENCH_LOG: orphansLog }),
  });
  return { ...staged, unaccepted };
}

/**
 * Waits until only the server's `count` sockets are left in this network namespace, which takes a
 * minute (tcp(7), tcp_fin_timeout): remote clients would not be in its table at all.
 */
export async function clientsGone(count: number): Promise<void> {
  const deadline = Date.now() + 90_000;
  for (;;) {
    const rows = readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1, -1);
    // States by number: 08 is CLOSE_WAIT, 0A LISTEN (include/net/tcp_states.h).
    const leaving = rows.filter((row) => !/^ *\d+: \S+ \S+ 0[18A] /.test(row)).length;
    if (leaving === 0 && rows.length > count) return;
    if (Date.now() > deadline)
      throw new Error(`${leaving} of the clients' sockets are still there`);
    await delay(100);
  }
}

async function run(script: string, environment: Record<string, string>): Promise<Staged> {
  copyFileSync(SCRIPT, script);
  const child: ChildProcess = spawn(PYTHON, [script, '-d'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  });
  const { stdin, stdout, pid } = child;
  if (stdin === null || stdout === null || pid === undefined)
    throw new Error(`${PYTHON}: no pipes`);
  const lines = createInterface({ input: stdout });
  const [line] = (await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(() => {
      throw new Error(`${script} did not get ready`);
    }),
  ])) as [string];
  const ended = once(child, 'exit');
  return {
    pids: [pid, ...line.split(' ').slice(1).map(Number)],
    async end() {
      stdin.end();
      await ended;
    },
  };
}

/** What a generated log holds. */
export interface LogContents {
  /** Failed starts in all of it. */
  readonly events: number;
  /** Of these, those of the last hour. */
  readonly recentEvents: number;
  /** Lines that `grep -c 'Port .* not free'` counts. */
  readonly lines: number;
}

const STAMP = '0000-00-00 00:00:00,000';
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const OLD_EVENTS = 50;
const RECENT_EVENTS = 40;
/** Bytes of the last hour, the same in every size of log. */
const LAST_HOUR = 4 * 1024 * 1024;
const BLOCK = 64 * 1024;

/**
 * Writes a debug log in Salt's format, times ascending: a month of traffic with 50 failed starts
 * that began ten days into it, and a last hour of 4 MiB with 40 more. Three lines of each say "Port … not free".
 */
export function writeLog(path: string, bytes: number, port: number, now = Date.now()): LogContents {
  const file = openSync(path, 'w');
  try {
    const blocks = Math.floor((bytes - LAST_HOUR) / BLOCK);
    writeStretch(
      file,
      now - 30 * DAY_MS,
      now - HOUR_MS,
      blocks,
      (at) => {
        return at < 1 / 3 ? 0 : Math.min(OLD_EVENTS, Math.ceil((at - 1 / 3) * blocks));
      },
      port,
    );
    writeStretch(
      file,
      now - HOUR_MS,
      now - 60_000,
      LAST_HOUR / BLOCK,
      (at) => {
        return at < 1 / 4
          ? 0
          : Math.min(RECENT_EVENTS, Math.ceil((at - 1 / 4) * (LAST_HOUR / BLOCK)));
      },
      port,
    );
  } finally {
    closeSync(file);
  }
  const events = OLD_EVENTS + RECENT_EVENTS;
  return { events, recentEvents: RECENT_EVENTS, lines: 3 * events };
}

/** Writes two days of twenty clients' access lines, and nothing else. */
export function writeCalls(path: string, bytes: number, now = Date.now()): void {
  const file = openSync(path, 'w');
  const minutes = 2 * 24 * 60;
  try {
    for (let minute = 0; minute < minutes; minute += 1) {
      const at = new Date(now - (minutes - minute) * 60_000);
      const [, month, day, year, clock = ''] = at.toString().split(' ');
      const stamp = `${year}-${String(at.getMonth() + 1).padStart(2, '0')}-${day} ${clock}`;
      const lines = Array.from({ length: 20 }, (_, client) => {
        const call = `10.2.3.${client} - - [${day}/${month}/${year}:${clock}] "POST / HTTP/1.1" 200 146`;
        return `${stamp},542 ${CHERRYPY} ${call} "" "client/${client}"\n`;
      }).join('');
      writeSync(file, lines.repeat(Math.ceil(bytes / minutes / lines.length)));
    }
  } finally {
    closeSync(file);
  }
}

const CHERRYPY = '[cherrypy.access.139883199361376          :284 ][INFO    ][37]';

/** A log of a few lines, as a healthy salt-api at its default level keeps. */
export function writeQuietLog(path: string, now = Date.now()): void {
  writeFileSync(path, stamped(template(TRAFFIC, 1), now - HOUR_MS));
}

/** @param due how many events must have been written when this share of the blocks has been */
function writeStretch(
  file: number,
  from: number,
  to: number,
  blocks: number,
  due: (share: number) => number,
  port: number,
): void {
  const traffic = template(TRAFFIC, BLOCK);
  const failure = template(failedStart(port), 1);
  let events = 0;
  for (let block = 0; block < blocks; block += 1) {
    const at = from + ((to - from) * block) / blocks;
    writeSync(file, stamped(traffic, at));
    // One a block: their times must lie further apart than those of one failed start.
    if (events < due((block + 1) / blocks)) {
      events += 1;
      writeSync(file, stamped(failure, at + 100));
    }
  }
  if (events !== due(1))
    throw new Error(`a log of ${blocks} blocks has no room for ${due(1)} events`);
}

interface Template {
  readonly bytes: Buffer;
  readonly stamps: readonly number[];
}

function template(text: string, atLeast: number): Template {
  const bytes = Buffer.from(text.repeat(Math.ceil(atLeast / text.length)));
  const stamps: number[] = [];
  for (let at = bytes.indexOf(STAMP); at !== -1; at = bytes.indexOf(STAMP, at + 1)) stamps.push(at);
  return { bytes, stamps };
}

function stamped({ bytes, stamps }: Template, at: number): Buffer {
  const zone = new Date(at).getTimezoneOffset() * 60_000;
  const stamp = new Date(at - zone).toISOString().slice(0, 23).replace('T', ' ').replace('.', ',');
  for (const offset of stamps) bytes.write(stamp, offset, 'latin1');
  return bytes;
}

/** Of test/recorded/captures-3002: what a salt-api at log level debug writes all day. */
const TRAFFIC = `${STAMP} [salt.utils.event                         :322 ][DEBUG   ][1580] MasterEvent PUB socket URI: /var/run/salt/master/master_event_pub.ipc
${STAMP} [salt.transport.ipc                       :250 ][DEBUG   ][1602] Initializing new IPCClient for path: /var/run/salt/master/master_event_pull.ipc
${STAMP} [salt.netapi.rest_cherrypy.app             :1182][DEBUG   ][1602] Looking up session of a client that asks for a job, port 41822, which is not known
${STAMP} [cherrypy.access.139641                    :283 ][INFO    ][1602] 10.2.3.4 - - [24/Nov/2026:00:21:21] "POST /run HTTP/1.1" 200 1417 "" "python-requests/2.9.1"
`;

function failedStart(port: number): string {
  const head = (level: string) =>
    `${STAMP} [cherrypy.error                           :219 ][${level.padEnd(8)}][1602] [24/Nov/2026:00:21:21] ENGINE`;
  return `${head('ERROR')} Error in 'start' listener <bound method Server.start of <cherrypy._cpserver.Server object at 0x7ff94c5a2c10>>
Traceback (most recent call last):
  File "/usr/lib/python3/dist-packages/cherrypy/process/servers.py", line 459, in wait_for_free_port
    raise IOError('Port %r not free on %r' % (port, host))
OSError: Port ${port} not free on '0.0.0.0'

${head('ERROR')} Shutting down due to error in start listener:
Traceback (most recent call last):
  File "/usr/lib/python3/dist-packages/cherrypy/process/wspbus.py", line 254, in start
    self.publish('start')
cherrypy.process.wspbus.ChannelFailures: OSError("Port ${port} not free on '0.0.0.0'")

${head('INFO')} Bus EXITED
`;
}
