import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fixedOffsetTime } from '../../src/evidence/api-log-lines.ts';
import { type ApiLogCounts, ApiLogScanner } from '../../src/evidence/api-log-scan.ts';
import { MAX_LOG_PORTS, MAX_START_FAILURES } from '../../src/evidence/evidence.ts';

const now = Date.UTC(2026, 10, 25, 12);
const clock = { localTime: fixedOffsetTime(0), now };

function counts(log: string, windowFrom: number | null = null): ApiLogCounts {
  const scanner = new ApiLogScanner(windowFrom, clock);
  scanner.push(Buffer.from(log));
  scanner.endFile();
  return scanner.counts();
}

/** The reasons, each with its port and how often. */
function reasons(log: string) {
  return counts(log).startFailures.map(({ kind, port, count }) => [kind, port, count]);
}

const head = (pid: number, second = 0, logger = 'cherrypy.error') =>
  `2026-11-25 11:59:${String(second).padStart(2, '0')},500 [${logger} :213 ][ERROR   ][${pid}] `;

/** Both records that CherryPy writes of an exception in a start listener. */
function failedStart(pid: number, exception: string, second = 0): string {
  const [, name = '', words = ''] = /^(?:\w+\.)*(\w+): (.*)$/s.exec(exception) ?? [];
  return [
    `${head(pid, second)}[25/Nov/2026:11:59:00] ENGINE Error in 'start' listener <bound method Server.start of <cherrypy._cpserver.Server object at 0x7f>>`,
    'Traceback (most recent call last):',
    '  File "/usr/lib/python3/dist-packages/cherrypy/process/wspbus.py", line 230, in publish',
    '    output.append(listener(*args, **kwargs))',
    '                  ^^^^^^^^^^^^^^^^^^^^^^^^^',
    exception,
    '',
    `${head(pid, second)}[25/Nov/2026:11:59:00] ENGINE Shutting down due to error in start listener:`,
    'Traceback (most recent call last):',
    '  File "/usr/lib/python3/dist-packages/cherrypy/process/wspbus.py", line 268, in start',
    "    self.publish('start')",
    `cherrypy.process.wspbus.ChannelFailures: ${name}(${JSON.stringify(words)})`,
    '',
    '',
  ].join('\n');
}

/** What CherryPy's thread says of a socket, as Debian's 18.8.0 does. */
function failedSocket(pid: number, errno: string, second = 0): string {
  return [
    `${head(pid, second)}[25/Nov/2026:11:59:00] ENGINE Error in HTTP server: shutting down`,
    'Traceback (most recent call last):',
    '  File "/usr/lib/python3/dist-packages/cheroot/server.py", line 1788, in prepare',
    '    raise socket.error(msg)',
    `OSError: No socket could be created -- (('0.0.0.0', 443): ${errno})`,
    '',
    '',
  ].join('\n');
}

/** What RunNetapi logs of an exception since 2019.2 (salt-facts §1.5). */
function unhandled(pid: number, exception: string, name = 'RunNetapi-1', second = 0): string {
  return [
    `${head(pid, second, 'salt.utils.process')}An un-handled exception from the multiprocessing process '${name}' was caught:`,
    'Traceback (most recent call last):',
    '  File "/usr/lib/python3/dist-packages/salt/utils/process.py", line 1, in wrapped_run_func',
    '    return run_func()',
    exception,
    '',
  ].join('\n');
}

