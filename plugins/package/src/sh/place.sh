# Brings an archive over in parts, and unpacks it beside the other releases: whole, or not at all.
trap : HUP PIPE
umask 022
up=$root/.upload-$slot.$release whole=$root/releases/$release
mkdir -p "$root/releases" 2>/dev/null
[ -d "$root/releases" ] && [ -w "$root/releases" ] || { echo "refused directory"; up=; }

# there: is the release unpacked? Whoever removes what is old takes it for the newest then.
there() {
  [ -d "$whole" ] || return 1
  touch "$whole" 2>/dev/null
  rm -f "$root/.upload-$slot."*
}

# state: what is there already
state() {
  if there; then echo whole; return; fi
  at=0
  if [ -f "$up" ]; then at=$(($(wc -c <"$up"))); fi
  echo "at $at"
}

# add OFFSET: standard input, in base64, behind what is there
add() {
  at=0
  if [ -f "$up" ]; then at=$(($(wc -c <"$up"))); fi
  if [ "$at" -eq "$1" ] && ! base64 -d >>"$up"; then
    rm -f "$up"
    echo "refused disk"
    return
  fi
  state
}

# unpack SHA256: `expected` and `launch_text` print what has to come out, and how it is run
unpack() {
  if there; then echo whole; return; fi
  sum=$(sha256sum <"$up")
  if [ "${sum%% *}" != "$1" ]; then
    rm -f "$up"
    echo "refused digest"
    return
  fi
  # what others left that died in the middle of this; whoever lives may finish
  for f in "$root/releases/.new-$slot".*; do
    if [ -d "$f" ] && ! facts "${f##*.}"; then rm -rf "$f"; fi
  done
  new=$root/releases/.new-$slot.$$
  if mkdir "$new" && gzip -dc <"$up" | (cd "$new" && tar -xof -) && [ "$(listed)" = "$(expected)" ] &&
    chmod -R u+rwX,go+rX,go-w "$new" && launch_text >"$new/.launch" && sync; then
    if [ ! -d "$whole" ]; then mv "$new" "$whole"; fi
    rm -f "$up"
  fi
  rm -rf "$new" "$whole/.new-$slot.$$"
  if [ -d "$whole" ]; then echo whole; else echo "refused unpacked"; fi
}

# listed: every entry of the new release, as `f bin/app`
listed() {
  (
    cd "$new" || exit
    for t in d f l; do find . -type "$t" | sed "s,^\\./,$t ,"; done
    find . ! -type d ! -type f ! -type l
  ) | grep -v '^\.$' | LC_ALL=C sort
}
