#!/bin/sh
# Tells over HTTP which database it was given, and whether somebody listens there. BusyBox is all it needs.
set -eu
www=$(mktemp -d)
trap 'rm -rf "$www"; kill "$server" 2>/dev/null || true' EXIT
trap 'exit 0' TERM INT
mkdir "$www/cgi-bin"
printf '%s\n' "$DATABASE" >"$www/database"
cat >"$www/cgi-bin/health" <<'CGI'
#!/bin/sh
database=$(cat ../database)
if busybox nc -w 2 "${database%:*}" "${database##*:}" </dev/null >/dev/null 2>&1; then
    printf 'Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nthe database listens at %s\n' "$database"
else
    printf 'Status: 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\nnobody listens at %s\n' "$database"
fi
CGI
chmod 755 "$www/cgi-bin/health"
busybox httpd -f -h "$www" -p "127.0.0.1:$PORT" &
server=$!
echo "the database is at $DATABASE"
wait "$server"