describe('a start that failed for another reason than a held port', () => {
  const certificate =
    'Exception: Could not find a certificate: /etc/pki/api.crt\nIf you want to quickly generate a self-signed certificate, use the tls.create_self_signed_cert function in Salt';
  const tables: readonly (readonly [string, string, unknown])[] = [
    [
      'a port below 1024',
      failedSocket(1, '[Errno 13] Permission denied'),
      ['bind-permission', 443, 1],
    ],
    [
      'an address that is not ours',
      failedSocket(1, '[Errno 99] Cannot assign requested address'),
      ['bind-address', 443, 1],
    ],
    [
      'a host without a name',
      failedStart(1, 'socket.gaierror: [Errno -2] Name or service not known'),
      ['bind-address', null, 1],
    ],
    [
      'a certificate that is none',
      failedStart(1, 'ssl.SSLError: [SSL] PEM lib (_ssl.c:3874)'),
      ['certificate', null, 1],
    ],
    [
      'a key of another certificate',
      failedStart(1, 'ssl.SSLError: [X509: KEY_VALUES_MISMATCH] key values mismatch (_ssl.c:3895)'),
      ['certificate', null, 1],
    ],
    [
      'a key that may not be read',
      failedStart(1, 'PermissionError: [Errno 13] Permission denied'),
      ['permission', null, 1],
    ],
    ['a certificate that is missing', unhandled(1, certificate), ['certificate', null, 1]],
    [
      'the same by 3006',
      unhandled(1, certificate, 'RunNetapi(salt.loaded.int.netapi.rest_cherrypy)'),
      ['certificate', null, 1],
    ],
    [
      'a module that is missing',
      unhandled(1, "ModuleNotFoundError: No module named 'cherrypy'"),
      ['import', null, 1],
    ],
    ['anything else', unhandled(1, "KeyError: 'rest_cherrypy.start'"), ['exception', null, 1]],
    [
      'options that are missing',
      `${head(1)}Not starting 'salt.loaded.int.netapi.rest_cherrypy'. Options 'ssl_crt' and 'ssl_key' are required if SSL is not disabled.\n`,
      ['tls-options', null, 1],
    ],
    [
      'a port that is missing',
      `${head(1)}Not loading 'salt.loaded.int.netapi.rest_cherrypy'. 'port' not specified in config\n`,
      ['no-port', null, 1],
    ],
    [
      'CherryPy that is missing',
      `${head(1)}Not loading 'rest_cherrypy'. Error loading CherryPy: No module named cherrypy\n`,
      ['import', null, 1],
    ],
    [
      'nothing that is configured',
      `${head(1)}Did not find any netapi configurations, nothing to start\n`,
      ['no-netapi', null, 1],
    ],
    [
      'rest_tornado on a port below 1024',
      `${head(1, 0, 'salt.netapi.rest_tornado')}Rest_tornado unable to bind to port 443\nTraceback (most recent call last):\n  File "x"\nPermissionError: [Errno 13] Permission denied\n`,
      ['bind-permission', 443, 1],
    ],
    [
      'what multiprocessing prints to the journal',
      [
        'Process Process-1:1:',
        'Traceback (most recent call last):',
        '  File "x"',
        certificate.split('\n')[0],
      ]
        .map((text) => `2026-11-25T11:59:00+0000 host salt-api[77]: ${text}\n`)
        .join(''),
      ['certificate', null, 1],
    ],
    [
      'a record that rsyslog has folded',
      `${unhandled(1, certificate).trimEnd().replaceAll('\n', '#012')}\n`,
      ['certificate', null, 1],
    ],
  ];
  for (const [what, log, reason] of tables) {
    it(`is told by its reason: ${what}`, () => {
      assert.deepEqual(reasons(log), [reason]);
      assert.equal(counts(log).events, 0, 'it is no failed bind');
    });
  }

  it('says which module the log names, and shows the line', () => {
    const [failure] = counts(
      `${head(1)}Not loading 'salt.loaded.int.netapi.rest_tornado'. 'port' not specified in config\n`,
    ).startFailures;
    assert.equal(failure?.module, 'rest_tornado');
    assert.equal(failure?.lastAt, Date.UTC(2026, 10, 25, 11, 59, 0, 500));
    assert.match(
      counts(unhandled(1, certificate)).startFailures[0]?.sample ?? '',
      /^Exception: Could not find a certificate: \/etc\/pki\/api.crt$/,
    );
  });

  it('counts once for all that one process says of it, and again for the next', () => {
    const one = (pid: number, second: number) =>
      failedSocket(pid, '[Errno 13] Permission denied', second) +
      failedStart(
        pid,
        "OSError: No socket could be created -- (('0.0.0.0', 443): [Errno 13] Permission denied)",
        second,
      );
    assert.deepEqual(reasons(one(1, 0)), [['bind-permission', 443, 1]]);
    assert.deepEqual(reasons(one(1, 0) + one(2, 10) + one(3, 20)), [['bind-permission', 443, 3]]);
  });

  it('is not counted where a start failed for a held port', () => {
    const held = failedStart(1, "OSError: Port 443 not free on '0.0.0.0'");
    assert.deepEqual(reasons(held), []);
    assert.deepEqual(reasons(failedSocket(1, '[Errno 98] Address already in use')), []);
    assert.equal(counts(held).events, 1);
  });

  it('is not one where another child than the API ended, such as a salt-ssh call', () => {
    assert.deepEqual(reasons(unhandled(1, 'TypeError: x', 'Process-1:335')), []);
  });

  it('is not one where somebody quotes it', () => {
    const quoted = unhandled(1, certificate).replace('[ERROR   ]', '[DEBUG   ]');
    assert.deepEqual(reasons(quoted), []);
    assert.deepEqual(
      reasons(`${head(1)}cat said: Did not find any netapi configurations, nothing to start\n`),
      [],
    );
    assert.deepEqual(
      reasons(
        failedStart(1, 'OSError: x')
          .replace("'start' listener", "'stop' listener")
          .split('\n\n')[0] ?? '',
      ),
      [],
    );
  });

  it('counts within the window alone, and masks what is secret', () => {
    const log = unhandled(1, 'Exception: no login with password=hunter2');
    assert.deepEqual(counts(log, now).startFailures, []);
    assert.doesNotMatch(counts(log).startFailures[0]?.sample ?? '', /hunter2/);
  });

  it('is kept for so many reasons, the newest', () => {
    const log = Array.from({ length: 30 }, (_, index) =>
      failedSocket(index, '[Errno 13] Permission denied', index).replace(
        '443',
        String(500 + index),
      ),
    ).join('');
    const { startFailures } = counts(log);
    assert.equal(startFailures.length, MAX_START_FAILURES);
    assert.equal(startFailures.at(-1)?.port, 529);
  });
});

