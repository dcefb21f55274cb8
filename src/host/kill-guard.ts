/**
 * The last word before a SIGKILL, for this host and for those behind ssh. Pure, so that every guard
 * can be tested by itself.
 */
import type { NamespaceRelation } from '../evidence/evidence.ts';
import { readSaltApiArgv } from '../evidence/salt-api-argv.ts';
import type { KillOutcome, KillTarget } from './host.ts';

/** What the host says of a pid, and of us, in the moment of the signal. */
export interface KillMoment {
  readonly startTicks: number;
  /** Empty where it can't be read. */
  readonly bootId: string;
  readonly argv: readonly string[];
  /** True where every thread has ended (proc_pid_stat(5), field 3). */
  readonly dead: boolean;
  readonly parent: number;
  readonly pidNamespace: NamespaceRelation;
  /** Our own pid. */
  readonly self: number;
  /** Pids of our parent, its parent, and so on. */
  readonly ancestors: readonly number[];
}

/** What came of reading a pid: nobody has it, it is not for us to read, or what it is. */
export type KillReading = 'gone' | 'denied' | KillMoment;

/**
 * Whether a signal may go out, judged alike for every host.
 * @param target what the plan names
 * @returns null where it may; else what came of the kill without one
 */
export function judgeKill(target: KillTarget, reading: KillReading): KillOutcome | null {
  if (reading === 'gone') return { kind: 'gone-before' };
  if (reading === 'denied') return { kind: 'not-permitted' };
  const { startTicks, bootId } = target.identity;
  const same = reading.startTicks === startTicks && reading.bootId === bootId;
  if (same && reading.dead) return { kind: 'zombie', parent: reading.parent };
  const why = refuseToKill(target, reading);
  return why === null ? null : { kind: 'refused', why };
}

/**
 * How a process's PID namespace is to ours. Its link needs the rights of a tracer; `NSpid` of its
 * status does not, and has one number where the process is in the namespace of that /proc
 * (proc_pid_status(5)).
 *
 * @param ours target of `/proc/self/ns/pid`; null where it can't be read, as `theirs`
 * @param levels how many numbers `NSpid` has; 0 where it can't be read
 */
export function relatePidNamespace(
  ours: string | null,
  theirs: string | null,
  levels: number,
): NamespaceRelation {
  if (ours !== null && theirs !== null) return ours === theirs ? 'ours' : 'other';
  if (levels === 0) return 'unseen';
  return levels === 1 ? 'ours' : 'other';
}

/** Why the stacks of a process are not looked at that would get no signal either, in words. */
export function whyNoStacks(outcome: KillOutcome): string {
  if (outcome.kind === 'refused') return outcome.why;
  return outcome.kind === 'not-permitted' ? 'not permitted to look into it' : 'it has ended';
}

/** Why a target is none, whatever runs now; null where nothing speaks against it. */
export function refuseTarget({ identity, argv }: KillTarget): string | null {
  const { pid } = identity;
  if (isNobodys(pid)) return `pid ${pid} is never killed`;
  return readSaltApiArgv(argv) === null ? `${pid} was no salt-api when the plan was made` : null;
}

/** kill(2): 0 is our own process group, -1 is everything, other negatives are groups. */
function isNobodys(pid: number): boolean {
  return !Number.isSafeInteger(pid) || pid <= 1;
}

/**
 * Why a process must not get SIGKILL, or null where nothing speaks against it.
 * @param target what the plan names
 * @param now what has that pid now
 */
export function refuseToKill(target: KillTarget, now: KillMoment): string | null {
  const { pid, startTicks, bootId } = target.identity;
  if (isNobodys(pid)) return `pid ${pid} is never killed`;
  if (pid === now.self) return `${pid} is salt-triage itself`;
  if (now.ancestors.includes(pid)) return `${pid} is what started salt-triage`;
  if (bootId === '' || now.bootId !== bootId) {
    return `the host has booted since the plan was made, or its boot can't be told: ${pid} means nothing now`;
  }
  if (now.startTicks !== startTicks) {
    return `${pid} is another process now: the pid was given out again`;
  }
  if (now.pidNamespace === 'other') return `${pid} belongs to another PID namespace (a container)`;
  if (now.pidNamespace === 'unseen') return `the PID namespace of ${pid} can't be told`;
  if (readSaltApiArgv(now.argv) === null) return `${pid} runs something that is not salt-api now`;
  if (commandOf(now.argv) !== commandOf(target.argv)) {
    return `${pid} runs another command line than when the plan was made`;
  }
  if (target.parent !== undefined && now.parent !== target.parent) {
    return `the parent of ${pid} is ${now.parent} now, and was ${target.parent} when the plan was made`;
  }
  return null;
}

/**
 * The command line without what setproctitle may do to it at any time: blanks for NULs, and a
 * class name appended (salt-facts §1.3).
 */
function commandOf(argv: readonly string[]): string {
  const line = argv.join(' ').split(/\s+/).filter(Boolean).join(' ');
  const title = readSaltApiArgv(argv)?.title ?? '';
  return title !== '' && line.endsWith(` ${title}`) ? line.slice(0, -title.length - 1) : line;
}
