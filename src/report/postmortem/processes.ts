/** The salt-api processes as they were before anything was done. */

import { processEntry } from '../../diagnosis/checks/process-entry.ts';
import { averageCpuPercent, describeCpuTime, startedAt } from '../../words.ts';
import type { PostmortemCase } from './case.ts';
import type { Clock } from './clock.ts';
import { safe } from './statement.ts';

export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly role: string;
  readonly isOrphan: boolean;
  readonly started: string;
  /** CPU time as ps(1) has it, and the average use of a core since the start. */
  readonly cpu: string;
  readonly state: string;
  readonly threads: number;
  /** The fix has killed it. */
  readonly killed: boolean;
  readonly command: string;
  /** What the role was told by. */
  readonly reasons: readonly string[];
}

/** Anybody may run thousands of look-alikes. */
const MOST_ROWS = 30;

/** Orphans first, then the others, each oldest first. */
export function processRows({ before, incident }: PostmortemCase, clock: Clock): ProcessRow[] {
  if (before === null) return [];
  const { roles, evidence } = before;
  const killed = new Set(
    (incident?.journal ?? [])
      .filter(({ phase, identity }) => phase === 'after' && identity !== undefined)
      .map(({ identity }) => identity?.pid),
  );
  const shown = roles.all.filter(({ role }) => role !== 'elsewhere');
  const sorted = [
    ...shown.filter(({ role }) => role === 'orphan'),
    ...shown.filter(({ role }) => role !== 'orphan'),
  ];
  return sorted.slice(0, MOST_ROWS).map(({ facts, role, reasons }) => {
    const percent = averageCpuPercent(facts, evidence.host);
    const { pid, ppid, state, threads, argv } = processEntry(facts, role, reasons);
    return {
      pid,
      parent: ppid,
      role,
      isOrphan: role === 'orphan',
      started: clock.moment(startedAt(facts, evidence.host)),
      cpu:
        describeCpuTime(facts.cpuTicks, evidence.host) + (percent === null ? '' : ` (${percent}%)`),
      state,
      threads,
      killed: killed.has(pid),
      command: safe(argv.join(' ')),
      reasons: reasons.map(safe),
    };
  });
}