describe('failed binds of several ports', () => {
  const bind = (port: number | null, pid: number, second: number) =>
    failedStart(
      pid,
      port === null
        ? 'error: No socket could be created'
        : `OSError: Port ${port} not free on '0.0.0.0'`,
      second,
    );

  it('are added up by port, and all together as before', () => {
    const log = [0, 10, 20].map(
      (second) => bind(443, second + 1, second) + bind(8000, second + 2, second + 5),
    );
    const all = counts(log.join('') + bind(null, 99, 40));
    assert.equal(all.events, 7);
    assert.deepEqual(
      all.byPort.map(({ port, events, pids }) => [port, events, pids]),
      [
        [443, 3, [1, 11, 21]],
        [8000, 3, [2, 12, 22]],
        [null, 1, [99]],
      ],
    );
    assert.deepEqual(
      all.byPort[1]?.times,
      [5, 15, 25].map((second) => Date.UTC(2026, 10, 25, 11, 59, second, 500)),
    );
  });

  it('of one second are two where the log tells no pids', () => {
    const log = (bind(443, 1, 0) + bind(8000, 2, 0)).replaceAll(/\[\d\] /g, ' ');
    assert.deepEqual(
      counts(log).byPort.map(({ port, events }) => [port, events]),
      [
        [443, 1],
        [8000, 1],
      ],
    );
  });

  it('are kept of so many ports', () => {
    const log = Array.from({ length: 15 }, (_, index) => bind(1000 + index, index, index)).join('');
    const { byPort, events } = counts(log);
    assert.deepEqual([byPort.length, events], [MAX_LOG_PORTS, 15]);
  });
});
