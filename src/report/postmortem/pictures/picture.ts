/** Pictures as data: what draws them, as SVG or in text, goes by nothing else. */
import type { EventKind } from '../timeline.ts';

/** What a picture shows, in words and numbers. */
export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

interface About {
  /** Unique in a report; letters and hyphens. */
  readonly id: string;
  readonly title: string;
  /** What is to be seen in it, for those who can't see it. */
  readonly description: string;
  /** The file that the numbers are from. */
  readonly source: string;
}

export interface Point {
  /** Epoch ms. */
  readonly at: number;
  readonly value: number;
}

/** Something over time, in steps: a value holds until the next. */
export interface LinesPicture extends About {
  readonly kind: 'lines';
  readonly unit: string;
  readonly series: readonly { readonly name: string; readonly points: readonly Point[] }[];
  readonly marks: readonly { readonly at: number; readonly label: string }[];
  readonly table: Table;
}

export interface BarsPicture extends About {
  readonly kind: 'bars';
  readonly bars: readonly { readonly label: string; readonly value: number }[];
  readonly table: Table;
}

/** The timeline, with the numbers of its table; the seconds of a fix have a panel of their own. */
export interface TrackPicture extends About {
  readonly kind: 'track';
  readonly panels: readonly {
    readonly title: string;
    readonly events: readonly {
      readonly at: number;
      readonly number: number;
      readonly kind: EventKind;
    }[];
  }[];
}

export type Picture = LinesPicture | BarsPicture | TrackPicture;
