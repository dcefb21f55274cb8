/**
 * Takes the lock of a port in a process of its own and says what came of it. With `storm DIRECTORY`
 * it takes it over and over, each third time leaving a lock as a crash would.
 */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { TriageError } from '../../src/errors.ts';
import { acquireLock } from '../../src/fix/lock.ts';
import { errorCode } from '../../src/host/local/proc-files.ts';

const [, , port = '', mode, inside = ''] = process.argv;
try {
  if (mode === 'storm') process.stdout.write(`held ${await storm()} times\n`);
  else {
    const lock = await acquireLock({ port: Number(port) });
    process.stdout.write('held\n');
    // Until the test closes our standard input.
    for await (const chunk of process.stdin) void chunk;
    await lock.release();
  }
} catch (error) {
  if (!(error instanceof TriageError)) throw error;
  process.stdout.write(`${error.exitCode} ${error.message}\n`);
}

async function storm(): Promise<number> {
  let held = 0;
  const deadline = Date.now() + 5_000;
  while (Date.now() < deadline) {
    const lock = await acquireLock({ port: Number(port) }).catch((error) => {
      if (error instanceof TriageError) return null;
      throw error;
    });
    if (lock === null) continue;
    held += 1;
    // Fails where another one is inside.
    mkdirSync(inside);
    await new Promise(setImmediate);
    rmdirSync(inside);
    if (held % 3 === 0) crash();
    else await lock.release();
  }
  return held;
}

/** What a SIGKILL of the holder would leave: a lock of a process that is no more. */
function crash(): void {
  const directory =
    process.getuid?.() === 0 ? '/run/salt-triage' : `/tmp/salt-triage-${process.getuid?.()}`;
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (!new RegExp(`^${port}-.*\\.\\d+$`).test(name)) continue;
    const holder = holderIn(path);
    if (holder?.pid !== process.pid) continue;
    const dead = `${path}.dead-${process.pid}`;
    writeFileSync(dead, JSON.stringify({ ...holder, startTicks: 1 }));
    renameSync(dead, path);
  }
}

/** Null where it was given back since it was listed: another one may come, see ours and go. */
function holderIn(path: string): { readonly pid: number } | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}
