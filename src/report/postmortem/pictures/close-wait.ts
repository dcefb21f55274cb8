import { grouped } from '../../../words.ts';
import type { PostmortemCase } from '../case.ts';
import type { Clock } from '../clock.ts';
import type { Course } from '../course.ts';
import { safe } from '../statement.ts';
import type { BarsPicture, LinesPicture, Point } from './picture.ts';

const HOUR = 3_600_000;
const MOST_ROWS = 16;
const MOST_BARS = 8;

/** CLOSE_WAIT over time, as checks have counted it; null where none has. */
export function closeWaitPicture(
  about: PostmortemCase,
  course: Course,
  clock: Clock,
): LinesPicture | null {
  const { looks, before } = about;
  if (looks === null || before === null) return null;
  const end = course.recovered?.at ?? before.evidence.host.now;
  // An hour of how it was before is enough to see the rise by.
  const from = (course.firstCloseWait?.at ?? end) - HOUR;
  const points = [
    ...looks.looks.map(({ at, closeWait }) => ({ at, value: closeWait })),
    ...[before, about.after].flatMap((found): Point[] => {
      const count = found?.findings['close-wait'].evidence.count ?? null;
      return found === null || count === null
        ? []
        : [{ at: found.evidence.host.now, value: count }];
    }),
  ]
    .filter(
      ({ at }) => at >= from && at <= Math.max(end, about.after?.evidence.host.now ?? end) + HOUR,
    )
    .sort((a, b) => a.at - b.at);
  if (points.length < 3) return null;
  const most = points.reduce((top, point) => (point.value > top.value ? point : top));
  const first = course.firstCloseWait;
  const since = first === null ? '' : ` It rose from 0 at ${clock.moment(first.at)}.`;
  return {
    kind: 'lines',
    id: 'close-wait',
    title: 'CLOSE_WAIT over time',
    description: `At most ${grouped(most.value)} at ${clock.moment(most.at)}; a healthy salt-api has 0.${since}`,
    source: looks.file,
    unit: 'sockets',
    series: [{ name: 'CLOSE_WAIT', points }],
    marks: [
      ...(course.fixBegan === null ? [] : [{ at: course.fixBegan.at, label: 'fix' }]),
      ...(course.recovered === null ? [] : [{ at: course.recovered.at, label: 'serves' }]),
    ],
    table: {
      head: ['time', 'CLOSE_WAIT'],
      rows: spread(points, MOST_ROWS).map(({ at, value }) => [clock.moment(at), grouped(value)]),
    },
  };
}

/** Which clients had hung up; null where none had. */
export function peersPicture({ before, files }: PostmortemCase): BarsPicture | null {
  const evidence = before?.findings['close-wait'].evidence;
  if (evidence === undefined || evidence.byPeer.length === 0) return null;
  const bars = evidence.byPeer
    .slice(0, MOST_BARS)
    .map(({ address, count }) => ({ label: safe(address), value: count }));
  const [first] = bars;
  const others = evidence.byPeer.length - bars.length;
  const more = others > 0 ? ` ${others} more addresses have fewer.` : '';
  return {
    kind: 'bars',
    id: 'peers',
    title: 'CLOSE_WAIT by client',
    description: `${first?.label} has ${grouped(first?.value ?? 0)} of ${grouped(evidence.count ?? 0)}.${more}`,
    source: files.before,
    bars,
    table: {
      head: ['client', 'CLOSE_WAIT'],
      rows: bars.map(({ label, value }) => [label, grouped(value)]),
    },
  };
}

/** So many of a list, evenly, with the first and the last. */
function spread<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  const step = (items.length - 1) / (most - 1);
  return Array.from({ length: most }, (_, index) => items[Math.round(index * step)]).filter(
    (item) => item !== undefined,
  );
}
