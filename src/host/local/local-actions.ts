import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { growingPause } from '../../backoff.ts';
import { blind, type Look, type NamespaceRelation } from '../../evidence/evidence.ts';
import {
  isDeadState,
  type ProcessStat,
  parseCommandLine,
  parseProcessStat,
  utf8OfLatin1,
} from '../../evidence/proc-text.ts';
import type { PythonStacks } from '../../evidence/python-stacks.ts';
import { recordedArgv, recordedText } from '../../untrusted.ts';
import type { CommandOutcome, HostActions, KillOutcome, KillTarget } from '../host.ts';
import {
  judgeKill,
  type KillReading,
  refuseTarget,
  relatePidNamespace,
  whyNoStacks,
} from '../kill-guard.ts';
import { PROCESS_FILES, PROCESS_TABLE, processTable } from '../recordings.ts';
import { isOnPath } from './on-path.ts';
import {
  errorCode,
  readKernelFile,
  tryReadBounded,
  tryReadKernelFile,
  tryReadLink,
} from './proc-files.ts';
import { runCommand } from './run-command.ts';

/** A parent that reaps at all does so within this time, ms. */
const REAP_MS = 100;
/** Bit of CAP_KILL in CapEff (linux/capability.h). */
const CAP_KILL = 1n << 5n;
/** How long ps(1) may take for the whole process table, ms. */
const PROCESS_TABLE_MS = 5_000;
const MAX_FDS = 20_000;
const MAX_THREADS = 5_000;

/** Changes this host: signals and commands. */
export class LocalActions implements HostActions {
  /**
   * Sends SIGKILL to what the plan names and to nothing else. Between the last read of the
   * identity and the signal there is no await; what is left is the time of one system call,
   * in which the kernel would have to end the process and give its pid out again.
   */
  async kill(target: KillTarget, timeoutMs: number): Promise<KillOutcome> {
    const refusal = refuseTarget(target);
    if (refusal !== null) return { kind: 'refused', why: refusal };
    const blocked = await blockedRead(target.identity.pid);
    if (blocked !== null) return blocked;
    const outcome = signal(target);
    return outcome ?? becomeOf(target, timeoutMs);
  }

  hasProgram(program: string): Promise<boolean> {
    return isOnPath(program);
  }

  run(argv: readonly string[], timeoutMs: number): Promise<CommandOutcome> {
    return runCommand(argv, timeoutMs);
  }

  /**
   * The whole table, for whoever reads the trail later. ps-list is for this, where half a second
   * and two ps(1) runs don't matter; a verdict needs start ticks, sessions and real argv, which it
   * does not have.
   */
  async recordHost(): Promise<ReadonlyMap<string, string>> {
    try {
      const { default: psList } = await import('ps-list');
      const late = AbortSignal.timeout(PROCESS_TABLE_MS);
      const table = await Promise.race([
        psList(),
        new Promise<never>((_resolve, reject) => {
          late.addEventListener('abort', () => reject(late.reason));
        }),
      ]);
      const rows = table.map(({ pid, ppid, uid, cpu, memory, startTime, cmd, name }) => ({
        pid,
        ppid,
        uid: uid ?? null,
        cpuPercent: cpu ?? null,
        memoryPercent: memory ?? null,
        startedAt: startTime?.getTime() ?? null,
        command: cmd ?? name,
      }));
      return new Map([[PROCESS_TABLE, processTable(rows)]]);
    } catch (error) {
      return new Map([[PROCESS_TABLE, `not recorded: ${String(error)}\n`]]);
    }
  }

