import type { Background, BackgroundSection } from '../evidence/background.ts';
import type {
  AnswerFacts,
  Evidence,
  Look,
  LookRequest,
  ProcessIdentity,
  Sections,
} from '../evidence/evidence.ts';
import type { PythonStacks } from '../evidence/python-stacks.ts';

/**
 * One look at a host, under way. Each section settles on its own, so a step can be shown as soon as
 * it is known; none of them rejects for what the host is like (that is a blind `Look`), only for
 * a host that can't be reached at all.
 */
export type LookInProgress = {
  readonly [Name in keyof Sections]: Promise<Sections[Name]>;
} & {
  /**
   * Sends one more `GET /` to the same place; null where there is nobody to ask, in a recording.
   * @param timeoutMs how long it may take
   */
  readonly askAgain: ((timeoutMs: number) => Promise<Look<AnswerFacts>>) | null;
};

/** The sections of a look of which nothing is known before all is. */
export function eachOf<Name extends keyof Sections>(
  names: readonly Name[],
  whole: Promise<Pick<Sections, Name>>,
): { readonly [N in Name]: Promise<Sections[N]> } {
  const entries = names.map((name) => [name, whole.then((all) => all[name])] as const);
  return Object.fromEntries(entries) as { readonly [N in Name]: Promise<Sections[N]> };
}

/** A host that can be looked at: this one, one behind ssh, or a recorded one. */
export interface Host {
  readonly name: string;
  /**
   * Begins a look.
   * @param leave aborted once nobody waits for the answer any more: the ask ends, and its connection
   *   with it
   */
  look(request: LookRequest, leave?: AbortSignal): LookInProgress;
  /**
   * Looks at what explains a state that was found. Never rejects.
   * @param wanted the sections to look at; no others come back
   * @param request of the look that found it
   */
  lookBehind(
    found: Omit<Evidence, 'background'>,
    wanted: readonly BackgroundSection[],
    request: LookRequest,
  ): Promise<Partial<Background>>;
}

/** A process that a plan means to end, with what must still be true when the signal goes out. */
export interface KillTarget {
  readonly identity: ProcessIdentity;
  /** As it was when the plan was made; any difference refuses the signal. */
  readonly argv: readonly string[];
  /** Who its parent must be still; unset where an end of ours may give it another. */
  readonly parent?: number;
}

/** What came of a SIGKILL. */
export type KillOutcome =
  | { readonly kind: 'gone' }
  /** It had ended before the signal. */
  | { readonly kind: 'gone-before' }
  /** Dead, waiting for its parent to reap it: it holds nothing any more. */
  | { readonly kind: 'zombie'; readonly parent: number }
  /** In D state: the signal stays pending until the kernel call returns. */
  | { readonly kind: 'uninterruptible'; readonly waitChannel: string | null }
  /** The signal was sent and it is still there when time was up. */
  | { readonly kind: 'still-there'; readonly state: string }
  /** A guard said no; nothing was sent. */
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'not-permitted' };

/** What came of a command that was run. */
export interface CommandOutcome {
  readonly argv: readonly string[];
  /** Null where it was ended by a signal, timed out or could not be started. */
  readonly exitCode: number | null;
  /** The last of its output, control characters removed, at most 4 KiB. */
  readonly output: string;
  readonly timedOut: boolean;
  /** Why it could not be started (`ENOENT`), else null. */
  readonly failed: string | null;
  /** The connection was lost meanwhile: whether it ran, and how it ended, is not known. */
  readonly lost: boolean;
  readonly durationMs: number;
}

/**
 * The few things that change a host. Kept apart from looking, so that a caller that only
 * looks can't be handed the means to act.
 */
export interface HostActions {
  /**
   * Checks the target against every guard and sends SIGKILL in the same breath, then waits for
   * what becomes of it.
   * @param timeoutMs how long to wait for its end
   */
  kill(target: KillTarget, timeoutMs: number): Promise<KillOutcome>;
  /** Whether a command's program can be found and run. */
  hasProgram(program: string): Promise<boolean>;
  /** Runs a command without a shell, bounded in time, its standard input closed. */
  run(argv: readonly string[], timeoutMs: number): Promise<CommandOutcome>;
  /**
   * What `/proc` says of one process, for the trail: file name to text. The environment is left
   * out, since it holds secrets. Never rejects; what can't be read is not there.
   */
  recordProcess(pid: number): Promise<ReadonlyMap<string, string>>;
  /**
   * What the threads of a kill target are in, if it passes every guard of a kill: a tool that needs
   * it may stop it meanwhile. Nothing of ours runs any more after `boundMs`, and what ran before runs
   * again. Never rejects.
   */
  readStacks(target: KillTarget, boundMs: number): Promise<Look<PythonStacks>>;
  /**
   * What is worth keeping of the whole host before anything is killed, file name to text: its
   * process table. Never rejects.
   */
  recordHost(): Promise<ReadonlyMap<string, string>>;
  /**
   * Why a kill or a service command is bound to fail for lack of rights, or null.
   * @param uids owners of the processes to kill
   */
  missingRights(uids: readonly number[]): Promise<string | null>;
}
