/** How the Python stacks of a process that was killed are kept in the trail (kept-stacks.ts reads it back). */
import { type FoldedStack, foldStacks } from '../diagnosis/stacks/fold-stacks.ts';
import type { Look, ProcessIdentity } from '../evidence/evidence.ts';
import type { PythonStacks, StackTool } from '../evidence/python-stacks.ts';

/** `stacks-PID.json`: what was seen, or why nothing was. */
export interface StacksFile {
  readonly pid: number;
  readonly startTicks: number;
  /** How long it took, ms. */
  readonly tookMs: number;
  /** Null where no tool has seen anything; then `why` has the reason. */
  readonly tool: StackTool | null;
  readonly why: string | null;
  /** Threads that were seen. */
  readonly threads: number;
  /** Of these, such as are in no Python. */
  readonly withoutPython: number;
  /** Threads that time was up for before they were seen. */
  readonly unseen: number;
  /** Most frequent first. */
  readonly folded: readonly FoldedStack[];
}

/** The names that {@link stacksFileName} makes. */
export const STACKS_FILE = /^stacks-\d+\.json$/;

export function stacksFileName({ pid }: Pick<ProcessIdentity, 'pid'>): string {
  return `stacks-${pid}.json`;
}

/** What is kept of a look at the stacks. */
export function stacksFile(
  { pid, startTicks }: ProcessIdentity,
  look: Look<PythonStacks>,
  tookMs: number,
): StacksFile {
  const about = { pid, startTicks, tookMs: Math.round(tookMs) };
  if (!look.seen) {
    const nothing = { threads: 0, withoutPython: 0, unseen: 0, folded: [] };
    return { ...about, tool: null, why: look.why, ...nothing };
  }
  const { tool, stacks, withoutPython, unseen } = look.value;
  const threads = stacks.length + withoutPython;
  const seen = { threads, withoutPython, unseen, folded: foldStacks(look.value) };
  return { ...about, tool, why: null, ...seen };
}
