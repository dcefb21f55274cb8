/** The thread that reads a large log: `log-thread.ts` starts it. */
import { parentPort, workerData } from 'node:worker_threads';
import { hostLocalTime } from '../../evidence/api-log-lines.ts';
import { readApiLog } from './api-log.ts';
import type { LogThreadOptions } from './log-thread.ts';

const options: LogThreadOptions = workerData;
// It never rejects for what the file is like; anything else ends the thread with its error.
void readApiLog({ ...options, localTime: hostLocalTime }).then((look) => {
  parentPort?.postMessage(look);
});
