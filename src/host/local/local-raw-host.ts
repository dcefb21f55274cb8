/** Raw reading of the host that we run on. */
import {
  closeSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { utf8OfLatin1 } from '../../evidence/proc-text.ts';
import {
  type CallLog,
  type FileFacts,
  type FoundMaster,
  isSound,
  MOST_BYTES,
  MOST_LINES,
  MOST_MATCHES,
  MOST_ROWS,
  type RawHost,
  type ReducedLog,
} from '../raw-host.ts';
import { Breather, inTime, tryReadBounded, tryReadKernelFile } from './proc-files.ts';
import { listProcesses, scanProcesses } from './processes.ts';

/** Of `/proc`, what is read under a lock that a process in D state may hold (fs/proc/task_mmu.c). */
const MAY_BLOCK = /^\/proc\/[^/]+\/(?:maps|smaps|numa_maps|cmdline|environ)$/;

/**
 * Reads synchronously where a read can't block, as everything of `/proc` is read here: the pool of
 * threads costs ten times the read of a tiny file.
 */
export class LocalRawHost implements RawHost {
  readonly #masters: ReadonlyMap<number, readonly string[]> | undefined;

  /** @param masters those of a look a moment ago, by pid; unset for a pass of its own */
  constructor(masters?: ReadonlyMap<number, readonly string[]>) {
    this.#masters = masters;
  }

  async readTexts(patterns: readonly string[], most = MOST_LINES): Promise<Map<string, string>> {
    let room = MOST_BYTES.call;
    const keep = (text: string | null): string | null => {
      // What is empty, or no text, is passed over, as grep(1) does.
      if (text === null || text === '' || text.includes('\0')) return null;
      const kept = utf8OfLatin1(text.slice(0, MOST_BYTES.file));
      room -= kept.length;
      return firstLines(kept.replace(/\n$/, ''), most);
    };
    return collect(patterns, (path) => {
      if (room <= 0 || !isPlain(path)) return null;
      if (MAY_BLOCK.test(path)) return tryReadBounded(path).then(keep);
      return keep(tryReadKernelFile(path));
    });
  }

  async readRows(paths: readonly string[], words: readonly string[]): Promise<Map<string, string>> {
    return collect(paths, (path) => {
      const table = attempt(() => readTable(path));
      const rows = table === null ? [] : rowsWith(table, words.map(latin1OfUtf8));
      return rows.length === 0 ? null : utf8OfLatin1(rows.slice(0, MOST_ROWS).join('\n'));
    });
  }

  async findMasters(): Promise<Map<number, FoundMaster>> {
    const masters = this.#masters ?? (await scanProcesses(await listProcesses())).masters;
    return new Map(
      [...masters].map(([pid, argv]) => {
        const stat = tryReadKernelFile(`/proc/${pid}/stat`) ?? '';
        return [pid, { argv, stat: stat.replace(/\n$/, '') }];
      }),
    );
  }

  async readLinks(patterns: readonly string[]): Promise<Map<string, string>> {
    return collect(patterns, (path) => attempt(() => readlinkSync(path)));
  }

  async readCalls(logs: readonly CallLog[], timeoutMs: number): Promise<ReducedLog[]> {
    const until = performance.now() + timeoutMs;
    const found: ReducedLog[] = [];
    const { readCallLog } = await import('./call-log.ts');
    for (const log of logs.filter(({ path }) => isSound(path))) {
      const reduced = await readCallLog(log, until);
      if (reduced !== null) found.push(reduced);
    }
    return found;
  }

  async stat(patterns: readonly string[]): Promise<Map<string, FileFacts>> {
    return collect(patterns, (path) => {
      if (isKernels(path)) return attempt(() => factsOf(statSync(path)));
      return outside(path, async () => factsOf(await stat(path)));
    });
  }
}

/** Whether a path is of `/proc`, which answers at once. Any other may lie on a mount that is dead. */
function isKernels(path: string): boolean {
  return path.startsWith('/proc/');
}

/** Calls that were left hanging, each with a thread of libuv's four. */
let hanging = 0;
const MOST_HANGING = 2;
let lastOutside: Promise<unknown> = Promise.resolve();

/**
 * A call that a dead mount keeps for good, and us with it if it were synchronous. One goes on at a
 * time, so that several can't hang at once.
 * @returns null for what is not there, or may not be seen
 * @throws where it does not come back: what is there is not known
 */
function outside<T>(path: string, call: () => Promise<T>): Promise<T | null> {
  const turn = lastOutside.then(async () => {
    if (hanging >= MOST_HANGING) throw new Error(`${path} is not looked at: other files hang`);
    const calling = call().then(
      (value) => ({ value }),
      () => ({ value: null }),
    );
    const came = await inTime(calling);
    if (came !== null) return came.value;
    hanging += 1;
    calling.then(() => {
      hanging -= 1;
    });
    throw new Error(`${path} is on a disk or a mount that does not answer`);
  });
  lastOutside = turn.catch(() => undefined);
  return turn;
}

function factsOf(about: Stats): FileFacts {
  const kind = about.isFile() ? 'file' : about.isDirectory() ? 'directory' : 'other';
  const [modifiedAt, changedAt] = [wholeSeconds(about.mtimeMs), wholeSeconds(about.ctimeMs)];
  return { size: about.size, modifiedAt, changedAt, uid: about.uid, kind };
}

/** As stat(1) tells them. */
function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}

