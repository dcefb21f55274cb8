import type { ProcessFacts } from '../../evidence/evidence.ts';
import { redactArgv, stripControl } from '../../untrusted.ts';

/** A process as the JSON evidence shows it. */
export interface ProcessEntry {
  readonly pid: number;
  readonly ppid: number;
  /** `/proc/PID/stat` field 22: with the pid, its identity. */
  readonly startTicks: number;
  /** Secrets masked, control characters removed. */
  readonly argv: readonly string[];
  readonly role: string;
  readonly reasons: readonly string[];
  readonly state: string;
  readonly uid: number;
  readonly session: number;
  readonly threads: number;
  readonly cpuTicks: number;
}

/** Shapes a process for the JSON evidence, with its argv made safe to show. */
export function processEntry(
  facts: ProcessFacts,
  role: string,
  reasons: readonly string[],
): ProcessEntry {
  const { pid, ppid, startTicks, state, uid, session, threads, cpuTicks } = facts;
  const words = facts.argv.length > 0 ? facts.argv : [`[${facts.comm}]`];
  const argv = redactArgv(words).map(stripControl);
  return { pid, ppid, startTicks, argv, role, reasons, state, uid, session, threads, cpuTicks };
}
