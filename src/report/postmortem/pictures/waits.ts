/** What threads were waiting for: by the calls that they were in, and by Python's own stacks. */
import { waitOf } from '../../../diagnosis/stacks/fold-stacks.ts';
import { type StacksFile, stacksFileName } from '../../../trail/stacks-file.ts';
import type { PostmortemCase } from '../case.ts';
import { safe } from '../statement.ts';
import type { BarsPicture } from './picture.ts';

const MOST_BARS = 8;
/** More processes than a salt-api has with threads to tell of. */
const MOST_PROCESSES = 3;

/** The threads of each process that serves, or is an orphan, by what they wait on. */
export function censusPictures({ before, files }: PostmortemCase): BarsPicture[] {
  const counted = before?.explanations.workers.evidence.processes ?? [];
  const processes = counted.filter(({ waits }) => waits.length > 0);
  return processes.slice(0, MOST_PROCESSES).map(({ pid, threads, waits }) => {
    const labelled = waits.map(({ threads: count, call, on }) => {
      const ends = on.slice(0, 2).map(({ kind, address, port }) => `${kind} ${address}:${port}`);
      return [[call ?? 'call not readable', ...ends].join(', '), count] as const;
    });
    return bars(labelled, {
      id: `threads-${pid}`,
      title: `What the threads of ${pid} wait in`,
      threads,
      source: files.before,
    });
  });
}

/** The threads of a process that was killed, by its Python stacks; null where none were seen. */
export function stacksPicture(stacks: StacksFile): BarsPicture | null {
  const { pid, tool, threads, withoutPython, folded } = stacks;
  if (tool === null || folded.length === 0) return null;
  const labelled = folded.map(({ count, frames }) => {
    return [waitOf(frames)?.words ?? `in ${frames[0]?.function ?? 'no call'}`, count] as const;
  });
  const outside = withoutPython > 0 ? [['in no Python', withoutPython] as const] : [];
  return bars([...labelled, ...outside], {
    id: `stacks-${pid}`,
    title: `Where the threads of ${pid} stood`,
    threads,
    source: stacksFileName(stacks),
  });
}

/** Those with one label together, the most first. */
function bars(
  labelled: readonly (readonly [label: string, threads: number])[],
  about: Pick<BarsPicture, 'id' | 'title' | 'source'> & { readonly threads: number },
): BarsPicture {
  const sums = new Map<string, number>();
  for (const [label, count] of labelled) {
    const text = safe(label);
    sums.set(text, (sums.get(text) ?? 0) + count);
  }
  const sorted = [...sums]
    .map(([label, value]) => ({ label, value }))
    .sort((a, b) => b.value - a.value)
    .slice(0, MOST_BARS);
  const { threads, ...rest } = about;
  return {
    ...rest,
    kind: 'bars',
    description: `${sorted[0]?.value} of ${threads} threads: ${sorted[0]?.label}.`,
    bars: sorted,
    table: {
      head: ['where', 'threads'],
      rows: sorted.map(({ label, value }) => [label, String(value)]),
    },
  };
}
