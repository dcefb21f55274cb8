/** The way from a host to a diagnosis, one step at a time. */
import { runningMs } from '../clock.ts';
import { type BackgroundSection, NO_BACKGROUND } from '../evidence/background.ts';
import { blind, type Evidence, type LookRequest, type Policy } from '../evidence/evidence.ts';
import { collectEvidence } from '../host/collect-evidence.ts';
import type { Host, LookInProgress } from '../host/host.ts';
import { apiAnswers } from './checks/api-answers.ts';
import { CHECKS, DECIDING, type Step } from './checks/checks.ts';
import type { Known, Section } from './checks/finding.ts';
import {
  concludeDiagnosis,
  type Diagnosis,
  goesByAnswer,
  stepOf,
  withAnswer,
  withBackground,
} from './diagnosis.ts';
import { standsWithAnyAnswer, withoutAnswer } from './open-answer.ts';
import { classifyProcesses, ROLE_NEEDS, type RoleEvidence } from './process-roles.ts';
import { settledDiagnosis } from './second-ask.ts';

/** Who wants to know as things become known; every output format is one of these. */
export interface DiagnosisObserver {
  /** The head of the report: what is examined. */
  begin?(head: Pick<Evidence, 'host' | 'port'>): void;
  /** Something is being waited for. @param boundMs how long that may take, where it is known */
  waiting?(what: string, boundMs?: number): void;
  /** A step is known; called in the order of the steps. */
  step?(step: Step): void;
  /** The verdict. A step that it does not hang on may be open still. */
  end?(diagnosis: Diagnosis): void;
  /** A step that was open at the verdict, completed. */
  completed?(step: Step): void;
  /** What explains the verdict, as far as that was asked for. Called last. */
  explained?(diagnosis: Diagnosis): void;
}

/** An API that answers does so mostly at once, and that long after the ask it is waited for, ms. */
const SOON_MS = 20;
/** What the answer is until it has come. */
const OPEN = blind('not-awaited', 'not known yet');
/** From this check on nothing is told before the verdict: the answer, or a second one, may change it. */
const HELD = CHECKS.findIndex(goesByAnswer);

/**
 * Looks at a host and judges what is there, everything once.
 *
 * @param request what to look at
 * @param policy thresholds, kept with the evidence
 * @param observer told of each step as soon as it and all before it are known, and of the verdict as
 *   soon as nothing that is still to come can change it
 * @param until `verdict`: what is still to come then is left; `record`: it is waited for
 * @throws TriageError where the host can't be reached at all
 */
export async function diagnoseHost(
  host: Host,
  request: LookRequest,
  policy: Policy,
  observer: DiagnosisObserver = {},
  until: 'verdict' | 'record' = 'record',
): Promise<Diagnosis> {
  const leave = new AbortController();
  const look = host.look(request, leave.signal);
  // Nothing is asked before that is known: where to, and whether Salt's.
  const asking = look.processes.then(() => runningMs());
  asking.catch(() => undefined);
  const open = await diagnoseButAnswer(look, policy, observer);
  const waiting = (what: string, boundMs: number) => observer.waiting?.(what, boundMs);
  const asked = [apiAnswers.title, request.probeTimeoutMs ?? 0] as const;
  waiting(...asked);
  const askedAt = await asking;
  // Node 24 warns on standard error of a timer that should have run already.
  const soon = Math.max(1, askedAt + SOON_MS - runningMs());
  const lookBehind = lookingBehind(host, request, until);
  if ((await settlesWithin(look.answer, soon)) || !standsWithAnyAnswer(open)) {
    const first = withAnswer(open, await look.answer);
    const settled = await lookBehind.ifItDecides(await settledDiagnosis(first, look, waiting));
    return lookBehind.forTheRest(tellRest(settled, observer), observer);
  }
  const early = tellRest(withoutAnswer(open, runningMs() - askedAt), observer);
  if (until === 'verdict') {
    leave.abort();
    return lookBehind.forTheRest(early, observer);
  }
  waiting(...asked);
  const whole = withAnswer(open, await look.answer);
  for (const step of whole.steps) if (!open.steps.includes(step)) observer.completed?.(step);
  return lookBehind.forTheRest(whole, observer);
}

