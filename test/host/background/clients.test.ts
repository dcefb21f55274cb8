/** Who called, read from logs as they lie about: rotated, gzipped, huge, in two places, hostile. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { ClientsFacts } from '../../../src/evidence/clients-facts.ts';
import { blind, type Evidence, type Look, seen } from '../../../src/evidence/evidence.ts';
import {
  boundedEvidence,
  parseEvidence,
  writeEvidence,
} from '../../../src/evidence/evidence-file.ts';
import { readClients } from '../../../src/host/background/clients.ts';
import { LocalRawHost } from '../../../src/host/local/local-raw-host.ts';
import type { RawHost } from '../../../src/host/raw-host.ts';
import { SshRawHost } from '../../../src/host/ssh/ssh-raw-host.ts';
import { evidenceOf } from '../../diagnosis/situation.ts';
import { runnerIn, SHELLS } from '../../ssh/shells.ts';
import { LOOK_REQUEST } from '../look-request.ts';

const MINUTE = 60_000;
/** The clock of situation.ts, 03:00. */
const NOW = Date.UTC(2024, 4, 2, 3);
let directory: string;
let log: string;
let accessFile: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'salt-triage-clients-'));
});
beforeEach(() => {
  rmSync(directory, { recursive: true });
  mkdirSync(directory);
  log = join(directory, 'api');
  accessFile = join(directory, 'access');
});
after(() => rmSync(directory, { recursive: true, force: true }));

const HOSTS: readonly (readonly [string, RawHost])[] = [
  ['this host', new LocalRawHost()],
  ...SHELLS.slice(0, 1).map(
    (shell) => ['a host behind ssh', new SshRawHost(runnerIn(shell), 60_000)] as const,
  ),
];

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** One access line, so many minutes before now. */
function call(
  minutesAgo: number,
  address = '10.2.3.4',
  request = 'POST /',
  agent = 'cmdb/2.1',
): string {
  const [date = '', time = ''] = new Date(NOW - minutesAgo * MINUTE).toISOString().split('T');
  const [year, month, day] = date.split('-');
  const stamp = `${day}/${MONTHS[Number(month) - 1]}/${year}:${time.slice(0, 8)}`;
  return `${address} - - [${stamp}] "${request} HTTP/1.1" 200 146 "" "${agent}"`;
}

/** As it stands in Salt's own log. */
function logged(line: string): string {
  return `2024-05-01 00:00:00,542 [cherrypy.access.139883199361376          :284 ][INFO    ][37] ${line}`;
}

function write(path: string, lines: readonly string[], minutesAgo = 0): void {
  const text = lines.map((line) => `${line}\n`).join('');
  writeFileSync(path, path.endsWith('.gz') ? gzipSync(text) : text);
  const modified = (NOW - minutesAgo * MINUTE) / 1000;
  utimesSync(path, modified, modified);
}

function basisOf(more: Partial<Evidence> = {}): Evidence {
  const evidence = evidenceOf({ processes: [] });
  assert.ok(evidence.apiLog.seen);
  const source = { kind: 'file', path: log, origin: 'option' } as const;
  return { ...evidence, apiLog: seen({ ...evidence.apiLog.value, source }), ...more };
}

function withAccessFile(): Partial<Evidence> {
  const { config } = basisOf();
  assert.ok(config.seen);
  const options = { 'rest_cherrypy.log_access_file': accessFile };
  return { config: seen({ ...config.value, options }) };
}

function look(raw: RawHost, more: Partial<Evidence> = {}): Promise<Look<ClientsFacts>> {
  return readClients({ raw, evidence: basisOf(more), request: LOOK_REQUEST });
}

async function read(raw: RawHost, more: Partial<Evidence> = {}): Promise<ClientsFacts> {
  const found = await look(raw, more);
  assert.ok(found.seen, found.seen ? '' : found.why);
  return found.value;
}

