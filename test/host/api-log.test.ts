import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, open, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { fixedOffsetTime, hostLocalTime } from '../../src/evidence/api-log-lines.ts';
import type { ApiLogFacts, Look } from '../../src/evidence/evidence.ts';
import { readApiLog } from '../../src/host/local/api-log.ts';
import { readJournal } from '../../src/host/local/journal.ts';
import { type LogThreadOptions, readApiLogAside } from '../../src/host/local/log-thread.ts';
import { writeLog } from '../bench/staged-load.ts';

const HOUR = 3_600_000;
const now = Date.UTC(2026, 6, 13, 12);
const localTime = fixedOffsetTime(0);

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'salt-triage-log-'));
});
after(() => rm(directory, { recursive: true, force: true }));

let made = 0;
/** A directory of its own for each test, and the path of the log in it. */
async function place(): Promise<string> {
  made += 1;
  const path = join(directory, String(made));
  execFileSync('mkdir', [path]);
  return join(path, 'api');
}

function read(
  path: string,
  limits: { windowFrom?: number | null; timeoutMs?: number } = {},
): Promise<Look<ApiLogFacts>> {
  const { windowFrom = null, timeoutMs = 30_000 } = limits;
  return readApiLog({ path, origin: 'option', windowFrom, now, localTime, timeoutMs });
}

async function facts(path: string, windowFrom: number | null = null): Promise<ApiLogFacts> {
  const look = await read(path, { windowFrom });
  assert.ok(look.seen, look.seen ? '' : look.why);
  return look.value;
}

function stamp(at: number): string {
  return new Date(at).toISOString().replace('T', ' ').replace('.', ',').slice(0, 23);
}

function failure(at: number, pid: number): string {
  const head = `${stamp(at)} [cherrypy.error   ][ERROR   ][${pid}] `;
  return `${head}ENGINE Error in 'start' listener\nTraceback (most recent call last):\n  File "x"\nOSError: Port 443 not free on '0.0.0.0'\n\n${head}ENGINE Shutting down due to error in start listener:\nTraceback (most recent call last):\n  File "x"\ncherrypy.process.wspbus.ChannelFailures: OSError("Port 443 not free on '0.0.0.0'")\n\n`;
}

function debugLines(from: number, to: number, step: number): string {
  const lines: string[] = [];
  for (let at = from; at < to; at += step) {
    lines.push(`${stamp(at)} [salt.utils.event ][DEBUG   ][7] ${'some words '.repeat(9)}\n`);
  }
  return lines.join('');
}

/** A failed start each hour, debug lines between: a week of a busy log, some 8 MiB. */
function week(): string {
  const hours: string[] = [];
  for (let hour = 168; hour > 0; hour -= 1) {
    const at = now - hour * HOUR;
    hours.push(failure(at + 1_000, 1_000 + hour), debugLines(at + 2_000, at + HOUR, 10_000));
  }
  return hours.join('');
}

test('a whole log, and what it says of itself', async () => {
  const path = await place();
  await writeFile(path, failure(now - HOUR, 11) + failure(now - 1_000, 12));
  const log = await facts(path);
  assert.deepEqual(log.source, { kind: 'file', path, origin: 'option' });
  assert.deepEqual([log.events, log.firstAt, log.lastAt], [2, now - HOUR, now - 1_000]);
  assert.deepEqual(log.pids, [11, 12]);
  assert.deepEqual([log.dated, log.notes], [true, []]);
});

test('an empty log has no events', async () => {
  const path = await place();
  await writeFile(path, '');
  const log = await facts(path, now - HOUR);
  assert.deepEqual([log.events, log.dated], [0, false]);
});

test('a window of a big log is found without reading the log', async () => {
  const path = await place();
  const text = week();
  await writeFile(path, text);
  const log = await facts(path, now - 3 * HOUR);
  assert.deepEqual([log.events, log.pids], [3, [1003, 1002, 1001]]);
  const bytesRead = log.files[0]?.bytesRead ?? Number.POSITIVE_INFINITY;
  assert.ok(bytesRead < text.length / 8, `${bytesRead} of ${text.length}`);
  assert.equal((await facts(path)).events, 168);
});

test('each start of the window gives the events that are in it', async () => {
  const path = await place();
  await writeFile(path, week());
  for (const hours of [1, 2, 17, 100, 167, 168, 500]) {
    const { events } = await facts(path, now - hours * HOUR);
    assert.equal(events, Math.min(hours, 168), `${hours} h`);
  }
  assert.equal((await facts(path, now + HOUR)).events, 0);
});

