/** Logs are reduced to what tells of calls alike here and by the script behind ssh, in every shell. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { LocalRawHost } from '../../src/host/local/local-raw-host.ts';
import type { CallLog, RawHost, ReducedLog } from '../../src/host/raw-host.ts';
import { SshRawHost } from '../../src/host/ssh/ssh-raw-host.ts';
import { runnerIn, SHELLS } from '../ssh/shells.ts';

const PATIENCE_MS = 60_000;
const LOGS = 12;
let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'salt-triage-calls-'));
  mkdirSync(join(directory, 'applets'));
  for (const name of ['awk', 'date', 'grep', 'gzip', 'head', 'ls', 'tail', 'tr', 'wc']) {
    symlinkSync('/bin/busybox', join(directory, 'applets', name));
  }
});
after(() => rmSync(directory, { recursive: true, force: true }));

const HERE = new LocalRawHost();
const BEHIND = SHELLS.map((shell) => {
  // With busybox its own awk, grep and the rest.
  const before = () => (shell[0] === 'busybox' ? `PATH=${directory}/applets:$PATH\n` : '');
  const host: RawHost = new SshRawHost(runnerIn(shell, { before }), PATIENCE_MS);
  return [shell.join(' '), host] as const;
});

/** With its lines in an order that both sides share. */
function sorted(logs: readonly ReducedLog[]) {
  return logs.map(({ lines, ...log }) => ({ ...log, lines: [...lines].toSorted() }));
}

const two = (value: number) => String(value).padStart(2, '0');
const word = fc.oneof(
  fc.constantFrom('curl/7.88.1', 'cmdb/2.1', 'a b', '-', '', 'ypy.access.', '[api_acl] A'),
  fc.constantFrom('\\"', '\\', 'x"y', ' - ', '] "', '\t', 'ä', '\\x1b[31m', 'z'.repeat(90)),
  fc.string({ maxLength: 6 }),
);
const words = fc
  .array(word, { maxLength: 4 })
  .map((parts) => parts.join('').replace(/[\r\n]/g, ''));
const time = fc
  .record({ minute: fc.integer({ min: 0, max: 2 }), second: fc.integer({ min: 0, max: 59 }) })
  .map(({ minute, second }) => `00:${two(minute)}:${two(second)}`);
const address = fc.constantFrom(
  '10.2.3.4',
  '::1',
  'client.example',
  '1'.repeat(64),
  '1'.repeat(65),
);
const request = fc.oneof(
  fc.constantFrom(
    'POST / HTTP/1.1',
    'POST /login HTTP/1.1',
    'GET /jobs/2018 HTTP/1.1',
    'GET /a?t=1',
  ),
  fc.constantFrom('GET /', 'GET //x', 'GET /Ab HTTP/1.1', '', '-'),
  words,
);
const ncsa = fc
  .record({
    time,
    address,
    request,
    agent: words,
    referer: words,
    status: fc.constantFrom('200', '503', '-'),
  })
  .map(({ time: at, address: who, request: what, agent, referer, status }) => {
    return `${who} - - [24/Nov/2026:${at}] "${what}" ${status} 146 "${referer}" "${agent}"`;
  });
const head = fc
  .record({
    time,
    pid: fc.constantFrom('', '[37]', '[537][1400]'),
    form: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ time: at, pid, form }) => (logger: string) => {
    const rest = `[${logger.padEnd(17)}:284 ][INFO    ]${pid}`;
    const stamps = [
      `2026-11-24 ${at},542 `,
      `[2026-11-24 ${at}] `,
      `Nov 24 ${at} salt salt-api[1]: `,
      '',
    ];
    return `${stamps[form]}${rest}`;
  });
const line = fc.oneof(
  ncsa,
  fc.constant(
    '[cherrypy.access.1 ][INFO ] ::1 - - [24/Nov/2026:00:20:59] "GET /" 200 1 "" "[api_acl] A"',
  ),
  fc.tuple(head, ncsa).map(([of, call]) => `${of('cherrypy.access.1398')} ${call}`),
  fc.tuple(head, words, address).map(([of, user, who]) => {
    return `${of('salt.netapi.app')} [api_acl] Authentication not checked for user ${user} from IP ${who}`;
  }),
  fc
    .tuple(head, words)
    .map(([of, text]) => `${of('salt.client')} get_iter_returns for jid ${text}`),
  fc
    .tuple(head, ncsa)
    .map(([of, call]) => `${of('salt.event')} ${'x'.repeat(90)} cherrypy.access.1 ${call}`),
  fc.tuple(ncsa, fc.integer({ min: 0, max: 90 })).map(([call, length]) => call.slice(0, length)),
  words,
);
const log = fc.record({
  lines: fc.array(line, { maxLength: 25 }),
  end: fc.constantFrom('\n', '', '\r\n', '\0\n'),
  gzipped: fc.boolean(),
  everyLine: fc.boolean(),
  left: fc.oneof(fc.constant(1_000_000), fc.integer({ min: 1, max: 2_000 })),
});

