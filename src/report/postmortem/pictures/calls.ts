import type { CallsPerMinute, ClientFacts } from '../../../evidence/clients-facts.ts';
import type { PostmortemCase } from '../case.ts';
import { ALL_CLIENTS, type ClientStep, clientsJudged, nameOfClient } from '../clients.ts';
import type { Clock } from '../clock.ts';
import { safe } from '../statement.ts';
import type { LinesPicture, Point, Table } from './picture.ts';

const MINUTE = 60_000;
/** More lines can't be told apart. */
const MOST_CLIENTS = 4;
/** Finer steps can't be seen. */
const MOST_POINTS = 240;
const MOST_ROWS = 16;

/** Requests per minute by client, with the steps in their rates; null where no log tells of any. */
export function callsPicture({ before, files }: PostmortemCase, clock: Clock): LinesPicture | null {
  const look = before?.evidence.background.clients;
  if (before === null || look?.seen !== true || look.value.all.counts.length < 2) return null;
  const { all, clients } = look.value;
  const { steps = [], silentFrom = null } = clientsJudged(before) ?? {};
  const from = all.firstMinute;
  const to = silentFrom ?? from + all.counts.length * MINUTE;
  const shown = mostTelling(clients, steps);
  const lines: { readonly name: string; readonly calls: CallsPerMinute }[] = shown.map((one) => {
    return { name: safe(nameOfClient(one)), calls: one };
  });
  const together = steps.some(({ address }) => address === null);
  if (together || clients.length > shown.length || look.value.furtherClients > 0) {
    lines.push({ name: ALL_CLIENTS, calls: all });
  }
  const sampled = (most: number) =>
    lines.map(({ name, calls }) => ({ name, points: perMinute(calls, { from, to, most }) }));
  const marks = steps
    .filter((step) => step.address === null || shown.some((one) => isOf(step, one)))
    .map((step) => ({
      at: step.at,
      label: `${clock.time(step.at).slice(0, -3)} ${factorOf(step)}`,
    }));
  const gap = silentFrom === null ? [] : [{ at: silentFrom, label: 'silent' }];
  return {
    kind: 'lines',
    id: 'calls',
    title: 'Requests per minute, by client',
    description: describe(steps, clock),
    source: files.before,
    unit: 'requests a minute',
    series: sampled(MOST_POINTS),
    marks: [...marks, ...gap],
    table: tableOf(sampled(MOST_ROWS), clock),
  };
}

/** Those whose rate has changed, then the busiest. */
function mostTelling(clients: readonly ClientFacts[], steps: readonly ClientStep[]): ClientFacts[] {
  const stepped = clients.filter((one) => steps.some((step) => isOf(step, one)));
  const others = clients.filter((one) => !stepped.includes(one));
  return [...stepped, ...others].slice(0, MOST_CLIENTS);
}

function isOf(step: ClientStep, client: ClientFacts): boolean {
  return step.address === client.address && step.agent === client.agent;
}

function factorOf({ factor, after }: ClientStep): string {
  return factor === null ? `new, ${after}` : `${factor}×`;
}

/** Means over spans of whole minutes, so that there are no more than `most`. */
function perMinute(
  { firstMinute, counts }: CallsPerMinute,
  { from, to, most }: { readonly from: number; readonly to: number; readonly most: number },
): Point[] {
  const minutes = Math.max(1, Math.ceil((to - from) / MINUTE));
  const span = Math.ceil(minutes / most);
  const offset = Math.round((firstMinute - from) / MINUTE);
  const points: Point[] = [];
  for (let minute = 0; minute < minutes; minute += span) {
    const width = Math.min(span, minutes - minute);
    let sum = 0;
    for (let each = minute; each < minute + width; each += 1) sum += counts[each - offset] ?? 0;
    points.push({ at: from + minute * MINUTE, value: Math.round((sum * 10) / width) / 10 });
  }
  return points;
}

function describe(steps: readonly ClientStep[], clock: Clock): string {
  if (steps.length === 0) return 'No lasting change in the rate of any client was found.';
  return steps
    .slice(0, 3)
    .map((step) => {
      const rates = `from ${step.before} to ${step.after} requests a minute`;
      return safe(`${nameOfClient(step)} rose ${rates} at ${clock.moment(step.at)}.`);
    })
    .join(' ');
}

function tableOf(
  series: readonly { readonly name: string; readonly points: readonly Point[] }[],
  clock: Clock,
): Table {
  const times = series[0]?.points.map(({ at }) => at) ?? [];
  return {
    head: ['from', ...series.map(({ name }) => name)],
    rows: times.map((at, row) => [
      clock.moment(at).slice(0, 16),
      ...series.map(({ points }) => String(points[row]?.value ?? '')),
    ]),
  };
}
