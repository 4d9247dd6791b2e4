# guard SECONDS DIR READERS…: ends what runs in DIR when its time is over, and tidies up if nobody else is left to.
t=$2
sleep "$1" 2>/dev/null || { [ "${1%.*}" -gt 0 ] && sleep "${1%.*}"; } || sleep 1
# the directory may be gone with its task, and a redirection that fails ends a shell
(: >"$t/late")
# by pid and start time: the one who waits may be dead, and the number a stranger's
if read -r p s <"$t/pid"; then slay "$p" "$s"; fi
shift 2
sleep 1
kill "$@"
rm -rf "$t"
