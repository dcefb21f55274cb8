import type { KilledStacks } from '../case.ts';
import { safe } from '../statement.ts';
import type { BarsPicture } from './picture.ts';

const MOST_BARS = 8;

/** What the threads of a killed process waited for, by its Python stacks; null where none were seen. */
export function stacksPicture({
  file,
  pid,
  tool,
  threads,
  folded,
}: KilledStacks): BarsPicture | null {
  if (tool === null || folded.length === 0) return null;
  const waits = new Map<string, number>();
  for (const { count, waitsFor, frames } of folded) {
    const label = safe(
      waitsFor === null ? `in ${frames[0]?.function ?? 'no Python'}` : `waiting for ${waitsFor}`,
    );
    waits.set(label, (waits.get(label) ?? 0) + count);
  }
  const bars = [...waits]
    .map(([label, value]) => ({ label, value }))
    .sort((a, b) => b.value - a.value)
    .slice(0, MOST_BARS);
  return {
    kind: 'bars',
    id: `stacks-${pid}`,
    title: `Where the threads of ${pid} stood`,
    description: `${bars[0]?.value} of ${threads} threads: ${bars[0]?.label}.`,
    source: file,
    bars,
    table: {
      head: ['where', 'threads'],
      rows: bars.map(({ label, value }) => [label, String(value)]),
    },
  };
}
