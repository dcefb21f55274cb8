/**
 * The shell scripts that change a host behind ssh. Each is sent whole on standard input and runs
 * as one function, so that it is complete there before any of it runs: a connection that is lost
 * meanwhile loses the answer, not the action.
 */
import type { ProcessIdentity } from '../../evidence/evidence.ts';
import { DEAD_STATES, parseCommandLine } from '../../evidence/proc-text.ts';
import { type KillReading, relatePidNamespace } from '../kill-guard.ts';
import { PROCESS_FILES } from '../recordings.ts';
import { quoteRemoteWord } from './quote-remote-word.ts';

/** Marks around an answer; the nonce keeps a login's own noise from being taken for it. */
export function actionMarks(nonce: string): { beginMark: string; endMark: string } {
  return { beginMark: `@@${nonce} begin`, endMark: `@@${nonce} done` };
}

/** The lines of a script's own between its marks. @param stdout all that came, a login's noise included */
export function linesBetweenMarks(stdout: Buffer, nonce: string): string[] {
  const { beginMark, endMark } = actionMarks(nonce);
  const text = stdout.toString('utf8');
  return text
    .slice(text.indexOf(beginMark), text.lastIndexOf(endMark))
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.slice(1));
}

/**
 * Reads what the kill guard judges (kill-guard.ts), and acts on nothing. Says `shell SELF KNOWN`,
 * `ancestors PID …` and one of `gone`, `denied`, `moment …`; {@link parseMoment} reads that.
 */
export function momentScript(pid: number, nonce: string): string {
  return wrapped(
    nonce,
    `
p=${pid}
${MOMENT}
# In the /proc of another PID namespace a pid means another process than to kill.
read -r known ignored < /proc/self/stat
say "shell $$ $known"
say "ancestors$(ancestors)"
say "$(moment)"`,
  );
}

/** What a moment script said. */
export interface RemoteMoment {
  readonly reading: KillReading;
  /** Its one line about the process, which must be the same when the signal goes out. */
  readonly line: string;
}

/** @param lines as {@link momentScript} says them @returns null for what is no answer of it */
export function parseMoment(lines: readonly string[]): RemoteMoment | null {
  const [shell = '', parents = '', line = ''] = lines;
  const own = /^shell ([1-9]\d*) (\d+)$/.exec(shell);
  const ancestors = /^ancestors((?: \d+)+)$/.exec(parents)?.[1]?.trim().split(' ').map(Number);
  if (own === null || ancestors === undefined) return null;
  if (line === 'gone' || line === 'denied') return { reading: line, line };
  const field = MOMENT_LINE.exec(line)?.groups;
  if (field === undefined) return null;
  const [ours = null, theirs = null] = [field['ours'], field['theirs']].map(textOrNull);
  const bytes = Buffer.from(field['argv'] ?? '', 'hex');
  const sameProc = own[1] === own[2];
  return {
    line,
    reading: {
      startTicks: Number(field['ticks']),
      bootId: textOrNull(field['boot']) ?? '',
      argv: parseCommandLine(bytes.toString('utf8')),
      dead: field['life'] === 'dead',
      parent: Number(field['parent']),
      pidNamespace: sameProc ? relatePidNamespace(ours, theirs, Number(field['levels'])) : 'unseen',
      self: Number(own[1]),
      ancestors,
    },
  };
}

const MOMENT_LINE =
  /^moment (?<boot>\S+) (?<ours>\S+) (?<theirs>\S+) (?<levels>\d+) (?<life>living|dead) (?<parent>\d+) (?<ticks>\d+) (?<argv>(?:[0-9a-f]{2})*)$/;

function textOrNull(field: string | undefined): string | null {
  return field === undefined || field === '-' ? null : field;
}

/**
 * Sends SIGKILL if the process still is, byte for byte, what the guard has let through. Check and
 * signal are one command there: no round trip lies between the two. Says one of: changed,
 * gone-before, not-permitted, gone, zombie, uninterruptible, still-there.
 *
 * @param line the one of {@link RemoteMoment}
 * @param waitSeconds how long it waits for the end
 */
