/** The script that has a tool of a host behind ssh look into a process there. */
import type { ProcessIdentity } from '../../evidence/evidence.ts';
import { GDB_MARK, type StackTool } from '../../evidence/python-stacks.ts';
import { MAX_STACKS, type ToolRun, toolArguments } from '../stack-tools.ts';
import { MOMENT, ownDirectory, wrapped } from './action-scripts.ts';
import { quoteRemoteWord } from './quote-remote-word.ts';

/** Blocks of `ulimit -f`, of 512 bytes or, in bash, of 1024. */
const MOST_BLOCKS = MAX_STACKS / 512;

/**
 * Runs one tool on a process that still is, byte for byte, what the guard has let through, as
 * read-stacks.ts does here. Says one of `changed`, `stuck`, `no-python`, `absent`, `no-directory`,
 * `not-of-root PATH`; else `ran`, `late` where its time was up, `ended` where the process has, and
 * `out` and `err` lines. {@link parseStacksAnswer} reads that.
 *
 * @param line the one of `RemoteMoment`
 * @param token hex digits that nobody can guess
 * @param seconds how long the tool may take
 */
export function stacksScript(
  tool: StackTool,
  identity: ProcessIdentity,
  line: string,
  {
    token,
    nonce,
    seconds,
  }: { readonly token: string; readonly nonce: string; readonly seconds: number },
): string {
  const argv = toolArguments(tool, identity, seconds).map(quoteRemoteWord).join(' ');
  return wrapped(
    nonce,
    `
p=${identity.pid}
${MOMENT}
${TRUST}
same() { set -- $(fields "$p"); [ $# -ge 20 ] && [ "\${20}" = ${identity.startTicks} ]; }
read -r known ignored < /proc/self/stat
if [ "$known" != $$ ] || [ "$(moment)" != ${quoteRemoteWord(line)} ]; then say changed; return; fi
if states "$p" | grep -q D; then say stuck; return; fi
l=$(link "/proc/$p/exe")
case \${l##*/} in
  python*) ;;
  *) grep -q /libpython "/proc/$p/maps" 2>/dev/null || { say no-python; return; } ;;
esac
tool=$(roots_program ${tool})
case $tool in
  '') say absent; return ;;
  '!'*) say "not-of-root \${tool#!}"; return ;;
esac
${ownDirectory(token)}
mkdir -m 700 "$d" 2>/dev/null || { say no-directory; return; }
set -- $(fields "$p"); before=$1
alone=; command -v setsid >/dev/null 2>&1 && alone=setsid
(
  ulimit -f ${MOST_BLOCKS} 2>/dev/null
  trap - HUP PIPE
  cd / || exit
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/nonexistent $alone "$tool" ${argv}
) < /dev/null > "$d/out" 2> "$d/err" &
t=$!
set -- $(fields "$t"); born=\${20}
(
  left=${seconds}
  while [ $left -gt 0 ] && [ -e "$d" ] && [ ! -e "$d/over" ]; do sleep 1; left=$((left - 1)); done
  if [ ! -e "$d" ] || [ -e "$d/over" ]; then exit 0; fi
  # Once it was waited for, its pid may be another's.
  set -- $(fields "$t"); if [ -z "$born" ] || [ "\${20}" != "$born" ]; then exit 0; fi
  : > "$d/late"
  [ -n "$alone" ] && kill -9 "-$t"
  kill -9 "$t"
) > /dev/null 2>&1 < /dev/null &
wait $t 2>/dev/null
: > "$d/over"
say ran
[ -e "$d/late" ] && say late
# A gdb that was ended while it attached leaves a stopped process behind.
if grep -q '^${GDB_MARK}.*"attaching"' "$d/out" && ! grep -q '^${GDB_MARK}.*"detached"' "$d/out"; then
  [ "$before" != T ] && same && kill -CONT "$p" 2>/dev/null
fi
same || say ended
head -c ${MAX_STACKS} "$d/out" | sed 's/^/|out /'
echo
tail -n 1 "$d/err" | head -c 500 | sed 's/^/|err /'
echo
rm -rf "$d"`,
  );
}

/**
 * A program that root alone can have put where it is, by its path; behind a `!` the path of one that
 * others could have. As findRootsProgram has it.
 */
const TRUST = `
only_root() {
  f=$1
  while :; do
    set -- $(ls -ldn "$f" 2>/dev/null)
    [ "$3" = 0 ] || return 1
    case $1 in ?????w*|????????w*) return 1;; esac
    [ "$f" = / ] && return 0
    f=\${f%/*}; f=\${f:-/}
  done
}
roots_program() {
  left=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:
  other=
  while [ -n "$left" ]; do
    at=\${left%%:*}/$1; left=\${left#*:}
    case $at in /*) ;; *) continue;; esac
    at=$(readlink -f "$at" 2>/dev/null)
    if [ ! -f "$at" ] || [ ! -x "$at" ]; then continue; fi
    if only_root "$at"; then echo "$at"; return; fi
    other=\${other:-!$at}
  done
  [ -z "$other" ] || echo "$other"
}
`.trim();

/** Why a process itself has no stacks, by the word that the script says. */
const UNFIT: Readonly<Record<string, string>> = {
  changed: 'it has changed since it was looked at',
  stuck: 'it is in D state',
  'no-python': 'its program is not Python',
  'no-directory': 'no temporary directory can be made there',
};

/** @param lines as {@link stacksScript} says them @returns why there can be none by any tool, or what came of this one */
export function parseStacksAnswer(lines: readonly string[]): ToolRun | { readonly unfit: string } {
  const [first = '', ...rest] = lines;
  if (first === 'absent') return { kind: 'absent' };
  const path = /^not-of-root (.+)$/.exec(first)?.[1];
  if (path !== undefined) return { kind: 'not-of-root', path };
  if (first !== 'ran') return { unfit: UNFIT[first] ?? 'the host gave no clear answer' };
  const behind = (word: string) =>
    rest
      .filter((line) => line.startsWith(`${word} `))
      .map((line) => line.slice(word.length + 1))
      .join('\n');
  if (rest.includes('ended')) return { unfit: 'it ended meanwhile' };
  return { kind: 'ran', output: behind('out'), errors: behind('err'), late: rest.includes('late') };
}
