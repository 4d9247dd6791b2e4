#!/usr/bin/env bash
# Coverage-guided fuzzing with libFuzzer, on the stable compiler. Called by `make fuzz`.
#
#   scripts/fuzz.sh                     every target for a minute
#   SECONDS_EACH=600 TARGET=spec scripts/fuzz.sh
#   scripts/fuzz.sh replay spec FILE    plays one input, as it was when it was found
#   scripts/fuzz.sh keep spec           takes what was found into the corpus, as few and small files as reach the same code
#
# New inputs lie in target/fuzz/found/TARGET, crashes in target/fuzz/crashes/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
host=$(rustc -vV | sed -n 's/^host: //p')
dir=target/fuzz
program=$dir/$host/release/hostler-fuzz
targets=$(sed -n 's/^    ("\([a-z]*\)", targets::.*/\1/p' tests/fuzz/src/lib.rs)
# a single input longer than 5 s is a hang; one that takes more than 2 GiB is a flood
limits=(-timeout=5 -rss_limit_mb=2048 -max_len=16384)

say() { printf 'fuzz: %s\n' "$*"; }
die() { printf 'fuzz: %s\n' "$*" >&2; exit 2; }
known() { grep -qx -- "$1" <<<"$targets" || die "there is no target '$1'; there are: $(tr '\n' ' ' <<<"$targets")"; }
run() { HOSTLER_FUZZ_TARGET=$1 "$program" "${limits[@]}" "${@:2}"; }

# An own folder for all it compiles: counters and checks must not get into the ordinary build, nor its cache be thrown away.
build() {
    say "building, once with everything below it (about ten minutes on two cores), later only what changed"
    RUSTC_WRAPPER=$PWD/scripts/fuzz-rustc.sh cargo build --release --quiet -p hostler-fuzz --features engine --bin hostler-fuzz \
        --target "$host" --target-dir $dir --config profile.release.incremental=false
}

# The last line of the engine's own that has this word, and what stands behind it.
said() { grep -o "$1: *[0-9]*" "$2" | tail -n 1 | grep -o '[0-9]*$' || echo 0; }

fuzz() {
    local target=$1 found=$dir/found/$1 crashes=$dir/crashes/$1 log=$dir/$1.log before status=0
    mkdir -p "$found" "$crashes" "tests/fuzz/corpus/$target"
    before=$(find "$found" -type f | wc -l)
    local words=()
    [ ! -f "tests/fuzz/dictionaries/$target" ] || words=("-dict=tests/fuzz/dictionaries/$target")
    run "$target" "${words[@]}" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="$crashes/" \
        "$found" "tests/fuzz/corpus/$target" >"$log" 2>&1 || status=$?
    local executions features new
    executions=$(said 'stat::number_of_executed_units' "$log")
    features=$(grep -o 'ft: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)
    new=$(($(find "$found" -type f | wc -l) - before))
    printf '  %-10s %12d %9d %11d   %s\n' "$target" "$executions" "${features:-0}" "$new" "$([ $status = 0 ] && echo none || echo "FOUND")"
    [ $status = 0 ] && return
    failed+=("$target")
    local file
    file=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    if [ -n "$file" ]; then
        grep -m 3 -A 1 'panicked at\|libFuzzer: timeout\|libFuzzer: out-of-memory' "$log" | sed 's/^/    /'
        printf '    kept as %s; play it again: scripts/fuzz.sh replay %s %s\n' "$file" "$target" "$file"
    else
        printf '    it did not run; its last words (%s):\n%s\n' "$log" "$(tail -n 5 "$log")"
    fi
}

case ${1-} in
    replay)
        [ $# = 3 ] || die "scripts/fuzz.sh replay TARGET FILE"
        known "$2"
        build
        run "$2" "$3"
        ;;
    keep)
        [ $# = 2 ] || die "scripts/fuzz.sh keep TARGET"
        known "$2"
        build
        corpus=tests/fuzz/corpus/$2
        mkdir -p "$dir/found/$2" "$corpus"
        smaller=$(mktemp -d)
        run "$2" -merge=1 "$smaller" "$corpus" "$dir/found/$2" 2>&1 | tail -n 1
        # what has a name of its own was put there by hand, and stays; of the others some of every size fill it up
        find "$corpus" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
        room=$((180 - $(find "$corpus" -type f | wc -l)))
        find "$smaller" -type f -size -4k -printf '%s %p\n' | sort -n | cut -d' ' -f2 |
            awk -v room="$room" '{ file[NR] = $0 } END { most = NR < room ? NR : room; for (i = 0; i < most; i++) print file[int(i * NR / most) + 1] }' |
            xargs -r cp -t "$corpus"
        rm -rf "$smaller"
        say "$corpus: $(find "$corpus" -type f | wc -l) files, $(du -sk "$corpus" | cut -f1) KiB"
        ;;
    '')
        [ -z "${TARGET-}" ] || known "$TARGET"
        seconds=${SECONDS_EACH:-60}
        build
        failed=()
        say "each target for $seconds s, beginning with its corpus; whatever reaches new code is kept in $dir/found"
        printf '  %-10s %12s %9s %11s   %s\n' target executions features 'new inputs' crashes
        for target in ${TARGET:-$targets}; do fuzz "$target"; done
        [ ${#failed[@]} = 0 ] || { say "broken promises in: ${failed[*]}"; exit 1; }
        say "nothing was found"
        ;;
    *) die "replay TARGET FILE, keep TARGET, or nothing: every target" ;;
esac
