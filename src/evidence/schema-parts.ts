/** What the schemas of saved evidence are made of: values that nothing a stranger wrote goes beyond. */
import * as v from 'valibot';
import { BLIND_CAUSES } from './evidence.ts';

/** A bound on every list without one of its own: of rows, which cost what they hold. */
const MAX_LIST = 100_000;
/** Of lists that are gone through for every process or shown whole; a host has a few dozen. */
export const MAX_SHORT = 1_000;
/** The last millisecond of the year 9999: far within what `Date` can hold. */
const MAX_TIME = 253_402_300_799_999;
/** Three hundred years of uptime at 100 ticks a second; at 1 a second still a valid `Date`. */
const MAX_TICKS = 1e12;

export const text = v.string();
export const flag = v.boolean();
export const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
export const signed = v.pipe(v.number(), v.safeInteger());
/** Of a moment or of a span. */
export const milliseconds = v.pipe(v.number(), v.minValue(0), v.maxValue(MAX_TIME));
export const ticks = v.pipe(whole, v.maxValue(MAX_TICKS));
export const portNumber = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
export const maybeText = v.nullable(text);
export const maybeTime = v.nullable(milliseconds);
export const maybePort = v.nullable(portNumber);

/** A list of at most so many. */
export function list<T extends v.GenericSchema>(item: T, most = MAX_LIST) {
  return v.pipe(v.array(item), v.maxLength(most));
}

export const texts = list(text, MAX_SHORT);
export const ports = list(portNumber, MAX_SHORT);

const blindLook = v.strictObject({
  seen: v.literal(false),
  cause: v.picklist(BLIND_CAUSES),
  why: text,
});

/** A section: what was seen, or why nothing could be. */
export function look<T extends v.GenericSchema>(value: T) {
  return v.variant('seen', [v.strictObject({ seen: v.literal(true), value }), blindLook]);
}
