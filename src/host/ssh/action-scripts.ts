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
boot=$(cat /proc/sys/kernel/random/boot_id)
[ "$boot" = ${quoteRemoteWord(bootId)} ] || { say "refused the host has booted since the plan was made"; return; }
# In the /proc of another PID namespace a pid means another process than to kill.
read -r known_as ignored < /proc/self/stat
[ "$known_as" = $$ ] || { say "refused /proc belongs to another PID namespace there"; return; }
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
states "$p" | grep -q '[^ZX]' && living=yes || living=
now=$(od -An -v -tx1 "/proc/$p/cmdline" 2>/dev/null | tr -d ' \\n' | sed 's/\\(00\\)*$//')
set -- $(fields "$p")
[ $# -ge 20 ] || { say gone-before; return; }
[ "\${20}" = ${startTicks} ] || { say "refused $p is another process now: the pid was given out again"; return; }
[ -n "$living" ] || { say "zombie $2"; return; }
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
  if [ $turn -ge 40 ] && ! states "$p" | grep -q '[^ZX]'; then say "zombie $2"; return; fi
  if [ $turn -ge ${40 + waitSeconds} ]; then
    if states "$p" | grep -q D; then say "uninterruptible $(cat "/proc/$p/wchan" 2>/dev/null)"
    else say "still-there $1"
    fi
    return
  fi
  turn=$((turn + 1))
  [ $turn -lt 40 ] || sleep 1
done`,
  );
}

/** Where the two scripts about one command keep its output; it is gone when the command has ended. */
function ownDirectory(token: string): string {
  return `d=\${TMPDIR:-/tmp}/salt-triage.${token}`;
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
${ownDirectory(token)}
mkdir -m 700 "$d" 2>/dev/null || { say "failed no temporary directory"; return; }
(
  left=${seconds}
  while [ $left -gt 0 ] && [ -e "$d" ]; do sleep 1; left=$((left - 1)); done
  c=$(cat "$d/pid" 2>/dev/null)
  [ -n "$c" ] && [ -e "$d" ] || exit 0
  set -- $(fields "$c"); started=\${20}
  : > "$d/late"
  kill "$c" 2>/dev/null
  sleep 2
  # The pid may have been given out again since.
  set -- $(fields "$c"); [ -n "$started" ] && [ "\${20}" = "$started" ] && kill -9 "$c" 2>/dev/null
) > /dev/null 2>&1 < /dev/null &
# As whoever logs in there would run it: not in our locale, deaf to no signal, in no background.
(
  trap - HUP PIPE
  if [ -n "$locale" ]; then LC_ALL=$locale; else unset LC_ALL; fi
  exec sh -c 'echo $$ > "$0"; exec "$@"' "$d/pid" ${[program, ...rest].join(' ')}
) < /dev/null > "$d/output" 2>&1
code=$?
[ -e "$d/late" ] && late=late || late=in-time
out=$(tail -c 4096 "$d/output")
rm -rf "$d"
printf '%s\\n' "$out" | sed 's/^/|output /'
say "exit $code $late"`,
  );
}

/** Waits until a command whose answer was lost has ended there. Says `ended` or `running`. */
export function commandEndScript(token: string, nonce: string, seconds: number): string {
  return wrapped(
    nonce,
    `
${ownDirectory(token)}
left=${seconds}
while [ -e "$d" ] && [ $left -gt 0 ]; do
  sleep 1
  left=$((left - 1))
done
if [ -e "$d" ]; then say running; else say ended; fi`,
  );
}

/** Says `there` where a command's program can be found and run. */
export function programScript(program: string, nonce: string): string {
  const there = `command -v ${quoteRemoteWord(program)} >/dev/null 2>&1 && say there`;
  return wrapped(nonce, there);
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
# A word a line: in one string nobody can tell where a secret of two words ends.
tr '\\n\\000' ' \\n' < "/proc/${pid}/cmdline" 2>/dev/null | sed 's/^/|cmdline /'
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
  return `locale=$LC_ALL
LC_ALL=C
export LC_ALL
trap '' HUP PIPE
say() { echo "|$1"; }
# Fields 3 and on of /proc/PID/stat; the name before them may hold anything.
fields() { tr '\\n' ' ' < "/proc/$1/stat" 2>/dev/null | sed 's/^.*) //'; }
# The state of every thread: the first of a process may be dead while others live.
states() { cat /proc/"$1"/task/*/stat 2>/dev/null | sed -n 's/^.*) \\([A-Za-z]\\) .*/\\1/p'; }
salt_triage() {
${body.trim()}
}
echo '${beginMark}'
salt_triage
echo '${endMark}'
`;
}
