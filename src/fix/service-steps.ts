/** The steps that give orders to the service manager: stop, start, and start what the stop took along. */
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import { unitFailure } from '../evidence/systemd-unit.ts';
import { leftoversOf, type StepOf } from '../plan/plan.ts';
import { describeFailure, lastLines, neverReached, saysDone } from './command-words.ts';
import { type FixRun, identityOf, type Settled, settled } from './fix-run.ts';
import { startedSinceStop } from './leftovers.ts';
import { isPortFree } from './recovery.ts';

/** How long a manager may take to say how a unit stands. */
const CHECK_TIMEOUT_MS = 5_000;

export async function stop(run: FixRun, step: StepOf<'stop'>): Promise<Settled> {
  if (run.declinedHolder !== null) {
    const why = `${run.declinedHolder} was skipped and keeps the port`;
    run.context.observer.warn?.(`${why}: once stopped, the service can't start again`);
  }
  const declined = await run.consent(step);
  if (declined !== null) return declined;
  const now = await run.lookBeforeStop();
  const back = run.cameBack(now);
  if (back !== null) return back;
  run.stopped = runningIn(now);
  let outcome = await run.command(step.command, step.title);
  // Whether it ran is not known; to stop what is stopped already does no harm.
  if (outcome.lost) outcome = await run.command(step.command, step.title);
  if (saysDone(outcome)) {
    return settled('done', 'command reported OK; checking independently');
  }
  // What nobody has stopped is not left behind.
  if (neverReached(outcome, run.context.manager)) run.stopped = null;
  return settled('failed', describeFailure(outcome, ...(await managerWords(run, now))));
}

export async function start(run: FixRun, step: StepOf<'start'>): Promise<Settled> {
  if (run.statusOf('wait-port-free') === 'failed') {
    return settled('refused', 'the port is still held: a start would only loop');
  }
  const needless = whyNoStart(run, await run.recentLook());
  if (needless !== null) return needless;
  const declined = await run.consent(step);
  if (declined !== null) return declined;
  const now = await run.look('processes');
  const meanwhile = whyNoStart(run, now);
  if (meanwhile !== null) return meanwhile;
  run.startedAt = now.evidence.host.now;
  if (step.before !== null) await run.command(step.before, 'prepare the start');
  let outcome = await run.command(step.command, step.title);
  if (outcome.lost) {
    const newcomer = newcomerIn(await run.look('processes'), now);
    if (newcomer !== undefined) {
      const lost = 'the connection was lost while it was started';
      return settled('done', `salt-api ${newcomer} runs; ${lost}`);
    }
    outcome = await run.command(step.command, step.title);
  }
  if (saysDone(outcome)) return settled('done', 'command reported OK');
  return settled('failed', describeFailure(outcome, ...(await managerWords(run, now))));
}

/** Why no start is needed, or none would find its port; null where it would. */
function whyNoStart(run: FixRun, now: Diagnosis): Settled | null {
  const { evidence, summary } = now.findings['port-holder'];
  if (evidence.state === 'daemon') return settled('not-needed', summary);
  if (!isPortFree(now, run.before)) return settled('refused', summary);
  const anew = startedSinceStop(run, now);
  return anew === undefined ? null : settled('not-needed', anew);
}

/** Its manager is asked and not the port: what it has to do with that is not known here. */
export async function startDependent(
  run: FixRun,
  step: StepOf<'start-dependent'>,
): Promise<Settled> {
  const ask = (argv: readonly string[]) => run.context.actions.run(argv, CHECK_TIMEOUT_MS);
  const runs = async () => (await ask(step.check)).exitCode === 0;
  if (await runs()) return settled('not-needed', `${step.unit} runs`);
  if (!run.startIsSaid) return settled('refused', 'salt-api, which it needs, was not started');
  const declined = await run.consent(step);
  if (declined !== null) return declined;
  const outcome = await run.command(step.command, step.title);
  if (outcome.exitCode === 0 && (await runs())) return settled('done', `${step.unit} runs`);
  const { output } = await ask(step.reason);
  const reason = [`${step.unit} does not run`, ...unitFailure(output)];
  return settled('failed', describeFailure(outcome, reason));
}

/** The manager's own reason, and what was logged since a look. */
async function managerWords(
  { context: { actions, manager } }: FixRun,
  { evidence }: Diagnosis,
): Promise<[reason: string[], logged: string[]]> {
  const since = `--since=@${Math.floor(evidence.host.now / 1000)}`;
  const ask = async (argv: readonly string[] | null | undefined): Promise<string> => {
    return argv == null ? '' : (await actions.run(argv, CHECK_TIMEOUT_MS)).output;
  };
  const reason = unitFailure(await ask(manager?.reason));
  const journal = await ask(manager?.journal && [...manager.journal, since]);
  return [reason, lastLines(journal, 10).filter((line) => !line.startsWith('-- '))];
}

/** Pid of a salt-api process that was not there before. */
function newcomerIn(now: Diagnosis, before: Diagnosis): number | undefined {
  const old = runningIn(before);
  return leftoversOf(now).find(({ facts }) => !old.has(identityOf(facts)))?.facts.pid;
}

/** The salt-api processes that a stop should end, by identity with their pids. */
function runningIn(now: Diagnosis): ReadonlyMap<string, number> {
  return new Map(leftoversOf(now).map(({ facts }) => [identityOf(facts), facts.pid]));
}
