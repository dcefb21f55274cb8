/** What a stop has left behind, and what somebody has started meanwhile. */
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import { type SaltApiProcess, servesPort } from '../diagnosis/process-roles.ts';
import { killStep, leftoversOf } from '../plan/plan.ts';
import { stripControl } from '../untrusted.ts';
import { count, pidList } from '../words.ts';
import { type FixRun, identityOf, type Settled, settled } from './fix-run.ts';
import { kill } from './kill-step.ts';

/** What a stop has signalled may still be finishing; then it needs no kill -9. */
const LEFTOVER_GRACE_MS = 5_000;
/** A supervisor's usual pause before it starts anew, and the time that a daemon takes to show. */
const RESPAWN_MS = 1_500;
const LEFTOVER_ROUNDS = 3;

/** Kills what stays, round by round, each kill with an outcome of its own. */
export async function killLeftovers(run: FixRun): Promise<Settled> {
  const declined = declinedKills(run);
  const asked = new Set(declined);
  for (let round = 1; round <= LEFTOVER_ROUNDS; round += 1) {
    const now = await lookForLeftovers(run, asked);
    const { processes } = now.evidence;
    if (!processes.seen) return settled('failed', `can't look: ${processes.why}`);
    const fresh = notAsked(leftIn(run, now), asked);
    if (fresh.length === 0) break;
    if (run.statusOf('stop') === 'failed' && (await serves(run))) {
      run.servesAgain = 'by itself';
      return settled('not-needed', 'it could not be stopped, and the API serves');
    }
    for (const member of stoppedFirst(fresh)) {
      asked.add(identityOf(member.facts));
      run.heedInterrupt();
      if (run.ended !== 'completed') return settled('failed', run.ended);
      const step = killStep(member, now);
      await run.perform(step, `left, round ${round}`, () => kill(run, step, 'left'));
    }
  }
  // A supervisor starts anew at once what was killed: then a start of ours would be a second one.
  if (asked.size > declined.size) await run.context.pause(RESPAWN_MS);
  return whatStayed(run, await lookForLeftovers(run, asked), { asked, declined });
}

function whatStayed(
  run: FixRun,
  now: Diagnosis,
  { asked, declined }: Record<'asked' | 'declined', ReadonlySet<string>>,
): Settled {
  const { processes } = now.evidence;
  if (!processes.seen) return settled('failed', `can't look: ${processes.why}`);
  const left = leftIn(run, now);
  if (left.length === 0) {
    const kills = asked.size - declined.size;
    const none = kills === 0 ? 'none left' : `none left after ${count(kills, 'kill')}`;
    const anew = startedSinceStop(run, now);
    return settled('done', anew === undefined ? none : `${none}; ${anew}`);
  }
  const pids = pidList(left.map(({ facts }) => facts.pid));
  if (notAsked(left, declined).length === 0) {
    return settled('declined', `skipped before: ${pids}`);
  }
  const starters = startersOf(notAsked(left, asked), now);
  const again = starters === '' ? '' : `; ${starters} keeps starting it anew`;
  return settled('failed', `still there: ${pids}${again}`);
}

/**
 * What a stop has signalled may end by itself, such as a server that finishes its requests; and
 * what somebody starts meanwhile shows itself as a daemon. So what is left gets some time, but for
 * what is stopped. That gets no SIGCONT either: it would run what queued for clients long gone
 * before it came to its SIGTERM (salt-facts §10).
 * @param asked what the person has been asked about
 */
function lookForLeftovers(run: FixRun, asked: ReadonlySet<string>): Promise<Diagnosis> {
  return run.lookUntil({ probe: false, waitMs: LEFTOVER_GRACE_MS }, (now, timeIsUp) => {
    const left = leftIn(run, now);
    // What holds nothing and serves nobody has nothing to finish; also where nothing is left.
    const idle = left.every(({ role, facts }) => {
      return !['manager', 'child'].includes(role) && !servesPort(facts);
    });
    const stuck = notAsked(left, asked).some(isStopped);
    if (idle || stuck || timeIsUp || run.stopped === null) return now;
    return `waiting for ${pidList(left.map(({ facts }) => facts.pid))} to end`;
  });
}

function leftIn(run: FixRun, now: Diagnosis): SaltApiProcess[] {
  const orphansAlone = run.statusOf('stop') === 'declined' || run.stopMissed;
  return leftoversOf(now)
    .filter(({ role }) => !orphansAlone || role === 'orphan')
    .filter((member) => !isOfNewDaemon(run, member));
}

function notAsked(members: SaltApiProcess[], asked: ReadonlySet<string>): SaltApiProcess[] {
  return members.filter(({ facts }) => !asked.has(identityOf(facts)));
}

/** What is stopped ends by no SIGTERM, and its manager waits for it: that may end by itself then. */
function stoppedFirst(members: SaltApiProcess[]): SaltApiProcess[] {
  const stuck = members.filter(isStopped);
  return stuck.length > 0 ? stuck : members;
}

/** True for a process that SIGSTOP has stopped. */
function isStopped({ facts }: SaltApiProcess): boolean {
  return facts.state === 'T';
}

/** A daemon that could not be stopped may have come to itself by now. */
async function serves(run: FixRun): Promise<boolean> {
  return run.wanting(await run.look({ probe: true }), 'serving').length === 0;
}

/** A person who has said no to a kill is not asked again. */
function declinedKills({ outcomes }: FixRun): Set<string> {
  return new Set(
    outcomes.flatMap(({ step, status }) =>
      step.kind === 'kill' && status === 'declined' ? [identityOf(step.target.identity)] : [],
    ),
  );
}

/** A daemon that was not there when the stop went out is somebody's start, and did not stay. */
function isOfNewDaemon({ stopped }: FixRun, { facts, role, under }: SaltApiProcess): boolean {
  if (stopped === null || stopped.has(identityOf(facts))) return false;
  if (role === 'manager') return true;
  return under !== null && ![...stopped.values()].includes(under);
}

/** A daemon that somebody else started after our stop, and who, in words. */
export function startedSinceStop(run: FixRun, now: Diagnosis): string | undefined {
  const manager = leftoversOf(now).find((member) => {
    return member.role === 'manager' && isOfNewDaemon(run, member);
  });
  if (manager === undefined) return undefined;
  const by = startersOf([manager], now);
  return `salt-api ${manager.facts.pid} was started meanwhile${by === '' ? '' : ` by ${by}`}`;
}

/** Who has started what is there anew: a supervisor, or a manager that stays. Empty where unknown. */
function startersOf(anew: readonly SaltApiProcess[], { evidence }: Diagnosis): string {
  const table = evidence.processes.seen ? evidence.processes.value.processes : [];
  const pids = new Set(anew.map(({ facts }) => facts.pid));
  const starters = anew
    // Nobody starts an orphan: it is what a manager had forked before its end.
    .filter(({ role, facts }) => role !== 'orphan' && facts.ppid > 1)
    .filter(({ facts }) => !pids.has(facts.ppid))
    .map(({ facts }) => {
      const parent = table.find(({ pid }) => pid === facts.ppid);
      return parent === undefined
        ? `${facts.ppid}`
        : `${parent.pid} (${stripControl(parent.comm)})`;
    });
  return [...new Set(starters)].join(', ');
}
