# guard SECONDS DIR READERS…: ends what runs in DIR when its time is over, and tidies up if nobody else is left to.
t=$2
sleep "$1" 2>/dev/null || { [ "${1%.*}" -gt 0 ] && sleep "${1%.*}"; } || sleep 1
: >"$t/late"
# by pid and start time: the one who waits may be dead, and the number a stranger's
if read -r p s <"$t/pid" && alive "$p" "$s"; then
  tries=0
  while rest=$(members "$p"); [ -n "$rest" ] && [ "$tries" -lt 20 ]; do
    kill -KILL $rest
    tries=$((tries + 1))
  done
fi
shift 2
sleep 1
kill "$@"
rm -rf "$t"
