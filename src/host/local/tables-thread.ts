/** A second core for the tables of /proc of a large host. */
import { Worker } from 'node:worker_threads';
import type { FdSearch, FdTables, Turns } from './fd-tables.ts';
import type { PortSockets } from './sockets.ts';
import { tablesThread } from './thread-sources.ts';

/** What the thread is given to read. */
export type TablesTask =
  | { readonly table: 'sockets'; readonly port: number; readonly proc: string }
  | { readonly table: 'fds'; readonly search: FdSearch; readonly turns: Turns['shared'] };

/**
 * The thread. Whatever it is asked for is null where there is no such thread to be had, or where it
 * has ended early: a limit of processes, or of memory.
 */
export class TablesThread {
  readonly #thread: Worker | null;
  /** Who waits for an answer, in the order of the tasks. */
  readonly #waiting: ((answer: never) => void)[] = [];
  #over = false;

  constructor() {
    this.#thread = this.#start();
  }

  sockets(port: number, proc: string): Promise<PortSockets | null> {
    return this.#ask({ table: 'sockets', port, proc });
  }

  /** Takes turns with whoever else reads the same fd tables. */
  fds(search: FdSearch, { shared }: Turns): Promise<FdTables | null> {
    return this.#ask({ table: 'fds', search, turns: shared });
  }

  /** Ends it once it has done what it was asked for. */
  end(): void {
    this.#thread?.postMessage('end');
    this.#thread?.unref();
  }

  #start(): Worker | null {
    const over = () => {
      this.#over = true;
      for (const answer of this.#waiting.splice(0)) answer(null as never);
    };
    try {
      const thread = new Worker(tablesThread, {
        eval: true,
        resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 },
      });
      thread.on('message', (answer) => this.#waiting.shift()?.(answer as never));
      thread.once('error', over);
      thread.once('exit', over);
      return thread;
    } catch {
      over();
      return null;
    }
  }

  #ask<Answer>(task: TablesTask): Promise<Answer | null> {
    if (this.#over) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#thread?.postMessage(task);
    });
  }
}
