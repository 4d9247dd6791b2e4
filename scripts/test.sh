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

# What takes the processor runs aside while other tests wait, and its compilers yield to them; and what waits long runs aside while others
# work. Its output is shown when it is its turn.
aside() {
    local said=$1 code=0
    shift
    bash -c "$(declare -f guests_tests lints engines_tests); $*" >"$said" 2>&1 || code=$?
    echo $code >"$said.code"
}
said() { cat "$1"; return "$(cat "$1.code")"; }

# Test programs of the workspace that mostly wait; they are run by themselves.
waiting="hostler engines sweep torture"

# All others.
other_tests() {
    cargo metadata --no-deps --format-version 1 | /usr/bin/python3 -c '
import json, sys
waiting = [("--test", name) for name in sys.argv[1].split()]
for package in json.load(sys.stdin)["packages"]:
    for target in package["targets"]:
        kind = {"test": "--test", "bin": "--bin"}.get(target["kind"][0])
        if kind and target["test"] and (kind, target["name"]) not in waiting:
            print(kind, target["name"])' "$waiting"
}

# Where cargo has put a test program.
program() { echo "$PWD/$(cargo test --release --workspace --test "$1" --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p')"; }

engines_tests() { cd tests/engines && RUST_TEST_THREADS=$(($(nproc) + 2)) "$engines"; }

guests_tests() {
    local what=(--release --manifest-path plugins/Cargo.toml --target-dir target/guests --workspace)
    nice -n 19 cargo test "${what[@]}" --no-run && cargo test "${what[@]}" --no-fail-fast
}

formatted() {
    local manifest bad=0
    for manifest in Cargo.toml plugins/Cargo.toml tests/fixtures/Cargo.toml; do
        cargo fmt --all --check --manifest-path $manifest >/dev/null || { echo "not formatted: $manifest (make format)"; bad=1; }
    done
    rustfmt --check --edition 2024 sdk/templates/rust/*/src/lib.rs >/dev/null || { echo "not formatted: sdk/templates/rust (rustfmt --edition 2024)"; bad=1; }
    return $bad
}

# Newer compilers know more lints: what they say is shown, and only what the project's own version says must be nothing.
lints() {
    local strict=()
    [[ $(rustc --version) != "rustc 1.95."* ]] || strict=(-D warnings)
    nice -n 19 cargo clippy --release --workspace --all-targets --quiet -- "${strict[@]}"
}

# A host built without plugins/process, to show that nothing else in it runs processes.
variant_without_process() {
    local dir=target/plugins-without-process
    rm -rf $dir && mkdir -p $dir
    for file in target/plugins/*.wasm target/plugins/*.grants.json; do
        case $(basename "$file") in process.*) ;; *) cp -p "$file" $dir/ ;; esac
    done
    HOSTLER_PLUGINS_DIR=$PWD/$dir cargo build --release --workspace --bin hostler
    cp target/release/hostler target/release/hostler-without-process
}

# With its failpoints, for the crash sweep. Cargo keeps these builds of our own rooms beside the plain ones; what they are made from is shared.
# Nobody asks how fast it is.
variant_with_failpoints() {
    local package quick=()
    for package in hostler hostler-{keeper,ledger,server,store,wasm}; do quick+=(--config "profile.release.package.$package.opt-level=1"); done
    cargo build --release --workspace --bin hostler --features hostler/failpoints "${quick[@]}"
    cp target/release/hostler target/release/hostler-failpoints
}

heading "guests"
scripts/guests.sh plugins target/plugins
scripts/guests.sh tests/fixtures target/fixtures
scripts/examples.sh

heading "host"
variant_without_process
variant_with_failpoints
cargo build --release --workspace --bin hostler
export HOSTLER_BIN=$PWD/target/release/hostler HOSTLER_WITHOUT_PROCESS=$PWD/target/release/hostler-without-process
export HOSTLER_FAILPOINTS_BIN=$PWD/target/release/hostler-failpoints

heading "tests, compiled"
cargo test --release --workspace --no-run
end_to_end=$(program hostler) engines=$(program engines) sweep=$(program sweep) torture=$(program torture)
export engines
# The guests' tests come first: they have a folder of their own to build in, and the tests below begin meanwhile.
{
    aside target/guests-tests.out guests_tests
    if cargo clippy --version >/dev/null 2>&1; then aside target/lints.out lints; fi
} &
tests "examples in the documentation" cargo test --release --workspace --no-fail-fast --doc
# shellcheck disable=SC2046 # one word each
tests "the host's workspace: units, rooms, tidy" cargo test --release --workspace --no-fail-fast --lib $(other_tests)
# Most of these wait, for engines, processes and clocks: more at a time than there are cores, and both at once. Without cargo, which waits for
# the lints; it would tell them where its toolchains are, which they cannot find from a home of their own. The rooms' tests above are over:
# they have control groups of their own, and a systemd in a container clears the machine's.
[ ! -d "${RUSTUP_HOME:-$HOME/.rustup}" ] || export RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}"
aside target/engines.out engines_tests &
RUST_TEST_THREADS=$(($(nproc) + 2)) tests "end to end" env --chdir tests/e2e "$end_to_end"
tests "kills at random" env --chdir tests/torture "$torture"
tests "kills at every step" env --chdir tests/sweep "$sweep"
check "the demo" /usr/bin/python3 scripts/demo.py
if cargo fmt --version >/dev/null 2>&1; then check "formatting" formatted; fi
wait
tests "engines" said target/engines.out
tests "plugins and SDK" said target/guests-tests.out
if cargo clippy --version >/dev/null 2>&1; then check "lints" said target/lints.out; fi

# Whoever sees only the end of the output sees why.
if [ $failed != 0 ]; then
    heading "what failed"
    grep -E -A 12 '^thread .* panicked at' $log | cut -c 1-600 | head -n 150 || true
fi
printf '\n'
for failure in "${failures[@]}"; do printf 'failed: %s\n' "$failure"; done
printf 'everything took %d:%02d; the whole output is in %s\n' $(((SECONDS - began) / 60)) $(((SECONDS - began) % 60)) $log
printf '%d passed, %d failed\n' $passed $failed
[ $failed = 0 ]
