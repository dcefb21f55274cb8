/** Raw reading of the host that we run on. */
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import {
  type CallLog,
  type FileFacts,
  isSound,
  MOST_BYTES,
  MOST_LINES,
  MOST_MATCHES,
  type RawHost,
  type ReducedLog,
} from '../raw-host.ts';
import { Breather, tryReadBounded, tryReadKernelFile } from './proc-files.ts';

/** Of `/proc`, what is read under a lock that a process in D state may hold (fs/proc/task_mmu.c). */
const MAY_BLOCK = /^\/proc\/[^/]+\/(?:maps|smaps|numa_maps|cmdline|environ)$/;

/**
 * Reads synchronously where a read can't block, as everything of `/proc` is read here: the pool of
 * threads costs ten times the read of a tiny file.
 */
export class LocalRawHost implements RawHost {
  async readTexts(patterns: readonly string[], most = MOST_LINES): Promise<Map<string, string>> {
    let room = MOST_BYTES.call;
    const keep = (text: string | null): string | null => {
      // What is empty, or no text, is passed over, as grep(1) does.
      if (text === null || text === '' || text.includes('\0')) return null;
      const kept = Buffer.from(text.slice(0, MOST_BYTES.file), 'latin1').toString('utf8');
      room -= kept.length;
      return firstLines(kept.replace(/\n$/, ''), most);
    };
    return collect(patterns, (path) => {
      if (room <= 0 || !isPlain(path)) return null;
      if (MAY_BLOCK.test(path)) return tryReadBounded(path).then(keep);
      return keep(tryReadKernelFile(path));
    });
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
    return collect(patterns, (path) =>
      attempt(() => {
        const stat = statSync(path);
        const kind = stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other';
        const [modifiedAt, changedAt] = [wholeSeconds(stat.mtimeMs), wholeSeconds(stat.ctimeMs)];
        return { size: stat.size, modifiedAt, changedAt, uid: stat.uid, kind };
      }),
    );
  }
}

/** As stat(1) tells them. */
function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
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
  for (const path of patterns.flatMap(matches)) {
    if (found.has(path)) continue;
    const reading = read(path);
    const value = reading instanceof Promise ? await reading : reading;
    if (value !== null) found.set(path, value);
    if (breather.due) await breather.breathe();
  }
  return found;
}

/** The paths that a pattern stands for, in the order of their names. */
function matches(pattern: string): string[] {
  if (!isSound(pattern)) return [];
  let paths = [''];
  for (const component of pattern.slice(1).split('/')) {
    if (!component.includes('*')) paths = paths.map((path) => `${path}/${component}`);
    else paths = paths.flatMap((path) => entries(path, component)).slice(0, MOST_MATCHES);
  }
  return paths;
}

/** As a shell has it: `*` begins no match with a dot. */
function entries(directory: string, component: string): string[] {
  const words = component.split('*').map((word) => word.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const name = new RegExp(`^${component.startsWith('*') ? '(?!\\.)' : ''}${words.join('.*')}$`);
  const names = attempt(() => readdirSync(directory === '' ? '/' : directory)) ?? [];
  return names
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
