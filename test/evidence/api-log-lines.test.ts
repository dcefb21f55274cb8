import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  fixedOffsetTime,
  hostLocalTime,
  parseLogLine,
  recogniseBindFailure,
  recogniseChildDeath,
} from '../../src/evidence/api-log-lines.ts';
import { type ApiLogCounts, ApiLogScanner } from '../../src/evidence/api-log-scan.ts';
import { MAX_EVENT_TIMES } from '../../src/evidence/evidence.ts';

const utc = fixedOffsetTime(0);
const now = Date.UTC(2018, 6, 13, 12);
const clock = { localTime: utc, now };

function counts(log: string | Buffer, windowFrom: number | null = null): ApiLogCounts {
  const scanner = new ApiLogScanner(windowFrom, clock);
  scanner.push(Buffer.from(log));
  scanner.endFile();
  return scanner.counts();
}

function recorded(name: string): Buffer {
  return readFileSync(new URL(`../recorded/${name}/api.log`, import.meta.url));
}

const SALT_HEAD = '2018-07-13 09:27:57,207 [cherrypy.error   ][ERROR   ][14374] ';
const START = "[13/Jul/2018:09:27:57] ENGINE Error in 'start' listener <bound method Server.start>";

/** A failed start as CherryPy logs it: the error, then the wrapper. */
function failedStart(
  error: string,
  wrapper: string | null,
  { at = '2018-07-13 09:27:57,207', pid = '[14374]', opening = START } = {},
): string {
  const head = `${at} [cherrypy.error   ][ERROR   ]${pid} `;
  const first = `${head}${opening}\nTraceback (most recent call last):\n  File "servers.py", line 410, in wait\n    raise IOError("Port %r not free on %r" % (port, host))\n${error}\n\n`;
  if (wrapper === null) return first;
  return `${first}${head}[13/Jul/2018:09:27:57] ENGINE Shutting down due to error in start listener:\nTraceback (most recent call last):\n  File "wspbus.py", line 235, in start\n    raise exc\n${wrapper}\n\n`;
}

const WORDINGS = [
  ["IOError: Port 443 not free on '0.0.0.0'", 'port-not-free', 443],
  ["IOError: Port 443 not free on u'0.0.0.0'", 'port-not-free', 443],
  ["OSError: Port 443 not free on '0.0.0.0'", 'port-not-free', 443],
  ["IOError: Port 8765 not free on '172.18.0.3'", 'port-not-free', 8765],
  ["OSError: Port 8000 not free on '::'", 'port-not-free', 8000],
  ['portend.Timeout: Port 443 not free on 0.0.0.0.', 'port-not-free', 443],
  ['Timeout: Port 443 not free on 0.0.0.0.', 'port-not-free', 443],
  ['error: No socket could be created', 'no-socket-created', null],
  ['socket.error: No socket could be created', 'no-socket-created', null],
  [
    "OSError: No socket could be created -- (('0.0.0.0', 443): [Errno 98] Address already in use)",
    'no-socket-created',
    443,
  ],
  [
    "socket.error: No socket could be created -- ((u'0.0.0.0', 8000): [Errno 98] Address already in use)",
    'no-socket-created',
    8000,
  ],
  [
    "OSError: No socket could be created -- (('::', 443, 0, 0): [Errno 97] Address family not supported by protocol) (('0.0.0.0', 443): [Errno 98] Address already in use)",
    'no-socket-created',
    443,
  ],
  ['Rest_tornado unable to bind to port 8000', 'tornado-unable', 8000],
  ['socket.error: [Errno 98] Address already in use', 'address-in-use', null],
  ['OSError: [Errno 98] Address already in use', 'address-in-use', null],
] as const;

