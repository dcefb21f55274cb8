/**
 * The shell scripts that change a host behind ssh. Each is sent whole on standard input and runs
 * as one function, so that it is complete there before any of it runs: a connection that is lost
 * meanwhile loses the answer, not the action.
 */
import type { KillTarget } from '../host.ts';
import { quoteRemoteWord } from './quote-remote-word.ts';

/** Marks around an answer; the nonce keeps a login's own noise from being taken for it. */
export function actionMarks(nonce: string): { beginMark: string; endMark: string } {
  return { beginMark: `@@${nonce} begin`, endMark: `@@${nonce} done` };
}

/**
 * Checks the identity and sends SIGKILL within one script: no round trip lies between the two.
 * Says one of: refused, gone-before, not-permitted, gone, zombie, uninterruptible, still-there.
 *
 * @param waitSeconds how long it waits for the end
 */
export function killScript(target: KillTarget, nonce: string, waitSeconds: number): string {
  const { pid, startTicks, bootId } = target.identity;
  return wrapped(
    nonce,
    `
p=${pid}
# Fields 3 and on of /proc/PID/stat; the name before them may hold anything.
fields() { tr '\\n' ' ' < "/proc/$1/stat" 2>/dev/null | sed 's/^.*) //'; }
boot=$(cat /proc/sys/kernel/random/boot_id)
[ "$boot" = ${quoteRemoteWord(bootId)} ] || { say "refused the host has booted since the plan was made"; return; }
# Our own line of parents is never a target.
a=$$
while [ "$a" -gt 1 ] 2>/dev/null; do
  [ "$a" = "$p" ] && { say "refused $p is what started salt-triage there"; return; }
  set -- $(fields "$a"); a=\${2:-0}
done
ours=$(ls -l /proc/self/ns/pid 2>/dev/null | sed 's/.*-> //')
theirs=$(ls -l "/proc/$p/ns/pid" 2>/dev/null | sed 's/.*-> //')
# A title rewritten by setproctitle may be padded with NULs.
expected=${Buffer.from(target.argv.join('\0')).toString('hex')}
now=$(od -An -v -tx1 "/proc/$p/cmdline" 2>/dev/null | tr -d ' \\n' | sed 's/\\(00\\)*$//')
set -- $(fields "$p")
[ $# -ge 20 ] || { say gone-before; return; }
[ "\${20}" = ${startTicks} ] || { say "refused $p is another process now: the pid was given out again"; return; }
case $1 in Z|X) say "zombie $2"; return;; esac
[ -n "$ours" ] && [ "$ours" = "$theirs" ] || { say "refused the PID namespace of $p is not ours"; return; }
[ "$now" = "$expected" ] || { say "refused $p runs another command line than when the plan was made"; return; }
if ! kill -9 "$p" 2>/dev/null; then
  set -- $(fields "$p")
  if [ $# -ge 20 ]; then say not-permitted; else say gone-before; fi
  return
fi
turn=0
while :; do
  set -- $(fields "$p")
  if [ $# -lt 20 ] || [ "\${20}" != ${startTicks} ]; then say gone; return; fi
  [ $turn -lt 40 ] || case $1 in Z|X) say "zombie $2"; return;; esac
  if [ $turn -ge ${40 + waitSeconds} ]; then
    case $1 in
      D) say "uninterruptible $(cat "/proc/$p/wchan" 2>/dev/null)";;
      *) say "still-there $1";;
    esac
    return
  fi
  turn=$((turn + 1))
  [ $turn -lt 40 ] || sleep 1
done`,
  );
}

/** How the two scripts about one command find its output; it is gone when the command has ended. */
function outputFile(token: string): string {
  return `t=\${TMPDIR:-/tmp}/salt-triage.${token}`;
}

/**
 * Runs a command bounded in time. It survives a lost connection, and a daemon that it leaves
 * behind is not waited for. Says `output TEXT` lines and `exit CODE late|in-time`.
 *
 * @param token hex digits that nobody can guess; {@link commandEndScript} asks by them
 */
export function commandScript(
  argv: readonly string[],
  token: string,
  nonce: string,
  seconds: number,
): string {
  const [program = '', ...rest] = argv.map(quoteRemoteWord);
  return wrapped(
    nonce,
    `
command -v ${program} >/dev/null 2>&1 || { say "failed ENOENT"; return; }
${outputFile(token)}
umask 077
set -C
{ : > "$t"; } 2>/dev/null || { say "failed no temporary file"; return; }
set +C
umask 022
${[program, ...rest].join(' ')} < /dev/null >> "$t" 2>&1 &
c=$!
(
  left=${seconds}
  while [ $left -gt 0 ]; do
    kill -0 $c 2>/dev/null || exit 0
    sleep 1
    left=$((left - 1))
  done
  trap '' TERM
  kill $c 2>/dev/null || exit 0
  sleep 2
  kill -9 $c 2>/dev/null
  exit 7
) > /dev/null 2>&1 &
w=$!
wait $c
code=$?
kill $w 2>/dev/null
wait $w 2>/dev/null
[ $? = 7 ] && late=late || late=in-time
out=$(tail -c 4096 "$t")
rm -f "$t"
printf '%s\\n' "$out" | sed 's/^/|output /'
say "exit $code $late"`,
  );
}

/** Waits until a command whose answer was lost has ended there. Says `ended` or `running`. */
export function commandEndScript(token: string, nonce: string, seconds: number): string {
  return wrapped(
    nonce,
    `
${outputFile(token)}
left=${seconds}
while [ -e "$t" ] && [ $left -gt 0 ]; do
  sleep 1
  left=$((left - 1))
done
if [ -e "$t" ]; then say running; else say ended; fi`,
  );
}

/** Prints what /proc says of a process, each line behind the name of its file. */
export function recordScript(pid: number, nonce: string): string {
  return wrapped(
    nonce,
    `
for f in status stat wchan stack syscall limits cgroup; do
  sed "s/^/|$f /" "/proc/${pid}/$f" 2>/dev/null
done
ls -l "/proc/${pid}/fd" 2>/dev/null | sed -n 's/^.* \\([0-9]* -> .*\\)$/|fds \\1/p' | head -n 2000
tr '\\000' ' ' < "/proc/${pid}/cmdline" 2>/dev/null | sed 's/^/|cmdline /'
echo`,
  );
}

/** Prints the whole process table. */
export function tableScript(nonce: string): string {
  return wrapped(nonce, `{ ps -ef 2>/dev/null || ps; } | head -n 20000 | sed 's/^/|processes /'`);
}

/** Prints the effective uid. */
export function uidScript(nonce: string): string {
  return wrapped(nonce, 'say "uid $(id -u)"');
}

function wrapped(nonce: string, body: string): string {
  const { beginMark, endMark } = actionMarks(nonce);
  return `LC_ALL=C
export LC_ALL
trap '' HUP PIPE
say() { echo "|$1"; }
salt_triage() {
${body.trim()}
}
echo '${beginMark}'
salt_triage
echo '${endMark}'
`;
}
