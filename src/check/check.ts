/** From a diagnosis to what a monitor is told. No judgement of its own but thresholds. */
import type { Step } from '../diagnosis/checks/checks.ts';
import type { Diagnosis } from '../diagnosis/diagnosis.ts';
import type { VerdictCode } from '../diagnosis/verdict.ts';
import { alerts, fromCount, type Range } from './ranges.ts';
import {
  READING_NAMES,
  type ReadingName,
  type Readings,
  readingsOf,
  undetermined,
} from './readings.ts';

/** The states of the Monitoring Plugins guidelines; the exit code is the place in this list. */
export const STATES = ['ok', 'warning', 'critical', 'unknown'] as const;

export type State = (typeof STATES)[number];

/** What is well, by reading. */
export interface Thresholds {
  readonly warning: { readonly [Name in ReadingName]?: Range };
  readonly critical: { readonly [Name in ReadingName]?: Range };
}

/** Everything that any output format shows. */
export interface CheckResult {
  readonly state: State;
  readonly verdict: VerdictCode;
  readonly summary: string;
  readonly readings: Readings;
  readonly thresholds: Thresholds;
  /** Of the diagnosis; empty where the look came to nothing. */
  readonly steps: readonly Step[];
  /** The host's name; null where it was not reached. */
  readonly host: string | null;
  readonly port: number | null;
}

/** From the one that matters least to the one that matters most. */
const SEVERITY: readonly State[] = ['ok', 'warning', 'unknown', 'critical'];

/** The worse of two; what is unknown may hide what is critical, so it is worse than a warning. */
function worse(a: State, b: State): State {
  return SEVERITY.indexOf(a) >= SEVERITY.indexOf(b) ? a : b;
}

/**
 * Judges a diagnosis: its verdict, then each reading by its thresholds.
 * @param thresholds those that were named; the limits of the diagnosis hold for the others
 * @param rate CLOSE_WAIT sockets more per minute; unset where nobody asked, null without a look before
 */
export function judgeCheck(
  diagnosis: Diagnosis,
  thresholds: Thresholds,
  rate?: number | null,
): CheckResult {
  const { evidence, verdict, steps } = diagnosis;
  const readings = {
    ...readingsOf(diagnosis),
    ...(rate === undefined ? {} : { close_wait_rate: rate }),
  };
  const limits = withDefaults(thresholds, evidence.policy);
  const broken = [...brokenLimits(readings, limits), ...blindLimits(readings, thresholds)];
  const passed = broken.map(({ text }) => `; ${text}`).join('');
  return {
    state: broken.map(({ state }) => state).reduce(worse, stateOf(diagnosis)),
    verdict: verdict.code,
    summary: `${verdict.code}: ${verdict.summary}${passed}`,
    readings,
    thresholds: limits,
    steps,
    host: evidence.host.name,
    port: evidence.port.number,
  };
}

/** Of a look that came to nothing, for a reason of ours. @param growth whether a rate was asked for */
export function failedCheck(why: string, growth: boolean): CheckResult {
  return {
    state: 'unknown',
    verdict: 'unknown',
    summary: why,
    readings: undetermined(growth),
    thresholds: { warning: {}, critical: {} },
    steps: [],
    host: null,
    port: null,
  };
}

/** The same with something that went wrong beside the look: nothing of it is lost. */
export function withTrouble(result: CheckResult, trouble: string): CheckResult {
  const state = worse(result.state, 'unknown');
  return { ...result, state, summary: `${result.summary}; ${trouble}` };
}

function stateOf({ verdict, evidence, findings }: Diagnosis): State {
  const { answer } = findings['api-answers'].evidence;
  // Refused where nobody was seen to listen may have been asked at the wrong address.
  const asked = answer !== null && (answer.kind !== 'refused' || evidence.sockets.seen);
  const silent = asked && answer.kind !== 'answered';
  switch (verdict.code) {
    case 'healthy':
      return silent ? 'critical' : 'ok';
    case 'degraded':
      return silent ? 'critical' : 'warning';
    case 'unknown': {
      // Which port or host is meant is not known: that it is silent says nothing.
      const elsewhere = verdict.portInstead !== undefined || verdict.withoutSalt === true;
      const guessed = evidence.port.origin.kind === 'default' && !isListening(evidence.sockets);
      return silent && !elsewhere && !guessed ? 'critical' : 'unknown';
    }
    default:
      return 'critical';
  }
}

function isListening(sockets: Diagnosis['evidence']['sockets']): boolean {
  return sockets.seen && sockets.value.listeners.length > 0;
}

/** The limits of the diagnosis as ranges, under those that were named. */
function withDefaults(
  { warning, critical }: Thresholds,
  { closeWaitWarn, closeWaitFail }: Diagnosis['evidence']['policy'],
): Thresholds {
  return {
    warning: { close_wait: fromCount(closeWaitWarn), ...warning },
    critical: {
      close_wait: fromCount(closeWaitFail),
      unaccepted: fromCount(closeWaitWarn),
      orphans: fromCount(1),
      ...critical,
    },
  };
}

interface Broken {
  readonly state: State;
  readonly text: string;
}

function brokenLimits(readings: Readings, { warning, critical }: Thresholds): Broken[] {
  return READING_NAMES.flatMap((name): Broken[] => {
    const value = readings[name];
    const [upper, lower] = [critical[name], warning[name]];
    if (value === undefined || value === null) return [];
    if (upper !== undefined && alerts(upper, value)) {
      return [{ state: 'critical', text: `${name} ${value} (critical ${upper.text})` }];
    }
    if (lower === undefined || !alerts(lower, value)) return [];
    return [{ state: 'warning', text: `${name} ${value} (warning ${lower.text})` }];
  });
}

/** What somebody set a limit on has to be known; only the first look ever has no rate yet. */
function blindLimits(readings: Readings, { warning, critical }: Thresholds): Broken[] {
  const named = Object.keys({ ...warning, ...critical }) as ReadingName[];
  return named
    .filter((name) => name !== 'close_wait_rate' && typeof readings[name] !== 'number')
    .map((name) => ({ state: 'unknown', text: `${name} could not be determined` }));
}
