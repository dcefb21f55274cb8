/** Whose rights a plan takes. Pure. */
import type { ActionBasis } from '../diagnosis/diagnosis.ts';
import { type FixPlan, leftoversOf } from './plan.ts';
import type { ServiceManager } from './service-manager.ts';

/** Owners of what the plan may kill, what a stop leaves behind included. */
export function ownersToKill({ steps }: FixPlan, diagnosis: ActionBasis): number[] {
  return steps.flatMap((step) => {
    if (step.kind === 'kill') return [step.uid];
    // What a stop leaves behind is of those that are there now.
    return step.kind === 'kill-leftovers'
      ? leftoversOf(diagnosis).map(({ facts }) => facts.uid)
      : [];
  });
}

/** Why only root can carry the plan out; null where anybody can, as commands of one's own may. */
export function ordersOfRoot({ steps }: FixPlan, manager: ServiceManager | null): string | null {
  if (manager === null || manager.kind === 'commands') return null;
  const gives = steps.some(({ kind }) => kind === 'stop' || kind === 'start');
  return gives ? `only root can stop and start ${manager.label}` : null;
}

/** True where whoever has looked may not carry the plan out, and root may. */
export function wantsRoot(
  plan: FixPlan,
  diagnosis: ActionBasis,
  manager: ServiceManager | null,
): boolean {
  const { uid } = diagnosis.evidence.host;
  if (uid === 0) return false;
  return (
    ordersOfRoot(plan, manager) !== null ||
    ownersToKill(plan, diagnosis).some((owner) => owner !== uid)
  );
}
