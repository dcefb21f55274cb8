/** What the threads run: in the bundle, which is one file, their own text (`bin/build.mjs`). */
import { fileURLToPath } from 'node:url';

export const logThread = fromSource('./api-log-thread.ts');
export const tablesThread = fromSource('./proc-tables-thread.ts');

/** A thread has no loader of TypeScript but the one that it loads itself. */
function fromSource(path: string): string {
  const file = fileURLToPath(new URL(path, import.meta.url));
  return `require('tsx/cjs'); require(${JSON.stringify(file)});`;
}