describe('logs with calls', () => {
  it('of any kind are reduced alike here and behind ssh', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(log, { minLength: LOGS, maxLength: LOGS }), async (logs) => {
        const asked = logs.map(({ lines, end, gzipped, everyLine, left }, index): CallLog => {
          const path = join(directory, `log ${index}${gzipped ? '.gz' : ''}`);
          const bytes = Buffer.from(lines.join('\n') + end);
          writeFileSync(path, gzipped ? gzipSync(bytes) : bytes);
          // What more comes out of a gzipped one than was asked for is cut where either reads up to.
          return { path, everyLine, bytes: gzipped ? 1_000_000 : left };
        });
        const here = sorted(await HERE.readCalls(asked, PATIENCE_MS));
        assert.equal(here.length, LOGS);
        for (const [name, behind] of BEHIND) {
          assert.deepEqual(sorted(await behind.readCalls(asked, PATIENCE_MS)), here, name);
        }
      }),
      { numRuns: 4 },
    );
  });

  for (const [name, host] of [['this host', HERE] as const, ...BEHIND]) {
    const CALL = '10.2.3.4 - - [24/Nov/2026:00:20:59] "POST / HTTP/1.1" 200 146 "" "cmdb/2.1"\n';
    const KEY = 'call\t-\t10.2.3.4\t24/Nov/2026:00:20\tPOST /\tcmdb/2.1';
    const at = (path: string) => join(directory, path);

    it(`are read as far from their end as was asked, without the line that this cuts: ${name}`, async () => {
      writeFileSync(at('tail'), CALL.repeat(100));
      const bytes = CALL.length * 10 + 5;
      const [tail] = await host.readCalls(
        [{ path: at('tail'), bytes, everyLine: true }],
        PATIENCE_MS,
      );
      assert.deepEqual([tail?.bytesRead, tail?.complete], [bytes, true]);
      assert.deepEqual([...(tail?.lines ?? [])], [[KEY, 10]]);
    });

    it(`that unpack to more than was asked are not complete: ${name}`, async () => {
      writeFileSync(at('bomb.gz'), gzipSync(CALL.repeat(10_000)));
      const [bomb] = await host.readCalls(
        [{ path: at('bomb.gz'), bytes: 5_000, everyLine: true }],
        PATIENCE_MS,
      );
      assert.equal(bomb?.complete, false);
    });

    it(`that are not there, or no files, are left out, and damaged ones do no harm: ${name}`, async () => {
      writeFileSync(at('damaged.gz'), 'no gzip');
      writeFileSync(at('good'), CALL);
      const paths = ['missing', '.', 'damaged.gz', 'good'].map(at);
      const logs = paths.map((path) => ({ path, bytes: 1_000, everyLine: true }));
      const read = await host.readCalls(logs, PATIENCE_MS);
      assert.deepEqual(
        [...(read.find(({ path }) => path === at('good'))?.lines ?? [])],
        [[KEY, 1]],
      );
      assert.deepEqual(read.filter(({ lines }) => lines.size > 0).length, 1);
    });
  }

  it('are read from their end where the time is up, and small ones whole', async () => {
    const old = '9.9.9.9 - - [23/Nov/2026:00:20:59] "POST / HTTP/1.1" 200 146 "" "old"\n';
    const call = '10.2.3.4 - - [24/Nov/2026:00:20:59] "POST / HTTP/1.1" 200 146 "" "new"\n';
    const path = join(directory, 'long');
    writeFileSync(path, old.repeat(30_000));
    appendFileSync(path, call.repeat(30_000));
    const logs = [{ path, bytes: 1e9, everyLine: true }];
    const [late] = await HERE.readCalls(logs, -1);
    assert.equal(late?.complete, false);
    assert.ok((late?.bytesRead ?? 0) > 0);
    assert.deepEqual(
      [...(late?.lines.keys() ?? [])].map((key) => key.split('\t').at(-1)),
      ['new'],
    );
  });

  it('do not depend on where they are cut into blocks', async () => {
    const path = join(directory, 'blocks');
    // 3 MiB, of lines whose length divides no block.
    const lines = Array.from({ length: 30_000 }, (_, index) => {
      return `10.2.3.${index % 7} - - [24/Nov/2026:00:20:59] "POST / HTTP/1.1" 200 ${index} "" "cmdb/2.1"`;
    });
    writeFileSync(path, `${lines.join('\n')}\n`);
    const [read] = await HERE.readCalls([{ path, bytes: 1e9, everyLine: true }], PATIENCE_MS);
    const calls = [...(read?.lines.values() ?? [])].reduce((sum, times) => sum + times, 0);
    assert.deepEqual([calls, read?.lines.size], [30_000, 7]);
  });
});
