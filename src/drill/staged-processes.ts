import { readdirSync, readFileSync, statSync } from 'node:fs';
import { type ProcessStat, parseCommandLine, parseProcessStat } from '../evidence/proc-text.ts';

/**
 * The live processes of one drill: those of this user that run the given script.
 * A drill's directory is fresh and private, so no other process can have this path as its
 * second argument. Zombies have no command line any more and don't count.
 *
 * @param script absolute path of the drill's `salt-api`
 */
export function stagedProcesses(script: string): ProcessStat[] {
  return allPids()
    .map((pid) => stagedProcess(pid, script))
    .filter((process) => process !== null);
}

/** The scripts that processes of this user run as a drill's salt-api, by their path. */
export function ourScripts(): string[] {
  const scripts = allPids().map((pid) => scriptOf(pid) ?? '');
  return [...new Set(scripts.filter((script) => /^\/.*\/salt-api$/.test(script)))];
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The second word of the command line of a process of this user, else null. */
function scriptOf(pid: number): string | null {
  try {
    if (statSync(`/proc/${pid}`).uid !== process.geteuid?.()) return null;
    return parseCommandLine(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))[1] ?? null;
  } catch {
    return null;
  }
}

/** What `pid` is now, or null where it is gone or is no process of this drill. */
export function stagedProcess(pid: number, script: string): ProcessStat | null {
  try {
    if (scriptOf(pid) !== script) return null;
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    // Gone between two reads, or not ours to read: either way not one that we staged.
    return null;
  }
}

/** Sends SIGKILL to a process of this drill, only if it still is the one that was seen. */
export function killStaged(seen: ProcessStat, script: string): void {
  if (stagedProcess(seen.pid, script)?.startTicks !== seen.startTicks) return;
  try {
    process.kill(seen.pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/**
 * Ends every process of a drill, those included that are forked meanwhile. Synchronous, so that
 * it also works while the tool itself is ending.
 *
 * @throws Error if one is still there after 5 s
 */
export function endStaged(script: string): void {
  const deadline = Date.now() + 5_000;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let left = stagedProcesses(script); left.length > 0; left = stagedProcesses(script)) {
    if (Date.now() > deadline) {
      const pids = left.map(({ pid }) => pid).join(' ');
      throw new Error(`processes of the drill survive SIGKILL: ${pids}`);
    }
    for (const process of left) killStaged(process, script);
    Atomics.wait(pause, 0, 0, 5);
  }
}