  async recordProcess(pid: number): Promise<ReadonlyMap<string, string>> {
    const directory = `/proc/${pid}`;
    const record = new Map<string, string>();
    for (const name of PROCESS_FILES) {
      const text = tryReadKernelFile(`${directory}/${name}`);
      if (text !== null && text !== '') record.set(name, recordedText(text.trimEnd().split('\n')));
    }
    const threads = readThreads(pid).map(({ tid, stat, waitChannel }) => {
      return `${tid} ${stat.state} ${waitChannel ?? '-'} ${stat.comm}`;
    });
    if (threads.length > 0) record.set('threads', recordedText(threads));
    const fds = listNumbers(`${directory}/fd`).slice(0, MAX_FDS);
    const links = fds.map((fd) => `${fd} ${tryReadLink(`${directory}/fd/${fd}`) ?? '?'}`);
    if (links.length > 0) record.set('fds', recordedText(links));
    const argv = await tryReadBounded(`${directory}/cmdline`);
    if (argv !== null && argv !== '') {
      record.set('cmdline', recordedArgv(parseCommandLine(utf8OfLatin1(argv))));
    }
    return record;
  }

  async readStacks(target: KillTarget, boundMs: number): Promise<Look<PythonStacks>> {
    const { pid } = target.identity;
    const refusal = refuseTarget(target);
    if (refusal !== null) return blind('unsupported', refusal);
    // Its memory may be locked, and what waits for that can't be ended.
    if (isStuck(pid)) return blind('unsupported', `${pid} is in D state`);
    const outcome = judgeKill(target, readMoment(pid));
    if (outcome !== null) return blind('unsupported', whyNoStacks(outcome));
    const { readStacks, runsPython } = await import('./read-stacks.ts');
    if (!runsPython(pid)) return blind('unsupported', `the program of ${pid} is not Python`);
    return readStacks(target.identity, boundMs);
  }

  async missingRights(uids: readonly number[]): Promise<string | null> {
    const own = process.geteuid?.() ?? -1;
    const foreign = uids.filter((uid) => uid !== own);
    if (own !== 0) {
      if (foreign.length === 0) return null;
      return `we are uid ${own}, and what is to be killed belongs to ${describeUids(foreign)}`;
    }
    const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(
      tryReadKernelFile('/proc/self/status') ?? '',
    );
    const mayKill = capabilities === null || (BigInt(`0x${capabilities[1]}`) & CAP_KILL) !== 0n;
    if (mayKill || foreign.length === 0) return null;
    return `this root lacks CAP_KILL, and what is to be killed belongs to ${describeUids(foreign)}`;
  }
}

function describeUids(uids: readonly number[]): string {
  const names = [...new Set(uids)].map((uid) =>
    uid < 0 ? 'an owner that we may not see' : `uid ${uid}`,
  );
  return names.join(', ');
}

/**
 * A process in D state may hold the lock that a read of its cmdline waits for, and a synchronous
 * read would then hang us. Without its cmdline it can't be judged, so it gets no signal.
 */
async function blockedRead(pid: number): Promise<KillOutcome | null> {
  if (!isStuck(pid)) return null;
  if ((await tryReadBounded(`/proc/${pid}/cmdline`)) !== null) return null;
  return isStuck(pid) ? { kind: 'uninterruptible', waitChannel: stuckIn(pid) } : null;
}

/** Guards and signals in one breath. @returns null where the signal went out */
function signal(target: KillTarget): KillOutcome | null {
  const { pid } = target.identity;
  const outcome = judgeKill(target, readMoment(pid));
  if (outcome !== null) return outcome;
  try {
    process.kill(pid, 'SIGKILL');
    return null;
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return { kind: 'gone-before' };
    if (errorCode(error) === 'EPERM') return { kind: 'not-permitted' };
    throw error;
  }
}

/** Everything a guard judges. `stat` is read last: it proves whose cmdline was read before it. */
function readMoment(pid: number): KillReading {
  const ancestors = readAncestors();
  const bootId = (tryReadKernelFile('/proc/sys/kernel/random/boot_id') ?? '').trim();
  try {
    const pidNamespace = readPidNamespace(pid);
    const argv = parseCommandLine(utf8OfLatin1(readKernelFile(`/proc/${pid}/cmdline`)));
    const stat = parseProcessStat(readKernelFile(`/proc/${pid}/stat`));
    if (stat === null) return 'denied';
    const { startTicks, ppid: parent } = stat;
    const self = process.pid;
    const dead = isDead(pid, stat);
    return { startTicks, bootId, argv, dead, parent, pidNamespace, self, ancestors };
  } catch (error) {
    return ['ENOENT', 'ESRCH'].includes(errorCode(error)) ? 'gone' : 'denied';
  }
}

