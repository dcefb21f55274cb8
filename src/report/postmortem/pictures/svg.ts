/** Pictures as inline SVG. Text can't be measured without a browser: room is left for it. */
import { curveStepAfter, line } from 'd3-shape';
import { type Markup, markup, NOTHING } from '../markup.ts';
import { countAxis, timeAxis } from './axis.ts';
import type { BarsPicture, LinesPicture, Picture, Point, TrackPicture } from './picture.ts';
import { type Dot, dotsOf } from './track-layout.ts';

/** User units; drawn as wide as a phone it is about as many pixels, so that 11 stays readable. */
const WIDTH = 400;
/** Of digits and signs, at most, in user units. */
const HALF_CHARACTER = 3.4;

/** @param utcOffsetMinutes of the host, whose time the axes have */
export function drawSvg(picture: Picture, utcOffsetMinutes: number): Markup {
  switch (picture.kind) {
    case 'lines':
      return drawLines(picture, utcOffsetMinutes);
    case 'bars':
      return drawBars(picture);
    case 'track':
      return drawTrack(picture, utcOffsetMinutes);
  }
}

function frame(picture: Picture, height: number, content: Markup): Markup {
  const { id, title, description } = picture;
  return markup`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="${id}-title ${id}-desc"><title id="${id}-title">${title}</title><desc id="${id}-desc">${description}</desc>${content}</svg>`;
}

const LINES = { height: 210, left: 46, right: WIDTH - 14, top: 34, bottom: 176 };

function drawLines(picture: LinesPicture, utcOffsetMinutes: number): Markup {
  const { height, left, right, top, bottom } = LINES;
  const points = picture.series.flatMap((one) => one.points);
  const times = [...points, ...picture.marks].map(({ at }) => at);
  const x = timeAxis([least(times), greatest(times)], [left, right], utcOffsetMinutes);
  const y = countAxis(greatest(points.map(({ value }) => value)), [bottom, top]);
  const path = line<Point>(
    ({ at }) => round(x.place(at)),
    ({ value }) => round(y.place(value)),
  ).curve(curveStepAfter);
  const across = y.ticks.map(
    ({ place, label }) =>
      markup`<path class="grid" d="M${left} ${round(place)}H${right}"/><text class="end" x="${left - 5}" y="${round(place) + 4}">${label}</text>`,
  );
  const lines = picture.series.map(
    ({ points: own }, index) =>
      markup`<path class="line s${(index % 5) + 1}" d="${path([...own]) ?? ''}"/>`,
  );
  const content = markup`<text x="${left - 5}" y="11">${picture.unit}</text>${across}${below(x.ticks, bottom)}${lines}${marks(picture, x.place)}`;
  return frame(picture, height, content);
}

function below(
  ticks: readonly { readonly place: number; readonly label: string }[],
  bottom: number,
): Markup[] {
  return ticks.map(
    ({ place, label }) =>
      markup`<path class="tick" d="M${round(place)} ${bottom}v5"/><text class="middle" x="${middle(place, label)}" y="${bottom + 18}">${label}</text>`,
  );
}

/** Each a line from top to bottom; the labels of two that are close stand below each other. */
function marks({ marks: all }: LinesPicture, place: (at: number) => number): Markup[] {
  const { top, bottom } = LINES;
  let last = Number.NEGATIVE_INFINITY;
  let level = 0;
  return [...all]
    .sort((a, b) => a.at - b.at)
    .map(({ at, label }) => {
      const x = round(place(at));
      level = x - last < 90 ? (level + 1) % 3 : 0;
      last = x;
      const [side, start] = x > WIDTH / 2 ? ['end', x - 4] : ['start', x + 4];
      return markup`<path class="mark" d="M${x} ${top - 14}V${bottom}"/><text class="told ${side}" x="${start}" y="${top - 5 + level * 13}">${label}</text>`;
    });
}

/** Where a text is centred: at its place, but kept within the edges. */
function middle(place: number, text: string): number {
  const half = text.length * HALF_CHARACTER;
  return round(Math.max(half, Math.min(WIDTH - half, place)));
}

function drawBars(picture: BarsPicture): Markup {
  const row = 36;
  const x = countAxis(greatest(picture.bars.map(({ value }) => value)), [0, WIDTH - 60]);
  const bars = picture.bars.map(({ label, value }, index) => {
    const width = round(Math.max(1, x.place(value)));
    const top = index * row;
    return markup`<text x="0" y="${top + 12}">${cut(label, 58)}</text><rect class="bar" x="0" y="${top + 17}" width="${width}" height="12"/><text x="${width + 5}" y="${top + 27}">${value}</text>`;
  });
  return frame(picture, Math.max(1, picture.bars.length) * row, markup`${bars}`);
}

const LANES = ['sign', 'look', 'action', 'end'] as const;
const TRACK = { lane: 30, left: 50, right: WIDTH - 16, head: 18, foot: 30 };

function drawTrack(picture: TrackPicture, utcOffsetMinutes: number): Markup {
  let height = 0;
  const panels = picture.panels.map(({ title, events }) => {
    const top = height + TRACK.head;
    const kinds = LANES.filter((kind) => events.some((event) => event.kind === kind));
    const bottom = top + kinds.length * TRACK.lane;
    height = bottom + TRACK.foot;
    const times = events.map(({ at }) => at);
    const range = [TRACK.left, TRACK.right] as const;
    const x = timeAxis([least(times), greatest(times)], range, utcOffsetMinutes);
    const lanes = kinds.map((kind, at) => {
      const own = events.filter((event) => event.kind === kind);
      return drawLane(kind, dotsOf(own, x.place), top + at * TRACK.lane + 22);
    });
    return markup`<text x="0" y="${top - 5}">${title}</text>${lanes}${below(x.ticks, bottom)}`;
  });
  return frame(picture, height, markup`${panels}`);
}

function drawLane(kind: string, dots: readonly Dot[], y: number): Markup {
  const drawn = dots.map(({ place, label }) => {
    const x = round(place);
    return markup`<circle class="dot ${kind}" cx="${x}" cy="${y}" r="4"/><text class="middle" x="${middle(x, label)}" y="${y - 8}">${label}</text>`;
  });
  return markup`<path class="grid" d="M${TRACK.left} ${y}H${TRACK.right}"/><text x="0" y="${y + 4}">${kind}</text>${drawn}`;
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
}

function greatest(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
}

/** A legend's swatch has the class of its line. */
export function legendOf({ series }: LinesPicture): Markup {
  if (series.length < 2) return NOTHING;
  const items = series.map(
    ({ name }, index) => markup`<li><span class="key k${(index % 5) + 1}"></span>${name}</li>`,
  );
  return markup`<ul class="legend">${items}</ul>`;
}
