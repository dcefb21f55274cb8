import type { TimelineEvent } from '../timeline.ts';
import type { TrackPicture } from './picture.ts';

/** A part of the whole that is as short as this would be one dot. */
const DOT = 0.2;

/** The timeline as a picture; null where there is no span to draw. */
export function trackPicture(timeline: readonly TimelineEvent[]): TrackPicture | null {
  const events = timeline.map(({ at, kind }, index) => ({ at, kind, number: index + 1 }));
  const [first, last] = [events[0], events.at(-1)];
  if (first === undefined || last === undefined || last.at === first.at) return null;
  const begins = events.find(({ kind }) => kind === 'action');
  const late = events.filter(({ at }) => at >= (begins?.at ?? Number.POSITIVE_INFINITY));
  const whole = last.at - first.at;
  const short = begins !== undefined && last.at - begins.at < whole * DOT && last.at > begins.at;
  return {
    kind: 'track',
    id: 'timeline-picture',
    title: 'The timeline as a picture',
    description: `${events.length} events; the numbers are those of the table below.`,
    source: 'the files named in the table',
    panels: [
      { title: 'all of it', events },
      ...(short ? [{ title: 'from the first action on', events: late }] : []),
    ],
  };
}
