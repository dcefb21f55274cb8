/** The shell scripts that read raw files of a host behind ssh, and change nothing there. */
import { MOST_BYTES, MOST_MATCHES } from '../raw-host.ts';
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
