/** Work on many hosts: so many at once, none in the way of another. */
import { ExitCode, TriageError } from '../errors.ts';
import { stripControl } from '../untrusted.ts';

/**
 * Does the work for each, in their order, at most `atOnce` at a time.
 * @param work must not reject: a host that fails is an outcome
 */
export async function hostsAtOnce<T>(
  hosts: readonly T[],
  atOnce: number,
  work: (host: T) => Promise<void>,
): Promise<void> {
  const waiting = [...hosts];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, hosts.length) }, lane));
}

/** What one host threw, as an error for its row; a defect of ours must not stop the others either. */
export function hostError(name: string, error: unknown): TriageError {
  if (error instanceof TriageError) return error;
  return new TriageError(
    `${name}: a defect in salt-triage: ${stripControl(String(error))}`,
    'Run it on this host alone with --debug.',
    ExitCode.unknown,
    { cause: error },
  );
}

/**
 * The code of all: the first of `worstFirst` that any of them has, else 0.
 * @param codes of each
 */
export function worstOf(codes: readonly ExitCode[], worstFirst: readonly ExitCode[]): ExitCode {
  return worstFirst.find((code) => codes.includes(code)) ?? ExitCode.ok;
}
