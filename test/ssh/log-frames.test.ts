import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { fixedOffsetTime } from '../../src/evidence/api-log-lines.ts';
import { SEARCHED_WORDINGS } from '../../src/evidence/api-log-wordings.ts';
import type { ApiLogFacts, HostFacts, LookRequest } from '../../src/evidence/evidence.ts';
import { readApiLog } from '../../src/host/local/api-log.ts';
import { LocalHost } from '../../src/host/local/local-host.ts';
import { readCollected } from '../../src/host/ssh/collected-evidence.ts';
import { collectorScript } from '../../src/host/ssh/collector-script.ts';
import { parseFrames } from '../../src/host/ssh/frames.ts';
import { apiLogFacts } from '../../src/host/ssh/log-frames.ts';
import { collectorParameters } from '../../src/host/ssh/ssh-host.ts';
import { LOOK_REQUEST } from '../host/look-request.ts';

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'salt-triage-log-frames-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

const NOW = Date.UTC(2026, 6, 13, 12);
const HOST: HostFacts = {
  name: 'master',
  now: NOW,
  utcOffsetMinutes: 0,
  bootId: 'b',
  bootedAt: 0,
  ticksPerSecond: 100,
  uid: 0,
};

/** The shells that the script must run under; busybox with its own awk, tr, head and the rest. */
const SHELLS = (['dash', 'bash', 'busybox'] as const).filter(
  (shell) => spawnSync(shell, ['--help']).error === undefined,
);

function shellCommand(shell: (typeof SHELLS)[number]) {
  if (shell !== 'busybox') return { argv: [shell, '-s'] as const, path: process.env['PATH'] };
  const applets = join(directory, 'applets');
  if (spawnSync('test', ['-d', applets]).status !== 0) {
    mkdirSync(applets);
    for (const name of ['awk', 'tr', 'head', 'tail', 'ls', 'grep', 'date', 'stat', 'gzip']) {
      symlinkSync('/bin/busybox', join(applets, name));
    }
  }
  return { argv: ['busybox', 'sh', '-s'] as const, path: `${applets}:${process.env['PATH']}` };
}

/** What each log is reduced to where it lies, with a window of so many seconds. */
function reduce(
  shell: (typeof SHELLS)[number],
  files: readonly string[],
  since: number | null,
  request: Partial<LookRequest> = {},
) {
  const { argv, path } = shellCommand(shell);
  const script = collectorScript({
    ...collectorParameters({ ...LOOK, ...request, sinceMs: null }, 'salt-api'),
    nonce: 'abc',
  });
  const functions = script.slice(0, script.lastIndexOf('\nmain '));
  const seconds = NOW / 1000;
  const from = since === null ? '' : String(seconds - since - 3_700);
  const run = [
    `export LC_ALL=C; now=${seconds}; offset=0; year=2026; from=${from}`,
    ...files.map((file) => `log=${file}; api_log; echo ==`),
  ];
  const [program, ...args] = argv;
  const output = execFileSync(program, args, {
    input: `${functions}\n${run.join('\n')}\n`,
    encoding: 'latin1',
    maxBuffer: 256 * 1024 * 1024,
    env: { ...process.env, PATH: path },
  });
  return output
    .split('==\n')
    .slice(0, files.length)
    .map((text) => text.split('\n').filter((line) => line !== ''));
}

const LOOK: LookRequest = { ...LOOK_REQUEST, port: 65_000, sinceMs: 3_600_000 };

/** What both ways must agree on. */
function comparable({ files, notes, windowFrom, ...facts }: ApiLogFacts) {
  return { ...facts, notes: notes.filter((note) => !/in full/.test(note)) };
}

function overSsh(lines: readonly string[], path: string, since: number | null) {
  const windowFrom = since === null ? null : NOW - since * 1000;
  const source = { kind: 'file', path, origin: 'option' } as const;
  const part = { lines, late: false };
  const look = apiLogFacts(part, { source, unit: 'salt-api', windowFrom, host: HOST });
  assert.ok(look.seen, look.seen ? '' : look.why);
  return comparable(look.value);
}