const callsOf = ({ clients }: ClientsFacts) =>
  Object.fromEntries(clients.map(({ address, agent, calls }) => [`${address} ${agent}`, calls]));

for (const [name, raw] of HOSTS) {
  describe(`who called, on ${name}`, () => {
    it('is counted by minute, address and agent, the busiest first', async () => {
      write(log, [
        logged(call(5)),
        logged(call(5)),
        logged(call(3, '10.9.9.9', 'GET /', 'check/1')),
        logged(call(2, '10.2.3.4', 'POST /login')),
      ]);
      const facts = await read(raw);
      assert.deepEqual(callsOf(facts), { '10.2.3.4 cmdb/2.1': 3, '10.9.9.9 check/1': 1 });
      assert.deepEqual(facts.all, { firstMinute: NOW - 5 * MINUTE, counts: [2, 0, 1, 1] });
      const [cmdb] = facts.clients;
      assert.deepEqual([cmdb?.counts, cmdb?.kinds.run, cmdb?.kinds.login], [[2, 0, 0, 1], 2, 1]);
      assert.deepEqual([facts.from, facts.lastCallAt], [NOW - 5 * MINUTE, NOW - 2 * MINUTE]);
      assert.equal(facts.reach, 'all');
    });

    it('is who has the sockets, where the server listens on IPv6 as well', async () => {
      write(log, [logged(call(5, '::ffff:10.2.3.4')), logged(call(4, '2001:db8::1'))]);
      const addresses = (await read(raw)).clients.map(({ address }) => address);
      assert.deepEqual(addresses.toSorted(), ['10.2.3.4', '2001:db8::1']);
    });

    it('is counted in the zone of the host', async () => {
      write(log, [logged(call(5))]);
      const { host } = basisOf();
      const facts = await read(raw, { host: { ...host, utcOffsetMinutes: 120 } });
      assert.equal(facts.lastCallAt, NOW - 125 * MINUTE);
    });

    it('is read from rotated and gzipped logs too, as far as 48 h before the last call', async () => {
      write(log, [logged(call(1))]);
      write(`${log}.1`, [logged(call(100)), logged(call(90))], 90);
      write(`${log}-20240501.gz`, [logged(call(1000)), logged(call(3000))], 800);
      write(`${log}.3`, [logged(call(3500))], 3500);
      write(`${log}.4.xz`, ['packed'], 2000);
      write(`${log}.conf`, [logged(call(1))]);
      const facts = await read(raw);
      assert.deepEqual(callsOf(facts), { '10.2.3.4 cmdb/2.1': 4 });
      assert.equal(facts.reach, 'window');
      assert.deepEqual(
        facts.logs.map(({ path, calls }) => [path.slice(directory.length), calls]),
        [
          ['/api', 1],
          ['/api.1', 2],
          ['/api-20240501.gz', 2],
        ],
      );
      assert.match(facts.notes.join(), /api\.4\.xz was not read: only gzip/);
    });

    it('is read up to a log that can not be: what lies behind it is no silence', async () => {
      write(log, [logged(call(1))]);
      write(`${log}.1.xz`, ['packed'], 90);
      write(`${log}.2`, [logged(call(900))], 800);
      const facts = await read(raw);
      assert.deepEqual([facts.from, facts.reach], [NOW - MINUTE, 'unread']);
      assert.match(facts.notes.join(), /api\.1\.xz was not read: only gzip/);
    });

    it('counts a call once that stands in log_access_file and in the API log', async () => {
      write(accessFile, [call(5), call(4)]);
      write(log, [logged(call(9)), logged(call(5)), logged(call(4))]);
      const facts = await read(raw, withAccessFile());
      assert.deepEqual(callsOf(facts), { '10.2.3.4 cmdb/2.1': 3 });
      assert.equal(facts.accessFile, accessFile);
      assert.deepEqual(
        facts.logs.map(({ kind }) => kind),
        ['access-file', 'api-log'],
      );
    });

    it('is read from log_access_file alone where there is no API log', async () => {
      write(accessFile, [call(5)]);
      const facts = await read(raw, { ...withAccessFile(), apiLog: blind('missing', 'gone') });
      assert.deepEqual(callsOf(facts), { '10.2.3.4 cmdb/2.1': 1 });
    });

    it('keeps no secret, no control character, and twenty clients', async () => {
      const agents = [
        'a\x1b[31mb',
        'x token=5f3ab1',
        ...Array.from({ length: 30 }, (_, n) => `n${n}`),
      ];
      write(
        log,
        agents.map((agent) => logged(call(1, '10.2.3.4', 'GET /events?token=5f3ab1', agent))),
      );
      const facts = await read(raw);
      assert.equal(facts.clients.length, 20);
      assert.equal(facts.furtherClients, 12);
      assert.doesNotMatch(JSON.stringify(facts), /5f3ab1|\\u001b/);
    });

    it('survives being saved and read again', async () => {
      write(log, [logged(call(5)), logged(call(3, '10.9.9.9', 'GET /', ''))]);
      const clients = seen(await read(raw));
      const evidence = basisOf();
      const saved = { ...evidence, background: { ...evidence.background, clients } };
      assert.deepEqual(
        parseEvidence(writeEvidence(boundedEvidence(saved))).background.clients,
        clients,
      );
    });
  });
}

