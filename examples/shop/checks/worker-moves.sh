#!/bin/sh
# Is the worker moving? It leaves its tick in Redis, where it is gone after five seconds without another.
# usage: worker-moves.sh REDIS_PORT
set -eu
tick=$(redis-cli -h 127.0.0.1 -p "$1" --raw get shop:worker:tick)
case "$tick" in
    '') echo "no tick in the last five seconds"; exit 1 ;;
    *[!0-9]*) echo "redis says: $tick"; exit 1 ;;
    *) echo "at tick $tick" ;;
esac
