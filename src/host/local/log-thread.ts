/** A large log is read on a second core, so that the look at /proc has this one to itself. */
import { Worker } from 'node:worker_threads';
import type { ApiLogFacts, Look } from '../../evidence/evidence.ts';
import type { ReadApiLogOptions } from './api-log.ts';
import { logThread } from './thread-sources.ts';

/** As {@link ReadApiLogOptions}; the clock is this host's. */
export type LogThreadOptions = Omit<ReadApiLogOptions, 'localTime' | 'aside'>;

/**
 * Reads the API log in a thread of its own. A read that hangs in there is left behind, as here.
 *
 * @returns null where there is no such thread to be had: a limit of processes, or of memory
 */
export function readApiLogAside(options: LogThreadOptions): Promise<Look<ApiLogFacts> | null> {
  return new Promise((resolve) => {
    const nothing = () => resolve(null);
    try {
      const thread = new Worker(logThread, {
        eval: true,
        workerData: options,
        resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
      });
      thread.once('message', resolve);
      thread.once('error', nothing);
      thread.once('exit', nothing);
    } catch {
      nothing();
    }
  });
}
