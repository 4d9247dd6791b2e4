# once DIR SECONDS MOST: runs $launch in a session of its own and prints its end, and at most so many bytes of each output.
# Who of that session is still alive when time is over is killed, whatever became of the link.
once() {
  trap : HUP PIPE
  t=$1
  umask 077
  mkdir "$t" && input >"$t/in" && write_guard >"$t/guard" && mkfifo "$t/o" "$t/e" && cd "$t" || { rm -rf "$t"; echo "refused disk"; return; }
  (head -c "$3" >"$t/out"; cat >/dev/null) <"$t/o" 2>/dev/null &
  readers=$!
  (head -c "$3" >"$t/err"; cat >/dev/null) <"$t/e" 2>/dev/null &
  readers="$readers $!"
  setsid /bin/sh "$t/guard" "$2" "$t" $readers >/dev/null 2>&1 </dev/null &
  guard=$!
  exec 7>&2 2>"$t/said"
  (
    exec setsid /bin/sh >"$t/o" 2>"$t/e" 7>&- <<HOSTLER_LAUNCH
IFS= read -r hostler_stat </proc/\$\$/stat
set -- \${hostler_stat##*) }
echo "\$\$ \${20}" >pid || exit 125
set --
$launch
HOSTLER_LAUNCH
  )
  code=$?
  exec 2>&7 7>&-
  read -r p s <"$t/pid" && kill -KILL "-$p" 2>/dev/null
  wait $readers
  kill -KILL "-$guard" 2>/dev/null
  kind=code
  if [ "$code" -gt 128 ]; then
    if [ -s "$t/said" ]; then
      kind=signal code=$((code - 128))
    else
      case $code in 130 | 141) kind=status ;; esac
    fi
  fi
  [ -f "$t/late" ] && kind=late
  echo "once $kind $code"
  for f in out err; do
    n=$(wc -c <"$t/$f") || n=0
    n=$((n))
    echo "data $f 0 $n"
    cat "$t/$f"
    echo
  done
  rm -rf "$t"
}
