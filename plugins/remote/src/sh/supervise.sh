# Lies in the directory of each task, and runs it: `run supervise DIR` holds it, `run stop DIR` ends it.
mode=$1 d=$2 own=${2%/*}
id=${2##*/}
cd "$d" || exit 1

# keep NAME: standard input into files NAME.OFFSET; a new one after $bytes, and at most $files of them
keep() {
  base=0 size=0 name=$1
  while :; do
    file=$name.$(printf %020d "$base")
    if { dd bs=16384 count=64 >>"$file"; } 2>/dev/null; then
      now=$(($(wc -c <"$file")))
      [ "$now" -eq "$size" ] && return
      size=$now
    else
      # the disk is full: what cannot be kept is dropped, so that the task goes on; the hole in the offsets says so
      [ "$(($(dd bs=16384 count=64 2>/dev/null | wc -c)))" -eq 0 ] && return
      { size=$(($(wc -c <"$file") + 1)); } 2>/dev/null || size=$((size + 1))
      base=$((base + size)) size=0
    fi
    if [ "$size" -ge "$bytes" ]; then
      base=$((base + size)) size=0
      set -- "$name".[0-9]*
      while [ $# -ge "$files" ]; do
        rm -f "$1"
        shift
      done
    fi
  done
}

# finish KIND VALUE: writes how it ended
finish() {
  tries=0
  until printf '%s\n' "$1 $2 $(date +%s) $since" >exit.new && mv exit.new exit; do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ] || exit 1
    sleep 1
  done
  rm -f out err
  exit 0
}

supervise() {
  bytes=$1 files=$2 launch=$(cat)
  me
  since=$(date +%s)
  claim supervisor "$me $since" || exit 0
  trap : HUP INT TERM PIPE
  mkfifo out err && exec 3<>out 4<>err 5<out 6<err || finish lost pipes
  # `exec`, because a shell that redirects a function keeps copies of what it closes
  (exec <&5 3<&- 4<&- 5<&- 6<&-; keep out) &
  keepers=$!
  (exec <&6 3<&- 4<&- 5<&- 6<&-; keep err) &
  keepers="$keepers $!"
  exec 5<&- 6<&- 2>end
  # in the foreground, because a shell says there whether a signal ended it: `Killed` on its own standard error
  (
    export HOSTLER_TASK="$id"
    exec setsid /bin/sh >out 2>err 3<&- 4<&- <<HOSTLER_LAUNCH
$launch
HOSTLER_LAUNCH
  )
  code=$?
  exec 2>/dev/null
  kind=code
  if [ "$code" -gt 128 ]; then
    if [ -s end ]; then
      kind=signal code=$((code - 128))
    else
      case $code in 130 | 141) kind=status ;; esac
    fi
  fi
  load "$id"
  while rest; [ -n "$rest" ]; do
    kill -KILL $rest
    nap
  done
  exec 3<&- 4<&-
  # who has left the session may hold the log open for ever
  { sleep 2; kill $keepers; } &
  guard=$!
  wait $keepers
  kill $guard
  finish "$kind" "$code"
}

stop() {
  me
  printf '%s\n' "$me" >stopper.new && mv stopper.new stopper
  while :; do
    load "$id" || exit 0
    # who is alive beside the first process is only counted when it has to be: that looks at every process there is
    if alive "$tpid" "$tstart"; then
      read -r deadline name <stop
      mkdir told 2>/dev/null && signal "$name"
      uptime
      if [ "$now" -ge "$deadline" ]; then
        rest
        kill -KILL $rest 2>/dev/null
      fi
    elif ! alive "$vpid" "$vstart"; then
      rest
      [ -n "$rest" ] || exit 0
      kill -KILL $rest 2>/dev/null
    elif [ -f exit ]; then
      exit 0
    fi
    nap
  done
}

shift 2
case $mode in
supervise) supervise "$@" ;;
stop) stop ;;
esac
