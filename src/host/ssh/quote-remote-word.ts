import { ExitCode, TriageError } from '../../errors.ts';

/**
 * One word as every POSIX shell takes it, for all that goes into a script for another host.
 * @throws TriageError for a NUL, which no argument can hold
 */
export function quoteRemoteWord(word: string): string {
  if (word.includes('\0')) {
    throw new TriageError('an argument for another host holds a NUL', '', ExitCode.usage);
  }
  return `'${word.replaceAll("'", "'\\''")}'`;
}
