/**
 * A check as metrics, in text that node_exporter's textfile collector takes and that is OpenMetrics
 * as well: gauges alone, a HELP that never varies, no timestamps, `# EOF` and a line break at the end.
 */
import { type CheckResult, STATES } from '../check/check.ts';
import { namesOf, READINGS } from '../check/readings.ts';
import { CHECKS } from '../diagnosis/checks/checks.ts';
import { VERDICT_CODES } from '../diagnosis/verdict.ts';

/** What the metrics of one check on a machine tell it apart by. */
export interface MetricLabels {
  readonly port: string;
  /** The host behind ssh; unset for this one. */
  readonly target?: string;
}

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** @param endedAt epoch ms */
export function prometheusText(
  result: CheckResult,
  labels: MetricLabels,
  { endedAt, durationMs }: { readonly endedAt: number; readonly durationMs: number },
): string {
  const { state, verdict, steps } = result;
  const statuses = new Map<string, string>(steps.map(({ id, status }) => [id, status]));
  const succeeded = (id: string) => ['pass', 'warn', 'fail'].includes(statuses.get(id) ?? '');
  const families = [
    family('last_run_timestamp_seconds', 'When the check last ended, Unix time.', [
      { value: endedAt / 1000 },
    ]),
    family('duration_seconds', 'How long the check took.', [{ value: durationMs / 1000 }]),
    family('state', 'State of the check: 0 ok, 1 warning, 2 critical, 3 unknown.', [
      { value: STATES.indexOf(state) },
    ]),
    family(
      'step_success',
      'Whether a step of the diagnosis could look: 1 or 0.',
      // A step that nobody asked for has neither succeeded nor failed.
      CHECKS.filter(({ id }) => statuses.get(id) !== 'skip').map(({ id }) => {
        return { labels: { step: id }, value: succeeded(id) ? 1 : 0 };
      }),
    ),
    family(
      'verdict',
      'The verdict of the diagnosis: 1 for the one that holds, 0 for all others.',
      VERDICT_CODES.map((code) => ({ labels: { verdict: code }, value: code === verdict ? 1 : 0 })),
    ),
    ...readingFamilies(result),
  ];
  const own = {
    port: labels.port,
    ...(labels.target === undefined ? {} : { target: labels.target }),
  };
  return `${families.flatMap((lines) => lines(own)).join('\n')}\n# EOF\n`;
}

function readingFamilies({ readings }: CheckResult) {
  return namesOf(readings).map((name) => {
    const { unit, help } = READINGS[name];
    return family(`${name}${unit === null ? '' : `_${unit}`}`, help, [
      { value: readings[name] ?? Number.NaN },
    ]);
  });
}

function family(name: string, help: string, samples: readonly Sample[]) {
  const full = `salt_triage_${name}`;
  return (own: Readonly<Record<string, string>>): string[] => [
    `# HELP ${full} ${help}`,
    `# TYPE ${full} gauge`,
    ...(full.endsWith('_seconds') ? [`# UNIT ${full} seconds`] : []),
    ...samples.map(({ labels, value }) => `${full}${labelText({ ...own, ...labels })} ${value}`),
  ];
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n');
    return `${name}="${escaped}"`;
  });
  return `{${pairs.join(',')}}`;
}
