/** The times of a report: those of the host that it is about. */
import { describeDuration, describeMoment } from '../../words.ts';
import type { PostmortemCase } from './case.ts';

export interface Clock {
  readonly utcOffsetMinutes: number;
  /** `UTC+8`, `UTC-3:30`, `UTC`. */
  readonly zone: string;
  /** `2018-07-13 09:33:10`. @param at epoch ms */
  moment(at: number): string;
  /** `09:33:10`, with the day in front where it is another than that of the incident. */
  time(at: number): string;
}

/** The host's own clock; where no evidence tells of it, the zone that the journal has. */
export function clockOf({ before, incident }: PostmortemCase): Clock {
  const host = before?.evidence.host;
  const utcOffsetMinutes = host?.utcOffsetMinutes ?? offsetOf(incident?.beganAt ?? '');
  const day = host?.now ?? Date.parse(incident?.beganAt ?? '');
  const moment = (at: number) => momentIn(at, utcOffsetMinutes);
  const today = Number.isNaN(day) ? '' : moment(day).slice(0, 10);
  return {
    utcOffsetMinutes,
    zone: zoneName(utcOffsetMinutes),
    moment,
    time: (at) => moment(at).replace(`${today} `, ''),
  };
}

/** A fix begins this long after the look that it goes by at most, ms. */
const SOON_MS = 10 * 60_000;
/** Journal and evidence are of one clock where the fix was run on the host itself, ms. */
const SLACK_MS = 2_000;

/**
 * What to know of two clocks: the journal has that of the machine that the fix was run from.
 * @returns null where they agree, as far as can be told
 */
export function clocksApart({
  incident,
  before,
}: Pick<PostmortemCase, 'before' | 'incident'>): string | null {
  if (incident === null || before === null) return null;
  const late = Date.parse(incident.beganAt) - before.evidence.host.now;
  if (late < -SLACK_MS) return `the journal's is at least ${describeDuration(-late)} behind`;
  return late > SOON_MS ? `the journal's seems ${describeDuration(late)} ahead` : null;
}

/** `2018-07-13 09:33:10`. @param at epoch ms */
export function momentIn(at: number, utcOffsetMinutes: number): string {
  return describeMoment(at, { utcOffsetMinutes });
}

/** Minutes east of UTC of a time in ISO 8601. */
function offsetOf(iso: string): number {
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)$/.exec(iso) ?? [];
  if (sign === undefined) return 0;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}

function zoneName(offset: number): string {
  if (offset === 0) return 'UTC';
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60];
  const rest = minutes === 0 ? '' : `:${String(minutes).padStart(2, '0')}`;
  return `UTC${offset < 0 ? '-' : '+'}${hours}${rest}`;
}
