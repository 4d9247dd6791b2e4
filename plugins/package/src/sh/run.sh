# What the first process of a task does over there: installs a release, runs and judges it, and goes back to the one before when it fails.
# It stays in front of the program, which is its child: the task keeps one identity, whatever runs, and goes on when the link is lost.
trap : HUP INT QUIT USR1 USR2 TERM ALRM
uptime
limit=$((now + span))

# dress RELEASE: its directory and its environment
dress() {
  cd -- "$root/releases/$1" || exit 125
  first
  if [ -d lib ]; then export LD_LIBRARY_PATH="$PWD/lib"; fi
  . ./.launch
  export HOSTLER_RELEASE="$PWD"
  last
}

has() { [ -e "$root/releases/$release/$1" ]; }

# over: is there no time left, or nobody who wants it any more?
over() {
  uptime
  [ -f "$d/stop" ] || [ "$now" -ge "$limit" ]
}

# step NAME COMMAND…: runs it for the release; $why when it fails. What it prints is its own: it may be a secret.
step() {
  name=$1 late='' naps=0
  shift
  (dress "$release"; exec "$@") >/dev/null 2>&1 </dev/null &
  pid=$!
  began=
  facts "$pid" && began=$start
  while alive "$pid" "$began"; do
    if over; then late=1; kill -KILL "$pid" 2>/dev/null; fi
    nap
  done
  wait "$pid"
  code=$?
  [ "$code" -eq 0 ] && return 0
  if [ -n "$late" ]; then why="$name did not end in time"
  elif [ "$code" -eq 126 ] || [ "$code" -eq 127 ]; then why="$name: there is no such program"
  elif [ "$code" -gt 128 ]; then why="$name was ended by signal $((code - 128))"
  else why="$name exited with $code"; fi
  return 1
}

# lead LINK RELEASE: in one step
lead() {
  beside=$root/.$1.$slot
  rm -f "$beside"
  ln -s "releases/$2" "$beside" && mv -T "$beside" "$root/$1" && return
  why="$1 cannot be switched"
  return 1
}

# leads LINK: prints the release it leads to
leads() {
  target=$(readlink "$root/$1") || return
  target=${target#releases/}
  case $target in '' | */*) return ;; esac
  if [ -f "$root/releases/$target/manifest.yaml" ]; then echo "$target"; fi
}

# run RELEASE: the program, in the foreground, because a shell says there whether a signal ended it
run() {
  exec 7>&2 2>"$d/said"
  (
    exec 2>&7 7>&- </dev/null
    read -r own_pid rest_of_it </proc/self/stat
    facts "$own_pid"
    echo "$own_pid $start" >"$d/program.new"
    mv "$d/program.new" "$d/program"
    dress "$1"
    shift
    program "$@"
  )
  code=$?
  exec 2>&7 7>&-
}

# finish: ends as the program did
finish() {
  rm -f "$d/installing"
  if [ "$code" -gt 128 ] && [ -s "$d/said" ]; then
    trap - HUP INT QUIT USR1 USR2 TERM ALRM
    kill "-$((code - 128))" $$
  fi
  exit "$code"
}

begin() {
  if [ "$fresh" = 1 ]; then hooks_before || return 1; fi
  if has scripts/pre-start.sh; then step scripts/pre-start.sh ./scripts/pre-start.sh || return 1; fi
  lead current "$release"
}

settled() {
  if has scripts/post-start.sh; then step scripts/post-start.sh ./scripts/post-start.sh || return 1; fi
  [ "$fresh" = 1 ] || return 0
  hooks_after && healthy
}

healthy() {
  [ "$health" -gt 0 ] && has scripts/health-check.sh || return 0
  uptime
  if [ $((now + health * 100)) -lt "$limit" ]; then limit=$((now + health * 100)); fi
  until step scripts/health-check.sh ./scripts/health-check.sh; do
    alive "$program_pid" "$program_start" || { why='it ended before it was healthy'; return 1; }
    over && { why='scripts/health-check.sh did not pass in time'; return 1; }
    nap
  done
}

# judge: whether the release stays; runs beside the program
judge() {
  trap : HUP USR1 USR2 TERM ALRM
  until [ -f "$d/program" ] || over; do nap; done
  read -r program_pid program_start <"$d/program"
  if settled; then
    (: >"$root/releases/$release/.up")
    if [ "$fresh" = 1 ]; then prune; fi
    rm -f "$d/installing"
    exit 0
  fi
  printf '%s\n' "$why" >"$d/back.new" && mv "$d/back.new" "$d/back"
  kill -TERM "$program_pid"
  tries=0
  while alive "$program_pid" "$program_start" && [ "$tries" -lt 50 ]; do
    nap
    tries=$((tries + 1))
  done
  if alive "$program_pid" "$program_start"; then kill -KILL "$program_pid"; fi
}

# prune: all but the newest go, the one before and those of tasks, each in one step, for half of one would pass for installed
prune() {
  rm -rf "$root/releases/.old-"*
  names=$(ls -1tr "$root/releases")
  left=$(echo "$names" | wc -l)
  for r in $names; do
    [ "$left" -gt "$keep" ] || return
    left=$((left - 1))
    if [ "$r" = "$release" ] || [ "$r" = "$before" ] || grep -qxF -e "$r" "${d%/*}"/*/release 2>/dev/null; then continue; fi
    mv -T "$root/releases/$r" "$root/releases/.old-$r" 2>/dev/null && rm -rf "$root/releases/.old-$r"
  done
}

# on RELEASE: which one this task is on
on() { printf '%s\n' "$1" >"$d/release.new" && mv "$d/release.new" "$d/release"; }

# sweep: nothing of a release that failed is left
sweep() {
  for m in $(members $$); do
    [ "$m" = $$ ] || kill -KILL "$m" 2>/dev/null
  done
}

fresh=1 why='' code=1
if has .up; then fresh=0; fi
# the release before is the last one that came up whole
before=$(leads current)
if [ -n "$before" ] && [ "$before" != "$release" ] && [ -e "$root/releases/$before/.up" ]; then
  lead previous "$before"
else
  before=$(leads previous)
  if [ "$before" = "$release" ]; then before=; fi
fi
on "$release"
rm -f "$d/program" "$d/back" "$d/said"
if begin; then
  judge 2>/dev/null &
  judge=$!
  judge_start=
  facts "$judge" && judge_start=$start
  printf '%s\n' "$judge $judge_start" >"$d/judge.new" && mv "$d/judge.new" "$d/judge"
  run "$release" "$@"
  while alive "$judge" "$judge_start"; do nap; done
  if [ -f "$d/stop" ] || [ ! -f "$d/back" ]; then finish; fi
  read -r why <"$d/back"
fi
sweep
if [ -f "$d/stop" ]; then finish; fi
if [ "$fresh" = 1 ] && [ -n "$before" ] && [ "$rollback" = 1 ]; then
  printf '%s\n' "$before runs instead of $release: $why" >"$d/note"
  lead current "$before"
  on "$before"
  rm -f "$d/program" "$d/said" "$d/installing"
  run "$before" "$@"
  finish
fi
if [ "$fresh" = 1 ]; then
  if [ -n "$before" ]; then lead current "$before"; else rm -f "$root/current"; fi
fi
printf '%s\n' "release $release: $why" >"$d/failed"
exit 1
