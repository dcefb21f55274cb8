/** Runs a tool that looks into a process of this host, and ends it in time. */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { Look, ProcessIdentity } from '../../evidence/evidence.ts';
import { parseProcessStat } from '../../evidence/proc-text.ts';
import { gdbProgress, type PythonStacks, type StackTool } from '../../evidence/python-stacks.ts';
import { MAX_STACKS, stacksByAnyTool, type ToolRun, toolArguments } from '../stack-tools.ts';
import { tryReadKernelFile, tryReadLink } from './proc-files.ts';
import { findRootsProgram } from './roots-program.ts';

/** What is kept of a tool's standard error, bytes. */
const MAX_ERRORS = 2_048;
/** Before the bound, to wait for a tool's end and to set right what it left behind, ms. */
const TIDY_MS = 500;

/**
 * Stacks of a process that the kill guard has let through a moment ago.
 * @param boundMs nothing of ours runs any more after it
 */
export function readStacks(
  identity: ProcessIdentity,
  boundMs: number,
): Promise<Look<PythonStacks>> {
  return stacksByAnyTool(boundMs, async (tool, withinMs): Promise<ToolRun> => {
    const began = performance.now();
    // A directory on PATH may lie on a server that is gone: nothing that is read there comes back.
    const program = await Promise.race([findRootsProgram(tool), late(withinMs)]);
    if (program === null) return { kind: 'absent' };
    const leftMs = withinMs - (performance.now() - began) - TIDY_MS;
    if (program === 'late' || leftMs < TIDY_MS) return TOO_LATE;
    const { path } = program;
    if (!program.ofRoot) return { kind: 'not-of-root', path };
    return runOn(identity, tool, path, leftMs);
  });
}

/** It was looked for until its time was up, and is not run. */
const TOO_LATE: ToolRun = { kind: 'ran', output: '', errors: '', late: true };

function late(afterMs: number): Promise<'late'> {
  return delay(afterMs, 'late' as const, { ref: false });
}

/** True where an interpreter of Python runs a process, itself or as a library of its program. */
export function runsPython(pid: number): boolean {
  const program = tryReadLink(`/proc/${pid}/exe`)?.split('/').at(-1) ?? '';
  if (/^python\d?/.test(program)) return true;
  return tryReadKernelFile(`/proc/${pid}/maps`)?.includes('/libpython') ?? false;
}

async function runOn(
  identity: ProcessIdentity,
  tool: StackTool,
  path: string,
  withinMs: number,
): Promise<ToolRun> {
  const before = stateOf(identity);
  if (before === null) return ENDED;
  const ran = await runBounded([path, ...toolArguments(tool, identity, withinMs / 1000)], withinMs);
  if (tool === 'gdb' && before !== 'T') letRun(identity, ran.output);
  return stateOf(identity) === null ? ENDED : ran;
}

const ENDED = { kind: 'ran', output: '', errors: 'it ended meanwhile', late: false } as const;

/**
 * A gdb that was ended while it attached leaves the SIGSTOP behind that it has sent, and with it a
 * stopped process (measured). SIGCONT takes it back, and does nothing to what runs (signal(7)).
 */
function letRun(identity: ProcessIdentity, output: string): void {
  const { attached, detached } = gdbProgress(output);
  if (!attached || detached || stateOf(identity) === null) return;
  try {
    process.kill(identity.pid, 'SIGCONT');
  } catch {
    // It has ended.
  }
}

/** State of the process that is meant; null where its pid is nobody's, or another's. */
function stateOf({ pid, startTicks }: ProcessIdentity): string | null {
  const stat = parseProcessStat(tryReadKernelFile(`/proc/${pid}/stat`) ?? '');
  return stat?.startTicks === startTicks ? stat.state : null;
}

/** Neither the environment nor the directory of who calls has a say in what root runs. */
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', HOME: '/nonexistent' };

function runBounded(
  [program = '', ...args]: readonly string[],
  withinMs: number,
): Promise<ToolRun & { readonly kind: 'ran' }> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: '/',
      // A session of its own: a Ctrl-C in our terminal is not for it, and its group can be ended.
      detached: true,
      env: ENVIRONMENT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = gather(child.stdout, MAX_STACKS, () => endGroup(child));
    const errors = gather(child.stderr, MAX_ERRORS);
    let late = false;
    const settle = () => {
      for (const timer of timers) clearTimeout(timer);
      child.unref();
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ kind: 'ran', output: output(), errors: errors(), late });
    };
    const timers = [
      setTimeout(() => {
        late = true;
        endGroup(child);
      }, withinMs),
      // In D state not even SIGKILL ends it.
      setTimeout(settle, withinMs + TIDY_MS / 2),
    ];
    child.once('error', settle);
    child.once('close', settle);
  });
}

/** SIGKILL for a tool and whatever it has started; as long as it was not reaped its group is its own. */
function endGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** Keeps the first of what is written. @param full called once there is more */
function gather(
  pipe: NodeJS.ReadableStream,
  most: number,
  full: () => void = () => undefined,
): () => string {
  const chunks: Buffer[] = [];
  let length = 0;
  pipe.on('data', (chunk: Buffer) => {
    if (length < most) chunks.push(chunk);
    length += chunk.length;
    if (length > most) full();
  });
  pipe.on('error', () => undefined);
  return () => Buffer.concat(chunks).subarray(0, most).toString('utf8');
}
