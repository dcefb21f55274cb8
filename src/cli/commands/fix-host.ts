import { diagnoseHost } from '../../diagnosis/diagnose.ts';
import type { Diagnosis } from '../../diagnosis/diagnosis.ts';
import { ExitCode, TriageError } from '../../errors.ts';
import { writeEvidence } from '../../evidence/evidence-file.ts';
import type { Lock } from '../../fix/lock.ts';
import {
  type Consent,
  type FixContext,
  type FixResult,
  runPlan,
  type StepOutcome,
} from '../../fix/run-plan.ts';
import type { Host, HostActions } from '../../host/host.ts';
import { changesHost, leftoversOf, type Plan, type PlanStep, planFix } from '../../plan/plan.ts';
import { chooseServiceManager, type ServiceManager } from '../../plan/service-manager.ts';
import { textReport } from '../../report/diagnosis-text.ts';
import { jsonFix } from '../../report/fix-json.ts';
import { fixReport, planText } from '../../report/fix-text.ts';
import { jsonLine } from '../../report/json-line.ts';
import { nextCommand, refusalAdvice } from '../../report/next-command.ts';
import { type Screen, screenOn, wrap } from '../../report/screen.ts';
import { commandLine } from '../../shell-words.ts';
import type { ActionTrail } from '../../trail/trail.ts';
import { printable, stripControl } from '../../untrusted.ts';
import { agreed, personAtTerminal, personIsThere } from '../ask.ts';
import type { FixOptions } from '../fix-options.ts';
import { listenForInterrupts } from '../interrupts.ts';
import type { LookOptions } from '../look-options.ts';

/** Between two looks at a salt-api on its way up, ms. */
const LOOK_AGAIN_MS = 1_000;

/** A host that can be looked at and acted on. */
export interface FixHost {
  readonly host: Host;
  readonly actions: HostActions;
  /** The name of a host behind ssh; unset for this one. */
  readonly elsewhere?: string;
}

/** How a fix talks to whoever runs it. */
export interface FixTalk {
  readonly color: boolean;
  readonly json?: boolean;
}

/**
 * Diagnoses a host, plans, and carries the plan out, under the lock of its port. Where the port
 * was named the lock comes first: a second fix is turned away before it looks.
 *
 * @param already a diagnosis that was just made and shown, as the offer of `diagnose` has it
 */
export async function fixHost(
  there: FixHost,
  look: LookOptions,
  options: FixOptions,
  talk: FixTalk,
  already?: Diagnosis,
): Promise<ExitCode> {
  const { elsewhere } = there;
  const locks: Lock[] = [];
  const claim = async (port: number): Promise<void> => {
    if (options.dryRun || locks.length > 0) return;
    const { acquireLock } = await import('../../fix/lock.ts');
    locks.push(await acquireLock({ port, elsewhere }));
  };
  try {
    if (look.request.port !== undefined) await claim(look.request.port);
    return await mendHost(there, look, options, talk, already, claim);
  } finally {
    for (const lock of locks) await lock.release();
  }
}

async function mendHost(
  { host, actions, elsewhere }: FixHost,
  lookOptions: LookOptions,
  options: FixOptions,
  talk: FixTalk,
  already: Diagnosis | undefined,
  claim: (port: number) => Promise<void>,
): Promise<ExitCode> {
  const shown = ownScreen(talk);
  const look = { host, shown, options: lookOptions };
  const before = await onceUp(look, already ?? (await lookAndShow(look)));
  await claim(before.evidence.port.number);
  const { unit, unitNamed } = lookOptions;
  const manager = chooseServiceManager(before.evidence.service, { ...options, unit, unitNamed });
  const plan = planFix(before, manager, options);
  const flags = lookOptions.repeated;
  const finish = (exitCode: ExitCode, result: FixResult | null, trail: string | null) => {
    if (talk.json) {
      const parts = {
        before,
        plan,
        manager,
        result,
        trail,
        flags,
        dryRun: options.dryRun,
        exitCode,
      };
      const target = elsewhere === undefined ? {} : { target: elsewhere };
      process.stdout.write(jsonLine({ ...target, ...jsonFix(parts) }));
    }
    return exitCode;
  };
  if (plan.kind === 'nothing-to-do') {
    shown.write(`\n${wrap(`Nothing to do: ${plan.why}`, shown.columns, 2)}\n`);
    const code = before.verdict.code;
    const well = code === 'healthy' || code === 'degraded';
    return finish(well ? ExitCode.ok : ExitCode.incident, null, null);
  }
  if (plan.kind === 'refused') {
    const where = elsewhere === undefined ? '' : `${elsewhere}: `;
    process.stderr.write(
      printable(
        `salt-triage: ${where}refused: ${plan.why}\n  ${refusalAdvice(plan, before, flags)}\n`,
      ),
    );
    return finish(refusalExitCode(plan), null, null);
  }
  shown.write(`\n${planText(shown, plan, manager)}\n`);
  if (options.dryRun) {
    shown.write('Dry run: nothing was changed, and nothing recorded.\n');
    return finish(ExitCode.ok, null, null);
  }
  await requirePrograms(actions, plan);
  await requireRights({ actions, elsewhere }, plan, manager, before);
  const { openTrail } = await import('../../trail/trail.ts');
  const trail = await openTrail({
    stateDirectory: options.stateDirectory,
    port: before.evidence.port.number,
    host: before.evidence.host.name,
    keepIncidents: options.keepIncidents,
    keepMebibytes: options.keepMebibytes,
  });
  const interrupts = listenForInterrupts({ survivesHangUp: options.yes });
  try {
    const consent = options.yes
      ? agreed
      : personAtTerminal(detailsOf(actions, before), interrupts.signal);
    const result = await runPlan(plan, before, {
      ...contextOf({ host, actions, look: lookOptions, options, manager, consent, trail }),
      observer: fixReport(shown, { brief: options.yes }),
      interrupted: () => interrupts.interrupted,
    });
    const exitCode = resultExitCode(result);
    shown.write(closing(shown, result, trail.place, flags));
    return finish(exitCode, result, trail.place);
  } finally {
    interrupts.stop();
    await trail.close();
  }
}

