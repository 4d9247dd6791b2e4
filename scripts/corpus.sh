#!/usr/bin/env bash
# Writes tests/corpus/VERSION: the contract's text as it is now, and one backend in each language, made from today's templates. Run before a release,
# and never again for a version that is out: tests hold that its text does not change.
#
#   scripts/corpus.sh 0.1.0
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?which version: scripts/corpus.sh 0.1.0}
out=$PWD/tests/corpus/$version
command -v zstd >/dev/null || { echo "corpus: zstd is missing (apt-get install zstd)" >&2; exit 2; }
cargo build --release --workspace --bin hostler
hostler=$PWD/target/release/hostler
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$out"
rm -rf "$out/wit"
mkdir "$out/wit"
cp -r wit/plugin wit/host "$out/wit/"
for language in rust python javascript c; do
    (cd "$work" && $hostler plugin new "old-$language" --kind backend --lang $language >/dev/null && $hostler plugin build "old-$language" >/dev/null)
    zstd -q -19 --no-check -f "$work/old-$language/old-$language.wasm" -o "$out/$language.wasm.zst"
    printf '%s  %s bytes\n' "$language" "$(stat -c %s "$out/$language.wasm.zst")"
done