describe('who called', () => {
  const raw = new LocalRawHost();

  it('before the jam of 2026: 101 logins begun, one ended, two calls that came to their end', async () => {
    log = fileURLToPath(
      new URL('../../recorded/captures-3002/jammed/hung/api.log', import.meta.url),
    );
    const facts = await read(raw);
    assert.deepEqual(facts.logins, [{ address: '127.0.0.1', user: 'lab', count: 101 }]);
    const [logins] = facts.processLogins;
    assert.deepEqual([logins?.pid, logins?.begun, logins?.ended], [37, 101, 1]);
    assert.deepEqual(callsOf(facts), { '127.0.0.1 curl/7.88.1': 2 });
  });

  it('is unknown, with the reason, where no log can be read', async () => {
    const why = async (more: Partial<Evidence> = {}) => {
      const found = await look(raw, more);
      return found.seen ? null : found.why;
    };
    assert.equal(await why(), `${log} could not be read`);
    write(log, []);
    assert.equal(await why(), `${log} is empty`);
    assert.equal(await why({ apiLog: blind('permission', 'run as root') }), 'run as root');
    const { apiLog } = basisOf();
    assert.ok(apiLog.seen);
    const journal = seen({
      ...apiLog.value,
      source: { kind: 'journal', unit: 'salt-api' } as const,
    });
    assert.match((await why({ apiLog: journal })) ?? '', /journal, which is not searched/);
  });

  it('is told of a log without calls by what it has not', async () => {
    write(log, ['2024-05-01 00:00:00,542 [salt.utils.parsers :1 ][WARNING ][37] Exiting.']);
    const facts = await read(raw);
    assert.deepEqual(
      [facts.from, facts.lastCallAt, facts.all.counts, facts.clients],
      [null, null, [], []],
    );
  });

  it('is read of a gibibyte as far as 64 MiB from its end go', async () => {
    write(log, []);
    truncateSync(log, 1024 ** 3);
    writeFileSync(log, `\n${logged(call(1))}\n`, { flag: 'a' });
    const facts = await read(raw);
    // A hole is read fast; where the machine does not, time is the bound.
    assert.ok(facts.reach === 'bytes' || facts.reach === 'time', facts.reach);
    assert.ok((facts.logs[0]?.bytesRead ?? 0) <= 64 * 1024 ** 2);
    assert.deepEqual(callsOf(facts), { '10.2.3.4 cmdb/2.1': 1 });
  });
});
