/** The one shell script that looks at a host on which nothing of ours is installed. */
import {
  MAX_JOURNAL,
  MAX_ROTATED,
  MAX_UNPACKED,
  OTHERWISE_PACKED_ENDINGS,
  ROTATED_SUFFIX,
  UNDATED_TAIL,
} from '../../evidence/api-log-facts.ts';
import { SEARCHED_WORDINGS } from '../../evidence/api-log-wordings.ts';
import { DEAD_STATES, PF_KTHREAD } from '../../evidence/proc-text.ts';
import { ENTRY_MODULES, ENTRY_POINT_BYTES, LOG_DIRECTORY } from '../../evidence/process-facts.ts';
import { FIRST_PERSON_UID } from '../../evidence/resolve.ts';
import { ENTRY_POINTS } from '../../evidence/salt-api-argv.ts';
import { TELLING_SETTINGS, UNIT_PROPERTIES } from '../../evidence/systemd-unit.ts';
import { VERSION } from './frames.ts';
import { quoteRemoteWord } from './quote-remote-word.ts';

/** What a look is about; an empty text is found out by the script itself. */
export interface CollectorParameters {
  /** 32 hex digits that mark the script's own lines; `by-hand` lets it draw them itself. */
  readonly nonce: string;
  readonly port: string;
  readonly configDirectory: string;
  readonly log: string;
  /** One path a line. */
  readonly pidFiles: string;
  /** Seconds; empty for the whole log. */
  readonly since: string;
  /** `yes` reads no log at all; else empty. */
  readonly withoutLog: string;
  readonly unit: string;
  /** Bound on each part, in seconds. */
  readonly limit: string;
}

/** The script with its parameters filled in, for `sh -s`. */
export function collectorScript(parameters: CollectorParameters): string {
  const { nonce, port, configDirectory, log, pidFiles, since, withoutLog, unit, limit } =
    parameters;
  const values = {
    NONCE: nonce,
    PORT: port,
    CONFIG_DIR: configDirectory,
    LOG: log,
    PID_FILES: pidFiles,
    SINCE: since,
    WITHOUT_LOG: withoutLog,
    UNIT: unit,
    LIMIT: limit,
    PROPERTIES: UNIT_PROPERTIES.join(','),
    TELLING: TELLING_SETTINGS.join('|'),
  };
  const assignments = Object.entries(values).map(([name, value]) => {
    return `${name}=${quoteRemoteWord(value)}\n`;
  });
  return HEAD + assignments.join('') + BODY;
}

const HEAD = `# salt-triage probe: looks at salt-api on this host and prints what it sees.
#
#   salt-triage probe | ssh root@salt sh > evidence && salt-triage diagnose --from evidence
#
# It changes nothing and leaves no file behind. It needs a POSIX sh (dash and busybox ash will do),
# /proc, and awk, cat, date, grep, head, id, kill, ls, od, sleep, tail, tr, uname.
# Every line of evidence begins with "|", every line of the frame with "@@" and a random number,
# so that a banner or a noisy profile can't be taken for either. All of it is defined first and
# run by the last line: a script that was cut off on its way does nothing.

# What to look at; empty: found out here. SINCE and LIMIT are seconds, an empty SINCE is all.
`;

/** What matches an awk line with one of the words that a log is searched for. */
function awkPattern(wordings: typeof SEARCHED_WORDINGS): string {
  // The program stands in single quotes for the shell.
  return `/${wordings.map(({ needle }) => needle.replaceAll("'", '\\047')).join('|')}/`;
}

/** Of a word that may start salt-api: anywhere in it, and as a whole. */
const SUSPECT = ENTRY_POINTS.map(({ name }) => name.replaceAll('/', '\\/')).join('|');
const ENTRY_POINT = `(${ENTRY_POINTS.map(({ name }) => {
  return name.startsWith('/') ? name.replaceAll('/', '\\/') : `(^|\\/)${name}`;
}).join('|')})$`;