const WRAPPERS = [
  `ChannelFailures: IOError("Port 443 not free on '0.0.0.0'",)`,
  `ChannelFailures: IOError("Port 443 not free on u'0.0.0.0'",)`,
  `cherrypy.process.wspbus.ChannelFailures: OSError("Port 443 not free on '0.0.0.0'",)`,
  `cherrypy.process.wspbus.ChannelFailures: OSError("Port 443 not free on '0.0.0.0'")`,
  "cherrypy.process.wspbus.ChannelFailures: Timeout('Port 7077 not free on 0.0.0.0.',)",
  "cherrypy.process.wspbus.ChannelFailures: Timeout('Port 443 not free on 0.0.0.0.')",
  `cherrypy.process.wspbus.ChannelFailures: OSError("No socket could be created -- (('0.0.0.0', 443): [Errno 98] Address already in use)")`,
] as const;

test('every wording of "the port cannot be bound" is recognised (salt-facts §4.1, §9)', () => {
  for (const [line, wording, port] of WORDINGS) {
    assert.deepEqual(recogniseBindFailure(line), { wording, port, wrapper: false }, line);
  }
  for (const line of WRAPPERS) assert.equal(recogniseBindFailure(line)?.wrapper, true, line);
});

test('look-alikes are not recognised', () => {
  const lookAlikes = [
    "IOError: Port 8090 not bound on '0.0.0.0'",
    'portend.Timeout: Port 443 not bound on 0.0.0.0.',
    '    raise IOError("Port %r not free on %r" % (port, host))',
    "    raise Timeout('Port {port} not free on {host}.'.format(**locals()))",
    'Unable to bind socket 192.168.14.146:4505, error: [Errno 98] Address already in use; Is there another salt-master running?',
    "OSError: No socket could be created -- (('0.0.0.0', 443): [Errno 13] Permission denied)",
    'cherrypy.process.wspbus.ChannelFailures: OSError("No socket could be created -- ((\'0.0.0.0\', 443): [Errno 13] Permission denied)")',
    'zmq.error.ZMQError: Address already in use',
    'OSError: [Errno 13] Permission denied',
    "Sending event - data = {'return': \"IOError: Port 443 not free on '0.0.0.0'\"}",
    'grep: Port 443 is not free on Mondays',
  ];
  for (const line of lookAlikes) assert.equal(recogniseBindFailure(line), null, line);
});

test('each wording counts as one failed start, with its wrapper and without', () => {
  for (const [error, wording, port] of WORDINGS) {
    if (wording === 'tornado-unable') continue;
    for (const wrapper of [...WRAPPERS, null]) {
      const { events, wordings, ports, pids } = counts(failedStart(error, wrapper));
      assert.equal(events, 1, `${error} / ${wrapper}`);
      assert.deepEqual(wordings, { [wording]: 1 });
      assert.deepEqual(ports, port === null ? [] : [port]);
      assert.deepEqual(pids, [14374]);
    }
  }
});

test('rest_tornado: one event with its traceback, none where the errno is another', () => {
  const tornado = (errno: string): string =>
    `2018-07-13 09:27:57,207 [salt.netapi.rest_tornado][ERROR   ][77] Rest_tornado unable to bind to port 8000\nTraceback (most recent call last):\n  File "tcpserver.py", line 1, in listen\n    sock.bind(sockaddr)\nOSError: ${errno}\n`;
  const inUse = counts(tornado('[Errno 98] Address already in use'));
  assert.equal(inUse.events, 1);
  assert.deepEqual(inUse.wordings, { 'tornado-unable': 1 });
  assert.deepEqual(inUse.ports, [8000]);
  assert.equal(counts(tornado('[Errno 13] Permission denied')).events, 0);
});

test('what a look-alike record says is not counted in a log either', () => {
  const records = [
    failedStart("IOError: Port 8090 not bound on '0.0.0.0'", null),
    failedStart("IOError: Port 443 not free on '0.0.0.0'", null, {
      opening: "[13/Jul/2018:09:27:57] ENGINE Error in 'stop' listener <bound method Server.stop>",
    }),
    // Somebody read the log through Salt: the text is quoted at DEBUG.
    `2018-07-13 09:27:57,207 [salt.utils.event][DEBUG   ][5] Sending event - data = {'return': '\nIOError: Port 443 not free on '0.0.0.0'\n'}\n`,
    "2018-07-13 09:27:57,207 [salt.utils.event][INFO    ][5] IOError: Port 443 not free on '0.0.0.0'\n",
    '2018-07-13 09:27:57,207 [salt.master][ERROR   ][5] Traceback (most recent call last):\n    bind()\nOSError: [Errno 98] Address already in use\n',
    // No traceback, so nothing says that a server tried to bind.
    '2018-07-13 09:27:57,207 [x][ERROR   ][5] hello\nOSError: [Errno 98] Address already in use\n',
  ];
  for (const record of records) assert.equal(counts(record).events, 0, record);
});