export function killScript(
  { pid, startTicks }: ProcessIdentity,
  line: string,
  nonce: string,
  waitSeconds: number,
): string {
  return wrapped(
    nonce,
    `
p=${pid}
${MOMENT}
read -r known ignored < /proc/self/stat
[ "$known" = $$ ] || { say changed; return; }
# This shell may have other parents than the one that has looked.
case "$(ancestors) " in *" $p "*) say changed; return;; esac
failed=
if [ "$(moment)" = ${quoteRemoteWord(line)} ]; then kill -9 "$p" 2>/dev/null || failed=yes
else say changed; return
fi
if [ -n "$failed" ]; then
  set -- $(fields "$p")
  if [ $# -ge 20 ]; then say not-permitted; else say gone-before; fi
  return
fi
turn=0
while :; do
  set -- $(fields "$p")
  if [ $# -lt 20 ] || [ "\${20}" != ${startTicks} ]; then say gone; return; fi
  if [ $turn -ge 40 ] && [ "$(life "$p" "$1")" = dead ]; then say "zombie $2"; return; fi
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

/** Shell functions that say of `$p` what the scripts that touch a process must agree on. */
export const MOMENT = `
link() { l=$(ls -l "$1" 2>/dev/null | sed -n 's/^.* -> //p'); echo "\${l:--}"; }
# Our own line of parents, this shell first.
ancestors() {
  a=$$
  while [ "$a" -gt 0 ] 2>/dev/null; do
    printf ' %s' "$a"
    set -- $(fields "$a"); a=\${2:-0}
  done
}
# "living" as long as one thread is: the first of a process may be dead while others live.
life() {
  case $2 in [${DEAD_STATES}]) ;; *) echo living; return;; esac
  if states "$1" | grep -q '[^${DEAD_STATES}]'; then echo living; else echo dead; fi
}
# The fields of stat are read last: they prove whose command line was read before them.
moment() {
  boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
  levels=$(sed -n 's/^NSpid://p' "/proc/$p/status" 2>/dev/null | wc -w | tr -d ' ')
  argv=$(od -An -v -tx1 "/proc/$p/cmdline" 2>/dev/null | tr -d ' \\n')
  set -- $(fields "$p")
  if [ $# -lt 20 ]; then
    if [ -d "/proc/$p" ]; then echo denied; else echo gone; fi
    return
  fi
  now="$(link /proc/self/ns/pid) $(link "/proc/$p/ns/pid") \${levels:-0} $(life "$p" "$1")"
  echo "moment \${boot:--} $now $2 \${20} $argv"
}
`.trim();

/** Where the scripts about one command keep its output; it is gone when the command has ended. */
export function ownDirectory(token: string): string {
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
for f in ${PROCESS_FILES.join(' ')}; do
  sed "s/^/|$f /" "/proc/${pid}/$f" 2>/dev/null
done
ls -l "/proc/${pid}/fd" 2>/dev/null | sed -n 's/^.* \\([0-9]* -> .*\\)$/|fds \\1/p' | head -n 2000
# A word a line: in one string nobody can tell where a secret of two words ends.
tr '\\n\\000' ' \\n' < "/proc/${pid}/cmdline" 2>/dev/null | sed 's/^/|cmdline /'
echo`,
  );
}

/** Prints the clock there, and the whole process table as parsePsRow reads it. */
export function tableScript(nonce: string): string {
  return wrapped(
    nonce,
    `
say "now $(date +%s)"
{
  ps -eww -o pid= -o ppid= -o uid= -o pcpu= -o pmem= -o etime= -o args= 2>/dev/null ||
    ps -o pid,ppid,args
} | head -n 20000 | sed 's/^/|row /'`,
  );
}

/** Prints the effective uid. */
export function uidScript(nonce: string): string {
  return wrapped(nonce, 'say "uid $(id -u)"');
}

/** A script as one function, with what all of them use, between its marks. */
export function wrapped(nonce: string, body: string): string {
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
