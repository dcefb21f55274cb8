/** The steps that change nothing and wait: for the daemon, for the port, for the API to serve. */
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import { startFailedSince } from '../diagnosis/start-failure.ts';
import type { StepOf } from '../plan/plan.ts';
import { describeDuration } from '../words.ts';
import { type FixRun, type Settled, settled } from './fix-run.ts';
import { isComing, isHeldAsBefore, isPortFree } from './recovery.ts';

/** How long nothing of salt-api may show before nothing is waited for any more. */
const NOTHING_COMES_MS = 3_000;

export function awaitRecovery(run: FixRun): Promise<Settled> {
  const { waitMs, interrupted, manager } = run.context;
  return run.lookUntil({ scope: 'whole', waitMs }, (now, timeIsUp) => {
    if (run.wanting(now, 'serving').length === 0) {
      run.servesAgain = 'by itself';
      return settled('done', 'the daemon has taken the port by itself');
    }
    if (!timeIsUp) return `until the daemon takes the port: ${portOf(now)}`;
    if (interrupted()) return settled('done', 'the daemon has not taken the port so far');
    if (manager !== null) return settled('done', 'the daemon did not take the port');
    return settled(
      'failed',
      'the daemon did not take the port, and nothing here is known to start salt-api again: name it with --service, or give --stop-cmd and --start-cmd',
    );
  });
}

export function waitPortFree(run: FixRun, { port }: StepOf<'wait-port-free'>): Promise<Settled> {
  const { before, patienceMs: waitMs } = run;
  return run.lookUntil({ scope: 'processes', waitMs }, (now, timeIsUp) => {
    if (isPortFree(now, before)) return settled('done', `port ${port} is free`);
    const { evidence, summary } = now.findings['port-holder'];
    // A supervisor of its own may have started it again: then the port is in the right hands.
    const stays = run.statusOf('stop') === 'declined' || !isHeldAsBefore(now, before);
    if (evidence.state === 'daemon' && stays) return settled('not-needed', summary);
    const inVain = evidence.state === 'foreign' || run.declinedHolder !== null || run.stopMissed;
    if (timeIsUp || inVain) return settled('failed', summary);
    return `until port ${port} is free: ${summary}`;
  });
}

export async function verify(run: FixRun, step: StepOf<'verify'>): Promise<Settled> {
  const served = await untilServing(run, step);
  const master = served.status === 'done' ? await run.lookAtMaster() : null;
  if (master === null) return served;
  const { isDeaf, trouble } = master;
  return settled('done', `${isDeaf ? 'the API answers GET /' : served.detail}; ${trouble}`);
}

function untilServing(run: FixRun, { goal }: StepOf<'verify'>): Promise<Settled> {
  const began = performance.now();
  let lastSign = began;
  return run.lookUntil({ scope: 'whole', waitMs: run.patienceMs }, (now, timeIsUp) => {
    // What has said that it was started is waited for, seen or not.
    if (run.startIsSaid || isComing(now)) lastSign = performance.now();
    const wanting = run.wanting(now, goal);
    const [first] = wanting;
    if (first === undefined) return reached(run, now, goal);
    const serves = now.findings['port-holder'].evidence.state === 'daemon';
    const reason = serves ? null : startFailedSince(now.evidence, run.startedAt);
    if (reason !== null) return settled('failed', reason);
    const nothingComes = performance.now() - lastSign > NOTHING_COMES_MS;
    if (!timeIsUp && !nothingComes) return `until the API serves: ${first}`;
    const waited = describeDuration(performance.now() - began);
    return settled('failed', `after ${waited}: ${wanting.join('; ')}`);
  });
}

function portOf({ findings }: Diagnosis): string {
  return findings['port-holder'].summary;
}

function reached(run: FixRun, { findings }: Diagnosis, goal: 'serving' | 'no-orphans'): Settled {
  const down = dependentsDown(run);
  if (down !== '') return settled('failed', `the API serves again; still down: ${down}`);
  const gone = goal === 'serving' ? '' : 'no orphan is left; ';
  return settled(
    'done',
    `${gone}${findings['port-holder'].summary}; ${findings['api-answers'].summary}`,
  );
}

/** Units that ran before the stop and don't any more, for a line of text. */
function dependentsDown({ outcomes }: FixRun): string {
  return outcomes
    .flatMap(({ step, status }) => {
      const runs = status === 'done' || status === 'not-needed';
      return step.kind === 'start-dependent' && !runs ? [step.unit] : [];
    })
    .join(', ');
}