test('one failed start is one event; another process, or a later time, is another', () => {
  const error = "IOError: Port 443 not free on '0.0.0.0'";
  const wrapper = WRAPPERS[0];
  const first = failedStart(error, wrapper);
  const httpServer = failedStart('error: No socket could be created', null, {
    opening: 'ENGINE Error in HTTP server: shutting down',
  });
  assert.equal(counts(httpServer + first).events, 1);
  assert.equal(counts(first + failedStart(error, wrapper, { pid: '[14375]' })).events, 2);
  const later = failedStart(error, wrapper, { at: '2018-07-13 09:28:07,001' });
  assert.equal(counts(first + later).events, 2);
});

test('starts are told apart without pids and without times', () => {
  const error = 'portend.Timeout: Port 443 not free on 0.0.0.0.';
  const withoutPid = (at: string): string => failedStart(error, WRAPPERS[5], { at, pid: '' });
  const log = withoutPid('2018-07-13 09:27:57,207') + withoutPid('2018-07-13 09:27:58,607');
  assert.equal(counts(log).events, 2);
  assert.deepEqual(counts(log).pids, []);

  const bare = `Traceback (most recent call last):\n    raise Timeout\n${error}\n\nTraceback (most recent call last):\n    raise exc\n${WRAPPERS[5]}\n\n`;
  const undated = counts(bare.repeat(3));
  assert.equal(undated.events, 3);
  assert.equal(undated.undatedEvents, 3);
  assert.equal(undated.dated, false);
  assert.equal(undated.lastAt, null);
});

test('heads of every format give time, pid and level', () => {
  const at = Date.UTC(2018, 6, 13, 9, 27, 57);
  const table: readonly (readonly [string, number | null, number | null, string | null])[] = [
    ['2018-07-13 09:27:57,207 [cherrypy.error   ][ERROR   ] m', at + 207, null, 'ERROR'],
    ['2018-07-13 09:27:57,207 [cherrypy.error   ][ERROR   ][14374] m', at + 207, 14374, 'ERROR'],
    ['2018-07-13 09:27:57,207 [cherrypy.error :219 ][ERROR   ][1] m', at + 207, 1, 'ERROR'],
    [`2018-07-13 09:27:57,207 [${'x'.repeat(60)}:9 ][DEBUG   ][1] m`, at + 207, 1, 'DEBUG'],
    ['2018-07-13T09:27:57.207Z [a][INFO    ][1] m', at + 207, 1, 'INFO'],
    ['2018-07-13T17:27:57+08:00 [a][INFO    ][1] m', at, 1, 'INFO'],
    ['2018-07-13 17:27:57 +0800 [a][INFO    ][1] m', at, 1, 'INFO'],
    ['2018-07-13 09:27:57 ERROR cherrypy.error m', at, null, 'ERROR'],
    ['[13/Jul/2018:09:27:57] ENGINE m', at, null, null],
    ['[ERROR   ] [13/Jul/2018:09:27:57] ENGINE m', at, null, 'ERROR'],
    ['09:27:57 [ERROR   ][9] [13/Jul/2018:09:27:57] ENGINE m', at, 9, 'ERROR'],
    ['Jul 13 09:27:57 host salt-api[77]: [ERROR   ] m', at, 77, 'ERROR'],
    ['2018-07-13T17:27:57+0800 host salt-api[77]: [ERROR   ] m', at, 77, 'ERROR'],
    ['\0\0\0\x002018-07-13 09:27:57,207 [a][ERROR   ][1] m\r', at + 207, 1, 'ERROR'],
  ];
  for (const [line, time, pid, level] of table) {
    const head = parseLogLine(line, clock);
    assert.deepEqual([head.at, head.pid, head.level, head.opens], [time, pid, level, true], line);
    assert.match(head.message, /m$/);
  }
  for (const line of ['Traceback (most recent call last):', '  File "x"', 'IOError: x', '']) {
    assert.equal(parseLogLine(line, clock).opens, false, line);
  }
  assert.equal(parseLogLine('2018-13-45 09:27:57,207 [a][ERROR   ] m', clock).at, null);
  const december = parseLogLine('Dec 31 23:59:59 host salt-api[7]: x', clock);
  assert.equal(december.at, Date.UTC(2017, 11, 31, 23, 59, 59));
});

