#!/usr/bin/env bash
# Everything, in an order in which the cheap and the needed come first. Called by `make test`.
# Building stops at the first failure; tests and checks all run, and the last line counts them.
set -euo pipefail
cd "$(dirname "$0")/.."
log=target/test.log
: >$log
passed=0 failed=0
failures=()
began=$SECONDS

heading() { printf '\n== %s  (%d:%02d)\n' "$1" $(((SECONDS - began) / 60)) $(((SECONDS - began) % 60)); }

# Runs tests of cargo, and counts them by cargo's own lines.
tests() {
    local what=$1 out good bad
    shift
    heading "$what"
    out=$(mktemp)
    "$@" 2>&1 | tee "$out" | tee -a $log || failures+=("$what")
    good=$(awk '/^test result:/ { sum += $4 } END { print sum + 0 }' "$out")
    bad=$(awk '/^test result:/ { sum += $6 } END { print sum + 0 }' "$out")
    passed=$((passed + good)) failed=$((failed + bad))
    # a test that did not even compile, or a run without a single test, is a failure that cargo does not count
    if [ "$bad" = 0 ] && { [ "$good" = 0 ] || [[ " ${failures[*]-} " == *" $what "* ]]; }; then
        failed=$((failed + 1))
        [[ " ${failures[*]-} " == *" $what "* ]] || failures+=("$what: no test ran")
    fi
    rm -f "$out"
}

# One thing that holds or does not.
check() {
    local what=$1
    shift
    heading "$what"
    if "$@" 2>&1 | tee -a $log; then passed=$((passed + 1)); else failed=$((failed + 1)) && failures+=("$what"); fi
}

formatted() {
    local manifest bad=0
    for manifest in Cargo.toml plugins/Cargo.toml tests/fixtures/Cargo.toml; do
        cargo fmt --all --check --manifest-path $manifest >/dev/null || { echo "not formatted: $manifest (make format)"; bad=1; }
    done
    return $bad
}

# Newer compilers know more lints: what they say is shown, and only what the project's own version says must be nothing.
lints() {
    local strict=()
    [[ $(rustc --version) != "rustc 1.95."* ]] || strict=(-D warnings)
    cargo clippy --release --workspace --all-targets --quiet -- "${strict[@]}"
}

# A host built without plugins/process, to show that nothing else in it runs processes.
variant_without_process() {
    local dir=target/plugins-without-process
    rm -rf $dir && mkdir -p $dir
    for component in target/plugins/*.wasm; do
        [ "$(basename "$component")" = process.wasm ] || cp -p "$component" $dir/
    done
    HOSTLER_PLUGINS_DIR=$PWD/$dir cargo build --release --workspace --bin hostler
    cp target/release/hostler target/release/hostler-without-process
}

# With its failpoints, for the crash sweep. Cargo keeps these builds of our own rooms beside the plain ones; what they are made from is shared.
variant_with_failpoints() {
    cargo build --release --workspace --bin hostler --features hostler/failpoints
    cp target/release/hostler target/release/hostler-failpoints
}

heading "guests"
scripts/guests.sh plugins target/plugins
scripts/guests.sh tests/fixtures target/fixtures

heading "host"
variant_without_process
variant_with_failpoints
cargo build --release --workspace --bin hostler
export HOSTLER_BIN=$PWD/target/release/hostler HOSTLER_WITHOUT_PROCESS=$PWD/target/release/hostler-without-process
export HOSTLER_FAILPOINTS_BIN=$PWD/target/release/hostler-failpoints

tests "the host's workspace: units, rooms, tidy, end to end" cargo test --release --workspace --no-fail-fast
tests "plugins and SDK" cargo test --release --manifest-path plugins/Cargo.toml --target-dir target/guests --workspace --no-fail-fast
check "the demo" /usr/bin/python3 scripts/demo.py
if cargo fmt --version >/dev/null 2>&1; then check "formatting" formatted; fi
if cargo clippy --version >/dev/null 2>&1; then check "lints" lints; fi

printf '\n'
for failure in "${failures[@]}"; do printf 'failed: %s\n' "$failure"; done
printf 'everything took %d:%02d; the whole output is in %s\n' $(((SECONDS - began) / 60)) $(((SECONDS - began) % 60)) $log
printf '%d passed, %d failed\n' $passed $failed
[ $failed = 0 ]