async function here(path: string, since: number | null) {
  const look = await readApiLog({
    path,
    origin: 'option',
    windowFrom: since === null ? null : NOW - since * 1000,
    now: NOW,
    localTime: fixedOffsetTime(0),
    timeoutMs: 60_000,
  });
  assert.ok(look.seen, look.seen ? '' : look.why);
  return comparable(look.value);
}

/** One record of a log: its message, and the lines that it goes on with. */
interface LogRecord {
  readonly logger: string;
  readonly level: string;
  readonly lines: readonly string[];
}

const traceback = ['Traceback (most recent call last):', '  File "servers.py", line 4, in wait'];
const cherrypy = (message: string, ...below: string[]): LogRecord => ({
  logger: 'cherrypy.error   :213 ',
  level: 'ERROR   ',
  lines: [`[13/Jul/2026:09:27:57] ENGINE ${message}`, ...below],
});
const salt = (level: string, ...lines: string[]): LogRecord => {
  return { logger: 'salt.utils.process:32 ', level, lines };
};

const RECORDS: readonly (readonly LogRecord[])[] = [
  ...[443, 8000].flatMap((port) =>
    [
      [
        `OSError: Port ${port} not free on '0.0.0.0'`,
        `OSError("Port ${port} not free on '0.0.0.0'")`,
      ],
      [`portend.Timeout: Port ${port} not free on ::.`, `Timeout('Port ${port} not free on ::.')`],
      [
        `OSError: No socket could be created -- (('0.0.0.0', ${port}): [Errno 13] Permission denied)`,
        `OSError("No socket could be created -- (('0.0.0.0', ${port}): [Errno 13] Permission denied)")`,
      ],
    ].map(([error = '', wrapped = '']) => [
      cherrypy("Error in 'start' listener <bound method>", ...traceback, error, ''),
      cherrypy(
        'Shutting down due to error in start listener:',
        ...traceback,
        `cherrypy.process.wspbus.ChannelFailures: ${wrapped}`,
        '',
      ),
    ]),
  ),
  [cherrypy("Error in 'start' listener <x>", ...traceback, 'ssl.SSLError: [SSL] PEM lib', '')],
  [
    cherrypy(
      "Error in 'start' listener <x>",
      ...traceback,
      'KeyError: 1',
      '',
      ...traceback,
      'X: 2',
    ),
  ],
  [cherrypy("Error in 'stop' listener <x>", ...traceback, "OSError: Port 443 not free on 'x'")],
  [
    cherrypy(
      'Error in HTTP server: shutting down',
      ...traceback,
      'error: No socket could be created',
    ),
  ],
  [cherrypy('Bus STARTED')],
  [
    salt(
      'ERROR   ',
      "An un-handled exception from the multiprocessing process 'RunNetapi-1' was caught:",
      ...traceback,
      'Exception: Could not find a certificate: /etc/pki/api.crt',
      'If you want to quickly generate one',
    ),
  ],
  [
    salt(
      'ERROR   ',
      'Rest_tornado unable to bind to port 8000',
      ...traceback,
      'OSError: [Errno 98] Address already in use',
    ),
  ],
  [
    salt(
      'ERROR   ',
      'Rest_tornado unable to bind to port 443',
      ...traceback,
      'PermissionError: [Errno 13] Permission denied',
    ),
  ],
  [salt('ERROR   ', 'Did not find any netapi configurations, nothing to start')],
  [salt('ERROR   ', "Not loading 'salt.x.rest_wsgi'. 'port' not specified in config")],
  [
    salt(
      'ERROR   ',
      "Not starting 'rest_cherrypy'. Options 'ssl_crt' and 'ssl_key' are required if SSL is not disabled.",
    ),
  ],
  [
    salt(
      'ERROR   ',
      'Rest_tornado unable to bind to port 8000',
      ...traceback,
      'KeyError',
      '',
      'During handling of the above exception, another exception occurred:',
      ...traceback,
      'Exception',
    ),
  ],
  [
    cherrypy(
      "Error in 'start' listener <x>",
      ...traceback,
      'error: [Errno 98] Address already in use',
    ),
  ],
  [cherrypy('Bus STOPPED', 'x'.repeat(9_000), ' '.repeat(20_000))],
  [salt('ERROR   ', `${'y'.repeat(9_000)} OSError: Port 443 not free on '0.0.0.0'`)],
  [salt('DEBUG   ', 'quoted', "OSError: Port 443 not free on '0.0.0.0'")],
  [salt('DEBUG   ', 'some words', 'and a line', '  more')],
  [
    salt(
      'INFO    ',
      "Process <class 'salt.client.netapi.RunNetapi'> (1563) died with exit status 70, restarting...",
    ),
  ],
];

