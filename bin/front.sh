# Above this stands what runs the file: `runtime=node`, or nothing where it runs by itself. Every
# command but `check` is that alone.
if [ "${1-}" != check ]; then exec $runtime "$0" "$@"; fi

# A check has to say something in time whatever hangs: node as it starts, its event loop, a read in
# D state, which SIGKILL does not end and an exit waits for. So the monitor waits for this shell.
# Node hands what it has over in a pipe, between `::$$ result CODE` and `::$$ end`, which no text of
# others can know; nothing else of it is waited for, and nothing of it has hold of the monitor's own
# output.
reader='' told=''
trap 'told=y; [ -z "$reader" ] || kill -TERM "$reader" 2>/dev/null' TERM INT HUP
limit=10 unknown='' format=nagios output='' before=''
for word in "$@"; do
  # `-vvt 2` is `-v -v -t 2`.
  while [ "${word#-v?}" != "$word" ]; do word=-${word#-v}; done
  case $before in
    -t | --timeout) limit=$word ;;
    --unknown-is) unknown=$word ;;
    --format) format=$word ;;
  esac
  case $word in
    -h | --help | -V | --version | --example | --example=*)
      # Set, so that what runs by itself does not start this again.
      export SALT_API_CHECK_FRONT=
      exec $runtime "$0" "$@"
      ;;
    -t?*) limit=${word#-t} ;;
    --timeout=*) limit=${word#*=} ;;
    --unknown-is=*) unknown=${word#*=} ;;
    --format=*) format=${word#*=} ;;
    -o* | --output | --output=*) output=y ;;
  esac
  before=$word
done
# The file has the format, and the monitor the line.
[ -z "$output" ] || format=nagios
case $unknown in critical) code=2 ;; warning) code=1 ;; *) code=3 ;; esac
limit=${limit%s}
# What is no number of seconds node refuses at once.
case $limit in '' | 0* | .* | *. | *.*.* | *[!0-9.]* | ?????*) limit=10 ;; esac
# A tenth of a second earlier than asked, so that all is over when the time is.
span=$((${limit%%.*} - 1)).9
case $limit in
  *.[1-9]*)
    rest=${limit#*.}
    tenth=${rest%"${rest#?}"}
    span=${limit%%.*}.$((tenth - 1))${rest#?}
    ;;
esac

otherwise=''
fall_back() {
  trap - EXIT
  case $otherwise in
    *@why@*)
      printf '%s' "${otherwise%%@why@*}$1${otherwise#*@why@}"
      exit "$code"
      ;;
  esac
  if [ -n "$otherwise" ]; then
    # Metrics have no place for words.
    printf '%s' "$otherwise"
    printf 'salt-triage: %s\n' "$1" >&2
  else
    case $format in
      zabbix | json) printf '{"state":%s,"verdict":"unknown","summary":"%s"}\n' "$code" "$1" ;;
      checkmk) printf '%s "salt-api" - %s\n' "$code" "$1" ;;
      prometheus) printf '# %s\n# EOF\n' "$1" ;;
      *)
        case $code in 1) state=WARNING ;; 2) state=CRITICAL ;; *) state=UNKNOWN ;; esac
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
    heard=${line#"::$$ "}
    [ "$heard" != "$line" ] || heard=''
    case $heard in
      'clock '*) clock=${heard#* } ;;
      'node '*) node=${heard#* } ;;
      'otherwise '* | 'result '*) into=${heard%% *} taken='' taken_code=${heard#* } ;;
      end)
        if [ "$into" = result ]; then hand_on; fi
        otherwise=$taken code=$taken_code into=''
        ;;
      'ended '*)
        node=''
        give_up "salt-triage ended with code ${heard#* } and no result"
        ;;
      late) give_up "no result within $limit s" ;;
      clockless) give_up 'nothing bounds the check: sleep cannot be run' ;;
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

hand_on() {
  trap '' TERM
  stop_clock
  # Nothing printed is nothing known: a full disk, an output that is closed.
  printf '%s' "$taken" || [ "$taken_code" -ge 2 ] || taken_code=3
  exit "$taken_code"
}

give_up() {
  trap '' TERM
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

# Where there are no more processes to be had a shell may just end.
trap 'fall_back "no process could be started"' EXIT
{
  {
    SALT_API_CHECK_FRONT=$$ $runtime "$0" "$@" &
    echo "::$$ node $!"
    wait "$!"
    echo "::$$ ended $?"
  } &
  {
    # Not every sleep knows of parts of a second.
    for seconds in "$span" "${limit%%.*}"; do
      sleep "$seconds" &
      echo "::$$ clock $!"
      wait "$!"
      case $? in
        0)
          kill -CONT "$$"
          echo "::$$ late"
          break
          ;;
        1 | 2 | 126 | 127) [ "$seconds" = "$span" ] || echo "::$$ clockless" ;;
        *) break ;;
      esac
    done
  } &
  # A shell waits for all of a pipeline, so this side of it ends at once.
} 2>&1 </dev/null | receive &
reader=$!
trap - EXIT
[ -z "$told" ] || kill -TERM "$reader" 2>/dev/null
wait "$reader"
status=$?
# A signal ends a wait early (POSIX, wait).
if [ "$status" -gt 128 ] && [ -n "$told" ]; then
  wait "$reader"
  status=$?
fi
# For what ended just as a signal came bash has a -1: a line too many is better than none.
case $status in [0-3]) exit "$status" ;; esac
fall_back 'the check was killed'
