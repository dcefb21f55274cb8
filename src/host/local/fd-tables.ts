/** Whose fds hold the port's sockets: a link for each fd of a host, tens of thousands at times. */
import { lstatSync, readdirSync } from 'node:fs';
import { parseSocketLink, socketLink } from '../../evidence/proc-text.ts';
import { type FdTable, isSaltFile, type SaltFiles } from '../../evidence/process-facts.ts';
import { Breather, isDenied, tryReadLink } from './proc-files.ts';
import type { PortSockets } from './sockets.ts';

/** The inodes that are looked for in fd tables. */
export type SoughtSockets = Omit<PortSockets, 'facts'>;

/** Which fd tables are read, and for what. Plain data: a thread may be handed it. */
export interface FdSearch {
  readonly pids: readonly number[];
  /** Of these, the salt-apis: of the others nothing counts but the port's listening sockets. */
  readonly saltApi: ReadonlySet<number>;
  readonly sockets: SoughtSockets;
  readonly files: SaltFiles;
  readonly proc: string;
}

/** What was found in fd tables. */
export interface FdTables {
  /** Of salt-api and of the port's holders. */
  readonly tables: ReadonlyMap<number, FdTable | 'denied'>;
  /** How many could not be read. */
  readonly denied: number;
}

/** Deals out the places in a list, one by one, to all who read it. */
export class Turns {
  /** May be handed to a thread, which then takes its turns in the same list. */
  readonly shared: Int32Array<SharedArrayBuffer>;

  constructor(shared = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))) {
    this.shared = shared;
  }

  next(): number {
    return Atomics.add(this.shared, 0, 1);
  }
}

/**
 * Reads fd tables, those whose turn it is.
 * @param turns shared with whoever reads the same list
 */
export async function readFdTables(search: FdSearch, turns = new Turns()): Promise<FdTables> {
  const { pids, saltApi, sockets, proc } = search;
  const about = searchFor(sockets);
  const tables = new Map<number, FdTable | 'denied'>();
  let denied = 0;
  for (let turn = turns.next(); turn < pids.length; turn = turns.next()) {
    const pid = pids[turn] ?? 0;
    const files = saltApi.has(pid) ? search.files : null;
    const table = await readFdTable(`${proc}/${pid}/fd`, { ...about, files });
    if (table === 'denied') denied += 1;
    if (table === 'gone') continue;
    const tells = files !== null || (table !== 'denied' && table.listens.length > 0);
    if (tells) tables.set(pid, table);
  }
  return { tables, denied };
}

/** Of the given processes those that hold a listening socket of the port. */
export async function holdersAmong<P extends { readonly pid: number }>(
  processes: readonly P[],
  sockets: SoughtSockets,
  proc: string,
): Promise<P[]> {
  const about = { ...searchFor(sockets), files: null };
  const holders: P[] = [];
  for (const one of processes) {
    const table = await readFdTable(`${proc}/${one.pid}/fd`, about);
    if (typeof table === 'object' && table.listens.length > 0) holders.push(one);
  }
  return holders;
}

/** To ask the clock takes a tenth of what it takes to read a link. */
const LINKS_A_BREATH = 64;

interface TableSearch {
  readonly sockets: SoughtSockets;
  /** Of the listening ones, as an fd's link has them: most links are of neither, and need no reading. */
  readonly listeningLinks: ReadonlySet<string>;
  /** Of a salt-api: what is looked for beside the port's listening sockets; null for others. */
  readonly files: SaltFiles | null;
  readonly breather: Breather;
}

function searchFor(sockets: SoughtSockets): Omit<TableSearch, 'files'> {
  const listeningLinks = new Set([...sockets.listening].map(socketLink));
  return { sockets, listeningLinks, breather: new Breather() };
}

async function readFdTable(
  directory: string,
  look: TableSearch,
): Promise<FdTable | 'denied' | 'gone'> {
  const found = new FoundInTable(look);
  try {
    for (const [at, name] of readdirSync(directory).entries()) {
      if (at % LINKS_A_BREATH === 0 && look.breather.due) await look.breather.breathe();
      found.take(`${directory}/${name}`);
    }
  } catch (error) {
    return isDenied(error) ? 'denied' : 'gone';
  }
  return found.table();
}

class FoundInTable {
  readonly #look: TableSearch;
  readonly #listens = new Set<number>();
  readonly #otherPorts = new Set<number>();
  readonly #saltFiles = new Set<string>();
  #portConnections = 0;

  constructor(look: TableSearch) {
    this.#look = look;
  }

  /** @param link of one fd, `/proc/PID/fd/N` */
  take(link: string): void {
    const { files, listeningLinks } = this.#look;
    const target = tryReadLink(link);
    if (target === null || (files === null && !listeningLinks.has(target))) return;
    const inode = parseSocketLink(target);
    if (inode !== null) this.#takeSocket(inode);
    else if (files !== null && isSaltFile(target, files) && isWritten(link)) {
      this.#saltFiles.add(target);
    }
  }

  #takeSocket(inode: number): void {
    const { sockets } = this.#look;
    if (sockets.listening.has(inode)) this.#listens.add(inode);
    else if (sockets.connected.has(inode)) this.#portConnections += 1;
    else {
      const port = sockets.otherListeners.get(inode);
      if (port !== undefined) this.#otherPorts.add(port);
    }
  }

  table(): FdTable {
    return {
      listens: [...this.#listens],
      portConnections: this.#portConnections,
      otherPorts: [...this.#otherPorts].sort((a, b) => a - b),
      saltFiles: [...this.#saltFiles],
    };
  }
}

/** The mode of an fd's link says how it was opened (fs/proc/fd.c, tid_fd_mode; proc(5)). */
function isWritten(link: string): boolean {
  try {
    return (lstatSync(link).mode & 0o200) !== 0;
  } catch {
    return false;
  }
}
