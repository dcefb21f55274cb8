/** The numbers that a monitor keeps, taken from a diagnosis. */
import type { Diagnosis } from '../diagnosis/diagnosis.ts';

/** Every reading, in the order of the output; null units are plain counts. */
export const READINGS = {
  close_wait: { unit: null, help: 'Sockets in CLOSE_WAIT on the port.' },
  unaccepted: { unit: null, help: 'Of these, not yet accepted by any process.' },
  accept_queue: { unit: null, help: 'Connections that wait to be accepted.' },
  orphans: { unit: null, help: 'Salt-api processes whose salt-api parent has died.' },
  failed_binds: { unit: null, help: 'Starts that failed as the port was taken, within --since.' },
  threads: { unit: null, help: 'Threads of the process that holds the port.' },
  answer_time: { unit: 'seconds', help: 'Time that GET / took to bring an HTTP status.' },
  close_wait_rate: { unit: null, help: 'CLOSE_WAIT sockets more per minute than a look ago.' },
} as const satisfies Record<string, { readonly unit: 'seconds' | null; readonly help: string }>;

export type ReadingName = keyof typeof READINGS;

export const READING_NAMES = Object.keys(READINGS) as readonly ReadingName[];

/** What was read; null for what could not be determined, which is never a 0. */
export type Readings = { readonly [Name in ReadingName]?: number | null };

/** Those that a check has, in the order of the output. */
export function namesOf(readings: Readings): ReadingName[] {
  return READING_NAMES.filter((name) => readings[name] !== undefined);
}

/** Of a look that came to nothing. @param growth whether there would be a rate, as `--growth` asks for it */
export function undetermined(growth: boolean): Readings {
  const names = READING_NAMES.filter((name) => growth || name !== 'close_wait_rate');
  return Object.fromEntries(names.map((name) => [name, null]));
}

export function readingsOf({ evidence, findings }: Diagnosis): Readings {
  const waiting = findings['close-wait'].evidence;
  const { sockets, processes, apiLog, answer } = evidence;
  const orphaned = findings.orphans;
  const holders = processes.seen
    ? processes.value.processes.filter(({ listens }) => listens.length > 0)
    : [];
  return {
    close_wait: waiting.count,
    unaccepted: sockets.seen ? waiting.unaccepted : null,
    accept_queue: sockets.seen ? waiting.acceptQueue : null,
    orphans: orphaned.status === 'unknown' ? null : orphaned.evidence.processes.length,
    failed_binds: apiLog.seen ? findings['api-log'].evidence.events : null,
    threads: holders.length > 0 ? Math.max(...holders.map(({ threads }) => threads)) : null,
    answer_time:
      answer.seen && answer.value.kind === 'answered' ? answer.value.afterMs / 1000 : null,
  };
}
