/** One run of a plan: what has come of it so far, and what its steps have in common. */
import { pauseAfterLook } from '../backoff.ts';
import { apiAnswers } from '../diagnosis/checks/api-answers.ts';
import { type Diagnosis, diagnoseEvidence, withBackground } from '../diagnosis/diagnosis.ts';
import { settledDiagnosis } from '../diagnosis/second-ask.ts';
import type { LookRequest, Policy, ProcessIdentity } from '../evidence/evidence.ts';
import { collectEvidence } from '../host/collect-evidence.ts';
import type { CommandOutcome, Host, HostActions } from '../host/host.ts';
import { changesHost, type FixPlan, type PlanStep } from '../plan/plan.ts';
import type { ServiceManager } from '../plan/service-manager.ts';
import { commandLine } from '../shell-words.ts';
import type { ActionTrail, JournalEntry } from '../trail/trail.ts';
import { commandResult } from './command-words.ts';
import { isWell, masterIsDeaf, masterTrouble, wanting } from './recovery.ts';

/** How a step ended. `refused`: a guard said no. `not-started`: the sequence ended before it. */
type OutcomeStatus = 'done' | 'not-needed' | 'declined' | 'refused' | 'failed' | 'not-started';

export interface StepOutcome {
  readonly step: PlanStep;
  readonly status: OutcomeStatus;
  /** One line; further lines are the output of a command. */
  readonly detail: string;
  readonly durationMs: number;
  /** True where the host would not let us. */
  readonly notPermitted: boolean;
}

/** What a step has come to. */
export type Settled = Pick<StepOutcome, 'status' | 'detail'> & { readonly notPermitted?: boolean };

