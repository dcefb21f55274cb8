/** The socket table and the fd tables of this host, read by as many cores as that is worth. */
import { availableParallelism } from 'node:os';
import { countOfSockets } from '../../evidence/tcp-table.ts';
import { type FdSearch, type FdTables, readFdTables, Turns } from './fd-tables.ts';
import { tryReadKernelFile } from './proc-files.ts';
import { type PortSockets, readPortSockets } from './sockets.ts';
import type { TablesThread } from './tables-thread.ts';

/**
 * From here on a thread, which takes 30 ms to start and 6 of these from us, halves what takes more
 * than twice as long: the fd tables of so many processes, or the rows and the fds of so many sockets.
 */
const LARGE = { processes: 2_000, sockets: 8_000 };

export class ProcTables {
  readonly #proc: string;
  readonly #thread: Pick<TablesThread, 'sockets' | 'fds' | 'end'> | null;

  /** @param thread that shares the work, or null */
  constructor(proc: string, thread: Pick<TablesThread, 'sockets' | 'fds' | 'end'> | null) {
    this.#proc = proc;
    this.#thread = thread;
  }

  /** @param processes how many there are */
  static async open(proc: string, processes: number): Promise<ProcTables> {
    if (!isLarge(proc, processes) || availableParallelism() < 2) return new ProcTables(proc, null);
    const { TablesThread } = await import('./tables-thread.ts');
    return new ProcTables(proc, new TablesThread());
  }

  /** The sockets of a port. */
  async sockets(port: number): Promise<PortSockets> {
    const read = await this.#thread?.sockets(port, this.#proc);
    return read ?? readPortSockets(port, this.#proc);
  }

  readonly fds = async (search: FdSearch): Promise<FdTables> => {
    if (this.#thread === null) return readFdTables(search);
    const turns = new Turns();
    const [ours, theirs] = await Promise.all([
      readFdTables(search, turns),
      this.#thread.fds(search, turns),
    ]);
    // What it took its turns for is lost with it.
    if (theirs === null) return readFdTables(search);
    return {
      tables: new Map([...ours.tables, ...theirs.tables]),
      denied: ours.denied + theirs.denied,
    };
  };

  end(): void {
    this.#thread?.end();
  }
}

function isLarge(proc: string, processes: number): boolean {
  const files = ['sockstat', 'sockstat6'].map((name) => tryReadKernelFile(`${proc}/net/${name}`));
  const sockets = countOfSockets(files.join(''));
  return processes / LARGE.processes + sockets / LARGE.sockets >= 1;
}
