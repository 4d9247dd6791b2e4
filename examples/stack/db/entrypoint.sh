#!/bin/sh
# What the official image of PostgreSQL does with its first variables, for the one that tests build from Debian's package.
set -eu
data=/var/lib/postgresql/data
bin=$(echo /usr/lib/postgresql/*/bin)
install -d -o postgres -g postgres -m 700 "$data"
as_postgres() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }
if [ ! -s "$data/PG_VERSION" ]; then
    as_postgres "$bin/initdb" --username "${POSTGRES_USER:-postgres}" --auth "${POSTGRES_HOST_AUTH_METHOD:-trust}" --pgdata "$data"
    echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-trust}" >>"$data/pg_hba.conf"
    as_postgres "$bin/postgres" --single -D "$data" postgres <<SQL
CREATE DATABASE "${POSTGRES_DB:-postgres}";
SQL
fi
exec setpriv --reuid postgres --regid postgres --clear-groups "$bin/postgres" -D "$data" -c "listen_addresses=*" -c unix_socket_directories=/tmp,/var/run/postgresql
