#!/usr/bin/env bash
# Installs what this machine lacks, and only that. Called by make; safe to run by hand, any number of times, offline too
# when nothing is missing.
#
#   scripts/setup.sh build     what it takes to build: cargo, a C compiler, a toolchain for WebAssembly guests
#   scripts/setup.sh shop      what examples/shop runs: Redis, Python
#   scripts/setup.sh fuzz      what `make fuzz` has beside that: a C++ compiler, for the engine
#   scripts/setup.sh peers     what `make bench` measures beside Hostler: runit, s6, supervisord; goes on without one that cannot be had
#
# Several may be named at once. Everything apt says goes to target/setup.log.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
mkdir -p target
log=target/setup.log
target=wasm32-unknown-unknown
rust_minimum=1.95

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$1" >&2; shift; for line in "$@"; do printf '       %s\n' "$line" >&2; done; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
listed() { local joined; printf -v joined '%s, ' "$@"; printf '%s' "${joined%, }"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif have sudo; then sudo "$@"
    else die "installing packages takes root, and there is no sudo here; as root, run" "apt-get install -y --no-install-recommends ${packages[*]}"
    fi
}

# A server that a package brings is not wanted as a system service: the examples run their own.
# Debian asks this file; it exists only while we install, and only if there was none.
policy=/usr/sbin/policy-rc.d
start_no_services() { [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null; as_root chmod +x $policy; trap 'as_root rm -f $policy' EXIT; }; }
services_as_before() { [ -z "$(trap -p EXIT)" ] || { as_root rm -f $policy; trap - EXIT; }; }

apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 "$@" >>$log 2>&1 </dev/null; }

# Tries with the package lists as they are, then with fresh ones, then once more.
install() {
    local packages=("$@")
    have apt-get || die "missing: $(listed "$@"). This machine has no apt-get; install them with its own package manager, then run this again."
    say "installing $(listed "$@")"
    : >$log
    start_no_services
    if apt install --no-install-recommends "$@" || { apt update; apt install --no-install-recommends "$@"; } || { sleep 5; apt update; apt install --no-install-recommends "$@"; }; then
        services_as_before
        return 0
    fi
    services_as_before
    return 1
}
installed_or_die() { install "$@" || die "apt-get could not install $(listed "$@"); its last words ($log has all of them):" "" "$(tail -n 8 $log)"; }

newest() { printf '%s\n' "$@" | sort -V | tail -n 1; }

host_compiler() {
    have cargo || die "cargo is missing. Rust comes with rustup:" "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    local version
    version=$(rustc --version | cut -d' ' -f2)
    [ "$(newest "$version" $rust_minimum)" = "$version" ] || die "rustc is $version, Hostler needs $rust_minimum or newer:" "rustup update stable"
    # SQLite and the TLS library are partly C
    have cc || installed_or_die gcc libc6-dev
}

has_target() { local dir; dir=$("$1" --print target-libdir --target $target 2>/dev/null) && compgen -G "$dir/libstd-*" >/dev/null; }
has_debians_toolchain() {
    [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] && compgen -G '/usr/bin/wasm-ld*' >/dev/null &&
        [ -f "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]
}

# Guests are compiled for WebAssembly: by rustup's toolchain where the target can be downloaded, else by Debian's.
guest_compiler() {
    has_target rustc && return
    if have rustup; then
        say "adding the Rust target $target"
        timeout 120 rustup target add $target >>$log 2>&1 && has_target rustc && return
        say "rustup could not get it; trying Debian's toolchain"
    fi
    has_debians_toolchain && return
    install rustc-web cargo-web rust-web-src lld-22 && has_debians_toolchain && return
    die "no toolchain for WebAssembly guests could be installed; either of these is enough, run one and try again:" \
        "rustup target add $target" "apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src lld-22" "" "the last words of the attempt ($log):" "$(tail -n 5 $log)"
}

shop() {
    local missing=()
    have redis-server && have redis-cli || missing+=(redis-server)
    # Debian's smallest python3 comes without the standard library
    /usr/bin/python3 -c 'import http.server, json, socketserver, subprocess' 2>/dev/null || missing+=(python3-minimal libpython3-stdlib)
    [ ${#missing[@]} = 0 ] && return
    installed_or_die "${missing[@]}"
    # where the machine has a systemd, the package also asked for a start at every boot
    if [ -d /run/systemd/system ] && [[ " ${missing[*]} " == *" redis-server "* ]]; then as_root systemctl disable --quiet --now redis-server >>$log 2>&1 || true; fi
}

# The benches say of each that is missing that it is, and measure the others: nothing here is worth ending for.
peers() {
    local package program
    for package in runit:runsvdir s6:s6-svscan supervisor:supervisord; do
        program=${package#*:} package=${package%:*}
        have "$program" && continue
        # in a shell of its own, which may die
        (install "$package") || { say "$package could not be installed; its figures will be missing ($log says why)"; continue; }
        if [ -d /run/systemd/system ] && [ "$package" = supervisor ]; then as_root systemctl disable --quiet --now supervisor >>$log 2>&1 || true; fi
    done
}

[ $# -gt 0 ] || die "say what to set up: build, shop, fuzz, peers"
for part in "$@"; do
    case $part in
        build) host_compiler; guest_compiler ;;
        shop) shop ;;
        fuzz) have c++ || installed_or_die g++ ;;
        peers) peers ;;
        *) die "there is nothing called '$part' to set up: build, shop, fuzz, peers" ;;
    esac
done
