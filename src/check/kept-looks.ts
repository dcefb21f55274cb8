/** What `check --growth` keeps of its looks: for its rate, and for who tells of an incident afterwards. */
import { VERDICT_CODES, type VerdictCode } from '../diagnosis/verdict.ts';

/** What is kept of a look. */
export interface KeptLook {
  /** By the host's clock, epoch ms. */
  readonly at: number;
  readonly closeWait: number;
  /** Null in what an older version has kept. */
  readonly verdict: VerdictCode | null;
}

/** The looks of one boot, the newest last. */
export interface KeptLooks {
  readonly bootId: string;
  readonly looks: readonly KeptLook[];
}

/** The last millisecond of the year 9999: a `Date` holds it wherever the host is. */
const MAX_TIME = 253_402_300_799_999;
/** A day of one a minute. */
export const MAX_LOOKS = 1_500;

/** Adds a look. Those of another boot go, and those later than it: the clock was set back since. */
export function withLook(before: KeptLooks | null, bootId: string, look: KeptLook): KeptLooks {
  const same = before?.bootId === bootId ? before.looks : [];
  const earlier = same.filter(({ at }) => at < look.at).slice(1 - MAX_LOOKS);
  return { bootId, looks: [...earlier, look] };
}

/** As it is kept: the newest look as older versions of salt-triage read it, the others as rows. */
export function looksText({ bootId, looks }: KeptLooks): string {
  const last = looks.at(-1);
  const earlier = looks
    .slice(0, -1)
    .map(({ at, closeWait, verdict }) => [at, closeWait, verdict] as const);
  return `${JSON.stringify({ ...last, bootId, earlier })}\n`;
}

/** Reads what was kept; null for what is half-written or no look at all. */
export function parseLooks(text: string): KeptLooks | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { at, bootId, closeWait, verdict, earlier } = value as Readonly<Record<string, unknown>>;
  const last = lookOf(at, closeWait, verdict);
  if (last === null || typeof bootId !== 'string') return null;
  const rows: readonly unknown[] = Array.isArray(earlier) ? earlier.slice(1 - MAX_LOOKS) : [];
  const looks = rows.flatMap((row) => {
    const look = Array.isArray(row) ? lookOf(row[0], row[1], row[2]) : null;
    return look === null || look.at >= last.at ? [] : [look];
  });
  return { bootId, looks: [...looks, last].sort((a, b) => a.at - b.at) };
}

function lookOf(at: unknown, closeWait: unknown, verdict: unknown): KeptLook | null {
  if (typeof at !== 'number' || typeof closeWait !== 'number') return null;
  if (at < 0 || at > MAX_TIME || closeWait < 0) return null;
  return { at, closeWait, verdict: VERDICT_CODES.find((code) => code === verdict) ?? null };
}
