/** Processes whose command line reads as salt-api, started and ended by a test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCommandLine, parseProcessStat } from '../../src/evidence/proc-text.ts';
import type { KillTarget } from '../../src/host/host.ts';

export class FakeSaltApis {
  readonly directory = mkdtempSync(join(tmpdir(), 'salt-actions-'));
  readonly #children: ChildProcess[] = [];

  constructor() {
    chmodSync(this.directory, 0o755);
  }

  /** Starts bash on a script, so that argv is `/usr/bin/python3 …/salt-api ARGS`. */
  start(
    script: string,
    args: readonly string[] = [],
    options: { uid?: number } = {},
  ): ChildProcess {
    const argv = [this.script(script), ...args];
    return this.spawn('bash', argv, { argv0: '/usr/bin/python3', ...options });
  }

  /** Writes a script that is named salt-api. @returns its path */
  script(text: string): string {
    const path = join(this.directory, 'salt-api');
    writeFileSync(path, `${text}\n`);
    return path;
  }

  spawn(
    program: string,
    args: readonly string[],
    options: { argv0?: string; uid?: number; detached?: boolean } = {},
  ): ChildProcess {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options });
    this.#children.push(child);
    return child;
  }

  end(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** What a plan made now would name. */
export function targetOf(pid: number): KillTarget {
  const stat = parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  if (stat === null) throw new Error(`no process ${pid}`);
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const argv = parseCommandLine(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  return { identity: { pid, startTicks: stat.startTicks, bootId }, argv };
}

/** R, S, Z …, or null where the process is gone. */
export function stateOf(pid: number): string | null {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.state ?? null;
  } catch {
    return null;
  }
}

/** True unless it is gone, or dead and waiting for its parent. */
export function isAlive(pid: number): boolean {
  const state = stateOf(pid);
  return state !== null && state !== 'Z' && state !== 'X';
}

export function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('it was not started');
  return child.pid;
}

/** The next line of a child's standard output. */
export async function lineOf(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    const end = text.indexOf('\n');
    if (end >= 0) return text.slice(0, end);
  }
  throw new Error(`it ended after ${JSON.stringify(text)}`);
}

/** Waits for a condition. @throws Error after 10 s */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
