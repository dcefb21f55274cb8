/** A word as a POSIX shell takes it, for commands that a person may copy. */
export function quoteForShell(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** A whole command line, each word quoted where it must be. */
export function commandLine(argv: readonly string[]): string {
  return argv.map(quoteForShell).join(' ');
}
