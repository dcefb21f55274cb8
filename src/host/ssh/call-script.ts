/** The shell script that reduces logs where they lie, as `reduceCallLine` does here. */
import {
  ACCESS_WITHIN,
  CALL_NEEDLES,
  KEPT,
  MOST_REDUCED,
  NEEDLE_WITHIN,
} from '../../evidence/call-lines.ts';
import type { CallLog, ReducedLog } from '../raw-host.ts';
import { wrapped } from './action-scripts.ts';
import { quoteRemoteWord } from './quote-remote-word.ts';

/**
 * Prints of each log `log INDEX`, `N REDUCED` for each line that differs, `cut N`, and
 * `end INDEX BYTES complete|cut-off`; nothing of one that can't be read.
 * @param seconds after which no further log is begun
 */
export function callsScript(logs: readonly CallLog[], seconds: number, nonce: string): string {
  const calls = logs.map(({ path, bytes, everyLine }, index) => {
    const how = everyLine ? 'every' : 'some';
    return `calls ${index} ${quoteRemoteWord(path)} ${bytes} ${how}`;
  });
  return wrapped(nonce, `${FUNCTIONS(seconds)}\n${calls.join('\n')}`);
}

/** Reads what the script printed. @param paths of the logs, by their indices */
export function readCallsAnswer(lines: readonly string[], paths: readonly string[]): ReducedLog[] {
  const logs: ReducedLog[] = [];
  let reduced = new Map<string, number>();
  let cut = 0;
  for (const line of lines) {
    const [, word = '', rest = ''] = /^(\S+) (.*)$/s.exec(line) ?? [];
    if (word === 'log') {
      reduced = new Map();
      cut = 0;
    } else if (word === 'cut') cut = Number(rest);
    else if (word === 'end') {
      const [index, bytesRead, state] = rest.split(' ');
      const path = paths[Number(index)];
      if (path === undefined) continue;
      const complete = state === 'complete';
      logs.push({ path, bytesRead: Number(bytesRead), complete, lines: reduced, cut });
    } else if (/^\d{1,15}$/.test(word)) reduced.set(rest, Number(word));
  }
  return logs;
}

const NEEDLES = Object.values(CALL_NEEDLES)
  .map((needle) => `-e ${quoteRemoteWord(needle)}`)
  .join(' ');