test('undated stretches and a hole of NULs do not lead the search astray', async () => {
  const path = await place();
  const middle = now - 80 * HOUR;
  const text = week();
  const cut = text.indexOf(stamp(middle + 2_000));
  const stretch = 'a line of something else\n'.repeat(60_000);
  const hole = `${'\0'.repeat(1_500_000)}`;
  await writeFile(path, `${hole}${text.slice(0, cut)}${stretch}${hole}\n${text.slice(cut)}`);
  for (const hours of [1, 79, 80, 81, 168]) {
    assert.equal((await facts(path, now - hours * HOUR)).events, hours, `${hours} h`);
  }
});

test('a log that is not in order is read in full', async () => {
  const path = await place();
  // The newest hour stands at the beginning, as after a wrong clock or `cat` in the wrong order.
  const text = failure(now - 60_000, 99) + debugLines(now - 50_000, now, 5);
  await writeFile(path, debugLines(now - 90 * HOUR, now - 80 * HOUR, 10_000) + text + week());
  const log = await facts(path, now - 2 * HOUR);
  assert.equal(log.events, 3);
  assert.match(log.notes.join(), /not in order/);
});

test('a log without times: all of it counts, and the facts say so', async () => {
  const path = await place();
  const undated = failure(now, 11).replaceAll(/^\d{4}\S+ \S+ /gm, '');
  await writeFile(path, undated + undated.replaceAll('[11]', '[12]'));
  const log = await facts(path, now - HOUR);
  assert.deepEqual([log.events, log.dated, log.firstAt], [2, false, null]);
  assert.match(log.notes.join(), /no time/);
});

test('of a huge log without times only the tail is read', async () => {
  const path = await place();
  const undated = failure(now, 11).replaceAll(/^\d{4}\S+ \S+ /gm, '');
  await writeFile(path, undated);
  await truncate(path, 200 * 1024 * 1024);
  const handle = await open(path, 'a');
  await handle.write(`\n${undated.replaceAll('[11]', '[12]')}`);
  await handle.close();
  const log = await facts(path, now - HOUR);
  assert.deepEqual(log.pids, [12]);
  assert.match(log.notes.join(), /last 64 MiB/);
});

test('rotated and gzipped siblings are read while the window reaches into them', async () => {
  const path = await place();
  const write = async (name: string, content: string | Buffer, at: number): Promise<void> => {
    await writeFile(name, content);
    await utimes(name, at / 1000, at / 1000);
  };
  await write(path, failure(now - HOUR, 1), now);
  await write(`${path}.1`, failure(now - 3 * HOUR, 3) + failure(now - 2 * HOUR, 2), now - 2 * HOUR);
  const older = gzipSync(failure(now - 5 * HOUR, 5) + failure(now - 4 * HOUR, 4));
  await write(`${path}-20260712.gz`, older, now - 4 * HOUR);
  await write(`${path}.3.gz`, gzipSync(failure(now - 9 * HOUR, 9)), now - 9 * HOUR);
  await write(`${path}.4.xz`, 'xz', now - 10 * HOUR);
  await write(`${path}.old`, failure(now, 77), now);
  await write(`${path}2`, failure(now, 78), now);

  const files = async (hours: number | null): Promise<string[]> => {
    const log = await facts(path, hours === null ? null : now - hours * HOUR);
    return [log.pids.join(), ...log.files.map((file) => file.path.slice(path.length))];
  };
  assert.deepEqual(await files(0.5), ['', '']);
  assert.deepEqual(await files(2.5), ['2,1', '', '.1']);
  assert.deepEqual(await files(4.5), ['4,3,2,1', '', '.1', '-20260712.gz']);
  assert.deepEqual(await files(8), ['5,4,3,2,1', '', '.1', '-20260712.gz']);
  assert.deepEqual(await files(null), ['9,5,4,3,2,1', '', '.1', '-20260712.gz', '.3.gz']);
  const whole = await facts(path);
  assert.match(whole.notes.join(), /only gzip/);
  assert.deepEqual(whole.times.toSorted(), whole.times);
});

test('damaged gzip is noted, the rest counts', async () => {
  const path = await place();
  await writeFile(path, failure(now - HOUR, 1));
  await writeFile(`${path}.1.gz`, gzipSync(week()).subarray(0, 20_000));
  const log = await facts(path);
  assert.ok(log.pids.includes(1));
  assert.match(log.notes.join(), /damaged gzip/);
});