test('a local time is read with its host’s zone', () => {
  const line = '2018-07-13 09:27:57,207 [a][ERROR   ][1] m';
  const east = parseLogLine(line, { localTime: fixedOffsetTime(480), now }).at;
  assert.equal(east, Date.UTC(2018, 6, 13, 1, 27, 57, 207));
  const here = parseLogLine(line, { localTime: hostLocalTime, now }).at;
  assert.equal(here, new Date(2018, 6, 13, 9, 27, 57, 207).getTime());
});

test('journal and rsyslog lines: each line has a head, or all are one line', () => {
  const journal = (text: string): string => `2018-07-13T09:27:57+0000 host salt-api[77]: ${text}\n`;
  const block = [
    `[ERROR   ] ${START}`,
    'Traceback (most recent call last):',
    '  File "x"',
    "OSError: Port 443 not free on '0.0.0.0'",
    '[ERROR   ] [13/Jul/2018:09:27:57] ENGINE Shutting down due to error in start listener:',
    'Traceback (most recent call last):',
    WRAPPERS[3],
  ];
  const facts = counts(block.map(journal).join(''));
  assert.equal(facts.events, 1);
  assert.deepEqual(facts.pids, [77]);
  assert.deepEqual(facts.times, [Date.UTC(2018, 6, 13, 9, 27, 57)]);
  const stopped = block.slice(0, 4).join('\n').replace("'start'", "'stop'");
  assert.equal(counts(stopped.split('\n').map(journal).join('')).events, 0);

  const folded = `Jul 13 09:27:57 host salt-api: ${block.slice(0, 4).join('#012')}\n`;
  assert.equal(counts(folded).events, 1);
});

test('deaths of netapi children count, those of salt-master’s processes do not', () => {
  const death = (what: string): string => `Process ${what} (12345) died with exit status`;
  assert.equal(
    recogniseChildDeath(`${death('<function start at 0x7f>')} 70, restarting...`),
    12345,
  );
  const netapi = death("<class 'salt.client.netapi.RunNetapi'>");
  assert.equal(recogniseChildDeath(`${netapi} -9, restarting...`), 12345);
  assert.equal(recogniseChildDeath(`${netapi} None, restarting...`), 12345);
  const worker = death("<class 'salt.master.MWorker'>");
  assert.equal(recogniseChildDeath(`${worker} 1, restarting...`), null);
  const line = `${SALT_HEAD.replace('ERROR', 'INFO')}${netapi} 70, restarting...\n`;
  assert.equal(counts(line).childDeaths, 1);
  assert.equal(counts(line, now).childDeaths, 0);
});

test('the recorded logs', () => {
  const incident = counts(recorded('incident-2018'));
  assert.deepEqual(
    [incident.events, incident.childDeaths, incident.pids, incident.ports],
    [1, 1, [14374], [443]],
  );
  assert.deepEqual(incident.samples, ["IOError: Port 443 not free on '0.0.0.0'"]);
  assert.equal(incident.lastAt, Date.UTC(2018, 6, 13, 9, 27, 57, 207));
  const jammed = counts(recorded('captures-3002/jammed/restarted'));
  assert.equal(jammed.childDeaths, 1);
  assert.deepEqual(jammed.wordings, { 'port-not-free': jammed.events });
  assert.equal(jammed.pids[0], 1602);
  assert.deepEqual(counts(recorded('captures-3002/stopped/restarted')).wordings, {
    'no-socket-created': 1,
  });
  const healthy = counts(recorded('captures-3002/jammed/healthy'));
  assert.deepEqual([healthy.events, healthy.childDeaths, healthy.dated], [0, 0, true]);
  const killed = counts(recorded('captures-3002/child-killed/child-killed'));
  assert.deepEqual([killed.events, killed.childDeaths], [0, 1]);
});

