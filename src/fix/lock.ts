/**
 * One fix at a time for a port. The lock is a listening socket in Linux's abstract namespace
 * (unix(7)), not a file: the kernel lets exactly one process have the name, and takes it back
 * when that process ends, however it ends. So there is no stale lock to judge, no pid that may
 * have been given out again, and no directory that may be read-only or full. Its scope is the network
 * namespace, which is also that of the port.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { ExitCode, TriageError } from '../errors.ts';
import { parseEffectiveUid, parseProcessStat } from '../evidence/proc-text.ts';
import { readHostFacts } from '../host/local/host-facts.ts';
import { codeOrText, errorCode, tryReadKernelFile, tryReadLink } from '../host/local/proc-files.ts';
import { describeWho, readWho } from '../trail/operator.ts';
import { stripControl } from '../untrusted.ts';
import { isoMoment } from '../words.ts';

/**
 * The whole of `sun_path`: Node up to 20 fills a shorter name with NULs and later ones don't, so
 * that they would have two different locks.
 */
const NAME_BYTES = 108;
/** How long a holder may take to say who it is, ms; one that is stopped (SIGSTOP) never does. */
const ASK_MS = 1_000;
const MAX_ANSWER = 4_096;

export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes the lock for a port.
 * Where the kernel refuses the socket for another reason than a holder (a sandbox), it warns on
 * standard error and goes on: a recovery is not to fail for want of a lock.
 *
 * @throws TriageError (busy) that names the fix which runs already
 */
export async function acquireLock({
  port,
  elsewhere,
}: {
  readonly port: number;
  /** A host behind ssh: its port is not ours, so that only fixes from here are kept apart. */
  readonly elsewhere?: string | undefined;
}): Promise<Lock> {
  const host =
    elsewhere === undefined ? '' : `${createHash('sha256').update(elsewhere).digest('hex')}-`;
  const name = `\0salt-triage-${host}${port}`.padEnd(NAME_BYTES, '\0');
  const about = `${describeOurselves()}\n`;
  const server = createServer((client) => {
    client.on('error', () => client.destroy());
    client.setTimeout(ASK_MS, () => client.destroy());
    client.unref();
    client.resume();
    client.end(about);
  });
  try {
    await listen(server, name);
  } catch (error) {
    if (errorCode(error) !== 'EADDRINUSE') {
      return goOnWithout(`no lock (${codeOrText(error)}): make sure that no other fix runs`);
    }
    const owner = ownerOf(name);
    if (owner !== null && owner !== 0 && owner !== process.geteuid?.()) {
      return goOnWithout(
        `uid ${owner} holds the lock of port ${port}, which is no fix of ours: going on without`,
      );
    }
    const holder = await askHolder(name);
    throw new TriageError(
      `another fix of port ${port} is running: ${holder ?? 'it does not answer, so it may be stopped'}`,
      holder === null
        ? `Find it with: ss -xlp | grep salt-triage-${host}${port}`
        : 'Wait for it, or talk to whoever runs it.',
      ExitCode.busy,
    );
  }
  // Without unref the lock would keep a process alive that has nothing else to do.
  server.unref();
  return {
    // Closes at once; a fix that asks in this moment need not be waited for.
    release: async () => {
      server.close();
    },
  };
}

function goOnWithout(warning: string): Lock {
  process.stderr.write(`salt-triage: WARNING: ${warning}\n`);
  return { release: async () => undefined };
}

function listen(server: Server, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(name, resolve);
  });
}

/**
 * The uid of whoever has a name of the abstract namespace: any user can take any, and a fix must
 * not be kept from running by one who can't run it himself. Null where it can't be told.
 */
function ownerOf(name: string): number | null {
  // The kernel shows each NUL of a name as @ (net/unix/af_unix.c, unix_seq_show).
  const shown = name.replaceAll('\0', '@');
  const row = readUnixSockets().find((line) => line.split(' ').at(-1) === shown);
  const inode = / (\d+) @/.exec(row ?? '')?.[1];
  if (inode === undefined) return null;
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    if (!holdsSocket(pid, inode)) continue;
    return parseEffectiveUid(tryReadKernelFile(`/proc/${pid}/status`) ?? '');
  }
  return null;
}

function readUnixSockets(): string[] {
  try {
    return readFileSync('/proc/net/unix', 'latin1').split('\n');
  } catch {
    return [];
  }
}

function holdsSocket(pid: string, inode: string): boolean {
  try {
    const fds = readdirSync(`/proc/${pid}/fd`);
    return fds.some((fd) => tryReadLink(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`);
  } catch {
    // Gone, or not ours to see.
    return false;
  }
}

function describeOurselves(): string {
  const host = readHostFacts();
  const stat = parseProcessStat(tryReadKernelFile('/proc/self/stat') ?? '');
  const start = stat === null ? '' : ` (start tick ${stat.startTicks})`;
  return `pid ${process.pid}${start}, by ${describeWho(readWho())}, since ${isoMoment(host.now, host)}`;
}

/** What the holder says of itself, made printable; null where it says nothing in time. */
function askHolder(name: string): Promise<string | null> {
  return new Promise((resolve) => {
    let answer = '';
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(stripControl(answer).trim() || null);
    };
    const timer = setTimeout(finish, ASK_MS);
    const socket = connect(name);
    socket.setEncoding('utf8');
    socket.on('data', (text) => {
      answer = (answer + String(text)).slice(0, MAX_ANSWER);
      if (answer.length === MAX_ANSWER) finish();
    });
    socket.on('end', finish);
    socket.on('error', finish);
  });
}