export function settled(status: OutcomeStatus, detail: string): Settled {
  return { status, detail };
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
export interface StepObserver {
  stepBegins?(step: PlanStep, position: string): void;
  stepEnds?(outcome: StepOutcome): void;
  /**
   * Something is waited for, until the step ends or something else is.
   * @param boundMs how long it may take at most
   * @param began when it began, by `performance.now()`: the same again tells of the same wait
   */
  waiting?(what: string, boundMs: number, began?: number): void;
  /** What a person should know before the next question. */
  warn?(text: string): void;
}

/** A host that can be looked at and acted on. */
export interface FixTarget {
  readonly host: Host;
  readonly actions: HostActions;
  /** The name of a host behind ssh; unset for this one. */
  readonly sshName?: string;
}

/** How long what may take, ms. */
export interface FixTimes {
  /** The recovery. */
  readonly waitMs: number;
  /** One service command. */
  readonly commandTimeoutMs: number;
}

export interface RunContext extends FixTarget, FixTimes {
  readonly request: LookRequest;
  readonly policy: Policy;
  readonly manager: ServiceManager | null;
  /** How long all processes together may be looked into before they are killed, ms; 0 for not at all. */
  readonly stacksMs: number;
  readonly consent: Consent;
  readonly trail: ActionTrail;
  readonly observer: StepObserver;
  /** True once the operator wants no further step. */
  readonly interrupted: () => boolean;
  /** Pauses between two looks; tests make it short. */
  readonly pause: (ms: number) => Promise<void>;
}

/** For so long a look holds where nobody has been asked meanwhile. */
export const RECENT_LOOK_MS = 2_000;
/** A log read after a start need not reach back further than the start. */
const RECENT_LOG_MS = 600_000;

/**
 * How much of the host a look is at. `processes`: who runs, and who holds the port. `whole`: what the
 * log and the API say, too. `settled`: and the API is asked for longer where one silence alone would
 * speak for a hang.
 */
export type LookScope = 'processes' | 'whole' | 'settled';

export class FixRun {
  readonly plan: FixPlan;
  /** The diagnosis that the plan was made from. */
  readonly before: Diagnosis;
  readonly context: RunContext;
  readonly outcomes: StepOutcome[] = [];
  /** `cut off`: the host could not be reached any more, so that what stands there is not known. */
  ended: 'completed' | 'aborted' | 'interrupted' | 'cut off' = 'completed';
  /** Why the host could not be reached any more. */
  cutOffBy: string | null = null;
  /**
   * It serves again without a start of ours; `untouched`: before anything was done to it, so that
   * the old process may keep the port.
   */
  servesAgain: 'untouched' | 'by itself' | null = null;
  /** When our start began, by the host's clock, epoch ms; null while none has. */
  startedAt: number | null = null;
  /** What ran when the stop went out, identity to pid; null where none has reached a service. */
  stopped: ReadonlyMap<string, number> | null = null;
  /** The last look, null where none was taken after the first. */
  latest: Diagnosis | null = null;
  /** What is left of the time for Python stacks, ms. */
  stacksLeftMs: number;
  readonly #told = new Set<string>();
  /** Whether that was a whole one. */
  latestIsWhole = false;
  #latestAt = Number.NEGATIVE_INFINITY;
  readonly #began = performance.now();
  #changedAt = Number.NEGATIVE_INFINITY;

  constructor(plan: FixPlan, before: Diagnosis, context: RunContext) {
    this.plan = plan;
    this.before = before;
    this.context = context;
    this.stacksLeftMs = context.stacksMs;
  }

  /** What became of the step of a kind that a plan has once. */
  statusOf(kind: Exclude<PlanStep['kind'], 'kill' | 'start-dependent'>): OutcomeStatus | undefined {
    return this.outcomes.find(({ step }) => step.kind === kind)?.status;
  }

  /** True where the verify step saw what the plan was for. */
  get recovered(): boolean {
    return this.statusOf('verify') === 'done';
  }

  /** True where a start has said that it went well. */
  get startIsSaid(): boolean {
    return ['done', 'not-needed'].includes(this.statusOf('start') ?? '');
  }

  /** The stop command found no service that it could have stopped. */
  get stopMissed(): boolean {
    return this.statusOf('stop') === 'failed' && this.stopped === null;
  }

  /** Pid of a holder of the port that the person has said no to. */
  get declinedHolder(): number | null {
    const kept = this.outcomes.findLast(({ step, status }) => {
      return step.kind === 'kill' && step.holdsPort && status === 'declined';
    });
    return kept?.step.kind === 'kill' ? kept.step.target.identity.pid : null;
  }

  /** An action was taken, with whatever result, and nobody has looked since. */
  get changedUnseen(): boolean {
    return this.#changedAt > this.#latestAt;
  }

  /** Of lines those that were not told before: a reason that holds for every process is told once. */
  tellOnce(lines: readonly string[]): string[] {
    const fresh = lines.filter((line) => !this.#told.has(line));
    for (const line of fresh) this.#told.add(line);
    return fresh;
  }

  /** Ends the sequence where the operator wants no further step; also one that was aborted before. */
  heedInterrupt(): void {
    if (this.ended !== 'cut off' && this.context.interrupted()) this.ended = 'interrupted';
  }

  /** Tells of a step, does it and keeps what came of it. */
  async perform(step: PlanStep, position: string, act: () => Promise<Settled>): Promise<void> {
    this.context.observer.stepBegins?.(step, position);
    const began = performance.now();
    const settled = await act();
    this.settle(step, settled, performance.now() - began);
  }

  settle(step: PlanStep, settled: Settled, durationMs = 0): void {
    const outcome = { notPermitted: false, ...settled, step, durationMs: Math.round(durationMs) };
    this.outcomes.push(outcome);
    this.context.observer.stepEnds?.(outcome);
  }

  /** Asks; anything but a yes settles the step. */
  async consent(step: PlanStep): Promise<Settled | null> {
    const { consent, trail, interrupted } = this.context;
    const said = await consent.ask(step);
    // What the terminal sent last is no consent once it has gone away.
    const answer = said === 'yes' && interrupted() ? 'interrupted' : said;
    if (answer === 'yes') return null;
    await trail.journal({ phase: 'note', action: step.title, answer });
    if (answer === 'abort') this.ended = 'aborted';
    if (answer === 'interrupted') this.ended = 'interrupted';
    return settled('declined', SAID[answer]);
  }

  /** Runs a service command, with the journal's lines before and after it. */
  async command(argv: readonly string[], action: string): Promise<CommandOutcome> {
    const { actions, trail, consent, commandTimeoutMs } = this.context;
    await trail.journal({ phase: 'before', action, command: argv, answer: consent.label });
    return this.journaled({ action, command: argv }, async () => {
      this.context.observer.waiting?.(commandLine(argv), commandTimeoutMs);
      const outcome = await actions.run(argv, commandTimeoutMs);
      return [outcome, commandResult(outcome)];
    });
  }

  /** Writes down what came of an action, also where that can't be told. */
  async journaled<T>(
    action: Pick<JournalEntry, 'action' | 'identity' | 'answer' | 'command'>,
    act: () => Promise<readonly [outcome: T, result: string]>,
  ): Promise<T> {
    const began = performance.now();
    const write = (result: string) => {
      const durationMs = Math.round(performance.now() - began);
      return this.context.trail.journal({ phase: 'after', ...action, result, durationMs });
    };
    try {
      const [outcome, result] = await act();
      await write(result);
      return outcome;
    } catch (error) {
      await write(`not known: ${error instanceof Error ? error.message : String(error)}`);
      throw error;
    } finally {
      this.#changedAt = performance.now();
    }
  }

  /**
   * Looks at the host as it is now, at no more of it than is gone by.
   * @param bounds shorter ones than the operator's own
   */
  async look(
    scope: LookScope,
    bounds: Partial<Pick<LookRequest, 'lookTimeoutMs' | 'probeTimeoutMs'>> = {},
  ): Promise<Diagnosis> {
    const { host, policy, observer } = this.context;
    const request = { ...this.context.request, ...bounds };
    const look = host.look({
      ...request,
      // The port was settled by the first look; a config that changes meanwhile must not move it.
      port: this.before.evidence.port.number,
      sinceMs: Math.min(request.sinceMs ?? RECENT_LOG_MS, RECENT_LOG_MS),
      leaveOut: scope === 'processes' ? ['apiLog', 'answer'] : [],
    });
    const waiting = (what: string, boundMs: number) => observer.waiting?.(what, boundMs);
    if (scope === 'settled') waiting(apiAnswers.title, request.probeTimeoutMs ?? 0);
    const first = diagnoseEvidence(await collectEvidence(look, policy));
    const diagnosis = scope === 'settled' ? await settledDiagnosis(first, look, waiting) : first;
    this.latest = diagnosis;
    this.latestIsWhole = scope !== 'processes';
    this.#latestAt = performance.now();
    return diagnosis;
  }

  /**
   * Looks, once the API serves, whether the Salt master takes what it hands on: that is not waited
   * for, and no fix of ours.
   * @returns what is wrong with it, in words; null where nothing is known to be
   */
  async lookAtMaster(): Promise<{ readonly isDeaf: boolean; readonly trouble: string } | null> {
    const { host, request, trail } = this.context;
    if (this.latest === null || request.background?.includes('master') !== true) return null;
    const found = await host.lookBehind(this.latest.evidence, ['master'], request);
    this.latest = withBackground(this.latest, found);
    const trouble = masterTrouble(this.latest);
    if (trouble === null) return null;
    await trail.journal({ phase: 'note', action: 'master', result: trouble });
    return { isDeaf: masterIsDeaf(this.latest), trouble };
  }

  /**
   * A look before a kill, or the last one where that was a moment ago and nobody was asked
   * since: thousands of processes would else be looked at before each of thousands of kills. The
   * guard reads the process and its parent once more in any case.
   */
  async recentLook(): Promise<Diagnosis> {
    const recent = performance.now() - this.#latestAt < RECENT_LOOK_MS;
    if (recent && this.latest !== null && !this.context.consent.takesTime) return this.latest;
    return this.look('processes');
  }

  /**
   * A look before what stops the service. The API is asked whether it serves again, which would spare
   * the stop; but not after a kill of ours, when that no longer counts, nor where it was silent to the
   * last, and the fix has begun a moment ago and asked nobody since.
   */
  lookBeforeStop(): Promise<Diagnosis> {
    const { answer } = this.before.evidence;
    const wasSilent = answer.seen && ['no-reply', 'no-connection'].includes(answer.value.kind);
    const hasJustBegun = performance.now() - this.#began < RECENT_LOOK_MS;
    const isKnown = wasSilent && hasJustBegun && !this.context.consent.takesTime;
    return this.look(this.#hasKilled || isKnown ? 'processes' : 'settled');
  }

  /**
   * Looks again and again until a look settles it.
   * @param judge given a look, whether time is up and how long that is waited for, ms; in words, what
   *   is still waited for
   */
  async lookUntil<T extends object>(
    { scope, waitMs }: { readonly scope: LookScope; readonly waitMs: number },
    judge: (now: Diagnosis, timeIsUp: boolean, waitedMs: number) => T | string,
  ): Promise<T> {
    const { interrupted, observer, pause } = this.context;
    const began = performance.now();
    for (let turn = 0; ; turn += 1) {
      const lookedAt = performance.now();
      const now = await this.look(scope);
      const knownAt = performance.now();
      const waitedMs = knownAt - began;
      const judged = judge(now, waitedMs > waitMs || interrupted(), waitedMs);
      if (typeof judged !== 'string') return judged;
      observer.waiting?.(judged, waitMs, began);
      await pause(pauseAfterLook(turn, knownAt - lookedAt));
    }
  }

  /** How long a recovery is waited for, ms: not at all where nothing has changed, or it was in vain. */
  get patienceMs(): number {
    if (this.statusOf('await-recovery') === 'failed') return 0;
    const changed = this.outcomes.some(({ step, status }) => {
      return changesHost(step) && ['done', 'failed', 'not-needed'].includes(status);
    });
    return changed ? this.context.waitMs : 0;
  }

  /** What is still wanting for the goal, in words. */
  wanting(now: Diagnosis, goal: 'serving' | 'no-orphans'): string[] {
    const renewed = goal === 'serving' && this.servesAgain !== 'untouched';
    return wanting(now, renewed ? this.before : null);
  }

  /**
   * What settles a step where it serves again before anything was done to it. After a kill of ours
   * it may well have recovered; `--restart always` restarts it still.
   */
  cameBack({ evidence, verdict, findings }: Diagnosis): Settled | null {
    // A look that has not asked the API finds nothing wrong with it.
    if (this.#hasKilled || !evidence.answer.seen || !isWell(verdict.code)) return null;
    this.servesAgain = 'untouched';
    const { summary } = findings['api-answers'];
    return settled('not-needed', `nothing to do: the API serves again, ${summary}`);
  }

  get #hasKilled(): boolean {
    return this.outcomes.some(({ step, status }) => step.kind === 'kill' && status === 'done');
  }
}

/** What is told of a step that a person has not agreed to. */
const SAID = { skip: 'skipped', abort: 'aborted', interrupted: 'interrupted' } as const;

/** Of a process, within one boot. */
export function identityOf({
  pid,
  startTicks,
}: Pick<ProcessIdentity, 'pid' | 'startTicks'>): string {
  return `${pid} ${startTicks}`;
}