test('only the window counts, and what straddles its start is not counted anew', () => {
  const at = Date.UTC(2018, 6, 13, 9, 27, 57, 207);
  const log = failedStart("IOError: Port 443 not free on '0.0.0.0'", WRAPPERS[0]);
  assert.equal(counts(log, at).events, 1);
  assert.equal(counts(log, at + 1).events, 0);
});

test('times and pids are bounded to the newest, samples are few, masked and printable', () => {
  const many = MAX_EVENT_TIMES + 123;
  const scanner = new ApiLogScanner(null, clock);
  const begin = Date.UTC(2018, 0, 1);
  for (let index = 0; index < many; index += 1) {
    const at = new Date(begin + index * 5_000).toISOString().replace('T', ' ').slice(0, 19);
    const error = `IOError: Port 443 not free on '\x1b[31m${'h'.repeat(400)}${index} password=hunter2'`;
    scanner.push(Buffer.from(failedStart(error, null, { at, pid: `[${index + 1}]` })));
  }
  scanner.endFile();
  const { events, times, pids, samples, firstAt, lastAt } = scanner.counts();
  assert.equal(events, many);
  assert.equal(times.length, MAX_EVENT_TIMES);
  assert.equal(times.at(-1), lastAt);
  assert.equal(lastAt, begin + (many - 1) * 5_000);
  assert.equal(firstAt, begin);
  assert.deepEqual([pids.length, pids.at(-1)], [50, many]);
  assert.ok(samples.length >= 1 && samples.length <= 5);
  for (const text of samples) {
    assert.ok(text.length <= 300);
    assert.doesNotMatch(text, /[\x00-\x1f]|hunter2/);
  }
});

test('CRLF, invalid UTF-8, NULs and a byte order mark do not hide an event', () => {
  const log = failedStart("IOError: Port 443 not free on '0.0.0.0'", WRAPPERS[0]);
  assert.equal(counts(log.replaceAll('\n', '\r\n')).events, 1);
  const noise = Buffer.from([0xff, 0xfe, 0xc3, 0x28, 0x0a]);
  const holes = Buffer.concat([
    Buffer.alloc(200_000),
    Buffer.from(log),
    Buffer.alloc(70_000),
    noise,
  ]);
  const facts = counts(Buffer.concat([noise, holes, Buffer.from(log.replaceAll('14374', '5'))]));
  assert.equal(facts.events, 2);
  assert.deepEqual(facts.pids, [14374, 5]);
  assert.equal(counts(`\ufeff${log}`).events, 1);
});

test('a hole of NULs within a record hides neither its head nor its time', () => {
  const record = (at: string, hole: string) =>
    `2018-07-13 ${at},000 [x][ERROR   ][77] Error in 'start' listener\nTraceback (most recent call last):\n${hole}OSError: Port 443 not free on '0.0.0.0'\n`;
  const holes = ['', '\0', '\0\0\0', '\0'.repeat(3_000), '\0'.repeat(20_000)];
  for (const hole of holes) {
    const { events, pids, dated, firstAt, lastAt } = counts(record('10:00:00', hole));
    assert.deepEqual([events, pids, dated], [1, [77], true], `${hole.length} NULs`);
    assert.notEqual(firstAt, null);
    assert.equal(firstAt, lastAt);
  }
});

test('lines with holes of NULs take linear time', () => {
  const time = (lines: number): number => {
    const began = performance.now();
    counts(`2018-07-13 10:00:00,000 [x][ERROR   ][77] y\n${'\0 not free o\n'.repeat(lines)}`);
    return performance.now() - began;
  };
  time(2_000);
  const [few, many] = [time(2_000), time(16_000)];
  // Eight times as many; each used to go through 400 turns at the same place.
  assert.ok(many < Math.max(few, 20) * 16, `${few} ms, then ${many} ms`);
});

