/** What a stop has left behind, and what somebody has started meanwhile. */
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import type { SaltApiProcess } from '../diagnosis/process-roles.ts';
import { killStep, leftoversOf } from '../plan/plan.ts';
import { stripControl } from '../untrusted.ts';
import { count, pidList } from '../words.ts';
import { type FixRun, identityOf, type Settled, settled } from './fix-run.ts';
import { FINISH_MS, graceOf, isStopped } from './grace.ts';
import { kill } from './kill-step.ts';
import { isKept } from './respawn.ts';

/** A supervisor's usual pause before it starts anew, and the time that a daemon takes to show. */
const RESPAWN_MS = 1_500;
const LEFTOVER_ROUNDS = 3;

/** Kills what stays, round by round, each kill with an outcome of its own. */
export async function killLeftovers(run: FixRun): Promise<Settled> {
  const declined = declinedKills(run);
  const asked = new Set(declined);
  let kept = false;
  let now = await lookForLeftovers(run, asked);
  for (let round = 1; round <= LEFTOVER_ROUNDS; round += 1) {
    const fresh = notAsked(leftIn(run, now), asked);
    if (fresh.length === 0) break;
    if (run.statusOf('stop') === 'failed' && (await serves(run))) {
      run.servesAgain = 'by itself';
      return settled('not-needed', 'it could not be stopped, and the API serves');
    }
    const seen = now;
    kept ||= fresh.some((member) => isKept(member, seen));
    await killEach(run, stoppedFirst(fresh), seen, { asked, round });
    if (run.ended !== 'completed') return settled('declined', run.ended);
    now = await lookForLeftovers(run, asked);
  }
  if (kept) now = await lookForRespawn(run);
  return whatStayed(run, now, { asked, declined });
}

/** What is kept is started anew once it was killed: then a start of ours would be a second one. */
function lookForRespawn(run: FixRun): Promise<Diagnosis> {
  return run.lookUntil({ scope: 'processes', waitMs: RESPAWN_MS }, (now, timeIsUp) => {
    const isOver = timeIsUp || startedSinceStop(run, now) !== undefined;
    return isOver ? now : 'whether a supervisor starts salt-api again';
  });
}

/** Asks for each one; ends with the first answer, or signal, that ends the sequence. */
async function killEach(
  run: FixRun,
  members: readonly SaltApiProcess[],
  now: Diagnosis,
  { asked, round }: { readonly asked: Set<string>; readonly round: number },
): Promise<void> {
  for (const member of members) {
    run.heedInterrupt();
    if (run.ended !== 'completed') return;
    asked.add(identityOf(member.facts));
    const step = killStep(member, now);
    await run.perform(step, `left, round ${round}`, () => kill(run, step, 'left'));
  }
  run.heedInterrupt();
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
    return settled('declined', `skipped: ${pids}`);
  }
  const starters = startersOf(notAsked(left, asked), now);
  const again = starters === '' ? '' : `; ${starters} keeps starting it again`;
  return settled('failed', `still there: ${pids}${again}`);
}

/**
 * What a stop has signalled may end by itself, such as a server that finishes its requests; and
 * what somebody starts meanwhile shows itself as a daemon. So what is left gets its grace.
 * @param asked what the person has been asked about
 */
function lookForLeftovers(run: FixRun, asked: ReadonlySet<string>): Promise<Diagnosis> {
  const known = {
    hung: hungIn(run.before),
    aside: asideIn(run.before),
    stopped: new Set(run.stopped?.keys()),
  };
  let lastGraceMs = 0;
  let since = 0;
  return run.lookUntil({ scope: 'processes', waitMs: FINISH_MS }, (now, timeIsUp, waitedMs) => {
    const left = notAsked(leftIn(run, now), asked);
    const { sockets } = now.evidence;
    const graceMs = run.stopped === null ? 0 : graceOf(left, { sockets, ...known });
    // What has just finished its work begins to end only now.
    if (graceMs !== lastGraceMs) since = waitedMs;
    lastGraceMs = graceMs;
    if (timeIsUp || waitedMs - since >= graceMs) return now;
    return `until ${pidList(left.map(({ facts }) => facts.pid))} has ended by itself`;
  });
}

/** The servers that were judged to hang. */
function hungIn({ verdict, roles }: Diagnosis): ReadonlySet<string> {
  const servers = roles.all.filter(({ role, facts }) => {
    return role !== 'elsewhere' && facts.listens.length > 0;
  });
  return new Set(verdict.code === 'hung' ? servers.map(({ facts }) => identityOf(facts)) : []);
}

/** Those that have another port beside or in place of the examined one. */
function asideIn({ roles }: Diagnosis): ReadonlySet<string> {
  const servers = roles.all.filter(({ facts }) => facts.otherPorts.length > 0);
  return new Set(servers.map(({ facts }) => identityOf(facts)));
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

/** A daemon that could not be stopped may have come to itself by now. */
async function serves(run: FixRun): Promise<boolean> {
  return run.wanting(await run.look('whole'), 'serving').length === 0;
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