const BODY = String.raw`
# say WORDS: a line of the frame.
say() { printf '@@%s %s\n' "$NONCE" "$*"; }

# frame NAME: passes evidence on, marked line by line and counted.
frame() {
  awk -v mark="@@$NONCE" -v name="$1" '
    { print "|" $0 }
    END { print mark " end " name " " NR }'
}

# kill_tree PID: ends a part of this script that takes too long, with all its children.
kill_tree() {
  kill -9 $(cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$1" '
    { pid = $1; sub(/^.*\) /, ""); parent[pid] = $2 }
    END {
      print root
      for (pid in parent) {
        above = pid
        for (depth = 0; depth < 50 && above in parent; depth++) {
          above = parent[above]
          if (above == root) { print pid; break }
        }
      }
    }')
}

# limited COMMAND: runs it for LIMIT seconds at most; its last line says how it ended.
limited() {
  "$@" &
  running=$!
  (
    # A part may be over before its watchdog knows the pid of its sleep, and before that sleep is
    # more than a fork of this shell, which would take a TERM for its own.
    over='' nap=''
    trap 'over=yes; [ -z "$nap" ] || kill -9 $nap' TERM
    sleep "$LIMIT" & nap=$!
    [ -z "$over" ] || kill -9 $nap
    wait $nap
    [ -n "$over" ] || kill_tree $running
  ) > /dev/null 2>&1 &
  watchdog=$!
  wait $running
  status=$?
  kill $watchdog
  wait $watchdog
  echo "= $status"
}

# part NAME COMMAND: one framed part of the evidence.
part() {
  name=$1
  shift
  say "part $name"
  limited "$@" 2>/dev/null | frame "$name"
}

# part_text NAME TEXT: the same for what was gathered before.
part_text() {
  say "part $1"
  printf '%s\n' "$2" | frame "$1"
}

# lines TAG TEXT: the rest of each line of TEXT that begins with TAG and a blank.
lines() { printf '%s\n' "$2" | awk -v tag="$1 " 'index($0, tag) == 1 { print substr($0, length(tag) + 1) }'; }

# ---- the host

host_facts() {
  echo "name $(uname -n)"
  echo "now $(date +%s.%N)"
  echo "zone $(date +%z)"
  echo "boot $(cat /proc/sys/kernel/random/boot_id)"
  grep '^btime ' /proc/stat
  echo "uid $(id -u)"
  echo "self $known_as $$"
  [ ! -e /etc/salt/master ] || echo "default-config yes"
  [ -z "$SALT_CONFIG_DIR" ] || echo "environment $SALT_CONFIG_DIR"
  [ -z "$SALT_MASTER_CONFIG" ] || echo "mainfile $SALT_MASTER_CONFIG"
}

# ---- the process table, first pass

# census: every process by its stat line, kernel threads (PF_KTHREAD) only counted.
# "total N", "alive PID", "blocked PID" (D state), "zombie PID PPID", "unread PID".
census() {
  { printf '%s\n' /proc/[0-9]*; echo --; grep -sH '^' /proc/[0-9]*/stat; } | awk '
    $0 == "--" { listed = 1; next }
    { split($0, path, "/"); pid = path[3] }
    !listed { known[pid] = 1; next }
    # A name may hold a line break or a parenthesis: the last parenthesis of the last line counts.
    sub(/^.*\) /, "") { state[pid] = $1; parent[pid] = $2; kernel[pid] = int($7 / ${PF_KTHREAD}) % 2 }
    END {
      for (pid in known) {
        if (!(pid in state)) { print "unread " pid; continue }
        total++
        if (kernel[pid]) continue
        if (state[pid] ~ /^[${DEAD_STATES}]$/) print "zombie " pid " " parent[pid]
        else if (state[pid] == "D") print "blocked " pid
        else print "alive " pid
      }
      print "total " total + 0
    }'
}

# suspects FILE...: pids of processes whose command line may be that of salt-api. Who is one is
# judged from the whole argv later, and not here.
suspects() {
  head -c 8192 /proc/self/cmdline "$@" 2>/dev/null | tr '\000' ' ' | awk '
    /^==> \/proc\/[0-9]+\/cmdline <==$/ { split($0, path, "/"); pid = path[3]; next }
    /${SUSPECT}/ { if (pid != "" && !(pid in found)) { found[pid]; print pid } }'
}

# in_play PIDS: those of root, of services and of our own, and of ordinary users the first hundred:
# anybody may run thousands of look-alikes. One that holds the port is found by that.
in_play() {
  [ -n "$1" ] || return 0
  ls -ldn $(printf '/proc/%s\n' $1) 2>/dev/null | awk -v own="$(id -u)" '
    { n = split($NF, path, "/"); pid = path[n] }
    $3 < ${FIRST_PERSON_UID} || $3 == own { print pid; next }
    ++strangers <= 100 { print pid }'
}

# paths NAME PIDS: /proc/PID/NAME of each.
paths() { printf '%s\n' "$2" | awk -v name="$1" '/^[0-9]+$/ { print "/proc/" $0 "/" name }'; }

# environments PIDS: "environment PID DIRECTORY", SALT_CONFIG_DIR of those that can be read.
environments() {
  for pid in $1; do
    [ -r "/proc/$pid/environ" ] || continue
    echo "@@$NONCE $pid"
    # A line break within a value begins no variable.
    tr '\n\000' ' \n' < "/proc/$pid/environ"
    echo
  done | awk -v mark="@@$NONCE" '
    function finish() { if (pid != "") print "environment " pid " " directory }
    $1 == mark { finish(); pid = $2; directory = ""; next }
    sub(/^SALT_CONFIG_DIR=/, "") { directory = $0 }
    END { finish() }'
}

# options PIDS: what running salt-apis were started with: "config DIR", "log FILE", "pid FILE".
options() {
  {
    printf '%s\n' "$environments"
    for pid in $1; do
      echo "@@$NONCE $pid"
      tr '\000 ' '\n\n' < "/proc/$pid/cmdline"
      echo
    done
  } | awk -v mark="@@$NONCE" '
    function finish() { if (daemon) print "config " (directory == "" ? "-" : directory) }
    $1 == mark { finish(); position = 0; daemon = 0; begun = 1; directory = named[$2]; option = ""; next }
    !begun { pid = $2; if (sub(/^environment [0-9]+ /, "")) named[pid] = $0; next }
    $0 == "" { next }
    {
      position++
      if (position <= 5 && $0 ~ /${ENTRY_POINT}/) daemon = 1
      else if (position == 1 && $0 !~ /(^|\/)((platform-)?python|pypy)[0-9.]*$/) position = 99
    }
    option != "" { value = $0; name = option; option = "" }
    $0 == "-c" || $0 == "--config-dir" { option = "config"; next }
    $0 == "--log-file" { option = "log"; next }
    $0 == "--pid-file" { option = "pid"; next }
    /^-c./ { name = "config"; value = substr($0, 3) }
    /^--(config-dir|log-file|pid-file)=/ {
      name = $0; sub(/=.*/, "", name); sub(/^--/, "", name); sub(/-.*/, "", name)
      value = $0; sub(/^[^=]*=/, "", value)
    }
    name != "" {
      if (daemon && name == "config") directory = value
      else if (daemon) print name " " value
      name = ""
    }
    END { finish() }'
}

# ---- configuration

# config_file FILE: "file PATH" and its lines, or "error PATH" and the reason. Values of settings
# that are named like a secret are masked.
config_file() {
  if [ -d "$1" ]; then echo "error $1"; echo "why EISDIR"
  elif [ ! -e "$1" ]; then return
  elif [ ! -f "$1" ]; then echo "error $1"; echo "why is not a regular file"
  elif [ ! -r "$1" ]; then echo "error $1"; echo "why EACCES"
  else
    size=$(file_size "$1")
    if [ "$size" -gt 8388608 ]; then echo "error $1"; echo "why is larger than 8 MiB"
    else
      echo "file $1"
      tr -d '\000' < "$1" | awk '
        tolower($0) ~ /^ *(- )? *[a-z0-9_.-]*(passw|passphrase|secret|token|pwd)[a-z0-9_.-]*: +("[^"]*"|[^ "|>{\[&*#][^#]*) *$/ {
          sub(/:.*/, ": masked")
        }
        { print "  " $0 }'
    fi
  fi
}

file_size() { ls -lnL "$1" | awk 'NR == 1 { print $5 }'; }

# includes FILE KEY: the globs of an include statement, one a line.
includes() {
  tr -d '\000' < "$1" | awk -v key="$2" '
    function plain(text) {
      sub(/^[ \t]+/, "", text); sub(/[ \t]+#.*$/, "", text); sub(/[ \t\r]+$/, "", text)
      gsub(/^["\047]|["\047]$/, "", text)
      return text
    }
    index($0, key ":") == 1 {
      inside = 1
      text = plain(substr($0, length(key) + 2))
      if (text ~ /^\[/) { gsub(/[\[\]]/, "", text); n = split(text, items, ","); for (i = 1; i <= n; i++) print plain(items[i]) }
      else if (text != "" && text !~ /^#/) print text
      next
    }
    inside && /^[ \t]*- / { text = $0; sub(/^[ \t]*- /, "", text); print plain(text); next }
    inside && /^[ \t]*(#|$)/ { next }
    { inside = 0 }'
}

# config_tree DIRECTORY MAIN-FILE: the main file and all that it includes.
config_tree() {
  config_file "$2"
  count=1
  [ -r "$2" ] && [ -f "$2" ] || { config_glob "$1" 'master.d/*.conf' 1; return; }
  if grep -q '^default_include:' "$2"; then globs=$(includes "$2" default_include)
  else globs='master.d/*.conf'
  fi
  for glob in $(set -f; printf '%s\n' "$globs"; includes "$2" include); do
    config_glob "$1" "$glob" 1
  done
}

# config_glob DIRECTORY GLOB DEPTH
config_glob() {
  case $2 in
    /*) pattern=$2 ;;
    '~/'*) pattern=/root/${'$'}{2#??} ;;
    *) pattern=$1/$2 ;;
  esac
  parent=$(dirname_of "$pattern")
  if [ -d "$parent" ] && [ ! -r "$parent" ]; then echo "error $parent"; echo "why EACCES"; fi
  for included in $pattern; do
    [ "$count" -lt 500 ] || return
    count=$((count + 1))
    config_file "$included"
    if [ "$3" -lt 5 ] && [ -f "$included" ] && [ -r "$included" ]; then
      # In a subshell: the loop's variables are this level's.
      nested=$(includes "$included" include)
      [ -z "$nested" ] || (
        set -f
        for inner in $nested; do
          set +f
          config_glob "$(dirname_of "$included")" "$inner" $(($3 + 1))
        done
      )
    fi
  done
}

dirname_of() { case $1 in */*) printf '%s\n' "${'$'}{1%/*}" ;; *) echo . ;; esac; }

# config_guess: "port N", "log FILE", "pid FILE", "user NAME" from the text of config_tree, read in a hurry. The
# caller reads the YAML in earnest, and asks again where this was wrong.
config_guess() {
  awk '
    function scalar(text) {
      sub(/^[^:]*:[ \t]*/, "", text); sub(/[ \t]+#.*$/, "", text); sub(/[ \t\r]+$/, "", text)
      gsub(/^["\047]|["\047]$/, "", text)
      return text
    }
    function rooted(path) {
      if (path == "") return ""
      return index(path, root) == 1 ? path : root (path ~ /^\// ? substr(path, 2) : path)
    }
    BEGIN { root = "/" }
    !/^  / { block = ""; next }
    { $0 = substr($0, 3) }
    /^[ \t]*(#|$)/ { next }
    /^rest_(cherrypy|tornado|wsgi):/ { block = substr($0, 6, 1); next }
    /^[^ \t]/ { block = "" }
    block != "" && /^[ \t]+port:/ { port[block] = scalar($0) }
    /^root_dir:/ { root = scalar($0); if (root !~ /\/$/) root = root "/" }
    /^api_logfile:/ { log_file = scalar($0) }
    /^api_pidfile:/ { api_pid = scalar($0) }
    /^pidfile:/ { pid = scalar($0) }
    /^user:/ { user = scalar($0) }
    END {
      found = ("c" in port) ? port["c"] : ("t" in port) ? port["t"] : port["w"]
      # As numbers: what was cut out of a line compares as text.
      if (found ~ /^[0-9]+$/ && found + 0 > 0 && found + 0 < 65536) print "port " found + 0
      if (log_file == "" && root != "/") log_file = "/var/log/salt/api"
      if (api_pid == "") api_pid = pid
      if (api_pid == "" && root != "/") api_pid = "/var/run/salt-api.pid"
      if (log_file != "") print "log " rooted(log_file)
      if (api_pid != "") print "pid " rooted(api_pid)
      if (user != "") print "user " user
    }'
}

# ---- sockets

# socket_table: the port's rows: "row FAMILY ..." for listeners as they are, all others summed up:
# "peer FAMILY STATE ADDRESS ACCEPTED UNACCEPTED UNREAD". A socket that nobody accepted has inode 0.
# "heard PORT", in hex: another port that somebody listens on.
socket_table() {
  for table in tcp tcp6; do
    if [ ! -e /proc/net/$table ]; then echo "missing $table"; continue; fi
    if [ ! -r /proc/net/$table ]; then echo "denied $table"; continue; fi
    echo "table $table"
    awk -v port="$port_hex" -v table=$table '
      function number(hex,  value, i) {
        value = 0
        hex = toupper(hex)
        for (i = 1; i <= length(hex); i++) value = value * 16 + index("0123456789ABCDEF", substr(hex, i, 1)) - 1
        return value
      }
      NR == 1 { if (!/local_address/) print "malformed " table; next }
      substr($2, length($2) - 4) != ":" port {
        other = substr($2, length($2) - 3)
        if ($4 == "0A" && $10 != 0 && !(other in heard)) { heard[other]; print "heard " other }
        next
      }
      NF < 10 { print "malformed " table; next }
      $4 == "0A" { print "row " table " " $0; next }
      {
        split($3, remote, ":"); split($5, queue, ":")
        key = $4 " " remote[1]
        if (!(key in accepted)) { order[++keys] = key; accepted[key] = unaccepted[key] = unread[key] = 0 }
        if ($10 == 0) unaccepted[key]++; else accepted[key]++
        unread[key] += number(queue[2])
      }
      END {
        for (i = 1; i <= keys; i++) {
          key = order[i]
          printf "peer %s %s %d %d %.0f\n", table, key, accepted[key], unaccepted[key], unread[key]
        }
      }' /proc/net/$table
  done
}

# port_inodes: "listen INODE" and "connected INODE" of the port's sockets, and "other INODE PORT"
# of those that listen on other ports, in hex.
port_inodes() {
  for table in /proc/net/tcp /proc/net/tcp6; do [ ! -r $table ] || cat $table; done | awk -v port="$port_hex" '
    $10 !~ /^[1-9][0-9]*$/ { next }
    substr($2, length($2) - 4) == ":" port { print ($4 == "0A" ? "listen " : "connected ") $10; next }
    $4 == "0A" { print "other " $10 " " substr($2, length($2) - 3) }'
}

# ---- processes, second pass

# FD_LINES: awk patterns for "ls -ln /proc/PID/fd": sets inode for a socket, else skips the line.
FD_LINES='
  NF != 11 || $10 != "->" || $9 !~ /^[0-9]+$/ || $11 !~ /^socket:\[[0-9]+\]$/ { next }
  { inode = substr($11, 9, length($11) - 9) }'

# holders_of INODES FILE...: pids that may hold one of these sockets, one pass over all fd tables.
# A file name may be made to look like a table: what counts is read process by process later.
holders_of() {
  wanted=$1
  shift
  ls -ln /proc/self/fd "$@" 2>/dev/null | awk -v wanted="$wanted" '
    BEGIN { n = split(wanted, list, " "); for (i = 1; i <= n; i++) listening[list[i]] }
    /^\/proc\/[0-9]+\/fd:$/ { split($0, path, "/"); pid = path[3]; next }
    '"$FD_LINES"'
    inode in listening && pid != "" && !(pid in found) { found[pid]; print pid }'
}

# fd_tables PIDS: "fds PID CONNECTIONS INODE..." of the port's sockets among the fds, or "closed PID",
# "listens PID PORT..." of the other ports that it listens on, in hex, and "open PID FILE" of what may
# be a file of Salt's and is open to be written: the mode of an fd's link says how (proc(5)).
fd_tables() {
  {
    printf '%s\n' "$inodes"
    for pid in $1; do
      if [ -r "/proc/$pid/fd" ]; then
        echo "@@$NONCE $pid"
        ls -ln "/proc/$pid/fd"
      elif [ -d "/proc/$pid" ]; then echo "@@$NONCE closed $pid"
      fi
    done
  } | salt_log=$log salt_config=$config_directory awk -v mark="@@$NONCE" '
    BEGIN { salt_log = ENVIRON["salt_log"]; salt_config = ENVIRON["salt_config"] "/" }
    function finish() {
      if (pid != "") print "fds " pid " " connections listens
      if (pid != "" && others != "") print "listens " pid others
      pid = ""
    }
    $1 == mark {
      finish()
      connections = 0; listens = ""; others = ""; files = 0
      if ($2 == "closed") print "closed " $3; else pid = $2
      next
    }
    pid == "" && $1 == "listen" { listening[$2] }
    pid == "" && $1 == "other" { other[$2] = $3; next }
    pid == "" { connected[$2]; next }
    $10 == "->" && $1 ~ /^l.w/ && $11 ~ /^\// && files < 20 {
      target = $0
      sub(/^.* -> /, "", target)
      if (index(target, salt_log) == 1 || index(target, salt_config) == 1 || index(target, "${LOG_DIRECTORY}") == 1) {
        files++
        print "open " pid " " target
      }
    }
    '"$FD_LINES"'
    inode in listening { if (index(listens " ", " " inode " ") == 0) listens = listens " " inode; next }
    inode in connected { connections++ }
    inode in other && index(others " ", " " other[inode] " ") == 0 { others = others " " other[inode] }
    END { finish() }'
}

# file_ids FILE...: "id FILE DEVICE:INODE" of those that are there.
file_ids() {
  if stat -L -c %d /proc/self/root/ > /dev/null 2>&1; then
    stat -L -c 'id %n %d:%i' "$@" 2>/dev/null
  else
    ls -diL "$@" 2>/dev/null | awk '{ id = $1; sub(/^ *[0-9]+ /, ""); print "id " $0 " " id }'
  fi
}

# root_views PIDS: of each the ids of its root, of the configuration in it and of its main file.
root_views() {
  file_ids $(printf '%s\n' "$1" | salt_config=$config_directory awk '
    BEGIN { config = ENVIRON["salt_config"] }
    $0 != "" { view = "/proc/" $0 "/root"; print view "/"; print view config; print view config "/master" }')
}

# command_lines PIDS: "argv PID HEX" of those that can be read.
command_lines() {
  for pid in $1; do
    [ -r "/proc/$pid/cmdline" ] || continue
    echo "@@$NONCE $pid"
    od -An -v -tx1 -N65536 "/proc/$pid/cmdline"
  done | awk -v mark="@@$NONCE" '
    $1 == mark { if (NR > 1) print ""; printf "argv %s ", $2; next }
    { gsub(/ /, ""); printf "%s", $0 }
    END { if (NR > 0) print "" }'
}

# salt_import PID: "script PID LINE", the line with which the script that it runs may import Salt, empty
# where it has none; nothing where the script can't be read. No more of it is shown: anybody can run
# something that names any file as its script.
salt_import() {
  script=$(tr '\000 ' '\n\n' < "/proc/$1/cmdline" | head -n 6 | grep '^/' | grep -E '${ENTRY_POINT}' | head -n 1)
  [ -n "$script" ] && [ -f "/proc/$1/root$script" ] && [ -r "/proc/$1/root$script" ] || return 0
  echo "script $1 $(head -c ${ENTRY_POINT_BYTES} "/proc/$1/root$script" | tr -d '\000' |
    grep -E '^[^#]{0,200}(from|import)[[:space:]]+salt[.](${ENTRY_MODULES})' | head -n 1)"
}

# process_table: counts, then all about the few processes that matter.
process_table() {
  lines total "$census" | awk '{ print "total " $0 }'
  [ -d /proc/1 ] || echo hidden
  for pid in $(lines unread "$census"); do [ ! -e "/proc/$pid/stat" ] || echo "noargv $pid"; done
  for pid in $alive; do
    [ -r "/proc/$pid/cmdline" ] || [ ! -d "/proc/$pid" ] || echo "noargv $pid"
  done
  listening=$(lines listen "$inodes")
  holders=
  if [ -n "$listening" ]; then
    for pid in $alive; do
      [ -r "/proc/$pid/fd" ] || [ ! -d "/proc/$pid" ] || echo "nofds $pid"
    done
    holders=$(holders_of "$(printf '%s ' $listening)" $(paths fd "$alive"))
  fi
  named=$(printf '%s\n' "$candidates" "$holders" | awk '/^[0-9]+$/ && !($0 in seen) { seen[$0]; print }')
  fd_tables "$named"
  # Parents, and dead children that nobody has reaped.
  all=$(
    {
      printf '%s\n' "$named"
      lines zombie "$census" | awk -v parents="$(printf '%s ' $candidates)" '
        BEGIN { n = split(parents, list, " "); for (i = 1; i <= n; i++) parent[list[i]] }
        $2 in parent { print $1 }'
      grep -sH '^' $(paths stat "$candidates") | awk 'sub(/^.*\) /, "") { print $2 }'
    } | awk '/^[1-9][0-9]*$/ && !($0 in seen) { seen[$0]; if (++n <= 2000) print }'
  )
  [ -n "$all" ] || return 0
  grep -sH '^' $(paths stat "$all") $(paths cgroup "$all") $(paths wchan "$all") | awk '{ print "text " $0 }'
  grep -sH '^Uid:' $(paths status "$all") | awk '{ print "text " $0 }'
  # As the shell's own, in a /proc that it knows itself by.
  ls -ldn /proc/self/ns/net /proc/self/ns/pid /proc/self/root $(paths ns/net "$all") $(paths ns/pid "$all") \
    $(paths exe "$candidates") $(paths root "$candidates") 2>/dev/null |
    awk '$10 == "->" { path = $9; sub(/^.* -> /, ""); print "link " path " " $0 }'
  root_views "self
$candidates"
  printf '%s\n' "$environments"
  for pid in $candidates; do salt_import "$pid" 2>/dev/null; done
  command_lines "$all"
}

# ---- service

# pid_file FILE: "pidfile MODIFIED FILE-ID UID FILE" and its content.
pid_file() {
  [ -f "$1" ] || return 0
  modified=$(stat -L -c %Y "$1" 2>/dev/null || date -r "$1" +%s 2>/dev/null || echo 0)
  echo "pidfile $modified $(ls -dinL "$1" | awk 'NR == 1 { print $1 " " $4 }') $1"
  echo "content $(head -c 64 "$1" | tr -d '\000' | tr '\n\r\t' '   ')"
}

service_facts() {
  for file in $pid_files; do pid_file "$file"; done
  [ ! -e "/etc/init.d/${'$'}{UNIT%.service}" ] || echo initscript
  [ -z "$(command -v rc-service)" ] || echo openrc
  if [ -n "$(command -v salt-api)" ] || [ -e /usr/bin/salt-api ] ||
    [ -e /usr/local/bin/salt-api ] || [ -e /opt/saltstack ]
  then echo installed; else echo notinstalled; fi
  [ ! -d /run/systemd/system ] || echo systemd
}

# show_unit NAME: "unit NAME", what systemctl says, "drop-in KEYS PATH", "exit STATUS".
show_unit() {
  echo "unit $1"
  shown=$(LC_ALL=C systemctl show "$1" -p "$PROPERTIES" 2>&1)
  status=$?
  printf '%s\n' "$shown"
  (
    IFS=' '
    for dropin in $(printf '%s\n' "$shown" | sed -n 's/^DropInPaths=//p'); do
      [ -f "$dropin" ] || continue
      keys=$(head -c 65536 "$dropin" | tr -d '\000' | grep -oE "^[[:blank:]]*($TELLING)[[:blank:]]*=" |
        tr -d ' \t=' | awk '!seen[$0]++' | awk '{ printf "%s%s", separator, $0; separator = "," }')
      [ -z "$keys" ] || echo "drop-in $keys $dropin"
    done
  )
  echo "exit $status"
}

# stops_also TEXT: the units that a stop of the shown one takes along, one a line.
stops_also() {
  printf '%s\n' "$1" | awk '
    sub(/^(ConsistsOf|BoundBy|RequiredBy|TriggeredBy)=/, "") { for (i = 1; i <= NF; i++) if ($i ~ /^[^-]/ && !seen[$i]++) print $i }'
}

# units_of PIDS: the services that processes are in, by their cgroups.
units_of() {
  cat $(paths cgroup "$1") 2>/dev/null | awk -F / '
    !/^0::/ && !/:name=systemd:/ { next }
    {
      for (i = NF; i > 1; i--) if ($i ~ /\.(service|scope)$/) break
      sub(/^_/, "", $i)
      if (i > 1 && $i ~ /^[A-Za-z0-9_@:.\\][A-Za-z0-9_@:.\\-]*\.service$/ && !seen[$i]++ && ++n <= 10) print $i
    }'
}

# unit_facts: the unit that was asked for, those that salt-api is in, and all that a stop of any of
# them takes along, which may take along more. Which of them is salt-api's is judged later.
unit_facts() {
  [ -d /run/systemd/system ] || return 0
  facts=$(show_unit "$UNIT")
  for name in $(units_of "$candidates"); do
    case $name in "$UNIT" | "$UNIT.service") continue ;; esac
    facts="$facts
$(show_unit "$name")"
  done
  known="$UNIT $UNIT.service "
  asked=0
  next=$(stops_also "$facts")
  while [ -n "$next" ] && [ "$asked" -lt 20 ]; do
    more=
    for name in $next; do
      case " $known" in *" $name "*) continue ;; esac
      known="$known$name "
      asked=$((asked + 1))
      [ "$asked" -le 40 ] || break
      more="$more
$(show_unit "$name")"
    done
    facts="$facts$more"
    next=$(stops_also "$more")
  done
  printf '%s\n' "$facts"
}

# ---- the API log

# STAMP: an awk function that reads the time at the beginning of a line, in seconds since 1970 of
# local time, or -1. Good enough to find the window; the caller reads the times in earnest.
STAMP='
  function days(y, m, d) {
    if (m <= 2) { y--; m += 12 }
    return 365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * (m - 3) + 2) / 5) + d - 719469
  }
  function seconds(y, m, d, clock,  part) {
    split(clock, part, ":")
    return days(y + 0, m + 0, d + 0) * 86400 + part[1] * 3600 + part[2] * 60 + part[3]
  }
  function month(name) { return (index("JanFebMarAprMayJunJulAugSepOctNovDec", name) + 2) / 3 }
  function stamp(s,  zone, at, sign, word) {
    if (s ~ /^\[?[0-9][0-9][0-9][0-9][-\/][0-9][0-9][-\/][0-9][0-9][T ][0-9][0-9]:[0-9][0-9]:[0-9][0-9]/) {
      sub(/^\[/, "", s)
      at = seconds(substr(s, 1, 4), substr(s, 6, 2), substr(s, 9, 2), substr(s, 12, 8))
      zone = substr(s, 20, 20)
      sub(/^[.,][0-9]+/, "", zone)
      sub(/^ /, "", zone)
      if (zone ~ /^Z/) return at + offset
      if (zone ~ /^[-+][0-9][0-9]:?[0-9][0-9]/) {
        sign = zone ~ /^-/ ? -1 : 1
        word = substr(zone, 2, 5)
        sub(/:/, "", word)
        return at + offset - sign * (substr(word, 1, 2) * 3600 + substr(word, 3, 2) * 60)
      }
      return at
    }
    if (s ~ /^\[[0-9][0-9]\/[A-Z][a-z][a-z]\/[0-9][0-9][0-9][0-9]:[0-9][0-9]:/)
      return seconds(substr(s, 9, 4), month(substr(s, 5, 3)), substr(s, 2, 2), substr(s, 14, 8))
    sub(/^<[0-9]+>/, "", s)
    if (s ~ /^[A-Z][a-z][a-z] [ 0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]/) {
      at = seconds(year, month(substr(s, 1, 3)), substr(s, 5, 2), substr(s, 8, 8))
      if (at > now + offset + 86400) at = seconds(year - 1, month(substr(s, 1, 3)), substr(s, 5, 2), substr(s, 8, 8))
      return at
    }
    if (s ~ /^[A-Z][a-z][a-z] [A-Z][a-z][a-z] [ 0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9] [0-9][0-9][0-9][0-9]/)
      return seconds(substr(s, 21, 4), month(substr(s, 5, 3)), substr(s, 9, 2), substr(s, 12, 8))
    return -1
  }'

# first_stamp SKIP: the first time in a piece of log; SKIP=1 leaves out a line that was cut.
first_stamp() {
  head -c 262144 | tr -d '\000' | awk -v skip="$1" -v now="$now" -v offset="$offset" -v year="$year" "$STAMP"'
    NR > skip { at = stamp($0); if (at >= 0) { printf "%.0f\n", at; exit } }'
}

# is_before STAMP: whether it was seen and lies before the window.
is_before() { [ -n "$1" ] && [ "$1" -lt "$from" ]; }

# window_bytes FILE SIZE: how many bytes from the end reach back to the window's beginning. Doubles
# until it does: a log of 10 GB costs what the window costs.
window_bytes() {
  bytes=65536
  dated=
  while [ "$bytes" -lt "$2" ]; do
    at=$(tail -c "$bytes" "$1" | first_stamp 1)
    [ -z "$at" ] || dated=yes
    if is_before "$at"; then echo "$bytes"; return; fi
    if [ -z "$dated" ] && [ "$bytes" -ge ${UNDATED_TAIL} ]; then echo "$bytes"; return; fi
    bytes=$((bytes * 2))
  done
  echo "$2"
}

# reduce_log: of a log, the lines with words that are searched for, the heads of their records, what
# but source lines follows where the reason stands in a traceback, and the children's deaths.
# "line TEXT"; "dated" where lines carry times; "cut N" where there were too many.
reduce_log() {
  tr -d '\000\r' | awk -v from="$from" -v now="$now" -v offset="$offset" -v year="$year" "$STAMP"'
    function keep(text) {
      text = substr(text, 1, 8192)
      if (searching) { early[++held] = text; size += length(text); if (size > 16000000) forget(); return }
      if (sent >= 150000 || size > 16000000) { cut++; return }
      sent++
      size += length(text)
      print "line " text
    }
    # What stood before the first line with a time counts if the window reaches to it.
    function release(  i) {
      searching = size = 0
      for (i = 1; i <= held; i++) keep(early[i])
      held = 0
    }
    function forget() { cut += held; held = size = 0; split("", early) }
    # What the next hit may belong to: a head for sure, and then lines that may be the head instead.
    function begin(line) { head = line; above = ""; last = 0; first = 1 }
    function keep_record(  i) {
      if (head != "") keep(head)
      for (i = first; i <= last; i++) keep(pending[i])
      if (above != "") keep(above)
    }
    BEGIN { begin(""); searching = from != "" }
    {
      start = substr($0, 1, 1)
      stamped = start ~ /[0-9<A-Z[]/ ? stamp($0) : -1
      if (stamped >= 0 && searching) {
        # Without the margin: what has no time is as old as the line that follows.
        if (!dated && stamped < from + 3700) { held = size = below = 0; begin("") }
        if (stamped >= from + 0) release()
      }
      if (stamped >= 0 && !dated) { print "dated"; dated = 1 }
      if (searching && dated) next
      opens = stamped >= 0 || start == "["
      if ($0 ~ ${awkPattern(SEARCHED_WORDINGS)}) {
        keep_record()
        keep($0)
        begin("")
        if (opens) below = $0 ~ ${awkPattern(SEARCHED_WORDINGS.filter(({ traced }) => traced))} ? 400 : 0
        next
      }
      if (opens && ($0 ~ /\[(CRITICAL|FATAL|ERROR|WARNING|WARN|INFO|PROFILE|DEBUG|TRACE|GARBAGE|QUIET) *\]/ || (start ~ /[0-9]/ && $0 !~ /^[^ ]+( [0-9][0-9]:[^ ]*)? [^[ ]+ [^][ :]+(\[[0-9]+\])?: /))) {
        begin($0)
        below = 0
        next
      }
      above = ""
      if (below > 0) {
        below--
        # Behind a prefix of syslog each line of a traceback has a time of its own.
        text = $0
        if (opens) sub(/^[^ ]+( +[0-9]+ [0-9:]+)? [^ ]+ [^][ :]+(\[[0-9]+\])?: ?/, "", text)
        if (text !~ /^[ \t]|^$/) { keep($0); next }
      }
      if (!opens) { above = $0; next }
      pending[++last] = $0
      if (last - first >= 60) delete pending[first++]
    }
    END {
      if (searching && !dated) release()
      if (cut) print "cut " cut
    }'
}

# one_log FILE: "log BYTES FILE" and what of it matters.
one_log() {
  case $1 in
    *.gz)
      echo "log $(file_size "$1") $1"
      if [ -n "$(command -v gzip)" ]; then unpack='gzip -dc'; else unpack=zcat; fi
      (IFS=' '; $unpack "$1") 2>/dev/null | head -c ${MAX_UNPACKED} | reduce_log
      ;;
    *)
      size=$(file_size "$1")
      bytes=$size
      [ -z "$from" ] || bytes=$(window_bytes "$1" "$size")
      echo "log $bytes $1"
      if [ "$bytes" -lt "$size" ]; then tail -c "$bytes" "$1" | reduce_log
      else reduce_log < "$1"
      fi
      ;;
  esac
  echo endlog
}

# rotated FILE: the rotated siblings that the window may reach into, newest first.
rotated() {
  newer=$1
  found=0
  for old in $(ls -t "$1"[.-][0-9]* 2>/dev/null); do
    printf '%s\n' "${'$'}{old#"$1"}" | grep -q -E '${ROTATED_SUFFIX}' || continue
    [ -f "$old" ] && [ -s "$old" ] && [ ! "$old" -ef "$1" ] || continue
    case $old in *.gz) [ ! -s "${'$'}{old%.gz}" ] || continue ;; esac
    if [ -n "$from" ]; then
      modified=$(stat -L -c %Y "$old" 2>/dev/null || date -r "$old" +%s 2>/dev/null || echo "$now")
      # Ten seconds of the margin: these times know no daylight saving.
      [ $((modified + offset)) -ge $((from + 3690)) ] || continue
      case $newer in
        *.gz) ;;
        *) ! is_before "$(first_stamp 0 < "$newer")" || return 0 ;;
      esac
    fi
    case $old in ${OTHERWISE_PACKED_ENDINGS.map((ending) => `*.${ending}`).join(' | ')}) echo "packed $old"; continue ;; esac
    if [ "$found" -eq ${MAX_ROTATED} ]; then echo "more"; return 0; fi
    if [ ! -r "$old" ]; then echo "unreadable $old"; continue; fi
    found=$((found + 1))
    echo "old $old"
    newer=$old
  done
}

api_log() {
  [ -z "$WITHOUT_LOG" ] || return 0
  case $log in [a-z]*://*) echo "address $log"; return 0 ;; esac
  if [ -d "$log" ]; then echo "type a directory"; return 0
  elif [ -p "$log" ]; then echo "type a FIFO"; return 0
  elif [ -S "$log" ]; then echo "type a socket"; return 0
  elif [ ! -e "$log" ]; then
    parent=$(dirname_of "$log")
    if [ -d "$parent" ] && [ ! -x "$parent" ]; then echo denied; return 0; fi
    echo missing
    [ -n "$LOG" ] || journal
    return 0
  elif [ ! -f "$log" ]; then echo "type a device"; return 0
  elif [ ! -r "$log" ]; then echo denied; return 0
  fi
  older=$(rotated "$log")
  printf '%s\n' "$older" | grep -E '^(packed|unreadable|more)'
  for file in $(lines old "$older" | awk '{ line[NR] = $0 } END { for (i = NR; i > 0; i--) print line[i] }'); do
    one_log "$file"
  done
  one_log "$log"
}

# journal: where salt-api logs to no file.
journal() {
  [ -n "$(command -v journalctl)" ] || return 0
  since=
  [ -z "$SINCE" ] || since="--since=@$((now - SINCE))"
  echo journal
  {
    # Complaints go past the reduction.
    {
      { journalctl --no-pager -o short-iso $since "--unit=$UNIT" || echo "failed: $?" >&2; } 2>&1 >&4 |
        awk '{ print "complaint " $0 }' >&3
    } 4>&1 | head -c ${MAX_JOURNAL} | reduce_log
  } 3>&1
  echo endlog
}

# ---- all of it

main() {
  export LC_ALL=C
  unset GREP_OPTIONS TIME_STYLE LS_COLORS POSIXLY_CORRECT
  PATH=${'$'}{PATH:-/bin}:/usr/bin:/bin:/usr/sbin:/sbin
  export PATH
  # Lists are split at line ends alone: paths may hold blanks.
  IFS='
'
  if [ "$NONCE" = by-hand ]; then
    read -r NONCE < /proc/sys/kernel/random/uuid || NONCE=$$
    NONCE=$(printf '%s' "$NONCE" | tr -d '-')
  fi
  renice -n 10 -p $$ > /dev/null 2>&1
  # After whatever a banner left unfinished.
  printf '\n'
  say 'begin salt-triage-probe ${VERSION}'
  if [ ! -r /proc/self/stat ]; then say noproc; exit 0; fi
  # The pid that /proc knows this shell by: another than its own in another PID namespace's /proc.
  IFS=' ' read -r known_as ignored < /proc/self/stat
  part host host_facts

  now=$(date +%s)
  year=$(date +%Y)
  offset=$(date +%z | awk '{ s = substr($0, 1, 1) == "-" ? -1 : 1; print s * (substr($0, 2, 2) * 3600 + substr($0, 4, 2) * 60) }')
  # An hour and more of margin, for daylight saving and for processes that don't log in step.
  from=
  [ -z "$SINCE" ] || from=$((now + offset - SINCE - 3700))

  census=$(census)
  alive=$(lines alive "$census"; lines blocked "$census")
  candidates=$(limited suspects $(paths cmdline "$(lines alive "$census")") $(paths cmdline "$(lines blocked "$census")") 2>/dev/null | grep -v '^=')
  candidates=$(in_play "$candidates")
  environments=$(environments "$candidates" 2>/dev/null)
  running_options=$(options "$candidates" 2>/dev/null)

  config_directory=$CONFIG_DIR
  [ -n "$config_directory" ] || config_directory=$SALT_CONFIG_DIR
  if [ -z "$config_directory" ]; then
    config_directory=$(lines config "$running_options" | awk '
      !/\/salt-triage-drill-/ && !seen[$0]++ { n++; only = $0 }
      END { if (n == 1 && only ~ /^\//) print only }')
    [ -n "$config_directory" ] || config_directory=/etc/salt
  fi
  main_file=$config_directory/master
  if [ "$config_directory" = /etc/salt ] && [ -f "$SALT_MASTER_CONFIG" ]; then main_file=$SALT_MASTER_CONFIG; fi
  config=$(limited config_tree "$config_directory" "$main_file" 2>/dev/null)
  guess=$(printf '%s\n' "$config" | config_guess)

  port=$PORT
  [ -n "$port" ] || port=$(lines port "$guess")
  [ -n "$port" ] || port=443
  port_hex=$(printf '%04X' "$port")
  log=$LOG
  [ -n "$log" ] || log=$(lines log "$running_options" | head -n 1)
  [ -n "$log" ] || log=$(lines log "$guess")
  [ -n "$log" ] || log=/var/log/salt/api
  pid_files=$(printf '%s\n' "$PID_FILES"; lines pid "$running_options"; lines pid "$guess"; printf '%s\n' /var/run/salt-api.pid /run/salt-api.pid)

  user=$(lines user "$guess")
  part_text used "port $port
config $config_directory
main $main_file
log $log
since $SINCE
unit $UNIT
asked-port $PORT
asked-config $CONFIG_DIR
asked-log $LOG
user $user
user-id $([ -z "$user" ] || id -u -- "$user" 2>/dev/null)
$(printf '%s\n' "$pid_files" | awk '$0 != "" { print "pidfile " $0 }')
= 0"
  part_text config "$config"
  part sockets socket_table
  inodes=$(port_inodes)
  part processes process_table
  part service service_facts
  part unit unit_facts
  part log api_log
  say 'done'
}

main < /dev/null
`;