/** How the heads of a log look: with time, pid or neither, CherryPy's own, or behind a prefix. */
const FORMATS = {
  dated: (time, { logger, level }, pid) => `${shown(time)},000 [${logger}][${level}][${pid}] `,
  'without pids': (time, { logger, level }) => `${shown(time)},000 [${logger}][${level}] `,
  'with a zone': (time, { logger, level }, pid) =>
    `${new Date(time + 7_200_000).toISOString().slice(0, 19)}+02:00 [${logger}][${level}][${pid}] `,
  'other date': (time, { level, logger }, pid) =>
    `${shown(time).replaceAll('-', '/')} [${logger}][${level}][${pid}] `,
  'no time': (_, { logger, level }, pid) => `[${logger}][${level}][${pid}] `,
  c: (time, { logger, level }, pid) =>
    `${new Date(time).toUTCString().replace(/^(\w+), (\d+) (\w+) (\d+) ([\d:]+) GMT$/, '$1 $3 $2 $5 $4')} [${logger}][${level}][${pid}] `,
  journal: (_, { level }) => `[${level}] `,
  syslog: (_, { level }) => `[${level}] `,
  'syslog without level': () => '',
} satisfies Record<string, (time: number, record: LogRecord, pid: number) => string>;

const PREFIXES: Partial<Record<keyof typeof FORMATS, (time: number, pid: number) => string>> = {
  journal: (time, pid) =>
    `${new Date(time).toISOString().slice(0, 19)}+0000 host salt-api[${pid}]: `,
  syslog: (time, pid) => `${syslogTime(time)} host salt-api[${pid}]: `,
  'syslog without level': (time) => `<11>${syslogTime(time)} host salt-api: `,
};

function shown(time: number): string {
  return new Date(time).toISOString().slice(0, 19).replace('T', ' ');
}

function syslogTime(time: number): string {
  const [, day = '', month, , clock] = new Date(time).toUTCString().split(' ');
  return `${month} ${String(Number(day)).padStart(2)} ${clock}`;
}

interface LogEvent {
  readonly what: number;
  readonly pid: number;
  /** Seconds since the one before. */
  readonly pause: number;
  /** What stands before it that is no record. */
  readonly before: string;
}

/** The events of a log, each as text, with its time. */
function logTexts(events: readonly LogEvent[], format: keyof typeof FORMATS, lineEnd = '\n') {
  let time = NOW - 60_000 - events.reduce((sum, { pause }) => sum + pause, 0) * 1000;
  return events.map(({ what, pid, pause, before: noise }) => {
    time += pause * 1000;
    const prefix = PREFIXES[format]?.(time, pid) ?? '';
    const lines = (RECORDS[what % RECORDS.length] ?? []).flatMap((record) => {
      const [first = '', ...rest] = record.lines;
      const ownTime = format === 'no time' || PREFIXES[format] !== undefined;
      const message = ownTime ? first.replace(/^\[\d\d\/\w+\/[\d:]+\] /, '') : first;
      return [`${FORMATS[format](time, record, pid)}${message}`, ...rest];
    });
    return { time, text: noise + lines.map((line) => prefix + line + lineEnd).join('') };
  });
}

function logText(events: readonly LogEvent[], format: keyof typeof FORMATS): string {
  return logTexts(events, format)
    .map(({ text }) => text)
    .join('');
}

