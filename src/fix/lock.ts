/**
 * One fix at a time for a port. The lock is a file in a directory that nobody else can write to:
 * whoever can't run a fix must not be able to keep one from running. It names its holder by pid,
 * start tick and boot, so that it ends with the holder, however that ends. Its scope is the network
 * namespace, which is also that of the port.
 *
 * Files are `KEY.1`, `KEY.2`, …: a stale one is never taken away to make room, for a second fix
 * might take away the lock of a third that had just done the same. The next number is taken
 * instead, by link(2), of which one succeeds. Whoever has one looks once more, and gives it back
 * where another holder lives: of two that got different numbers the later sees the earlier.
 * The numbers of the dead are removed by the holder alone.
 */
import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as v from 'valibot';
import { ExitCode, TriageError } from '../errors.ts';
import { isDeadState, parseProcessStat } from '../evidence/proc-text.ts';
import { readHostFacts } from '../host/local/host-facts.ts';
import { errorCode, tryReadKernelFile, tryReadLink } from '../host/local/proc-files.ts';
import { type HeldDirectory, openPrivateDirectory } from '../trail/directory.ts';
import { describeWho, readWho } from '../trail/operator.ts';
import { stripControl } from '../untrusted.ts';
import { isoMoment } from '../words.ts';

/** A lock says who holds it in far less, bytes. */
const MAX_LOCK = 4_096;
/** How often it is tried while others come and go. */
const TRIES = 8;
/** At most so long between two tries, ms. */
const PAUSE_MS = 50;

const holderSchema = v.object({
  pid: v.number(),
  startTicks: v.number(),
  bootId: v.string(),
  pidNamespace: v.nullable(v.string()),
  about: v.string(),
});

type Holder = v.InferOutput<typeof holderSchema>;

export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes the lock for a port.
 * Where no directory can hold it (a sandbox, a full disk), it warns on standard error and goes on:
 * a recovery is not to fail for want of a lock.
 *
 * @throws TriageError (busy) that names the fix which runs already
 */