function latin1OfUtf8(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** The whole of a table, as far as one call reads. */
function readTable(path: string): string {
  const descriptor = openSync(path, 'r');
  try {
    const pieces: string[] = [];
    const buffer = Buffer.allocUnsafe(64 * 1024);
    for (let room = MOST_BYTES.call; room > 0; ) {
      // The kernel gives a page at a time.
      const read = readSync(descriptor, buffer, 0, buffer.length, null);
      if (read === 0) break;
      pieces.push(buffer.toString('latin1', 0, read));
      room -= read;
    }
    return pieces.join('');
  } finally {
    closeSync(descriptor);
  }
}

/** The lines that hold one of the words, in their order; each is searched for in the whole. */
function rowsWith(table: string, words: readonly string[]): string[] {
  const rows = new Map<number, string>();
  for (const word of words) {
    for (let at = table.indexOf(word); at !== -1; ) {
      const start = table.lastIndexOf('\n', at) + 1;
      const next = table.indexOf('\n', at);
      const end = next === -1 ? table.length : next;
      rows.set(start, table.slice(start, end));
      at = table.indexOf(word, end);
    }
  }
  return [...rows].sort(([a], [b]) => a - b).map(([, row]) => row);
}

/** A FIFO or a device must not be opened: that may block, or do something. */
function isPlain(path: string): boolean {
  return attempt(() => statSync(path).isFile()) === true;
}

function firstLines(text: string, most: number): string {
  let end = -1;
  for (let line = 0; line < most; line += 1) {
    end = text.indexOf('\n', end + 1);
    if (end === -1) return text;
  }
  return text.slice(0, end);
}

async function collect<T>(
  patterns: readonly string[],
  read: (path: string) => T | null | Promise<T | null>,
): Promise<Map<string, T>> {
  const found = new Map<string, T>();
  const breather = new Breather();
  for (const pattern of patterns) {
    for (const path of await matches(pattern)) {
      if (found.has(path)) continue;
      const reading = read(path);
      const value = reading instanceof Promise ? await reading : reading;
      if (value !== null) found.set(path, value);
      if (breather.due) await breather.breathe();
    }
  }
  return found;
}

/** The paths that a pattern stands for, in the order of their names. */
async function matches(pattern: string): Promise<string[]> {
  if (!isSound(pattern)) return [];
  let paths = [''];
  for (const component of pattern.slice(1).split('/')) {
    if (!component.includes('*')) paths = paths.map((path) => `${path}/${component}`);
    else {
      const found: string[] = [];
      for (const path of paths) found.push(...(await entries(path, component)));
      paths = found.slice(0, MOST_MATCHES);
    }
  }
  return paths;
}

/** As a shell has it: `*` begins no match with a dot. */
async function entries(directory: string, component: string): Promise<string[]> {
  const words = component.split('*').map((word) => word.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const name = new RegExp(`^${component.startsWith('*') ? '(?!\\.)' : ''}${words.join('.*')}$`);
  const path = directory === '' ? '/' : directory;
  const names = isKernels(path)
    ? attempt(() => readdirSync(path))
    : await outside(path, () => readdir(path));
  return (names ?? [])
    .filter((one) => name.test(one) && isSound(`/${one}`))
    .sort()
    .map((one) => `${directory}/${one}`);
}

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
