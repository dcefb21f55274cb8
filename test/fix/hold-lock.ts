/** Takes the lock of a port in a process of its own and says what came of it. */

import { TriageError } from '../../src/errors.ts';
import { acquireLock } from '../../src/fix/lock.ts';

try {
  const lock = await acquireLock({ port: Number(process.argv[2]) });
  process.stdout.write('held\n');
  // Until the test closes our standard input.
  for await (const chunk of process.stdin) void chunk;
  await lock.release();
} catch (error) {
  if (!(error instanceof TriageError)) throw error;
  process.stdout.write(`${error.exitCode} ${error.message}\n`);
}