const randomLog = fc.record({
  format: fc.constantFrom(...(Object.keys(FORMATS) as (keyof typeof FORMATS)[])),
  lineEnd: fc.constantFrom('\n', '\n', '\r\n'),
  events: fc.array(
    fc.record({
      what: fc.nat(RECORDS.length - 1),
      pid: fc.integer({ min: 1, max: 4 }),
      pause: fc.constantFrom(0, 1, 2, 4, 12, 600, 4_000),
      before: fc.constantFrom(
        '',
        '',
        '',
        '',
        'no head at all\n',
        '\n',
        '\0'.repeat(3_000),
        '\0'.repeat(20_000),
      ),
    }),
    { maxLength: 40 },
  ),
  /** How many events the rotated siblings have, the oldest first. */
  rotated: fc.array(fc.tuple(fc.constantFrom('.2.gz', '.1', '-20260713'), fc.nat(12)), {
    maxLength: 2,
  }),
});

/** Lays the log out as logrotate leaves it. */
function writeRotated(path: string, log: ReturnType<typeof sampled>[number]): void {
  const texts = logTexts(log.events, log.format, log.lineEnd);
  for (const [suffix, count] of log.rotated) {
    const part = texts.splice(0, count);
    const text = part.map((event) => event.text).join('');
    const at = (part.at(-1)?.time ?? 0) / 1000;
    if (at === 0) continue;
    writeFileSync(path + suffix, suffix.endsWith('.gz') ? gzipSync(text) : text);
    utimesSync(path + suffix, at, at);
  }
  writeFileSync(path, texts.map(({ text }) => text).join(''));
}

const SEED = Number(process.env['SALT_TRIAGE_SEED'] ?? Date.now() % 1_000_000);

function sampled() {
  return fc.sample(randomLog, { numRuns: 80, seed: SEED });
}

describe('a log that is reduced where it lies', () => {
  it('is not read where nobody goes by it', () => {
    const path = join(directory, 'left-out');
    writeFileSync(path, "OSError: Port 443 not free on '0.0.0.0'\n");
    const [shell = 'dash'] = SHELLS;
    assert.notDeepEqual(reduce(shell, [path], null), [[]]);
    assert.deepEqual(reduce(shell, [path], null, { leaveOut: ['apiLog'] }), [[]]);
  });

  for (const shell of SHELLS) {
    for (const since of [3_600, null]) {
      it(`tells what the whole log tells: ${shell}, ${since ?? 'no'} window`, async () => {
        const place = mkdtempSync(join(directory, 'random-'));
        const logs = sampled().map((log, index) => {
          const path = join(place, `${index}-`);
          writeRotated(path, log);
          return { path, log };
        });
        const reduced = reduce(
          shell,
          logs.map(({ path }) => path),
          since,
        );
        for (const [index, { path, log }] of logs.entries()) {
          const ssh = overSsh(reduced[index] ?? [], path, since);
          const text = JSON.stringify(log, (_, value) =>
            typeof value === 'string' ? value.slice(0, 80) : value,
          );
          assert.deepEqual(ssh, await here(path, since), `seed ${SEED}, ${path}: ${text}`);
        }
      });
    }
  }

  it('was held to that for all that is searched for', () => {
    const all = JSON.stringify(RECORDS);
    for (const { needle } of SEARCHED_WORDINGS) assert.ok(all.includes(needle), needle);
  });

  it('was held to that by dash, bash and busybox', () => {
    if (process.env['CI']) assert.equal(SHELLS.length, 3);
  });

  it('counts all of a log without times, and of one that begins without what the window reaches', async () => {
    const undated = logText(
      [0, 1, 2].map((pid) => ({ what: 0, pid, pause: 12, before: '' })),
      'no time',
    );
    const cases = [
      ['undated', undated, 3],
      ['recent', undated + logText([{ what: 0, pid: 9, pause: 0, before: '' }], 'dated'), 4],
      [
        'old',
        undated +
          logText(
            [9, 8].map((pid) => ({ what: 0, pid, pause: 4_000, before: '' })),
            'dated',
          ),
        1,
      ],
    ] as const;
    for (const [name, text, events] of cases) {
      const path = join(directory, name);
      writeFileSync(path, text);
      const [lines = []] = reduce('dash', [path], 3_600);
      const ssh = overSsh(lines, path, 3_600);
      assert.deepEqual(ssh, await here(path, 3_600), name);
      assert.equal(ssh.events, events, name);
    }
  });
});