function readPidNamespace(pid: number): NamespaceRelation {
  // In the /proc of another PID namespace a pid means another process than to kill(2).
  if (tryReadLink('/proc/self') !== String(process.pid)) return 'unseen';
  const [ours, theirs] = [tryReadLink('/proc/self/ns/pid'), tryReadLink(`/proc/${pid}/ns/pid`)];
  if (ours !== null && theirs !== null) return relatePidNamespace(ours, theirs, 0);
  const numbers = /^NSpid:((?:\s+\d+)+)$/m.exec(tryReadKernelFile(`/proc/${pid}/status`) ?? '');
  return relatePidNamespace(ours, theirs, (numbers?.[1] ?? '').match(/\d+/g)?.length ?? 0);
}

function readAncestors(): number[] {
  const ancestors: number[] = [];
  let pid = process.ppid;
  while (pid > 0 && !ancestors.includes(pid)) {
    ancestors.push(pid);
    pid = parseProcessStat(tryReadKernelFile(`/proc/${pid}/stat`) ?? '')?.ppid ?? 0;
  }
  return ancestors;
}

/** Watches what a signalled process becomes. */
async function becomeOf({ identity }: KillTarget, timeoutMs: number): Promise<KillOutcome> {
  const { pid, startTicks } = identity;
  const began = performance.now();
  for (let turn = 0; ; turn += 1) {
    const stat = parseProcessStat(tryReadKernelFile(`/proc/${pid}/stat`) ?? '');
    if (stat === null || stat.startTicks !== startTicks) return { kind: 'gone' };
    const waited = performance.now() - began;
    const late = waited >= timeoutMs;
    if (isDead(pid, stat) && (late || waited >= REAP_MS))
      return { kind: 'zombie', parent: stat.ppid };
    if (late && isStuck(pid)) return { kind: 'uninterruptible', waitChannel: stuckIn(pid) };
    if (late) return { kind: 'still-there', state: stat.state };
    await delay(Math.min(growingPause(turn, 5, REAP_MS), timeoutMs - waited + 1));
  }
}

/**
 * True where every thread is dead. The first thread of a process shows as a zombie while others
 * still end, and until the last has, the process's sockets are open.
 */
function isDead(pid: number, stat: ProcessStat): boolean {
  return isDeadState(stat.state) && readThreads(pid).every((one) => isDeadState(one.stat.state));
}

/** True where a thread sleeps uninterruptibly (proc_pid_stat(5), field 3). */
function isStuck(pid: number): boolean {
  return readThreads(pid).some(({ stat }) => stat.state === 'D');
}

function stuckIn(pid: number): string | null {
  const stuck = readThreads(pid).filter(({ stat }) => stat.state === 'D');
  return stuck.find(({ waitChannel }) => waitChannel !== null)?.waitChannel ?? null;
}

interface Thread {
  readonly tid: number;
  readonly stat: ProcessStat;
  readonly waitChannel: string | null;
}

function readThreads(pid: number): Thread[] {
  const threads: Thread[] = [];
  for (const tid of listNumbers(`/proc/${pid}/task`).slice(0, MAX_THREADS)) {
    const directory = `/proc/${pid}/task/${tid}`;
    const stat = parseProcessStat(tryReadKernelFile(`${directory}/stat`) ?? '');
    const channel = tryReadKernelFile(`${directory}/wchan`);
    if (stat === null) continue;
    threads.push({ tid, stat, waitChannel: channel === '' || channel === '0' ? null : channel });
  }
  return threads;
}

function listNumbers(directory: string): number[] {
  try {
    return readdirSync(directory)
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}
