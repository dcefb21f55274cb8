import { stripControl } from './untrusted.ts';

/**
 * A word as a POSIX shell takes it, for commands that a person may copy. Control characters go before
 * it is quoted: an escape sequence that is taken out afterwards may take a quote along.
 */
export function quoteForShell(text: string): string {
  const word = stripControl(text);
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** A whole command line, each word quoted where it must be. */
export function commandLine(argv: readonly string[]): string {
  return argv.map(quoteForShell).join(' ');
}
