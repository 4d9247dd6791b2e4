# found PROGRAM: is it there, on $path when it is a bare name?
found() {
  case $1 in
  /*) [ -f "$1" ] && [ -x "$1" ] ;;
  *)
    (
      IFS=:
      for p in $path; do
        [ -f "${p:-.}/$1" ] && [ -x "${p:-.}/$1" ] && exit 0
      done
      exit 1
    )
    ;;
  esac
}

# others: looks at the other lives of the same slot. A later one makes this one late; an earlier one that is alive has to be ended first.
others() {
  for s in "$own"/*/spec; do
    [ -f "$s" ] || continue
    s=${s%/spec}
    s=${s##*/}
    { read -r digest; read -r slot; read -r run; } <"$own/$s/spec"
    [ "$s" != "$my_id" ] && [ "$slot" = "$my_slot" ] || continue
    if [ "$run" -gt "$my_run" ]; then echo "late $s"; return; fi
    case $(phase "$s") in *' exited '* | *' gone') ;; *) echo "earlier $s"; return ;; esac
  done
}

# make: the directory appears whole, under its name, or not at all
make() {
  new=$own/.new.$my_id.$$
  mkdir -p "$own" && mkdir "$new" || return 1
  printf '%s\n' "$my_digest" "$my_slot" "$my_run" "$me" "$my_note" >"$new/spec" && write_run >"$new/run" || return 1
  if [ -n "$installing" ]; then : >"$new/installing" || return 1; fi
  if [ ! -d "$own/$my_id" ]; then mv "$new" "$own/$my_id"; fi
  # another start of the same task was quicker: ours went into its directory
  rm -rf "$new" "$own/$my_id/.new.$my_id.$$"
  [ -f "$own/$my_id/spec" ]
}

withdraw() {
  d=$own/$my_id
  claim supervisor '- - never -' || return 1
  mv "$d" "$own/.gone.$my_id.$$" && rm -rf "$own/.gone.$my_id.$$"
}

start() {
  mask=$(umask)
  umask 077
  # a link that is lost ends neither this nor what it starts
  trap : HUP PIPE
  me
  for c in setsid mkfifo dd ln mv tr grep wc date; do
    command -v "$c" >/dev/null 2>&1 || { echo "refused program $c"; return; }
  done
  if [ ! -f "$own/$my_id/spec" ]; then
    found "$binary" || { echo "refused binary"; return; }
    [ -d "$directory" ] && [ -x "$directory" ] || { echo "refused directory"; return; }
    other=$(others)
    case $other in late*) echo "refused $other"; return ;; esac
    make || { rm -rf "$own/.new.$my_id.$$"; echo "refused disk"; return; }
  fi
  load "$my_id"
  if [ "$digest" != "$my_digest" ]; then echo "refused digest $digest"; return; fi
  if [ -z "$vboot" ]; then
    other=$(others)
    if [ -n "$other" ] && withdraw; then echo "refused $other"; return; fi
    detach /bin/sh "$own/$my_id/run" supervise "$own/$my_id" "$log_bytes" "$log_files" >/dev/null 2>&1 <<HOSTLER_LAUNCH
{
umask $mask
$launch
}
HOSTLER_LAUNCH
  fi
  uptime
  until=$((now + wait)) begun=$((now + 1000))
  while said=$(phase "$my_id"); do
    case "$said " in *' pending '*) nap ;; *) break ;; esac
    uptime
    [ "$now" -lt "$until" ] || break
    # a supervisor that was killed before it was one never comes, and nobody may say so as long as this shell lives
    [ -f "$own/$my_id/supervisor" ] || [ "$now" -lt "$begun" ] || break
  done
  load "$my_id"
  # what could not be installed leaves nothing behind
  if [ -f "$d/failed" ] && [ -f "$d/exit" ]; then
    read -r why <"$d/failed"
    mv "$d" "$own/.gone.$my_id.$$" && rm -rf "$own/.gone.$my_id.$$"
    echo "failed $why"
    return
  fi
  echo "$said"
}
