/** Whether something may start anew what a fix has killed. Pure. */
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import type { SaltApiProcess } from '../diagnosis/process-roles.ts';
import { unitOf } from '../evidence/systemd-unit.ts';

/** States in which systemd does what Restart= says (systemd.service(5)). */
const KEPT_STATES = ['active', 'activating', 'reloading'];

/**
 * True where a process has somebody who keeps it: a parent that lives, such as supervisord; pid 1
 * itself, which has started what leads a session or a process group there (Upstart, an inittab, a
 * supervisord in a container), as a daemon that has forked itself away never does (salt-facts §1.2); or systemd, whose unit is not stopped.
 */
export function isKept({ facts, under, reparented }: SaltApiProcess, now: Diagnosis): boolean {
  const unit = unitOf(now.evidence.service);
  if (unit !== null && KEPT_STATES.includes(unit.activeState)) return true;
  // Whoever has a manager is started by that.
  if (under !== null) return false;
  return !reparented || facts.processGroup === facts.pid;
}