export async function acquireLock({
  port,
  sshName,
}: {
  readonly port: number;
  /** Of a host behind ssh: its port is not ours, so that only fixes from here are kept apart. */
  readonly sshName?: string | undefined;
}): Promise<Lock> {
  const host =
    sshName === undefined ? '' : `${createHash('sha256').update(sshName).digest('hex')}-`;
  const network = /\d+/.exec(tryReadLink('/proc/self/ns/net') ?? '')?.[0] ?? 'unknown';
  const key = `${host}${port}-net-${network}`;
  const complaints: string[] = [];
  for (const path of lockDirectories()) {
    let directory: HeldDirectory | null = null;
    try {
      directory = await openPrivateDirectory(path, false);
      return await claim(directory, key, port);
    } catch (error) {
      await directory?.close();
      if (error instanceof TriageError) throw error;
      complaints.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const why = stripControl(complaints.join('; '));
  process.stderr.write(
    `salt-triage: WARNING: no lock (${why}): make sure that no other fix of port ${port} runs\n`,
  );
  return { release: async () => undefined };
}

/** The same for every fix of one user, whatever its environment: else they would not meet. */
function lockDirectories(): string[] {
  const uid = process.geteuid?.() ?? -1;
  const runtime = process.env['XDG_RUNTIME_DIR'];
  return [
    ...(uid === 0 ? ['/run/salt-triage'] : []),
    `/tmp/salt-triage-${uid}`,
    ...(uid !== 0 && runtime?.startsWith('/') ? [join(runtime, 'salt-triage')] : []),
  ];
}

async function claim(directory: HeldDirectory, key: string, port: number): Promise<Lock> {
  const own = join(directory.path, `${key}.new-${process.pid}-${randomBytes(6).toString('hex')}`);
  const file = await open(own, 'wx', 0o600);
  try {
    await file.writeFile(JSON.stringify(describeOurselves()));
  } finally {
    await file.close();
  }
  try {
    for (let turn = 1; ; turn += 1) {
      const attempt = await tryOnce(directory, key, own);
      if (typeof attempt === 'string') return lockOf(directory, attempt);
      if (attempt.settled || turn === TRIES) throw busy(port, attempt.holder);
      await delay(Math.random() * PAUSE_MS);
    }
  } finally {
    await unlink(own);
  }
}

interface Refused {
  readonly holder: Holder | null;
  /** False where both may have been turned away, or the number was taken by one that is gone. */
  readonly settled: boolean;
}

/** @returns the path of the lock where it is ours now */
async function tryOnce(
  directory: HeldDirectory,
  key: string,
  own: string,
): Promise<string | Refused> {
  const before = await readLocks(directory, key);
  const first = before.find(({ lives }) => lives);
  if (first !== undefined) return { holder: first.holder, settled: true };
  const number = 1 + Math.max(0, ...before.map((lock) => lock.number));
  const path = join(directory.path, `${key}.${number}`);
  try {
    await link(own, path);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return { holder: null, settled: false };
    throw error;
  }
  const others = (await readLocks(directory, key)).filter((lock) => lock.number !== number);
  const rival = others.find(({ lives }) => lives);
  if (rival !== undefined) {
    await unlink(path);
    return { holder: rival.holder, settled: false };
  }
  for (const stale of others) await unlink(stale.path).catch(() => undefined);
  return path;
}

function lockOf(directory: HeldDirectory, path: string): Lock {
  return {
    release: async () => {
      await unlink(path).catch(() => undefined);
      await directory.close();
    },
  };
}

interface LockFile {
  readonly number: number;
  readonly path: string;
  /** Null for what is no lock's text, as a disk may leave it that has lost power. */
  readonly holder: Holder | null;
  readonly lives: boolean;
}

async function readLocks(directory: HeldDirectory, key: string): Promise<LockFile[]> {
  const locks: LockFile[] = [];
  for (const name of await readdir(directory.path)) {
    const number = name.startsWith(`${key}.`) ? name.slice(key.length + 1) : '';
    if (!/^[1-9]\d{0,14}$/.test(number)) continue;
    const path = join(directory.path, name);
    const text = await readSmall(path);
    // Given back in this moment.
    if (text === null) continue;
    const holder = parseHolder(text);
    locks.push({ number: Number(number), path, holder, lives: holder !== null && lives(holder) });
  }
  return locks;
}

async function readSmall(path: string): Promise<string | null> {
  try {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_LOCK), 0, MAX_LOCK, 0);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

function parseHolder(text: string): Holder | null {
  try {
    const result = v.safeParse(holderSchema, JSON.parse(text));
    return result.success ? result.output : null;
  } catch {
    return null;
  }
}

/** In another PID namespace a pid can't be judged, and counts as one that lives. */
function lives({ pid, startTicks, bootId, pidNamespace }: Holder): boolean {
  const ours = ourIdentity();
  if (bootId !== ours.bootId) return false;
  if (pidNamespace !== ours.pidNamespace) return true;
  const stat = statOf(pid);
  return stat !== null && stat.startTicks === startTicks && !isDeadState(stat.state);
}

function statOf(pid: number | 'self') {
  return parseProcessStat(tryReadKernelFile(`/proc/${pid}/stat`) ?? '');
}

function ourIdentity(): Pick<Holder, 'bootId' | 'pidNamespace'> {
  const bootId = (tryReadKernelFile('/proc/sys/kernel/random/boot_id') ?? '').trim();
  return { bootId, pidNamespace: tryReadLink('/proc/self/ns/pid') };
}

function describeOurselves(): Holder {
  const host = readHostFacts();
  const startTicks = statOf('self')?.startTicks ?? 0;
  const who = `by ${describeWho(readWho())}, since ${isoMoment(host.now, host)}`;
  const about = `pid ${process.pid} (start tick ${startTicks}), ${who}`;
  return { pid: process.pid, startTicks, ...ourIdentity(), about };
}

function busy(port: number, holder: Holder | null): TriageError {
  const stopped = holder !== null && statOf(holder.pid)?.state === 'T' ? ', stopped (SIGSTOP)' : '';
  const about = holder === null ? 'it has come in this moment' : holder.about + stopped;
  return new TriageError(
    `another fix of port ${port} is running: ${stripControl(about).trim()}`,
    'Wait for it, or talk to the person who runs it.',
    ExitCode.busy,
  );
}
