/** The thread that reads tables of /proc on a second core: `tables-thread.ts` starts it. */
import { parentPort } from 'node:worker_threads';
import { type FdTables, readFdTables, Turns } from './fd-tables.ts';
import { type PortSockets, readPortSockets } from './sockets.ts';
import type { TablesTask } from './tables-thread.ts';

function read(task: TablesTask): Promise<PortSockets | FdTables> {
  if (task.table === 'sockets') return readPortSockets(task.port, task.proc);
  return readFdTables(task.search, new Turns(task.turns));
}

/** One task after the other, so that the answers come in the order of the tasks. */
let last: Promise<unknown> = Promise.resolve();
parentPort?.on('message', (task: TablesTask | 'end') => {
  if (task === 'end') parentPort?.close();
  else last = last.then(async () => parentPort?.postMessage(await read(task)));
});
