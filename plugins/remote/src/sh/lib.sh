# What every script of this host knows. POSIX sh, and of Linux /proc; dash, bash and BusyBox run it.

# facts PID: $state, $session, $start, $ticks, $threads and $pages of a process; fails when there is none
facts() {
  stat=
  { while IFS= read -r line; do stat="$stat $line"; done; } 2>/dev/null <"/proc/$1/stat" || return 1
  [ -n "$stat" ] || return 1
  # a program may be called `) S 1 1`: what counts stands after the last parenthesis
  set -- ${stat##*) }
  state=$1 session=$4 start=${20} pages=${22}
  ticks=$(($12 + $13 + $14 + $15)) 2>/dev/null || ticks=0
}

# alive PID START: does that very process run?
alive() {
  case $1 in '' | *[!0-9]*) return 1 ;; esac
  facts "$1" && [ "$start" = "$2" ] && [ "$state" != Z ] && [ "$state" != X ]
}

# $boot: the kernel's, and when the first process began, because a container that starts anew keeps its kernel
boot() {
  read -r kernel </proc/sys/kernel/random/boot_id
  start=0
  facts 1
  boot=$kernel.$start
}

# $me: who this shell is
me() {
  boot
  facts $$
  me="$$ $start $boot"
}

# $now: hundredths of seconds since the kernel began
uptime() {
  read -r up idle </proc/uptime
  now=$((${up%.*} * 100 + 1${up#*.} - 100))
}

# detach COMMAND…: runs it in a session of its own and does not wait. The first `setsid` makes it lead a group, which the second one
# leaves by a fork. Not with `&`: what a shell runs in the background ignores SIGINT and SIGQUIT for ever, and so would a task.
detach() { setsid setsid "$@"; }

# nap: a tenth of a second at first, then longer: whoever waits for long, among many, is not what the others wait for
nap() {
  naps=$((${naps:-0} + 1))
  pause=0.1
  if [ "$naps" -gt 10 ]; then pause=0.5; elif [ "$naps" -gt 5 ]; then pause=0.2; fi
  sleep "$pause" 2>/dev/null || sleep 1
}

# claim FILE LINE: a file of $d has one writer, the first, and is whole from the start
claim() {
  printf '%s\n' "$2" >"$d/$1.$$" || return 1
  ln "$d/$1.$$" "$d/$1" 2>/dev/null
  set -- $?  "$d/$1.$$"
  rm -f "$2"
  return "$1"
}

# members SESSION: who is alive in it. `grep` finds who may be: a shell reads byte by byte, and there may be thousands.
members() {
  for m in $(grep -lE "\\) [A-Za-z] [0-9-]+ [0-9-]+ $1 " /proc/[0-9]*/stat 2>/dev/null); do
    m=${m#/proc/}
    m=${m%/stat}
    facts "$m" && [ "$session" = "$1" ] && [ "$state" != Z ] && [ "$state" != X ] && printf '%s ' "$m"
  done
}

# slay PID START: if that very process runs, it and everybody of its session are killed
slay() {
  alive "$1" "$2" || return
  tries=0
  while rest=$(members "$1"); [ -n "$rest" ] && [ "$tries" -lt 20 ]; do
    kill -KILL $rest
    tries=$((tries + 1))
  done
}

# marked PID: does it carry the task's name in its environment?
marked() {
  { tr '\0' '\n' | grep -qxF "HOSTLER_TASK=$id"; } 2>/dev/null <"/proc/$1/environ"
}

# load ID: reads what stands in the directory of a task
load() {
  id=$1 d=$own/$1
  digest='' slot='' run='' spid='' sstart='' sboot='' note=''
  vpid='' vstart='' vboot='' since='' tpid='' tstart='' tboot=''
  [ -f "$d/spec" ] || return 1
  {
    read -r digest
    read -r slot
    read -r run
    read -r spid sstart sboot
    read -r note
  } <"$d/spec"
  [ -f "$d/supervisor" ] && read -r vpid vstart vboot since <"$d/supervisor"
  [ -f "$d/task" ] && read -r tpid tstart tboot <"$d/task"
  [ -f "$d/note" ] && read -r note <"$d/note"
  return 0
}

# rest: $rest is everybody of the loaded task who is alive. Whose leader and supervisor are dead must carry the task's name:
# its session's number may be a stranger's by now.
rest() {
  rest=
  [ "$tboot" = "$boot" ] || return 0
  if alive "$tpid" "$tstart" || { alive "$vpid" "$vstart" && ! facts "$tpid"; } || { facts "$tpid" && [ "$start" = "$tstart" ]; }; then
    rest=$(members "$tpid")
  else
    for r in $(members "$tpid"); do
      if marked "$r"; then rest="$rest $r"; fi
    done
  fi
}

# ended ID: prints its exit, if it has one
ended() {
  [ -f "$d/exit" ] || return 1
  read -r end <"$d/exit"
  why=
  [ -f "$d/failed" ] && read -r why <"$d/failed"
  echo "$1 exited $end${why:+ failed $why}"
}

# phase ID: prints where a task is in its life. Whatever is said to have ended cannot begin any more.
phase() {
  load "$1" || { echo "$1 gone"; return; }
  ended "$1" && return
  if [ -z "$vboot" ]; then
    if [ "$sboot" = "$boot" ] && alive "$spid" "$sstart"; then echo "$1 pending"; return; fi
    claim supervisor '- - never -'
    load "$1"
  fi
  if [ "$vboot" = never ]; then echo "$1 exited lost never - -"; return; fi
  if [ "$vboot" != "$boot" ]; then echo "$1 exited lost reboot - $since"; return; fi
  if [ -z "$tboot" ]; then
    if alive "$vpid" "$vstart"; then echo "$1 pending"; return; fi
    claim task '- - never'
    load "$1"
  fi
  up=running
  if [ -f "$d/installing" ]; then
    up=pending
    # nobody will judge it any more: it runs as it is, and says so
    if [ -f "$d/judge" ] && read -r judge judge_start <"$d/judge" && ! alive "$judge" "$judge_start" && [ ! -f "$d/back" ] && [ -f "$d/installing" ]; then
      up=running note='who judged its release was killed; the next start judges it again'
    fi
  fi
  [ -f "$d/stop" ] && up=stopping
  if alive "$tpid" "$tstart" || alive "$vpid" "$vstart"; then echo "$1 $up $tpid $since $note"; return; fi
  rest
  if [ -n "$rest" ]; then echo "$1 $up $tpid $since $note"; return; fi
  ended "$1" && return
  if [ "$tboot" = never ]; then echo "$1 exited lost never - -"; else echo "$1 exited lost supervisor - $since"; fi
}

# signal NAME: to the whole process group
signal() {
  if alive "$tpid" "$tstart"; then kill "-$1" "-$tpid" 2>/dev/null; fi
}
