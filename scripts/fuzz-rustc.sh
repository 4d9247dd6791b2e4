#!/usr/bin/env bash
# The compiler of `make fuzz` (RUSTC_WRAPPER): the crates that read what others wrote are compiled with libFuzzer's counters and with every
# check on. The rest stays as it is: a counter in wasmtime would say nothing about an input.
set -euo pipefail
name='' for_target=''
previous=''
for word in "$@"; do
    case $previous in
        --crate-name) name=$word ;;
        --target) for_target=yes ;;
    esac
    previous=$word
done
# build scripts and macros run in the compiler, where no engine is
[ "$for_target" ] || exec "$@"
case $name in
    hostler | hostler_* | toml | toml_* | winnow | saphyr_parser | serde_json | hyper | httparse | http | axum | axum_core | matchit | serde_urlencoded | form_urlencoded) ;;
    *) exec "$@" ;;
esac
exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cdebug-assertions=on -Coverflow-checks=on
