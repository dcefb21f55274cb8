/** How times, spans and processes are put into words, the same in every step. */
import type { HostFacts, ProcessFacts } from './evidence/evidence.ts';

/** When a process started, epoch ms of the host's clock (proc_pid_stat(5), field 22). */
export function startedAt(facts: Pick<ProcessFacts, 'startTicks'>, host: HostFacts): number {
  return host.bootedAt + (facts.startTicks * 1000) / host.ticksPerSecond;
}

/** A span in its two largest units: `450 ms`, `7 s`, `3 min 5 s`, `2 d 4 h`. */
export function describeDuration(ms: number): string {
  const span = Math.max(0, Math.round(ms));
  if (span < 1000) return `${span} ms`;
  const seconds = Math.round(span / 1000);
  const units: readonly (readonly [string, number])[] = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
    ['s', 1],
  ];
  const first = units.findIndex(([, size]) => seconds >= size);
  const [name, size] = units[first] ?? ['s', 1];
  const whole = Math.floor(seconds / size);
  const [nextName, nextSize] = units[first + 1] ?? ['s', 1];
  const rest = Math.floor((seconds % size) / nextSize);
  return rest > 0 && size > 1 ? `${whole} ${name} ${rest} ${nextName}` : `${whole} ${name}`;
}

/** CPU time as ps(1) prints it: `[DD-]HH:MM:SS`. */
export function describeCpuTime(ticks: number, host: HostFacts): string {
  const total = Math.floor(ticks / host.ticksPerSecond);
  const [days, hours] = [Math.floor(total / 86_400), Math.floor(total / 3600) % 24];
  const clock = [hours, Math.floor(total / 60) % 60, total % 60]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
  return days > 0 ? `${days}-${clock}` : clock;
}

/** Average use of one core since the start, in percent; null for a process of this second. */
export function averageCpuPercent(facts: ProcessFacts, host: HostFacts): number | null {
  const lifetimeMs = host.now - startedAt(facts, host);
  if (lifetimeMs < 1000) return null;
  return Math.round((facts.cpuTicks * 1000 * 100) / host.ticksPerSecond / lifetimeMs);
}

/** `2018-07-13 09:33:10` in the host's own zone. */
export function describeMoment(at: number, host: Pick<HostFacts, 'utcOffsetMinutes'>): string {
  return new Date(at + host.utcOffsetMinutes * 60_000).toISOString().slice(0, 19).replace('T', ' ');
}

/** The time alone for a moment of the last 24 hours, else date and time. */
export function describeRecent(at: number, host: HostFacts): string {
  const text = describeMoment(at, host);
  return host.now - at < 86_400_000 ? text.slice(11) : text;
}

/** ISO 8601 with the host's offset, as the JSON has it. */
export function isoMoment(at: number, host: HostFacts): string {
  const offset = host.utcOffsetMinutes;
  const local = new Date(at + offset * 60_000).toISOString().slice(0, -1);
  if (offset === 0) return `${local}Z`;
  const hours = String(Math.floor(Math.abs(offset) / 60)).padStart(2, '0');
  const minutes = String(Math.abs(offset) % 60).padStart(2, '0');
  return `${local}${offset < 0 ? '-' : '+'}${hours}:${minutes}`;
}

/** `17, 23 and 1,998 more`: the first six of many pids, since nobody reads thousands. */
export function pidList(pids: readonly number[]): string {
  const shown = pids.slice(0, 6).join(', ');
  const more = pids.length - 6;
  return more > 0 ? `${shown} and ${grouped(more)} more` : shown;
}

/** `1 orphan`, `3 orphans`. */
export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${grouped(number)} ${number === 1 ? noun : plural}`;
}

/** `1,284`, as toLocaleString has it; that one loads ICU's tables for 10 ms the first time. */
export function grouped(number: number): string {
  return String(number).replace(/\B(?=(?:\d{3})+$)/g, ',');
}
