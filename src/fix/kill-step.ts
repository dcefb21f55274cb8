/** One kill -9: asked, judged again by a fresh look, looked into, sent, and told what came of it. */
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import type { KillOutcome } from '../host/host.ts';
import { type KillStep, leftoversOf } from '../plan/plan.ts';
import { type FixRun, type Settled, settled } from './fix-run.ts';
import { saveStacks } from './save-stacks.ts';

const KILL_WAIT_MS = 5_000;

/** `left` after a stop: then it goes whatever its part, as long as it is this salt-api. */
type Reason = 'planned' | 'left';

export async function kill(
  run: FixRun,
  step: KillStep,
  reason: Reason = 'planned',
): Promise<Settled> {
  const { actions, trail } = run.context;
  const { identity } = step.target;
  const declined = await run.consent(step);
  if (declined !== null) return declined;
  // The answer may have taken ten minutes: what is judged now is the host as it is now.
  const premise = await lostPremise(run, step, reason);
  if (premise !== null) return premise;
  await trail.saveProcess(identity, await actions.recordProcess(identity.pid));
  const stacks = await saveStacks(run, step);
  const ended = await sendKill(run, step, reason, stacks.tookTime);
  return { ...ended, detail: [ended.detail, ...stacks.lines].join('\n') };
}

async function sendKill(
  run: FixRun,
  step: KillStep,
  reason: Reason,
  lookAgain: boolean,
): Promise<Settled> {
  const { actions, trail, consent, interrupted, observer } = run.context;
  const { identity } = step.target;
  const premise = lookAgain ? whyNotKilled(step, reason, await run.look('processes')) : null;
  if (premise !== null) return premise;
  if (interrupted()) {
    run.ended = 'interrupted';
    return settled('declined', 'interrupted before the signal');
  }
  const action = { action: `kill -9 ${identity.pid}`, identity, answer: consent.label };
  await trail.journal({ phase: 'before', ...action, command: step.shownArgv });
  return run.journaled(action, async () => {
    observer.waiting?.(`until ${identity.pid} has ended`, KILL_WAIT_MS);
    const outcome = await actions.kill(step.target, KILL_WAIT_MS);
    const ended = describeKill(outcome, identity.pid);
    return [ended, `${outcome.kind}: ${ended.detail}`];
  });
}

async function lostPremise(run: FixRun, step: KillStep, reason: Reason): Promise<Settled | null> {
  // Without a stop command the first kill is the stop: what serves again is left alone.
  const isStop = reason === 'planned' && !['orphan', 'fork'].includes(step.role);
  const now = isStop ? await run.lookBeforeStop() : await run.recentLook();
  return (isStop ? run.cameBack(now) : null) ?? whyNotKilled(step, reason, now);
}

/** Why a process is no target any more; null where it still is the one that was planned. */
function whyNotKilled(step: KillStep, reason: Reason, now: Diagnosis): Settled | null {
  const { pid, startTicks } = step.target.identity;
  const { processes } = now.evidence;
  if (!processes.seen) return settled('refused', `can't look again: ${processes.why}`);
  const member = now.roles.all.find(({ facts }) => facts.pid === pid);
  if (member === undefined) {
    const there = processes.value.processes.some((facts) => facts.pid === pid);
    return there
      ? settled('refused', `${pid} is not salt-api any more`)
      : settled('not-needed', `${pid} has ended by itself`);
  }
  if (member.facts.startTicks !== startTicks) {
    return settled('refused', `${pid} is another process now: the pid was given out again`);
  }
  // A child whose manager was killed a moment ago is an orphan by now: no less a target.
  const lostItsParent = ['child', 'fork'].includes(step.role) && member.role === 'unclear';
  const isTarget =
    reason === 'left'
      ? leftoversOf(now).some(({ facts }) => facts.pid === pid)
      : member.role === step.role || member.role === 'orphan' || lostItsParent;
  return isTarget
    ? null
    : settled('refused', `${pid} was ${step.role} when planned and is ${member.role} now`);
}

function describeKill(outcome: KillOutcome, pid: number): Settled {
  switch (outcome.kind) {
    case 'gone':
      return settled('done', `${pid} is gone`);
    case 'gone-before':
      return settled('not-needed', `${pid} had ended before the signal`);
    case 'zombie':
      return settled(
        'done',
        `${pid} is dead and waits for its parent ${outcome.parent} to reap it; it holds nothing`,
      );
    case 'uninterruptible': {
      const where = outcome.waitChannel === null ? '' : ` (in ${outcome.waitChannel})`;
      return settled(
        'failed',
        `${pid} is in D state${where}: kill -9 acts when that call returns; look for a dead disk or NFS mount, else reboot`,
      );
    }
    case 'still-there':
      return settled('failed', `${pid} got SIGKILL and is still there, state ${outcome.state}`);
    case 'refused':
      return settled('refused', outcome.why);
    case 'not-permitted':
      return {
        ...settled('failed', `not permitted to signal ${pid}: run with sudo or as root`),
        notPermitted: true,
      };
  }
}