function contextOf(parts: {
  readonly host: Host;
  readonly actions: HostActions;
  readonly look: LookOptions;
  readonly options: FixOptions;
  readonly manager: ServiceManager | null;
  readonly consent: Consent;
  readonly trail: ActionTrail;
}): Omit<FixContext, 'observer' | 'interrupted'> {
  const { look, options, ...rest } = parts;
  return {
    ...rest,
    request: look.request,
    policy: look.policy,
    serialize: (diagnosis) => writeEvidence(diagnosis.evidence),
    waitMs: options.waitMs,
    commandTimeoutMs: options.commandTimeoutMs,
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  };
}

/**
 * A start command that is not there would be found out once the service is stopped.
 * @throws TriageError (usage) before anything was changed
 */
async function requirePrograms(
  actions: HostActions,
  { steps }: Extract<Plan, { kind: 'mend' }>,
): Promise<void> {
  const commands = steps.flatMap((step) =>
    step.kind === 'stop' || step.kind === 'start' ? [step.command] : [],
  );
  for (const [program = '', ...rest] of commands) {
    if (await actions.hasProgram(program)) continue;
    throw new TriageError(
      stripControl(`${program} can't be run, which is needed to ${rest.at(-1) ?? 'restart'}`),
      'Correct --stop-cmd, --start-cmd or --service; nothing was done.',
      ExitCode.usage,
    );
  }
}

/** @throws TriageError (not permitted) before anything was changed */
async function requireRights(
  { actions, elsewhere }: { actions: HostActions; elsewhere: string | undefined },
  plan: Extract<Plan, { kind: 'mend' }>,
  manager: ServiceManager | null,
  before: Diagnosis,
): Promise<void> {
  const uids = plan.steps.flatMap((step) => {
    if (step.kind === 'kill') return [step.uid];
    // What the stop leaves behind is killed as well, and is of those that are there now.
    return step.kind === 'kill-leftovers' ? leftoversOf(before).map(({ facts }) => facts.uid) : [];
  });
  const ownCommands = manager === null || manager.kind === 'commands';
  const commands = plan.steps.some(({ kind }) => kind === 'stop' || kind === 'start');
  const why =
    (await actions.missingRights(uids)) ??
    (before.evidence.host.uid !== 0 && commands && !ownCommands
      ? `${manager.label} takes its orders from root`
      : null);
  if (why === null) return;
  const again = ['salt-triage', ...process.argv.slice(2)];
  throw new TriageError(
    `not permitted to mend ${before.evidence.host.name}: ${why}; nothing was done`,
    commandLine(elsewhere === undefined ? ['sudo', ...again] : [...again, '--sudo']),
    ExitCode.notPermitted,
  );
}

function refusalExitCode(plan: Extract<Plan, { kind: 'refused' }>): ExitCode {
  if (plan.verdict === 'unknown') return ExitCode.unknown;
  const guarded = plan.verdict === 'foreign-holder' || plan.ofHost === true;
  return guarded ? ExitCode.refused : ExitCode.usage;
}

