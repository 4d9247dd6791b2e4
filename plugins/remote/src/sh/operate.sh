live() { case $1 in *' pending'* | *' running'* | *' stopping'*) return 0 ;; *) return 1 ;; esac }

# ask_stop ID SIGNAL GRACE WAIT: hundredths of seconds; the grace is kept by a process of its own, and never grows
ask_stop() {
  trap : HUP PIPE
  said=$(phase "$1")
  if ! live "$said"; then echo "$said"; return; fi
  load "$1"
  uptime
  until=$((now + $4))
  deadline=$((now + $3)) name=$2
  if [ -f "$d/stop" ]; then
    read -r before name <"$d/stop"
    [ "$before" -lt "$deadline" ] && deadline=$before
  fi
  printf '%s\n' "$deadline $name" >"$d/stop.$$" && mv "$d/stop.$$" "$d/stop"
  stopping=
  [ -f "$d/stopper" ] && read -r p s b <"$d/stopper" && [ "$b" = "$boot" ] && alive "$p" "$s" && stopping=1
  if [ -z "$stopping" ]; then detach /bin/sh "$d/run" stop "$d" >/dev/null 2>&1 </dev/null; fi
  while said=$(phase "$1") && live "$said"; do
    uptime
    [ "$now" -lt "$until" ] || break
    nap
  done
  echo "$said"
}

# discard: deletes what was removed, but not what another shell is deleting: of two at one directory, BusyBox's `rm` may leave it empty
discard() {
  for f in "$own"/.gone.*; do
    [ -d "$f" ] || continue
    if [ "${f##*.}" = $$ ] || ! facts "${f##*.}"; then rm -rf "$f"; fi
  done
}

# remove ID FORCE WAIT
remove() {
  trap : HUP PIPE
  said=$(phase "$1")
  if live "$said" && [ "$2" = 1 ]; then
    d=$own/$1
    claim supervisor '- - never -'
    said=$(ask_stop "$1" KILL 0 "$3")
  fi
  if live "$said"; then echo "$said"; return; fi
  if [ -d "$own/$1" ]; then mv "$own/$1" "$own/.gone.$1.$$" || { echo "$1 stuck"; return; }; fi
  # commands that run for it end with it: nobody finds them without its directory
  for f in "$own/.gone.$1.$$"/exec.*/pid; do
    if [ -f "$f" ] && read -r p s <"$f"; then slay "$p" "$s"; fi
  done
  discard
  echo "$1 gone"
}

# found_all: every task of this host, and what starts were cut off in the middle of
found_all() {
  for f in "$own"/*/spec; do
    [ -f "$f" ] || continue
    f=${f%/spec}
    f=${f##*/}
    read -r digest <"$own/$f/spec"
    echo "found $f $digest"
    phase "$f"
  done
  discard
  # of a start whose shell was killed while it gave its directory its name
  for f in "$own"/*; do
    if [ -d "$f" ] && [ ! -L "$f" ] && [ ! -f "$f/spec" ]; then rm -rf "$f"; fi
  done
  for f in "$own"/.new.*; do
    [ -d "$f" ] || continue
    f=${f##*/.new.}
    if facts "${f##*.}"; then
      echo "found ${f%.*} -"
      echo "${f%.*} pending"
    else
      rm -rf "$own/.new.$f"
    fi
  done
}

# send ID SIGNAL
send() {
  load "$1"
  if [ "$tboot" = "$boot" ] && alive "$tpid" "$tstart" && kill "-$2" "-$tpid" 2>/dev/null; then echo sent; else echo "$1 gone"; fi
}

# use ID…: what the session of each uses, in one pass over all processes
use() {
  for i in "$@"; do
    load "$i" && [ "$tboot" = "$boot" ] && alive "$tpid" "$tstart" && eval "id_$tpid=\$i sum_$tpid=0 resident_$tpid=0 count_$tpid=0"
  done
  sessions=
  for p in /proc/[0-9]*; do
    facts "${p#/proc/}" && [ "$state" != Z ] && [ "$state" != X ] || continue
    eval "i=\${id_$session-}"
    [ -n "$i" ] || continue
    [ "${p#/proc/}" = "$session" ] && sessions="$sessions $session"
    eval "sum_$session=\$((sum_$session + ticks)) resident_$session=\$((resident_$session + pages)) count_$session=\$((count_$session + 1))"
  done
  for p in $sessions; do
    eval "echo \"use \$id_$p \$sum_$p \$resident_$p \$count_$p\""
  done
}

# $page: bytes of a page of memory, which a 64-bit Arm may have larger
page() {
  page=-
  while read -r k v u; do
    if [ "$k" = KernelPageSize: ]; then page=$((v * 1024)); break; fi
  done 2>/dev/null </proc/self/smaps
}

# stretch NAME FROM MOST: bytes of a log from an offset on; `tail` instead of one means the last MOST
stretch() {
  first=- total=0
  for f in "$d/$1".[0-9]*; do
    [ -f "$f" ] || continue
    b=${f##*.}
    b=${b#"${b%%[!0]*}"}
    b=${b:-0}
    [ "$first" = - ] && first=$b
    total=$((b + $(wc -c <"$f")))
  done
  [ "$first" = - ] && first=0
  from=$2 left=$3
  if [ "$from" = tail ]; then from=$((total - left)); fi
  echo "log $1 $first $total"
  for f in "$d/$1".[0-9]*; do
    [ -f "$f" ] || continue
    b=${f##*.}
    b=${b#"${b%%[!0]*}"}
    b=${b:-0}
    n=$(($(wc -c <"$f")))
    skip=$((from - b))
    [ "$skip" -lt 0 ] && skip=0
    n=$((n - skip))
    [ "$n" -gt "$left" ] && n=$left
    [ "$n" -gt 0 ] || continue
    echo "data $1 $((b + skip)) $n"
    tail -c "+$((skip + 1))" "$f" | head -c "$n"
    echo
    left=$((left - n)) from=$((b + skip + n))
  done
}

# read_log ID OUT ERR MOST
read_log() {
  said=$(phase "$1")
  d=$own/$1
  stretch out "$2" "$4"
  stretch err "$3" "$4"
  echo "$said"
}
