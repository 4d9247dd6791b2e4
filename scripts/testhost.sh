#!/usr/bin/env bash
# The machine that backends for real engines are tested on: a container with a real systemd, journald, dbus and sshd, and BusyBox.
# Builds its image once, and finds it again by the content of this recipe. Safe to run any number of times, at the same time too,
# and offline once the image is there.
#
#   scripts/testhost.sh          what it takes: a Docker engine that answers, the image; its last line is the image's name
#   scripts/testhost.sh name     only the name the image has, or would have
#
# What it needs and does not find, scripts/setup.sh testhost installs: docker.io, debootstrap.
# HOSTLER_DEBIAN_MIRROR names another mirror. The engine it starts, when none answers, stays; its log is target/dockerd.log.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p target
log=$PWD/target/testhost.log

say() { printf 'testhost: %s\n' "$*" >&2; }
die() { printf 'testhost: %s\n' "$1" >&2; shift; for line in "$@"; do printf '          %s\n' "$line" >&2; done; exit 1; }
have() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo; then sudo "$@"; else die "this takes root, and there is no sudo here: $*"; fi; }

# The same release as this machine, so that a hostler built here finds its C library there.
release=$(. /etc/os-release; [ "${ID-}" = debian ] && echo "${VERSION_CODENAME-}" || true)
release=${release:-bookworm}
mirror=${HOSTLER_DEBIAN_MIRROR:-http://deb.debian.org/debian}
# libpam-systemd and dbus-user-session are what makes a user's own systemd possible
packages=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,openssh-server,iproute2,iptables,procps,curl,busybox-static,nginx-light

# Runs in the new tree.
inside='
set -eu
useradd --create-home --shell /bin/bash deploy
# keys are made by whoever starts a container, so that nobody shares them; sshd waits for them, without failing
rm -f /etc/ssh/ssh_host_*
mkdir -p /etc/systemd/system/ssh.service.d
printf "[Unit]\nConditionPathExists=/etc/ssh/ssh_host_ed25519_key\n" > /etc/systemd/system/ssh.service.d/keys.conf
mkdir -p ~root/.ssh ~deploy/.ssh /run/sshd
chmod 700 ~root/.ssh ~deploy/.ssh
chown deploy:deploy ~deploy/.ssh
# a test may open many connections at once
printf "MaxStartups 100:30:200\nMaxSessions 200\nUseDNS no\n" > /etc/ssh/sshd_config.d/many.conf
# a service for tests to adopt; nobody asked for it to run
systemctl disable nginx.service ssh.socket
systemctl enable ssh.service
systemctl mask getty.target console-getty.service systemd-firstboot.service systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer
# user managers work in a container that has no session of its own
mkdir -p /var/lib/systemd/linger /var/log/journal
touch /var/lib/systemd/linger/deploy
rm -f /etc/machine-id /var/lib/dbus/machine-id
touch /etc/machine-id
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /usr/share/doc/* /usr/share/locale/* /usr/share/man/*
'

image=hostler-testhost:$(printf '%s\n' "$release" "$packages" "$inside" | sha256sum | cut -c1-12)
case ${1-} in
    name) echo "$image"; exit ;;
    '') ;;
    *) die "there is nothing called '$1' here: name, or nothing" ;;
esac

answers() { docker info >/dev/null 2>&1; }

engine() {
    answers && return
    have dockerd || die "no Docker engine answers, and there is no dockerd to start:" "scripts/setup.sh testhost"
    [ "$(id -u)" = 0 ] || ! have sudo || ! sudo docker info >/dev/null 2>&1 ||
        die "a Docker engine runs, but this user may not speak to it:" "sudo usermod -aG docker $(id -un)   and log in anew"
    say "starting a Docker engine (target/dockerd.log)"
    # in a session of its own: it is not to end with the terminal, and not to hold our lock
    PATH=$PATH:/usr/sbin:/sbin as_root setsid dockerd >target/dockerd.log 2>&1 </dev/null 9>&- &
    local _
    for _ in $(seq 300); do
        ! answers || return 0
        sleep 0.2
    done
    die "the Docker engine did not come up within a minute; its last words:" "$(tail -n 5 target/dockerd.log)"
}

build() {
    have debootstrap || die "debootstrap is missing:" "scripts/setup.sh testhost"
    say "building $image from Debian $release: about a minute, once"
    local tree
    tree=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "as_root rm -rf --one-file-system '$tree'" EXIT
    PATH=$PATH:/usr/sbin:/sbin as_root debootstrap --variant=minbase --include="$packages" "$release" "$tree/root" "$mirror" >"$log" 2>&1 ||
        die "debootstrap failed; its last words ($log has all of them):" "$(tail -n 8 "$log")"
    as_root chroot "$tree/root" /bin/sh -c "$inside" >>"$log" 2>&1 || die "the image's own set-up failed; its last words ($log):" "$(tail -n 8 "$log")"
    as_root tar -C "$tree/root" --one-file-system -c . | docker import --change 'CMD ["/sbin/init"]' - "$image" >>"$log"
}

# one at a time on this machine, whatever checkout it is called from
exec 9>"${TMPDIR:-/tmp}/hostler-testhost.lock"
flock 9
have docker || die "there is no docker here:" "scripts/setup.sh testhost"
engine
docker image inspect "$image" >/dev/null 2>&1 || build
echo "$image"
