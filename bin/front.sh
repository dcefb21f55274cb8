# Every command but `check` is node alone.
if [ "${1-}" != check ]; then exec node "$0" "$@"; fi

# A check has to say something in time whatever hangs: node as it starts, its event loop, a read in
# D state, which SIGKILL does not end and an exit waits for. So the monitor waits for this shell.
# Node hands what it has over in a pipe, between `::result CODE` and `::end`; nothing else of it
# is waited for, and nothing of it has hold of the monitor's own output.
limit=10 code=3 format=nagios before=''
for word in "$@"; do
  case $before in
    -t | --timeout) limit=$word ;;
    --unknown-is) [ "$word" != critical ] || code=2 ;;
    --format) format=$word ;;
  esac
  case $word in
    -h | --help | --example | --example=*) exec node "$0" "$@" ;;
    -t?*) limit=${word#-t} ;;
    --timeout=*) limit=${word#*=} ;;
    --unknown-is=critical) code=2 ;;
    --format=*) format=${word#*=} ;;
  esac
  before=$word
done
limit=${limit%s}
limit=${limit%.*}
# What is no number of seconds node refuses at once.
case $limit in '' | 0* | *[!0-9]* | ?????*) limit=10 ;; esac

otherwise=''
fall_back() {
  if [ -n "$otherwise" ]; then
    printf '%s' "${otherwise%%@why@*}$1${otherwise#*@why@}"
  else
    case $format in
      zabbix | json) printf '{"state":%s,"verdict":"unknown","summary":"%s"}\n' "$code" "$1" ;;
      checkmk) printf '%s "salt-api" - %s\n' "$code" "$1" ;;
      prometheus) printf '# %s\n# EOF\n' "$1" ;;
      *)
        [ "$code" = 2 ] && state=CRITICAL || state=UNKNOWN
        printf 'SALT-API %s - %s\n' "$state" "$1"
        ;;
    esac
  fi
  exit "$code"
}

# Reads what node hands over; ends with the code of the check.
receive() {
  clock='' node='' noise='' taken='' into=''
  trap 'give_up "ended by a signal"' TERM
  while IFS= read -r line; do
    case $line in
      '::clock '*) clock=${line#* } ;;
      '::node '*) node=${line#* } ;;
      '::otherwise '* | '::result '*) into=${line%% *} taken='' taken_code=${line#* } ;;
      '::end')
        if [ "$into" = ::result ]; then
          stop_clock
          printf '%s' "$taken"
          exit "$taken_code"
        fi
        otherwise=$taken code=$taken_code into=''
        ;;
      '::ended '*)
        node=''
        give_up "salt-triage ended with code ${line#* } and no result"
        ;;
      '::late') give_up "no result within $limit s" ;;
      *)
        if [ -n "$into" ]; then
          taken="$taken$line
"
        else
          noise="$noise$line
"
        fi
        ;;
    esac
  done
  give_up 'no result'
}

give_up() {
  stop_clock
  [ -z "$node" ] || kill -KILL "$node" 2>/dev/null
  printf '%s' "$noise" >&2
  fall_back "$1"
}

stop_clock() {
  [ -z "$clock" ] || kill "$clock" 2>/dev/null
  # Whoever has stopped the shell that waits for this one can't keep it from ending.
  kill -CONT "$$"
}

reader='' told=''
trap 'told=y; [ -z "$reader" ] || kill -TERM "$reader" 2>/dev/null' TERM INT HUP
{
  {
    SALT_API_CHECK_FRONT=1 node "$0" "$@" &
    echo "::node $!"
    wait "$!"
    echo "::ended $?"
  } &
  # A little earlier than asked, so that all is over when the time is.
  sleep "$((limit - 1)).9" &
  echo "::clock $!"
  wait "$!" && { kill -CONT "$$"; echo ::late; }
} 2>&1 </dev/null | receive &
reader=$!
[ -z "$told" ] || kill -TERM "$reader" 2>/dev/null
wait "$reader"
status=$?
# A signal ends a wait early (POSIX, wait).
[ -z "$told" ] || { wait "$reader"; status=$?; }
[ "$status" -le 3 ] || fall_back 'the check was killed'
exit "$status"