/** What became of the fix, as an exit code (README, "Exit codes"). */
function resultExitCode({ outcomes, ended, recovered }: FixResult): ExitCode {
  if (ended === 'interrupted') return ExitCode.interrupted;
  if (ended === 'cut off') return ExitCode.unknown;
  if (recovered) return ExitCode.ok;
  if (ended === 'aborted') return ExitCode.declined;
  if (outcomes.some(({ notPermitted }) => notPermitted)) return ExitCode.notPermitted;
  const changes = outcomes.filter(({ step }) => changesHost(step));
  const done = changes.some(({ status }) => status === 'done');
  const guarded = changes.some(({ step, status }) => step.kind === 'kill' && status === 'refused');
  if (!done && guarded) return ExitCode.refused;
  if (!done && changes.some(({ status }) => status === 'declined')) return ExitCode.declined;
  if (!done && changes.some(({ status }) => status === 'refused')) return ExitCode.refused;
  return ExitCode.incident;
}

function closing(
  screen: Screen,
  result: FixResult,
  place: string,
  flags: readonly string[],
): string {
  const { chalk, columns } = screen;
  const done = result.outcomes.filter(({ status }) => status === 'done').map(titleOf);
  const open = result.outcomes
    .filter(({ status }) => status !== 'done' && status !== 'not-needed')
    .map(({ step, status }) => `${step.title} (${status})`);
  const orphansOnly = result.outcomes.some(
    ({ step }) => step.kind === 'verify' && step.goal === 'no-orphans',
  );
  const head = result.recovered
    ? chalk.green(
        orphansOnly
          ? 'Done: no orphan is left, and the API serves.'
          : 'Recovered: the API serves again.',
      )
    : chalk.red(
        result.ended === 'completed' ? 'Not recovered.' : `Not recovered (${result.ended}).`,
      );
  const lines = ['', head];
  if (!result.recovered) {
    lines.push(wrap(`Done: ${done.join(', ') || 'nothing'}.`, columns, 2));
    lines.push(wrap(`Not done: ${open.join(', ') || 'nothing'}.`, columns, 2));
  }
  // What another fix would not mend: the reason of a failed start, another port of the same salt-api.
  const { startFailure, portInstead } = result.after?.verdict ?? {};
  if (result.after !== null && (startFailure !== undefined || portInstead !== undefined)) {
    const { next, nextNote } = nextCommand(result.after, flags);
    lines.push(wrap(`Next: ${next}    ${nextNote}`, columns, 2));
  }
  lines.push(wrap(`Trail: ${place}`, columns, 2));
  // The half that was asked for is done, and was not enough.
  if (!result.recovered && orphansOnly && result.ended === 'completed' && result.after !== null) {
    const { next, nextNote } = nextCommand(result.after, flags);
    lines.push(wrap(`Next: ${next}   ${nextNote}`, columns, 2));
  }
  return `${lines.join('\n')}\n`;
}

function titleOf({ step }: StepOutcome): string {
  return step.title;
}

function detailsOf(actions: HostActions, before: Diagnosis) {
  return async (step: PlanStep): Promise<string[]> => {
    const { stepDetails } = await import('../../report/step-details.ts');
    const record =
      step.kind === 'kill' ? await actions.recordProcess(step.target.identity.pid) : new Map();
    return stepDetails(step, before, record);
  };
}

interface Look {
  readonly host: Host;
  readonly shown: Screen;
  readonly options: LookOptions;
}

function lookAndShow({ host, shown, options }: Look): Promise<Diagnosis> {
  const { request, policy, repeated } = options;
  return diagnoseHost(host, request, policy, textReport(shown, 'normal', repeated));
}

/**
 * What comes up by itself must not be mended: it gets the time that the first look gives it, and what
 * is judged is the host after it.
 */
async function onceUp(look: Look, first: Diagnosis): Promise<Diagnosis> {
  const deadline = performance.now() + (first.verdict.comesUpWithinMs ?? 0);
  let now = first;
  while (now.verdict.comesUpWithinMs !== undefined && performance.now() < deadline) {
    if (now === first) look.shown.write('\nIt gets some time to come up.\n');
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    const { request, policy } = look.options;
    now = await diagnoseHost(look.host, request, policy);
  }
  return now === first ? first : lookAndShow(look);
}

/** In JSON the document has standard output to itself. */
function ownScreen({ json, color }: FixTalk): Screen {
  const screen = screenOn(json ? process.stderr : process.stdout, color);
  return json && !personIsThere() ? silent(screen) : screen;
}

function silent(screen: Screen): Screen {
  return { ...screen, interactive: false, write: () => undefined, clearLine: () => undefined };
}