const FUNCTIONS = (seconds: number) => String.raw`deadline=$(($(date +%s) + ${seconds}))
# narrowed HOW: the lines that may tell of calls.
narrowed() { if [ "$1" = every ]; then cat; else grep -aF ${NEEDLES}; fi; }
reduced() {
  narrowed "$1" | tr -d '\000\r' | awk -v how="$1" '
    function access_line(text, within,  dash, address, minute, rest, request, agent, method, path, called, after, pid, head) {
      dash = index(text, " - ")
      if (dash < 2 || dash - 1 > within) return ""
      head = substr(text, 1, dash - 1)
      address = head
      sub(/^.* /, "", address)
      if (address == "" || length(address) > ${KEPT.address}) return ""
      rest = substr(text, dash)
      if (!match(rest, /^ - [^ ]+ \[[0-9][0-9]\/[A-Z][a-z][a-z]\/[0-9][0-9][0-9][0-9]:[0-9][0-9]:[0-9][0-9]:[0-9][0-9][^]"]*\] "/)) return ""
      minute = substr(rest, 1, RLENGTH)
      rest = substr(rest, RLENGTH + 1)
      sub(/^ - [^ ]+ \[/, "", minute)
      minute = substr(minute, 1, 17)
      if (!match(rest, /^([^"\\]|\\.)*" [0-9][0-9][0-9] ([0-9]+|-)/)) return ""
      request = substr(rest, 1, RLENGTH)
      rest = substr(rest, RLENGTH + 1)
      agent = ""
      if (match(rest, /^ "([^"\\]|\\.)*" "([^"\\]|\\.)*"( |$)/)) {
        agent = rest
        sub(/^ "([^"\\]|\\.)*" "/, "", agent)
        match(agent, /^([^"\\]|\\.)*/)
        agent = substr(agent, 1, RLENGTH < ${KEPT.agent} ? RLENGTH : ${KEPT.agent})
      } else if (rest != "" && rest !~ /^ ([^"]|$)/) return ""
      method = path = "-"
      if (match(request, /^[A-Z]+ \/[a-z_]*/)) {
        after = substr(request, RLENGTH + 1, 1)
        if (index("/ ?\"", after)) {
          called = substr(request, 1, RLENGTH) (after == "/" ? "/" : "")
          method = path = called
          sub(/ .*/, "", method)
          sub(/^[^ ]* /, "", path)
        }
      }
      called = method " " path
      pid = "-"
      if (called == "POST /login" && match(head, /\[INFO *\]\[[0-9]+\]/)) {
        pid = substr(head, RSTART, RLENGTH)
        sub(/^.*\[/, "", pid)
        sub(/\]/, "", pid)
      }
      return "call\t" pid "\t" address "\t" minute "\t" called "\t" agent
    }
    function login_line(text, at,  head, user, address) {
      head = substr(text, 1, at - 1)
      user = substr(text, at)
      if (!sub(/^\[api_acl\] Authentication (not checked|successful|sucessful|failed) for user /, "", user)) return ""
      if (!match(user, /.* from IP [^ ]+$/)) return ""
      address = user
      sub(/^.* from IP /, "", address)
      if (length(address) > ${KEPT.address}) return ""
      user = substr(user, 1, length(user) - length(address) - 9)
      if (match(head, /[0-9][0-9]:[0-9][0-9]:[0-9][0-9]([.,][0-9]+)?/))
        head = substr(head, 1, RSTART + 5) "00" substr(head, RSTART + RLENGTH)
      return "login\t" address "\t" substr(user, 1, ${KEPT.user}) "\t" substr(head, 1, ${KEPT.head})
    }
    function reduce(text,  access_at, login_at, sync_at) {
      if (how == "every") return access_line(text, ${KEPT.address})
      access_at = index(text, "${CALL_NEEDLES.access}")
      login_at = index(text, "${CALL_NEEDLES.login}")
      if (access_at && access_at <= ${NEEDLE_WITHIN.access} && (!login_at || access_at < login_at))
        return access_line(substr(text, access_at), ${ACCESS_WITHIN})
      if (login_at && login_at <= ${NEEDLE_WITHIN.login}) return login_line(text, login_at)
      sync_at = index(text, "${CALL_NEEDLES.sync}")
      return sync_at && sync_at <= ${NEEDLE_WITHIN.sync} ? "sync" : ""
    }
    {
      if (length($0) > 65536) next
      gsub(/\t/, " ")
      line = reduce($0)
      if (line == "") next
      if (!(line in times) && kinds >= ${MOST_REDUCED.whole}) {
        if (line ~ /^call\t/) sub(/\t[^\t]*$/, "\t", line)
        if (!(line in times) && kinds >= ${MOST_REDUCED.all}) { cut++; next }
      }
      if (!(line in times)) kinds++
      times[line]++
    }
    END {
      for (line in times) print "|" times[line] " " line
      print "|cut " cut + 0
    }'
}
# calls INDEX FILE BYTES HOW
calls() {
  [ -f "$2" ] && [ -r "$2" ] || return 0
  if [ "$(date +%s)" -ge "$deadline" ]; then say "end $1 0 cut-off"; return 0; fi
  say "log $1"
  bytes=$(ls -lnL "$2" | awk 'NR == 1 { print $5 }')
  state=complete
  case $2 in
    *.gz)
      bytes=$(unpack "$2" | head -c $(($3 + 1)) | wc -c | tr -d ' ')
      [ "$bytes" -le "$3" ] || state=cut-off
      unpack "$2" | head -c "$3" | reduced "$4"
      ;;
    *)
      if [ "$bytes" -le "$3" ]; then reduced "$4" < "$2"
      else
        bytes=$3
        tail -c "$3" "$2" | tail -n +2 | reduced "$4"
      fi
      ;;
  esac
  say "end $1 $bytes $state"
}
unpack() {
  if [ -n "$(command -v gzip)" ]; then gzip -dc "$1"; else zcat "$1"; fi 2>/dev/null
}`;
