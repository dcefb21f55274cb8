/** What the threads run: in the bundle, which is one file, their own text (`bin/build.mjs`). */
import { fileURLToPath } from 'node:url';

export const logThread = fromSource(new URL('./in-log-thread.ts', import.meta.url));
export const tablesThread = fromSource(new URL('./in-tables-thread.ts', import.meta.url));

/** A thread has no loader of TypeScript but the one that it loads itself. */
function fromSource(file: URL): string {
  return `require('tsx/cjs'); require(${JSON.stringify(fileURLToPath(file))});`;
}