/** A look behind a verdict takes no longer, ms: somebody waits to mend it. */
const MOST_BEHIND_MS = 10_000;

/** The two times that a diagnosis looks at the background. */
function lookingBehind(host: Host, request: LookRequest, until: 'verdict' | 'record') {
  const { background: wanted = [] } = request;
  const look = async (found: Diagnosis, sections: readonly BackgroundSection[]) => {
    if (sections.length === 0) return found;
    const lookTimeoutMs = Math.min(request.lookTimeoutMs, MOST_BEHIND_MS);
    const behind = await host.lookBehind(found.evidence, sections, { ...request, lookTimeoutMs });
    return withBackground(found, behind);
  };
  return {
    async ifItDecides(found: Diagnosis): Promise<Diagnosis> {
      if (found.verdict.code !== 'healthy') return found;
      const deciding = wanted.filter((name) => DECIDING.includes(name));
      return look(found, deciding);
    },
    async forTheRest(found: Diagnosis, observer: DiagnosisObserver): Promise<Diagnosis> {
      const { background } = found.evidence;
      // What is well needs no explanation beyond what was looked at, but for the record; and whoever
      // wants no more than what decides wants none.
      const isWell = until === 'verdict' && found.verdict.code === 'healthy';
      const isEnough = isWell || wanted.every((name) => DECIDING.includes(name));
      const open = wanted.filter((name) => !isEnough && background[name] === NO_BACKGROUND[name]);
      if (open.length > 0) observer.waiting?.('what explains it', request.lookTimeoutMs);
      const explained = await look(found, open);
      if (wanted.length > 0) observer.explained?.(explained);
      return explained;
    },
  };
}

/** Judges what comes before the answer and apart from it, and tells what it does not change. */
async function diagnoseButAnswer(
  look: LookInProgress,
  policy: Policy,
  observer: DiagnosisObserver,
): Promise<Diagnosis> {
  const { askAgain: _, ...asked } = look;
  const parts = { ...asked, answer: Promise.resolve(OPEN) };
  const evidence = collectEvidence(parts, policy);
  const roles = pick(parts, ROLE_NEEDS).then((known) => classifyProcesses(known as RoleEvidence));
  const sections = { ...parts, policy: Promise.resolve(policy), roles };
  // A look that fails as a whole rejects every part; the first one awaited reports it.
  for (const part of [...Object.values(sections), evidence, look.answer]) {
    part.catch(() => undefined);
  }
  observer.begin?.({ host: await sections.host, port: await sections.port });
  const steps: Step[] = [];
  for (const check of CHECKS) {
    if (steps.length < HELD) observer.waiting?.(check.title);
    const known = await pick(sections, check.needs);
    // Each check is handed the sections that it names; the tuple's types can't be paired up here.
    const step = stepOf(check, known as Known);
    steps.push(step);
    if (steps.length <= HELD) observer.step?.(step);
  }
  return concludeDiagnosis({ ...(await evidence), roles: await roles }, steps);
}

function tellRest(diagnosis: Diagnosis, observer: DiagnosisObserver): Diagnosis {
  for (const step of diagnosis.steps.slice(HELD)) observer.step?.(step);
  observer.end?.(diagnosis);
  return diagnosis;
}

/** Whether a promise settles in time. */
function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, false);
    const settled = () => {
      clearTimeout(timer);
      resolve(true);
    };
    promise.then(settled, settled);
  });
}

type Sections = { readonly [S in Section]: Promise<Known[S]> };

async function pick<Name extends Section>(
  sections: Pick<Sections, Name>,
  needs: readonly Name[],
): Promise<Partial<Pick<Known, Section>>> {
  const entries = await Promise.all(
    needs.map(async (name) => [name, await sections[name]] as const),
  );
  return Object.fromEntries(entries) as Partial<Pick<Known, Section>>;
}
