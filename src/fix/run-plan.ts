/**
 * Carries out a plan one confirmed step at a time. Every step is checked against a fresh look
 * before it acts and against another after it: neither the plan nor an exit code is trusted.
 */

import { type Diagnosis, diagnoseEvidence } from '../diagnosis/diagnosis.ts';
import { type SaltApiProcess, servesPort } from '../diagnosis/process-roles.ts';
import { settledDiagnosis } from '../diagnosis/second-ask.ts';
import { startFailedSince } from '../diagnosis/start-failure.ts';
import type { VerdictCode } from '../diagnosis/verdict.ts';
import { TriageError } from '../errors.ts';
import type { LookRequest, Policy, ProcessIdentity } from '../evidence/evidence.ts';
import { unitFailure, unitOf } from '../evidence/systemd-unit.ts';
import { collectEvidence } from '../host/collect-evidence.ts';
import type { CommandOutcome, Host, HostActions, KillOutcome } from '../host/host.ts';
import {
  changesHost,
  type KillStep,
  killStep,
  leftoversOf,
  type Plan,
  type PlanStep,
} from '../plan/plan.ts';
import type { ServiceManager } from '../plan/service-manager.ts';
import { commandLine } from '../shell-words.ts';
import type { ActionTrail, JournalEntry } from '../trail/trail.ts';
import { stripControl } from '../untrusted.ts';
import { count, describeDuration, pidList } from '../words.ts';
import { isPortFree } from './recovery.ts';

/** How a step ended. `refused`: a guard said no. `not-started`: the sequence ended before it. */
type StepStatus = 'done' | 'not-needed' | 'declined' | 'refused' | 'failed' | 'not-started';

export interface StepOutcome {
  readonly step: PlanStep;
  readonly status: StepStatus;
  /** One line; further lines are the output of a command. */
  readonly detail: string;
  readonly durationMs: number;
  /** True where the host would not let us. */
  readonly notPermitted: boolean;
}

/** An answer to "do this?". */
export type Answer = 'yes' | 'skip' | 'abort' | 'interrupted';

/** Who is asked before each change: a person, or `--yes`. */
export interface Consent {
  /** As the journal has it. */
  readonly label: string;
  /** A person takes time to answer, in which the host may change. */
  readonly takesTime: boolean;
  ask(step: PlanStep): Promise<Answer>;
}

/** Who is told what happens; the screen is one. */
export interface FixObserver {
  stepBegins(step: PlanStep, position: string): void;
  stepEnds(outcome: StepOutcome): void;
  progress(text: string): void;
  /** What a person should know before the next question. */
  warn(text: string): void;
}

export interface FixContext {
  readonly host: Host;
  readonly actions: HostActions;
  readonly request: LookRequest;
  readonly policy: Policy;
  readonly manager: ServiceManager | null;
  readonly consent: Consent;
  readonly trail: ActionTrail;
  readonly observer: FixObserver;
  /** The evidence file as text, handed in so that this module need not know its format. */
  readonly serialize: (diagnosis: Diagnosis) => string;
  /** How long to wait for a recovery, ms. */
  readonly waitMs: number;
  /** How long one service command may take, ms. */
  readonly commandTimeoutMs: number;
  /** True once the operator wants no further step. */
  readonly interrupted: () => boolean;
  /** Pauses between two looks; tests make it short. */
  readonly pause: (ms: number) => Promise<void>;
}

export interface FixResult {
  readonly outcomes: readonly StepOutcome[];
  /** The last whole look, null where none was taken after the first. */
  readonly after: Diagnosis | null;
  /** `cut off`: the host could not be reached any more, so that what stands there is not known. */
  readonly ended: 'completed' | 'aborted' | 'interrupted' | 'cut off';
  /** True where the verify step saw what the plan was for. */
  readonly recovered: boolean;
}

const KILL_WAIT_MS = 5_000;
/** What a stop has signalled may still be finishing; then it needs no kill -9. */
const LEFTOVER_GRACE_MS = 5_000;
/** A supervisor's usual pause before it starts anew, and the time that a daemon takes to show. */
const RESPAWN_MS = 1_500;
const LEFTOVER_ROUNDS = 3;
/** For so long a whole look holds where nobody has been asked meanwhile. */
const RECENT_LOOK_MS = 2_000;
/** How long a manager may take to say how a unit stands. */
const CHECK_TIMEOUT_MS = 5_000;
const POLL_MS = 500;
/** How long nothing of salt-api may show before nothing is waited for any more. */
const NOTHING_COMES_MS = 3_000;
/** A log read after a start need not reach back further than the start. */
const RECENT_LOG_MS = 600_000;

