/** The shell scripts that read raw files of a host behind ssh, and change nothing there. */
import { MASTER_ENTRY_POINTS } from '../../evidence/salt-api-argv.ts';
import { MOST_BYTES, MOST_MASTERS, MOST_MATCHES, MOST_ROWS } from '../raw-host.ts';
import { wrapped } from './action-scripts.ts';
import { quoteRemoteWord } from './quote-remote-word.ts';

/** Prints `PATH:LINE` of each line of each file, as grep(1) does. @param most lines of one file */
export function textsScript(patterns: readonly string[], most: number, nonce: string): string {
  return wrapped(
    nonce,
    `
${LIST}
files=$(list ${patterns.map(glob).join(' ')})
[ -z "$files" ] || grep -sH -m ${most} '^' $files 2>/dev/null | cut -c 1-${MOST_BYTES.file} | head -c ${MOST_BYTES.call} | sed 's/^/|/'
echo`,
  );
}

/** Prints each link as `ls -ld` does. */
export function linksScript(patterns: readonly string[], nonce: string): string {
  return wrapped(
    nonce,
    `ls -ldn ${patterns.map(glob).join(' ')} 2>/dev/null | head -n ${MOST_MATCHES} | sed 's/^/|/'`,
  );
}

/** Prints `MODE SIZE MODIFIED CHANGED UID PATH` of each file, mode in hex, times in s since 1970. */
export function statScript(patterns: readonly string[], nonce: string): string {
  return wrapped(
    nonce,
    `stat -L -c '%f %s %Y %Z %u %n' ${patterns.map(glob).join(' ')} 2>/dev/null | head -n ${MOST_MATCHES} | sed 's/^/|/'`,
  );
}

/** Prints `PATH:LINE` of each line that holds a word. */
export function rowsScript(
  paths: readonly string[],
  words: readonly string[],
  nonce: string,
): string {
  const wanted = words.map((word) => `-e ${quoteRemoteWord(word)}`).join(' ');
  return wrapped(
    nonce,
    `
${LIST}
files=$(list ${paths.map(glob).join(' ')})
# shellcheck disable=SC2086 # each path is a word: IFS is a line break alone
[ -z "$files" ] || grep -sHF -m ${MOST_ROWS} ${wanted} $files 2>/dev/null | head -c ${MOST_BYTES.call} | sed 's/^/|/'
echo`,
  );
}

/**
 * Prints `PID:ARGV STAT` of each process that may be a salt-master, its arguments and its stat line
 * apart by control characters. That of a process in D state may not be read without waiting for it
 * (fs/proc/base.c, get_mm_cmdline); one of no name is a thread of the kernel.
 */
export function mastersScript(nonce: string): string {
  return wrapped(
    nonce,
    `
list=$(grep -sH '^' /proc/[0-9]*/stat | awk '
  { split($0, path, "/") } sub(/^.*\\) /, "") && $1 !~ /^[DZXx]$/ { print "/proc/" path[3] "/cmdline" }')
for f in $(printf '%s\\n' "$list" | xargs grep -slE '${MASTER_WORDS}' 2>/dev/null | head -n ${MOST_MASTERS}); do
  p=\${f%/cmdline}
  printf '|%s:' "\${p#/proc/}"
  head -c 4096 "$f" 2>/dev/null | tr '\\000\\n\\036\\037' '\\037   '
  printf '\\036'
  tr '\\n' ' ' < "$p/stat" 2>/dev/null
  echo
done`,
  );
}

const MASTER_WORDS = MASTER_ENTRY_POINTS.map(({ name }) => name).join('|');

/** Plain files that may be read: a FIFO would keep grep waiting. */
const LIST = `IFS='
'
list() {
  for f in "$@"; do
    case $f in *:*) continue ;; esac
    if [ -f "$f" ] && [ -r "$f" ]; then printf '%s\\n' "$f"; fi
  done | head -n ${MOST_MATCHES}
}`;

/** A pattern of which the shell there expands the `*` and nothing else. */
function glob(pattern: string): string {
  return pattern
    .split('*')
    .map((word) => (word === '' ? '' : quoteRemoteWord(word)))
    .join('*');
}
