#!/usr/bin/env bash
# An image with a real PostgreSQL, for tests where no registry of images can be reached: the test host's, with Debian's package.
# Built once, and found again by its recipe. Its last line is the image's name.
#
#   scripts/postgres.sh          builds it when it is not there
#   scripts/postgres.sh name     only the name it has, or would have
set -euo pipefail
cd "$(dirname "$0")/.."
base=$(scripts/testhost.sh name)
inside='
set -eu
export DEBIAN_FRONTEND=noninteractive
# installing a server must not start one
printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
mkdir -p /etc/postgresql-common
printf "create_main_cluster = false\n" >/etc/postgresql-common/createcluster.conf
apt-get update
apt-get install -y --no-install-recommends postgresql
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/*
'
image=hostler-postgres:$(printf '%s\n' "$base" "$inside" "$(cat examples/stack/db/entrypoint.sh)" | sha256sum | cut -c1-12)
if [ "${1-}" = name ]; then echo "$image"; exit; fi
scripts/testhost.sh >/dev/null
if ! docker image inspect "$image" >/dev/null 2>&1; then
    made=$(docker create --network host --entrypoint sh "$base" -c "$inside")
    trap 'docker rm --force --volumes "$made" >/dev/null' EXIT
    docker cp --quiet examples/stack/db/entrypoint.sh "$made:/usr/local/bin/entrypoint.sh"
    docker start --attach "$made" >target/postgres.log 2>&1 || { tail -n 20 target/postgres.log >&2; exit 1; }
    docker commit --change 'ENTRYPOINT ["/usr/local/bin/entrypoint.sh"]' --change 'CMD []' --change 'EXPOSE 5432' "$made" "$image" >/dev/null
fi
echo "$image"