/**
 * Runs the steps of a plan.
 * @param before the diagnosis that the plan was made from
 */
export async function runPlan(
  plan: Extract<Plan, { kind: 'mend' }>,
  before: Diagnosis,
  context: FixContext,
): Promise<FixResult> {
  return new PlanRun(plan, before, context).run();
}

type Settled = Pick<StepOutcome, 'status' | 'detail'> & { readonly notPermitted?: boolean };

class PlanRun {
  readonly #plan: Extract<Plan, { kind: 'mend' }>;
  readonly #before: Diagnosis;
  readonly #context: FixContext;
  readonly #outcomes: StepOutcome[] = [];
  readonly #oldServers: ReadonlySet<string>;
  #latest: Diagnosis | null = null;
  #latestAt = Number.NEGATIVE_INFINITY;
  #ended: FixResult['ended'] = 'completed';
  #recovered = false;
  #recoveredByItself = false;
  /** It served again before anything was stopped: then the old process may keep the port. */
  #neverStopped = false;
  #stopDeclined = false;
  #stopFailed = false;
  /** The stop command found no service that it could have stopped. */
  #stopMissed = false;
  /** Units that ran before the stop and don't any more. */
  readonly #dependentsDown: string[] = [];
  #portStaysHeld = false;
  /** When our start began, by the host's clock; null while none has. */
  #startedAt: number | null = null;
  /** The daemon has had its time, and nothing of ours could start another. */
  #waitedInVain = false;
  /** A holder of the port that the person has said no to. */
  #keptHolder: number | null = null;
  /** What ran when the stop command went out; null while none has. */
  #stopped: ReadonlyMap<string, number> | null = null;

  constructor(plan: Extract<Plan, { kind: 'mend' }>, before: Diagnosis, context: FixContext) {
    this.#plan = plan;
    this.#before = before;
    this.#context = context;
    this.#oldServers = new Set(listeningIdentities(before));
  }

  async run(): Promise<FixResult> {
    const { steps } = this.#plan;
    const { trail } = this.#context;
    await trail.journal({ phase: 'note', action: 'begin', result: this.#plan.verdict });
    for (const [index, step] of steps.entries()) {
      if (this.#ended === 'completed' && this.#context.interrupted()) this.#ended = 'interrupted';
      if (this.#ended !== 'completed') {
        this.#settle(step, 0, { status: 'not-started', detail: `the sequence was ${this.#ended}` });
        continue;
      }
      this.#context.observer.stepBegins(step, `${index + 1}/${steps.length}`);
      const began = performance.now();
      const settled = await this.#carryOut(step).catch((error: unknown) => this.#cutOff(error));
      if (settled !== null) this.#settle(step, performance.now() - began, settled);
    }
    // The last step may have been cut short: that is no verdict on the host.
    if (this.#ended === 'completed' && !this.#recovered && this.#context.interrupted()) {
      this.#ended = 'interrupted';
    }
    const after = this.#latest;
    if (after !== null) {
      await trail.saveFile('evidence-after.json', this.#context.serialize(after));
    }
    const result = this.#recovered ? 'recovered' : `not recovered, ${this.#ended}`;
    await trail.journal({ phase: 'note', action: 'end', result });
    return {
      outcomes: this.#outcomes,
      after,
      ended: this.#ended,
      recovered: this.#recovered,
    };
  }

  /** A host that is gone ends the sequence where it is; what was done and what not is still told. */
  #cutOff(error: unknown): Settled {
    if (!(error instanceof TriageError)) throw error;
    this.#ended = 'cut off';
    return { status: 'failed', detail: error.message };
  }

  #settle(step: PlanStep, durationMs: number, settled: Settled): void {
    const outcome = { notPermitted: false, ...settled, step, durationMs: Math.round(durationMs) };
    this.#outcomes.push(outcome);
    this.#context.observer.stepEnds(outcome);
  }

  /** @returns null where the step settled several outcomes of its own */
  async #carryOut(step: PlanStep): Promise<Settled | null> {
    switch (step.kind) {
      case 'save-evidence':
        return this.#saveEvidence();
      case 'kill':
        return this.#recoveredByItself ? alreadyServing() : this.#kill(step);
      case 'await-recovery':
        return this.#awaitRecovery();
      case 'stop':
        return this.#recoveredByItself ? alreadyServing() : this.#stop(step);
      case 'kill-leftovers':
        return this.#recoveredByItself ? alreadyServing() : this.#killLeftovers();
      case 'wait-port-free':
        return this.#recoveredByItself ? alreadyServing() : this.#waitPortFree(step.port);
      case 'start':
        return this.#recoveredByItself ? alreadyServing() : this.#start(step);
      case 'start-dependent':
        return this.#startDependent(step);
      case 'verify':
        return this.#verify(step.goal);
    }
  }

  async #saveEvidence(): Promise<Settled> {
    const { trail, serialize, actions } = this.#context;
    await trail.saveFile('evidence-before.json', serialize(this.#before));
    for (const [name, text] of await actions.recordHost()) await trail.saveFile(name, text);
    await trail.saveFile('plan.json', planFile(this.#plan));
    return { status: 'done', detail: 'evidence and plan' };
  }

  /** Asks; anything but a yes settles the step. */
  async #consent(step: PlanStep): Promise<Settled | null> {
    const { consent, trail, interrupted } = this.#context;
    const said = await consent.ask(step);
    // What the terminal sent last is no consent once it has gone away.
    const answer = said === 'yes' && interrupted() ? 'interrupted' : said;
    if (answer === 'yes') return null;
    await trail.journal({ phase: 'note', action: step.title, answer });
    if (answer === 'abort') this.#ended = 'aborted';
    if (answer === 'interrupted') this.#ended = 'interrupted';
    return { status: 'declined', detail: answer === 'skip' ? 'skipped' : 'aborted' };
  }

  /** @param why `left` after a stop: then it goes whatever its part, as long as it is this salt-api */
  async #kill(step: KillStep, why: 'planned' | 'left' = 'planned'): Promise<Settled> {
    const { actions, trail, consent, interrupted } = this.#context;
    const { identity } = step.target;
    const declined = await this.#consent(step);
    if (declined !== null) {
      if (step.holdsPort) this.#keptHolder = identity.pid;
      return declined;
    }
    // The answer may have taken ten minutes: what is judged now is the host as it is now.
    const premise = await this.#stillToKill(step, why);
    if (premise !== null) return premise;
    await trail.saveProcess(identity, await actions.recordProcess(identity.pid));
    if (interrupted()) {
      this.#ended = 'interrupted';
      return { status: 'declined', detail: 'interrupted before the signal' };
    }
    const action = { action: `kill -9 ${identity.pid}`, identity, answer: consent.label };
    await trail.journal({ phase: 'before', ...action, command: step.shownArgv });
    return this.#journaled(action, async () => {
      const outcome = await actions.kill(step.target, KILL_WAIT_MS);
      const settled = describeKill(outcome, identity.pid);
      return [settled, `${outcome.kind}: ${settled.detail}`];
    });
  }