test('a log that is just being compressed is not counted twice', async () => {
  const path = await place();
  await writeFile(path, failure(now - HOUR, 1));
  await writeFile(`${path}.1`, failure(now - 2 * HOUR, 2));
  await writeFile(`${path}.1.gz`, gzipSync(failure(now - 2 * HOUR, 2)).subarray(0, 30));
  const log = await facts(path);
  assert.deepEqual([log.events, log.pids], [2, [2, 1]]);
});

test('a wrong encoding does not hide an event', async () => {
  const path = await place();
  const latin1 = Buffer.from(`${stamp(now - 2_000)} [x][ERROR   ][1] caf\xe9\xff\xfe\n`, 'latin1');
  await writeFile(path, Buffer.concat([latin1, Buffer.from(failure(now - 1_000, 5)), latin1]));
  assert.deepEqual((await facts(path, now - HOUR)).pids, [5]);
});

test('a 100 MB line is not held in memory', async () => {
  const path = await place();
  const handle = await open(path, 'w');
  await handle.write(failure(now - HOUR, 1));
  const part = Buffer.alloc(1_000_000, 'Port 443 not free on ');
  await handle.write(`${stamp(now - HOUR + 1)} [x][ERROR   ][3] `);
  for (let count = 0; count < 100; count += 1) await handle.write(part);
  await handle.write(`\n${failure(now - 1_000, 2)}`);
  await handle.close();
  await facts(path);
  const before = process.memoryUsage.rss();
  const log = await facts(path, now - 2 * HOUR);
  assert.deepEqual(log.pids, [1, 2]);
  const grown = process.memoryUsage.rss() - before;
  assert.ok(grown < 60_000_000, `${grown} bytes more`);
});

test('truncated or rotated while it is read: no crash, and a note', async () => {
  const path = await place();
  // gzip keeps the reader busy on the sibling, so that the live log changes after it was opened.
  const busy = gzipSync(debugLines(now - 90 * HOUR, now - 2 * HOUR, 1_000));
  const setUp = async (): Promise<void> => {
    await writeFile(path, debugLines(now - HOUR, now, 100) + failure(now - 1_000, 4));
    await writeFile(`${path}.1.gz`, busy);
  };
  await setUp();
  const shrinking = facts(path);
  await openedByUs(path);
  await truncate(path, 1_000);
  assert.match((await shrinking).notes.join(), /shrank while it was read/);

  await setUp();
  const rotating = facts(path);
  await openedByUs(path);
  await rename(path, `${path}.2`);
  const rotated = await rotating;
  assert.match(rotated.notes.join(), /rotated while it was read/);
  assert.deepEqual(rotated.pids, [4]);
});

/** Waits until this process has the file open. */
async function openedByUs(path: string): Promise<void> {
  const { readdir, readlink } = await import('node:fs/promises');
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline) {
    const fds = await readdir('/proc/self/fd');
    const targets = await Promise.all(
      fds.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
    );
    if (targets.includes(path) && targets.includes(`${path}.1.gz`)) return;
  }
  assert.fail(`${path} was not opened`);
}

test('what is no readable file is blind, with its reason', async () => {
  const path = await place();
  const cause = async (name: string): Promise<string> => {
    const look = await read(name);
    return look.seen ? 'seen' : look.cause;
  };
  assert.equal(await cause(path), 'missing');
  assert.equal(await cause(join(path, 'x')), 'missing');
  assert.equal(await cause(directory), 'unsupported');
  assert.equal(await cause('/dev/zero'), 'unsupported');
  assert.equal(await cause('udp://log.example:514'), 'unsupported');
  execFileSync('mkfifo', [path]);
  assert.equal(await cause(path), 'unsupported');
});

test('a log that this user may not read is blind, not empty', async () => {
  const path = await place();
  await writeFile(path, failure(now, 1));
  await chmod(path, 0);
  await chmod(directory, 0o755);
  await chmod(join(path, '..'), 0o755);
  const root = process.geteuid?.() === 0;
  if (root) process.seteuid?.(65_534);
  try {
    const look = await read(path);
    assert.equal(look.seen ? 'seen' : look.cause, 'permission');
  } finally {
    if (root) process.seteuid?.(0);
  }
});