const unrelated = fc.constantFrom(
  '2018-07-13 09:27:57,208 [cherrypy.error   ][INFO    ][14374] ENGINE Bus STOPPING\n',
  "2018-07-13 09:27:51,001 [salt.utils.event ][DEBUG   ][9] Sending event - data = {'a': 'not free on'}\n",
  '2018-07-13 09:27:51,001 [salt.master      ][ERROR   ][9] Unable to bind socket 1.2.3.4:4505, error: [Errno 98] Address already in use\n',
  "2018-07-13 09:27:51,001 [x                ][ERROR   ][9] y\nTraceback (most recent call last):\n  z\nIOError: Port 8090 not bound on '0.0.0.0'\n",
  'no head at all\n',
  '\n',
  `${'x'.repeat(70_000)}\n`,
);
const block = fc
  .tuple(fc.constantFrom(...WORDINGS), fc.integer({ min: 1, max: 9 }), fc.nat({ max: 3_000 }))
  .filter(([[, wording]]) => wording !== 'tornado-unable')
  .map(([[error], pid, minute]) => {
    const at = new Date(Date.UTC(2018, 6, 10, 0, minute)).toISOString().replace('T', ' ');
    return failedStart(error, WRAPPERS[0], { at: at.slice(0, 19), pid: `[${pid}]` });
  });

test('property: unrelated lines, in any order, change no count', () => {
  fc.assert(
    fc.property(
      fc.array(block, { maxLength: 6 }),
      fc.array(unrelated, { maxLength: 12 }),
      fc.infiniteStream(fc.nat()),
      (blocks, noise, seed) => {
        const mixed = [...blocks];
        for (const line of noise) {
          const place = Number(seed.next().value) % (mixed.length + 1);
          mixed.splice(place, 0, line);
        }
        const bare = counts(blocks.join(''));
        const { dated: _, ...rest } = counts(mixed.join(''));
        const { dated: __, ...expected } = bare;
        assert.deepEqual(rest, expected);
      },
    ),
    { numRuns: 200 },
  );
});

test('property: however the bytes are cut, the facts are the same', () => {
  const log = Buffer.concat([
    recorded('captures-3002/jammed/restarted'),
    Buffer.alloc(150_000, 'y'),
    Buffer.from('\n'),
    recorded('incident-2018'),
    Buffer.alloc(100_000),
    recorded('captures-3002/stopped/restarted'),
  ]);
  const whole = counts(log);
  assert.ok(whole.events >= 3);
  const size = fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 200_000 }));
  fc.assert(
    fc.property(fc.array(size, { minLength: 1, maxLength: 40 }), fc.boolean(), (sizes, inPlace) => {
      const scanner = new ApiLogScanner(null, clock);
      const buffer = Buffer.alloc(ApiLogScanner.HEADROOM + 200_000);
      for (let at = 0, turn = 0; at < log.length; turn += 1) {
        // Small pieces only at first, or the run would take long.
        const length = turn < 40 ? (sizes[turn % sizes.length] ?? 1) : 200_000;
        const part = log.subarray(at, at + length);
        at += part.length;
        if (inPlace) {
          part.copy(buffer, ApiLogScanner.HEADROOM);
          scanner.scanBlock(buffer, ApiLogScanner.HEADROOM, ApiLogScanner.HEADROOM + part.length);
        } else scanner.push(part);
      }
      scanner.endFile();
      assert.deepEqual(scanner.counts(), whole);
    }),
    { numRuns: 60 },
  );
});

test('property: any bytes at all are survived', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 2_000 }),
      fc.constantFrom(...WORDINGS),
      (bytes, [error]) => {
        const around = Buffer.from(bytes);
        const facts = counts(Buffer.concat([around, Buffer.from(error), around]));
        assert.ok(facts.events <= 1);
      },
    ),
  );
});