  /** Writes down what came of an action, also where that can't be told. */
  async #journaled<T>(
    action: Pick<JournalEntry, 'action' | 'identity' | 'answer' | 'command'>,
    act: () => Promise<readonly [outcome: T, result: string]>,
  ): Promise<T> {
    const began = performance.now();
    const write = (result: string) => {
      const durationMs = Math.round(performance.now() - began);
      return this.#context.trail.journal({ phase: 'after', ...action, result, durationMs });
    };
    try {
      const [outcome, result] = await act();
      await write(result);
      return outcome;
    } catch (error) {
      await write(`not known: ${error instanceof Error ? error.message : String(error)}`);
      throw error;
    }
  }

  async #stillToKill(step: KillStep, why: 'planned' | 'left'): Promise<Settled | null> {
    const { pid, startTicks } = step.target.identity;
    // Without a stop command the first kill is the stop: what serves again is left alone.
    const isStop = why === 'planned' && !['orphan', 'fork'].includes(step.role);
    const now = isStop ? await this.#look({ probe: 'again' }) : await this.#recentLook();
    if (isStop && this.#cameBack(now)) return nothingToDo(now);
    if (!now.evidence.processes.seen) {
      return { status: 'refused', detail: `can't look again: ${now.evidence.processes.why}` };
    }
    const member = now.roles.all.find(({ facts }) => facts.pid === pid);
    const there = now.evidence.processes.value.processes.find((facts) => facts.pid === pid);
    if (member === undefined && there === undefined) {
      return { status: 'not-needed', detail: `${pid} has ended by itself` };
    }
    if (member === undefined) {
      return { status: 'refused', detail: `${pid} is no salt-api any more` };
    }
    if (member.facts.startTicks !== startTicks) {
      return {
        status: 'refused',
        detail: `${pid} is another process now: the pid was given out again`,
      };
    }
    // A child whose manager was killed a moment ago is an orphan by now: no less a target.
    const lostItsParent = ['child', 'fork'].includes(step.role) && member.role === 'unclear';
    const isTarget =
      why === 'left'
        ? leftoversOf(now).some(({ facts }) => facts.pid === pid)
        : member.role === step.role || member.role === 'orphan' || lostItsParent;
    if (!isTarget) {
      const detail = `${pid} was ${step.role} when planned and is ${member.role} now`;
      return { status: 'refused', detail };
    }
    return null;
  }

  async #awaitRecovery(): Promise<Settled> {
    const deadline = performance.now() + this.#context.waitMs;
    while (performance.now() < deadline && !this.#context.interrupted()) {
      const now = await this.#look({ probe: true });
      if (this.#missing(now, 'serving').length === 0) {
        this.#recoveredByItself = true;
        return { status: 'done', detail: 'the daemon took the port by itself' };
      }
      this.#context.observer.progress('the daemon has not taken the port yet');
      await this.#context.pause(POLL_MS);
    }
    if (this.#context.interrupted()) return { status: 'done', detail: 'it did not so far' };
    if (this.#context.manager !== null) return { status: 'done', detail: 'it did not' };
    this.#waitedInVain = true;
    const detail =
      'it did not, and no service manager was found that could start salt-api again: name one with --service, or give --stop-cmd and --start-cmd';
    return { status: 'failed', detail };
  }

  async #stop(step: Extract<PlanStep, { kind: 'stop' }>): Promise<Settled> {
    if (this.#keptHolder !== null) {
      const why = `${this.#keptHolder} was skipped and keeps the port`;
      this.#context.observer.warn(`${why}: once stopped, the service can't start again`);
    }
    const declined = await this.#consent(step);
    if (declined !== null) {
      this.#stopDeclined = true;
      return declined;
    }
    const now = await this.#look({ probe: 'again' });
    if (this.#cameBack(now)) return nothingToDo(now);
    this.#stopped = runningIn(now);
    let outcome = await this.#command(step.command, step.title);
    // Whether it ran is not known; to stop what is stopped already does no harm.
    if (outcome.lost) outcome = await this.#command(step.command, step.title);
    if (outcome.exitCode === 0 && !saysFailed(outcome)) {
      return { status: 'done', detail: `${lastWords(outcome.output) || 'exit 0'}; not trusted` };
    }
    this.#stopFailed = true;
    if (neverReached(outcome, this.#context.manager)) {
      // What nobody has stopped is not left behind.
      this.#stopMissed = true;
      this.#stopped = null;
    }
    return describeFailure(outcome, await this.#managerWords(now));
  }

  /**
   * True where it serves again before anything was done to it. After a kill of ours it may well have
   * recovered; `--restart always` restarts it still.
   */
  #cameBack({ verdict }: Diagnosis): boolean {
    const killed = this.#outcomes.some(({ step: { kind }, status }) => {
      return kind === 'kill' && status === 'done';
    });
    if (killed || !isWell(verdict.code)) return false;
    this.#recoveredByItself = true;
    this.#neverStopped = true;
    return true;
  }

  async #killLeftovers(): Promise<Settled | null> {
    const declined = this.#declinedKills();
    const asked = new Set(declined);
    let kills = 0;
    for (let round = 1; round <= LEFTOVER_ROUNDS; round += 1) {
      const now = await this.#lookForLeftovers(asked);
      if (!now.evidence.processes.seen) {
        return { status: 'failed', detail: `can't look: ${now.evidence.processes.why}` };
      }
      const fresh = this.#leftIn(now).filter(({ facts }) => !asked.has(identityOf(facts)));
      if (fresh.length === 0) break;
      if (this.#stopFailed && (await this.#serves())) {
        this.#recoveredByItself = true;
        return { status: 'not-needed', detail: 'it could not be stopped, and the API serves' };
      }
      // What is stopped ends by no SIGTERM, and its manager waits for it: that may end by itself then.
      const stuck = fresh.filter(isStopped);
      for (const member of stuck.length > 0 ? stuck : fresh) {
        asked.add(identityOf(member.facts));
        if (this.#context.interrupted()) this.#ended = 'interrupted';
        if (this.#ended !== 'completed') return { status: 'failed', detail: `${this.#ended}` };
        const kill = killStep(member, now);
        this.#context.observer.stepBegins(kill, `left, round ${round}`);
        const began = performance.now();
        const settled = await this.#kill(kill, 'left');
        this.#settle(kill, performance.now() - began, settled);
        kills += 1;
      }
    }
    // A supervisor starts anew at once what was killed: then a start of ours would be a second one.
    if (kills > 0) await this.#context.pause(RESPAWN_MS);
    const last = await this.#lookForLeftovers(asked);
    const left = this.#leftIn(last);
    if (left.length === 0) {
      const anew = this.#startedSinceStop(last);
      const meanwhile = anew === undefined ? '' : `; ${anew}`;
      const none = kills === 0 ? 'none left' : `none left after ${count(kills, 'kill')}`;
      return { status: 'done', detail: none + meanwhile };
    }
    const pids = pidList(left.map(({ facts }) => facts.pid));
    if (left.every(({ facts }) => declined.has(identityOf(facts)))) {
      return { status: 'declined', detail: `skipped before: ${pids}` };
    }
    const anew = left.filter(({ facts }) => !asked.has(identityOf(facts)));
    const starters = startersOf(anew, last);
    const again = starters === '' ? '' : `; ${starters} keeps starting it anew`;
    return { status: 'failed', detail: `still there: ${pids}${again}` };
  }

  /**
   * What a stop has signalled may end by itself, such as a server that finishes its requests; and
   * what somebody starts meanwhile shows itself as a daemon. So what is left gets some time, but for
   * what is stopped. That gets no SIGCONT either: it would run what queued for clients long gone
   * before it came to its SIGTERM (salt-facts §10).
   * @param asked what the person has been asked about
   */
  async #lookForLeftovers(asked: ReadonlySet<string>): Promise<Diagnosis> {
    const deadline = performance.now() + LEFTOVER_GRACE_MS;
    for (;;) {
      const now = await this.#look({ probe: false });
      const left = this.#leftIn(now);
      const stuck = left.some((one) => isStopped(one) && !asked.has(identityOf(one.facts)));
      // What holds nothing and serves nobody has nothing to finish.
      const idle = left.every(({ role, facts }) => {
        return !['manager', 'child'].includes(role) && !servesPort(facts);
      });
      const over = idle || stuck || performance.now() > deadline || this.#context.interrupted();
      if (left.length === 0 || this.#stopped === null || over) return now;
      const pids = pidList(left.map(({ facts }) => facts.pid));
      this.#context.observer.progress(`waiting for ${pids} to end`);
      await this.#context.pause(POLL_MS);
    }
  }

  #leftIn(now: Diagnosis): SaltApiProcess[] {
    return leftoversOf(now)
      .filter(({ role }) => !(this.#stopDeclined || this.#stopMissed) || role === 'orphan')
      .filter((member) => !this.#isOfNewDaemon(member));
  }

  /** A daemon that could not be stopped may have come to itself by now. */
  async #serves(): Promise<boolean> {
    return this.#missing(await this.#look({ probe: true }), 'serving').length === 0;
  }

  /** A daemon that was not there when the stop went out is somebody's start, and did not stay. */
  #isOfNewDaemon({ facts, role, under }: SaltApiProcess): boolean {
    const stopped = this.#stopped;
    if (stopped === null || stopped.has(identityOf(facts))) return false;
    if (role === 'manager') return true;
    return under !== null && ![...stopped.values()].includes(under);
  }

  /** A daemon that somebody else started after our stop, and who, in words. */
  #startedSinceStop(now: Diagnosis): string | undefined {
    const manager = leftoversOf(now).find((member) => {
      return member.role === 'manager' && this.#isOfNewDaemon(member);
    });
    if (manager === undefined) return undefined;
    const by = startersOf([manager], now);
    return `salt-api ${manager.facts.pid} was started meanwhile${by === '' ? '' : ` by ${by}`}`;
  }

  /** A person who has said no to a kill is not asked again. */
  #declinedKills(): Set<string> {
    return new Set(
      this.#outcomes.flatMap(({ step, status }) =>
        step.kind === 'kill' && status === 'declined' ? [identityOf(step.target.identity)] : [],
      ),
    );
  }

  async #waitPortFree(port: number): Promise<Settled> {
    const deadline = performance.now() + this.#patienceMs();
    for (;;) {
      const now = await this.#look({ probe: false });
      const { state } = now.findings['port-holder'].evidence;
      if (isPortFree(now, this.#before)) return { status: 'done', detail: `port ${port} is free` };
      const { summary } = now.findings['port-holder'];
      // A supervisor of its own may have started it again: then the port is in the right hands.
      if (state === 'daemon' && (this.#stopDeclined || !this.#isHeldAsBefore(now))) {
        return { status: 'not-needed', detail: summary };
      }
      const inVain = state === 'foreign' || this.#keptHolder !== null || this.#stopMissed;
      if (performance.now() > deadline || this.#context.interrupted() || inVain) {
        this.#portStaysHeld = true;
        return { status: 'failed', detail: summary };
      }
      this.#context.observer.progress(summary);
      await this.#context.pause(POLL_MS);
    }
  }

  async #start(step: Extract<PlanStep, { kind: 'start' }>): Promise<Settled> {
    if (this.#portStaysHeld) {
      return { status: 'refused', detail: 'the port is still held: a start would only loop' };
    }
    const declined = await this.#consent(step);
    if (declined !== null) return declined;
    const now = await this.#look({ probe: false });
    const { state } = now.findings['port-holder'].evidence;
    if (state === 'daemon') {
      return { status: 'not-needed', detail: now.findings['port-holder'].summary };
    }
    if (!isPortFree(now, this.#before)) {
      return { status: 'refused', detail: now.findings['port-holder'].summary };
    }
    const anew = this.#startedSinceStop(now);
    if (anew !== undefined) return { status: 'not-needed', detail: anew };
    this.#startedAt = now.evidence.host.now;
    if (step.before !== null) await this.#command(step.before, 'prepare the start');
    let outcome = await this.#command(step.command, step.title);
    if (outcome.lost) {
      const newcomer = newcomerIn(await this.#look({ probe: false }), now);
      if (newcomer !== undefined) {
        const detail = `salt-api ${newcomer} runs; the connection was lost while it was started`;
        return { status: 'done', detail };
      }
      outcome = await this.#command(step.command, step.title);
    }
    if (outcome.exitCode === 0 && !saysFailed(outcome)) {
      return { status: 'done', detail: lastWords(outcome.output) || 'exit 0' };
    }
    return describeFailure(outcome, await this.#managerWords(now));
  }

  /** Its manager is asked and not the port: what it has to do with that is not known here. */
  async #startDependent(step: Extract<PlanStep, { kind: 'start-dependent' }>): Promise<Settled> {
    const runs = async () => {
      const { exitCode } = await this.#context.actions.run(step.check, CHECK_TIMEOUT_MS);
      return exitCode === 0;
    };
    if (await runs()) return { status: 'not-needed', detail: `${step.unit} runs` };
    this.#dependentsDown.push(step.unit);
    const start = this.#outcomes.find(({ step: { kind } }) => kind === 'start');
    if (start?.status !== 'done' && start?.status !== 'not-needed') {
      return { status: 'refused', detail: 'salt-api, which it needs, was not started' };
    }
    const declined = await this.#consent(step);
    if (declined !== null) return declined;
    const outcome = await this.#command(step.command, step.title);
    if (outcome.exitCode !== 0 || !(await runs())) {
      const { output } = await this.#context.actions.run(step.reason, CHECK_TIMEOUT_MS);
      const reason = [`${step.unit} does not run`, ...unitFailure(output)];
      return describeFailure(outcome, { reason, logged: [] });
    }
    this.#dependentsDown.pop();
    return { status: 'done', detail: `${step.unit} runs` };
  }

  async #verify(goal: 'serving' | 'no-orphans'): Promise<Settled> {
    const began = performance.now();
    const deadline = began + this.#patienceMs();
    let lastSign = began;
    for (;;) {
      const now = await this.#look({ probe: true });
      if (this.#startIsSaid() || isComing(now)) lastSign = performance.now();
      const missing = this.#missing(now, goal);
      if (missing.length === 0) {
        this.#recovered = this.#dependentsDown.length === 0;
        if (!this.#recovered) {
          const down = this.#dependentsDown.join(', ');
          return { status: 'failed', detail: `the API serves again; still down: ${down}` };
        }
        const holder = now.findings['port-holder'].summary;
        const answer = now.findings['api-answers'].summary;
        const gone = goal === 'serving' ? '' : 'no orphan is left; ';
        return { status: 'done', detail: `${gone}${holder}; ${answer}` };
      }
      const serves = now.findings['port-holder'].evidence.state === 'daemon';
      const reason = serves ? null : startFailedSince(now.evidence, this.#startedAt);
      if (reason !== null) return { status: 'failed', detail: reason };
      const nothingComes = performance.now() - lastSign > NOTHING_COMES_MS;
      if (performance.now() > deadline || nothingComes || this.#context.interrupted()) {
        const waited = describeDuration(performance.now() - began);
        return { status: 'failed', detail: `after ${waited}: ${missing.join('; ')}` };
      }
      this.#context.observer.progress(missing[0] ?? '');
      await this.#context.pause(POLL_MS);
    }
  }

  /** True where a start has said that it went well: then what it started is waited for, seen or not. */
  #startIsSaid(): boolean {
    return this.#outcomes.some(({ step: { kind }, status }) => {
      return kind === 'start' && (status === 'done' || status === 'not-needed');
    });
  }

  /** Where nothing has changed, or all was waited for already, there is nothing to wait for. */
  #patienceMs(): number {
    if (this.#waitedInVain) return 0;
    const changed = this.#outcomes.some(
      ({ step, status }) =>
        changesHost(step) && (status === 'done' || status === 'failed' || status === 'not-needed'),
    );
    return changed ? this.#context.waitMs : 0;
  }

  /** What is still wanting for the goal; empty when it is reached. */
  #missing(now: Diagnosis, goal: 'serving' | 'no-orphans'): string[] {
    const { findings, evidence } = now;
    const missing: string[] = [];
    if (findings.orphans.evidence.processes.length > 0 || findings.orphans.status === 'unknown') {
      missing.push(`orphans: ${findings.orphans.summary}`);
    }
    const { state } = findings['port-holder'].evidence;
    if (state !== 'daemon') missing.unshift(findings['port-holder'].summary);
    else if (goal === 'serving' && !this.#neverStopped && this.#isHeldAsBefore(now)) {
      missing.unshift('the old process still holds the port');
    }
    const answer = findings['api-answers'];
    if (answer.status === 'fail' || answer.status === 'unknown') {
      missing.push(`GET /: ${answer.summary}`);
    }
    // What serves again by itself, or beside an orphan, is as well as `diagnose` calls it.
    if (goal === 'no-orphans' || this.#neverStopped) return missing;
    const closeWait = findings['close-wait'];
    if (
      (closeWait.evidence.count ?? evidence.policy.closeWaitWarn) >= evidence.policy.closeWaitWarn
    ) {
      missing.push(`CLOSE_WAIT: ${closeWait.summary}`);
    }
    const log = findings['api-log'];
    if ((log.evidence.eventsSinceDaemon ?? 0) > 0) missing.push(`API log: ${log.summary}`);
    return missing;
  }

  #isHeldAsBefore(now: Diagnosis): boolean {
    return listeningIdentities(now).some((identity) => this.#oldServers.has(identity));
  }

  /**
   * A whole look before a kill, or the last one where that was a moment ago and nobody was asked
   * since: thousands of processes would else be looked at before each of thousands of kills. The
   * guard reads the process and its parent once more in any case.
   */
  async #recentLook(): Promise<Diagnosis> {
    const recent = performance.now() - this.#latestAt < RECENT_LOOK_MS;
    if (recent && this.#latest !== null && !this.#context.consent.takesTime) return this.#latest;
    return this.#look({ probe: false });
  }

  /** @param probe `again`: asked for longer where one silence alone would speak for a hang */
  async #look({ probe }: { readonly probe: boolean | 'again' }): Promise<Diagnosis> {
    const { host, request, policy } = this.#context;
    const recent =
      request.sinceMs === null ? RECENT_LOG_MS : Math.min(request.sinceMs, RECENT_LOG_MS);
    const look = host.look({
      ...request,
      // The port was settled by the first look; a config that changes meanwhile must not move it.
      port: this.#before.evidence.port.number,
      sinceMs: recent,
      probeTimeoutMs: probe === false ? null : request.probeTimeoutMs,
    });
    const first = diagnoseEvidence(await collectEvidence(look, policy));
    const diagnosis = probe === 'again' ? await settledDiagnosis(first, look) : first;
    this.#latest = diagnosis;
    this.#latestAt = performance.now();
    return diagnosis;
  }

  async #command(argv: readonly string[], action: string): Promise<CommandOutcome> {
    const { actions, trail, consent, commandTimeoutMs } = this.#context;
    await trail.journal({ phase: 'before', action, command: argv, answer: consent.label });
    return this.#journaled({ action, command: argv }, async () => {
      const outcome = await actions.run(argv, commandTimeoutMs);
      return [outcome, commandResult(outcome)];
    });
  }

  /** The manager's own reason, and what was logged since a look. */
  async #managerWords({ evidence }: Diagnosis): Promise<ManagerWords> {
    const { actions, manager } = this.#context;
    const since = `--since=@${Math.floor(evidence.host.now / 1000)}`;
    const ask = async (argv: readonly string[] | null | undefined): Promise<string> => {
      return argv == null ? '' : (await actions.run(argv, CHECK_TIMEOUT_MS)).output;
    };
    const reason = unitFailure(await ask(manager?.reason));
    const journal = await ask(manager?.journal && [...manager.journal, since]);
    return { reason, logged: lastLines(journal, 10).filter((line) => !line.startsWith('-- ')) };
  }
}