describe('where there is no log file, the journal', () => {
  /** The look at the log, by the host itself and by the script, with this as journalctl. */
  async function bothWays(journalctl: string | null) {
    const place = mkdtempSync(join(directory, 'journal-'));
    const config = join(place, 'etc');
    mkdirSync(config);
    writeFileSync(join(config, 'master'), `api_logfile: ${place}/api\n`);
    if (journalctl !== null) {
      writeFileSync(join(place, 'journalctl'), `#!/bin/sh\n${journalctl}\n`, { mode: 0o755 });
    }
    const request = { ...LOOK, configDirectory: config };
    const before = process.env['PATH'];
    // With nothing but the stub, where there is to be no journalctl.
    process.env['PATH'] = `${place}:${before}`;
    try {
      const local = await new LocalHost().look(request).apiLog;
      const script = collectorScript({ ...collectorParameters(request, 'salt-api'), nonce: 'abc' });
      const output = execFileSync('sh', ['-s'], { input: script, maxBuffer: 64 * 1024 * 1024 });
      const { apiLog } = await readCollected(parseFrames(output, 'abc'), request);
      return { local, ssh: apiLog, file: `${place}/api` };
    } finally {
      process.env['PATH'] = before;
    }
  }

  const hint =
    'echo "Hint: You are currently not seeing messages from other users and the system." >&2; echo "      Users in groups \'adm\', \'systemd-journal\' can see all messages." >&2; echo "-- No entries --"';
  // As systemd does: the hint is left out under --quiet.
  const quietly = (said: string) => `case " $* " in *" --quiet "*|*" -q "*) exit 0;; esac\n${said}`;
  for (const [what, journalctl, cause, why] of [
    [
      'that may not be read',
      quietly(hint),
      'permission',
      /the journal of salt-api may not be read by this user; run as root$/,
    ],
    [
      'none of whose files may be opened',
      quietly('echo "No journal files were opened due to insufficient permissions." >&2; exit 1'),
      'permission',
      /run as root$/,
    ],
    [
      'that is not kept',
      quietly('echo "No journal files were found." >&2; echo "-- No entries --"'),
      'missing',
      /this host keeps no journal$/,
    ],
    [
      'that has nothing of the unit',
      quietly('echo "-- No entries --"'),
      'missing',
      /the journal of salt-api has no entry in that time$/,
    ],
    [
      'that fails',
      'echo "Failed to add match: Bad message" >&2; exit 1',
      'unsupported',
      /journalctl failed: Failed to add match: Bad message$/,
    ],
  ] as const) {
    it(`${what} is told apart, here and over ssh`, async () => {
      const { local, ssh, file } = await bothWays(journalctl);
      assert.deepEqual(ssh, local);
      assert.ok(!local.seen);
      assert.equal(local.cause, cause);
      assert.ok(local.why.startsWith(`${file} does not exist, and `), local.why);
      assert.match(local.why, why);
    });
  }

  it('is read where it has entries, here and over ssh', async () => {
    const at = new Date(Date.now() - 60_000).toISOString().slice(0, 19);
    const said = "OSError: Port 443 not free on '0.0.0.0'";
    const { local, ssh } = await bothWays(
      `cat <<'END'\n${["[ERROR   ] ENGINE Error in 'start' listener", 'Traceback (most recent call last):', said].map((text) => `${at}+0000 host salt-api[77]: ${text}`).join('\n')}\nEND`,
    );
    assert.ok(local.seen && ssh.seen);
    assert.deepEqual([ssh.value.events, local.value.events], [1, 1]);
  });
});