test('a read that takes too long is blind and tells what is known', async () => {
  const path = await place();
  await writeFile(path, failure(now, 1));
  await truncate(path, 64 * 1024 * 1024 * 1024);
  const began = Date.now();
  const look = await read(path, { timeoutMs: 300 });
  assert.ok(Date.now() - began < 5_000);
  assert.equal(look.seen ? 'seen' : look.cause, 'timeout');
  assert.match(look.seen ? '' : look.why, /300 ms.*MiB read, \d+ failed starts/);
});

test('the event loop turns while a log is scanned', async () => {
  const path = await place();
  await writeFile(path, failure(now - 1_000, 1).repeat(40_000));
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  await facts(path);
  clearInterval(timer);

  assert.ok(longest > 0 && longest < 250, `${longest} ms`);
});

test('the journal: same counts, its own source', async () => {
  const path = await place();
  const at = new Date(now - 60_000).toISOString().slice(0, 19);
  const lines = [
    "[ERROR   ] ENGINE Error in 'start' listener",
    'Traceback (most recent call last):',
    '  File "x"',
    "OSError: Port 443 not free on '0.0.0.0'",
  ].map((text) => `${at}+0000 host salt-api[77]: ${text}`);
  const script = (body: string): Promise<void> =>
    writeFile(path, `#!/bin/sh\nprintf '%s ' "$@" > ${path}.argv\n${body}\n`, { mode: 0o755 });
  const journal = (timeoutMs = 10_000): Promise<Look<ApiLogFacts>> =>
    readJournal({
      unit: 'salt-api',
      windowFrom: now - HOUR,
      now,
      localTime,
      timeoutMs,
      journalctl: path,
    });

  await script(`cat <<'END'\n${lines.join('\n')}\nEND`);
  const look = await journal();
  assert.ok(look.seen, look.seen ? '' : look.why);
  assert.deepEqual(look.value.source, { kind: 'journal', unit: 'salt-api' });
  assert.deepEqual([look.value.events, look.value.pids], [1, [77]]);
  assert.deepEqual(look.value.times, [now - 60_000]);

  const cause = async (body: string, timeoutMs?: number): Promise<string> => {
    await script(body);
    const outcome = await journal(timeoutMs);
    return outcome.seen ? 'seen' : outcome.cause;
  };
  assert.equal(await cause('echo "No journal files were found." >&2'), 'missing');
  assert.equal(
    await cause(
      `[ "$1" = --quiet ] ||
        echo "Hint: You are currently not seeing messages from other users and the system." >&2`,
    ),
    'permission',
  );
  assert.equal(await cause('echo "Failed to do" >&2; exit 1'), 'unsupported');
  assert.equal(await cause('exec sleep 60', 300), 'timeout');
  await rm(path);
  const missing = await journal();
  assert.equal(missing.seen ? 'seen' : missing.cause, 'missing');
});

test('a large window is read aside, in a thread, and the same is found', async () => {
  const path = await place();
  const contents = writeLog(path, 80 * 1024 * 1024, 443, now);
  const options = { path, origin: 'option' as const, windowFrom: null, now, timeoutMs: 30_000 };
  const asked: string[] = [];
  const aside = async (request: LogThreadOptions) => {
    asked.push(request.path);
    const found = await readApiLogAside(request);
    assert.ok(found !== null, 'the thread has ended without an answer');
    return found;
  };
  const look = await readApiLog({ ...options, localTime: hostLocalTime, aside });
  assert.deepEqual(asked, [path]);
  assert.deepEqual(look, await readApiLog({ ...options, localTime: hostLocalTime }));
  assert.ok(look.seen && look.value.events === contents.events);
  // The last hour of it is small: a thread would take longer to start than to read it.
  const recent = { ...options, windowFrom: now - HOUR, localTime: hostLocalTime, aside };
  await readApiLog(recent);
  assert.equal(asked.length, 1);
});

test('where there is no thread to be had, a large window is read here', async () => {
  const path = await place();
  const contents = writeLog(path, 80 * 1024 * 1024, 443, now);
  const limits = { windowFrom: null, now, localTime: hostLocalTime, timeoutMs: 30_000 };
  const look = await readApiLog({ path, origin: 'option', ...limits, aside: async () => null });
  assert.ok(look.seen && look.value.events === contents.events);
});

test('a thread that ends without an answer is none', async () => {
  const unusable = { path: null as unknown as string, origin: 'option' as const };
  const limits = { windowFrom: null, now, timeoutMs: 1_000 };
  assert.equal(await readApiLogAside({ ...unusable, ...limits }), null);
});