/** What a service manager says of a failure. */
interface ManagerWords {
  readonly reason: readonly string[];
  readonly logged: readonly string[];
}

/** The plan for the trail: of a target what is shown of it, not its whole argv with its secrets. */
function planFile(plan: Plan): string {
  const shown = (key: string, value: unknown) => (key === 'argv' ? undefined : value);
  return `${JSON.stringify(plan, shown, 2)}\n`;
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

/** The salt-api processes of this instance that hold the port. */
function listeningIdentities({ roles }: Diagnosis): string[] {
  return roles.all
    .filter(({ role, facts }) => role !== 'elsewhere' && facts.listens.length > 0)
    .map(({ facts }) => identityOf(facts));
}

/** Within one boot. */
function identityOf({ pid, startTicks }: Pick<ProcessIdentity, 'pid' | 'startTicks'>): string {
  return `${pid} ${startTicks}`;
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

/** True where the verdict says that there is nothing to mend. */
function isWell(code: VerdictCode): boolean {
  return code === 'healthy' || code === 'degraded';
}

/** True where something runs, or is being started, that may yet take the port. */
function isComing({ roles, evidence: { service } }: Diagnosis): boolean {
  const unit = unitOf(service);
  if (unit?.activeState === 'activating') return true;
  return roles.all.some(({ role }) => !['orphan', 'fork', 'job', 'elsewhere'].includes(role));
}

/** True for a process that SIGSTOP has stopped. */
function isStopped({ facts }: SaltApiProcess): boolean {
  return facts.state === 'T';
}

function nothingToDo({ findings }: Diagnosis): Settled {
  const detail = `nothing to do: the API serves again, ${findings['api-answers'].summary}`;
  return { status: 'not-needed', detail };
}

function alreadyServing(): Settled {
  return { status: 'not-needed', detail: 'the API serves again' };
}

function describeKill(outcome: KillOutcome, pid: number): Settled {
  switch (outcome.kind) {
    case 'gone':
      return { status: 'done', detail: `${pid} is gone` };
    case 'gone-before':
      return { status: 'not-needed', detail: `${pid} had ended before the signal` };
    case 'zombie':
      return {
        status: 'done',
        detail: `${pid} is dead and waits for its parent ${outcome.parent} to reap it; it holds nothing`,
      };
    case 'uninterruptible': {
      const where = outcome.waitChannel === null ? '' : ` (in ${outcome.waitChannel})`;
      return {
        status: 'failed',
        detail: `${pid} is in D state${where}: kill -9 acts when that call returns; look for a dead disk or NFS mount, else reboot`,
      };
    }
    case 'still-there':
      return {
        status: 'failed',
        detail: `${pid} got SIGKILL and is still there, state ${outcome.state}`,
      };
    case 'refused':
      return { status: 'refused', detail: outcome.why };
    case 'not-permitted':
      return {
        status: 'failed',
        detail: `not permitted to signal ${pid}: run as root`,
        notPermitted: true,
      };
  }
}

function commandResult(outcome: CommandOutcome): string {
  if (outcome.failed !== null) return `could not be started: ${outcome.failed}`;
  if (outcome.timedOut) return 'timed out';
  if (outcome.lost) return 'not known: the connection was lost meanwhile; it has ended by now';
  return `exit ${outcome.exitCode ?? 'by signal'}`;
}

/**
 * True for a stop that can't have ended anything: it was not run, or there is no such service.
 * 5 is `systemctl`'s for a unit that is not loaded and an init script's for a program that is not
 * installed (systemctl(1), LSB Core 22.2).
 */
function neverReached(outcome: CommandOutcome, manager: ServiceManager | null): boolean {
  if (outcome.failed !== null) return true;
  if (manager === null || manager.kind === 'commands') return false;
  return outcome.exitCode === 5 || NO_SUCH_SERVICE.test(outcome.output);
}

/** Debian's init script of salt-api ends with `failed!` and exit 0 (measured). */
function saysFailed({ output }: CommandOutcome): boolean {
  return /\bfail(?:ed)?\b/i.test(lastWords(output));
}

/** service(8) of Debian and of Red Hat, rc-service(8). */
const NO_SUCH_SERVICE = /unrecognized service|service .{1,100} does not exist|could not be found/i;

/** The manager's reason comes first: a command mostly says no more than that it failed. */
function describeFailure(outcome: CommandOutcome, words: ManagerWords): Settled {
  const lines = [
    `${commandLine(outcome.argv)}: ${commandResult(outcome)} after ${describeDuration(outcome.durationMs)}`,
    ...words.reason,
    ...lastLines(outcome.output, 5),
    ...words.logged,
  ];
  return { status: 'failed', detail: lines.join('\n') };
}

/** What a command said last, which is mostly what came of it. */
function lastWords(text: string): string {
  return text.trim().split('\n').at(-1)?.trim().slice(0, 120) ?? '';
}

function lastLines(text: string, most: number): string[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.slice(-most).map((line) => line.slice(0, 300));
}
