/** A check as text for monitors: the Monitoring Plugins line, and Checkmk's. */
import { type CheckResult, STATES } from '../check/check.ts';
import type { Range } from '../check/ranges.ts';
import { namesOf, READINGS } from '../check/readings.ts';
import { stripControl } from '../untrusted.ts';
import { describeDuration } from '../words.ts';

/** Nagios cuts at 8 KiB; the numbers have to fit behind the words. */
const MAX_SUMMARY = 1_000;

/**
 * The line of the Monitoring Plugins guidelines, and with `-v` more lines behind it.
 * @param verbosity 0: the line alone; 1: the steps; 2: their evidence; 3: how long it took, and where
 */
export function pluginLines(result: CheckResult, verbosity: number, durationMs: number): string {
  const { state, summary, steps, host, port } = result;
  const line = `SALT-API ${state.toUpperCase()} - ${plain(summary).slice(0, MAX_SUMMARY)} | ${performanceData(result)}`;
  const more = [
    ...(verbosity < 1
      ? []
      : steps.flatMap(({ title, status, summary, details }) => [
          `${title}: ${status}: ${summary}`,
          ...(verbosity < 2 ? [] : details.map((detail) => `  ${detail}`)),
        ])),
    ...(verbosity < 3
      ? []
      : [
          `host ${host ?? 'not reached'}, port ${port ?? 'not known'}; took ${describeDuration(durationMs)}; node ${process.version}, pid ${process.pid}, uid ${process.geteuid?.()}`,
        ]),
  ];
  return [line, ...more.map(plain)].map((text) => `${text}\n`).join('');
}

/** `'label'=value[UOM];warn;crit;min;max`, with `U` for what could not be determined. */
function performanceData({ readings, thresholds }: CheckResult): string {
  return namesOf(readings)
    .map((name) => {
      const value = readings[name];
      if (typeof value !== 'number') return `${name}=U`;
      const { unit } = READINGS[name];
      const limits = [thresholds.warning[name], thresholds.critical[name]].map(textOf).join(';');
      // What may fall below 0 has no minimum.
      const least = name === 'close_wait_rate' ? '' : ';0';
      return `${name}=${value}${unit === 'seconds' ? 's' : ''};${limits}${least}`;
    })
    .join(' ');
}

/** A line of a Checkmk local check: `STATE "name" metrics text`. Unknown values are left out. */
export function checkmkLine(result: CheckResult): string {
  const { state, readings, thresholds, summary } = result;
  const metrics = namesOf(readings).flatMap((name) => {
    const value = readings[name];
    if (typeof value !== 'number') return [];
    const limits = [thresholds.warning[name], thresholds.critical[name]].map(upperLevel);
    return `${name}=${value}${limits.join('') === '' ? '' : `;${limits.join(';')}`}`;
  });
  return `${STATES.indexOf(state)} "salt-api" ${metrics.join('|') || '-'} ${plain(summary).slice(0, MAX_SUMMARY)}\n`;
}

function textOf(range: Range | undefined): string {
  return range?.text ?? '';
}

/** Checkmk's levels are reached where ours are passed, and its counts are whole. */
function upperLevel(range: Range | undefined): string {
  if (range === undefined || range.inside || !Number.isFinite(range.end)) return '';
  return String(Number.isInteger(range.end) ? range.end + 1 : range.end);
}

/** US-ASCII without the bar that begins the performance data. */
function plain(text: string): string {
  return stripControl(text)
    .replaceAll('|', '/')
    .replace(/[^ -~]/g, '?');
}
