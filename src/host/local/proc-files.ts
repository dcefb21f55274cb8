import { closeSync, openSync, readlinkSync, readSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { runningMs } from '../../clock.ts';
import type { ProcFiles } from '../../evidence/process-facts.ts';

const buffer = Buffer.allocUnsafe(256 * 1024);
/** How long a read that may block is waited for: so many turns of the event loop, each of so many ms. */
const PATIENCE = { turns: 10, turnMs: 50 };
/** Files whose read was left hanging, each with a thread of libuv's four. */
const hungReads = new Set<string>();
/** So many leave the API log the threads that it needs. */
const MAX_HUNG_READS = 2;

/**
 * Reads a small file of `/proc` at once. Synchronous on purpose: for thousands of tiny kernel
 * files the thread pool costs ten times the read. Only for files whose read cannot block.
 *
 * @returns the text as Latin-1, so that no byte is lost, cut at 256 KiB
 * @throws the error of open(2) or read(2): ENOENT and ESRCH for a process that has gone
 */
export function readKernelFile(path: string): string {
  const descriptor = openSync(path, 'r');
  try {
    let length = 0;
    for (;;) {
      const read = readSync(descriptor, buffer, length, buffer.length - length, null);
      length += read;
      if (read === 0 || length === buffer.length) return buffer.toString('latin1', 0, length);
      // Most files come whole in the first read; a short one says that this was it.
      if (read < 4096 && length === read && read > 0) return buffer.toString('latin1', 0, length);
    }
  } finally {
    closeSync(descriptor);
  }
}

/** As {@link readKernelFile}, null where it can't be read. */
export function tryReadKernelFile(path: string): string | null {
  try {
    return readKernelFile(path);
  } catch {
    return null;
  }
}

/**
 * Reads a file whose read may block, such as the cmdline of a process in D state: that needs the
 * process's memory-map lock (fs/proc/base.c, get_mm_cmdline). A read that is late goes on hanging
 * in its thread, and until it ends there is no other of the same file.
 *
 * @returns the text as Latin-1, null where it could not be read within half a second
 * @throws the error of open(2) or read(2)
 */
export async function readBounded(path: string): Promise<string | null> {
  if (hungReads.has(path)) return null;
  const reading = readFile(path, 'latin1');
  const text = await inTime(reading);
  if (text === null) {
    hungReads.add(path);
    const over = () => hungReads.delete(path);
    reading.then(over, over);
  }
  return text;
}

/** True where so many reads hang that a look must not risk another one. */
export function readsHang(): boolean {
  return hungReads.size >= MAX_HUNG_READS;
}

/**
 * Null once patience has run out. It is counted in turns of the event loop: on a host that is so busy
 * that we don't get to run ourselves, what was read meanwhile is not late.
 */
export async function inTime<T>(reading: Promise<T>): Promise<T | null> {
  let settled = false;
  const over = () => {
    settled = true;
  };
  reading.then(over, over);
  const patience = async () => {
    for (let turn = 0; turn < PATIENCE.turns && !settled; turn += 1) {
      // What is waited for keeps us here by itself.
      await delay(PATIENCE.turnMs, null, { ref: false });
    }
    return null;
  };
  return Promise.race([reading, patience()]);
}

/** As {@link readBounded}, null also where it can't be read. */
export function tryReadBounded(path: string): Promise<string | null> {
  return readBounded(path).catch(() => null);
}

/** Target of a `/proc` link, null where it can't be read. */
export function tryReadLink(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

/** The files of this host's /proc, or of a tree of its shape. */
export function procFiles(proc: string): ProcFiles {
  return {
    text: (path) => tryReadKernelFile(`${proc}/${path}`),
    link: (path) => tryReadLink(`${proc}/${path}`),
    id: (path) => {
      try {
        const { dev, ino } = statSync(`${proc}/${path}`);
        return `${dev}:${ino}`;
      } catch {
        return '';
      }
    },
  };
}

/** True for errors that mean "that process is gone", which is no failure of a look. */
export function isGone(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ENOENT' || code === 'ESRCH';
}

/** True for errors that mean "not with these rights". */
export function isDenied(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'EACCES' || code === 'EPERM';
}

/** `code` of a system error, the empty string for others. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return '';
}

/** As {@link errorCode}, for other errors the error as text: something to tell an operator. */
export function codeOrText(error: unknown): string {
  return errorCode(error) || String(error);
}

/** Lets timers and sockets have their turn when `everyMs` have gone by since the last time. */
export class Breather {
  #last = runningMs();
  readonly #everyMs: number;

  constructor(everyMs = 5) {
    this.#everyMs = everyMs;
  }

  /** True when a breath is due; then await {@link breathe}. */
  get due(): boolean {
    return runningMs() - this.#last > this.#everyMs;
  }

  async breathe(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#last = runningMs();
  }
}
