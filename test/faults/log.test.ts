import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { hostLocalTime } from '../../src/evidence/api-log-lines.ts';
import type { ApiLogFacts } from '../../src/evidence/evidence.ts';
import { readApiLog } from '../../src/host/local/api-log.ts';
import { writeLog } from '../bench/staged-load.ts';

const MIB = 1024 * 1024;
const BYTES_PER_SECOND = 50 * MIB;

/** Appends debug lines, and reopens the path for each piece as a logger after logrotate does. */
const WRITER = `
  const { appendFileSync } = require('node:fs');
  const piece = Buffer.from(('2026-11-24 00:00:00,000 [salt.utils.event :322 ][DEBUG   ][1580] MasterEvent PUB socket URI: /var/run/salt/master\\n').repeat(9000));
  const began = Date.now();
  let written = 0;
  setInterval(() => {
    while (written < (Date.now() - began) / 1000 * ${BYTES_PER_SECOND}) {
      appendFileSync(process.argv[1], piece);
      written += piece.length;
    }
  }, 5);
  process.stdin.resume().on('end', () => { process.stdout.write(String(written / (Date.now() - began) * 1000)); process.exit(); });
  appendFileSync(process.argv[1], piece);
`;

describe('a log that grows at 50 MB/s', () => {
  let directory: string;
  let log: string;
  let writer: ChildProcess;
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'salt-triage-log-'));
    log = join(directory, 'api');
    writeLog(log, 96 * MIB, 443);
    const size = statSync(log).size;
    writer = spawn(process.execPath, ['--eval', WRITER, log], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const deadline = Date.now() + 10_000;
    while (statSync(log).size === size && Date.now() < deadline) await delay(5);
  });
  afterEach(async () => {
    if (writer.exitCode === null && writer.signalCode === null) {
      writer.kill('SIGKILL');
      await once(writer, 'exit');
    }
    rmSync(directory, { recursive: true, force: true });
  });

  async function look(): Promise<ApiLogFacts> {
    const found = await readApiLog({
      path: log,
      origin: 'option',
      windowFrom: null,
      now: Date.now(),
      localTime: hostLocalTime,
      timeoutMs: 20_000,
    });
    assert.ok(found.seen, JSON.stringify(found));
    return found.value;
  }

  it('is read up to where it was, and counted in full', async (t) => {
    let took = 0;
    for (let count = 0; count < 5; count += 1) {
      const before = statSync(log).size;
      const began = performance.now();
      const { events, files } = await look();
      took = Math.max(took, performance.now() - began);
      assert.equal(events, 90);
      const read = files[0]?.bytesRead ?? 0;
      assert.ok(read >= before && read <= statSync(log).size);
    }
    writer.stdin?.end();
    let rate = '';
    for await (const text of writer.stdout?.setEncoding('utf8') ?? []) rate += text;
    t.diagnostic(
      `grew by ${(Number(rate) / MIB).toFixed(0)} MiB/s; the longest look took ${took.toFixed(0)} ms`,
    );
    assert.ok(took < 10_000);
  });

  it('rotated in the middle, it is read to the end and the rotation told', async () => {
    const note = await noteOf(/rotated while it was read/, () => {
      renameSync(log, `${log}.1`);
      writeFileSync(log, '');
    });
    assert.equal(note.events, 90);
  });

  it('truncated in the middle, it is counted up to there and that is told', async () => {
    const note = await noteOf(/shrank while it was read/, () => truncateSync(log, 2 * MIB));
    assert.ok(note.events <= 90);
  });

  /** Looks until what happens meanwhile comes in the middle of one; each is an answer anyway. */
  async function noteOf(note: RegExp, happen: () => void): Promise<ApiLogFacts> {
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const found = look();
      await delay(attempt);
      happen();
      const facts = await found;
      if (facts.notes.some((text) => note.test(text))) return facts;
      rmSync(`${log}.1`, { force: true });
      writeLog(log, 96 * MIB, 443);
    }
    return assert.fail(`no look was in time for ${note}`);
  }
});
