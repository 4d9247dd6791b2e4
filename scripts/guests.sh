#!/usr/bin/env bash
# Builds every guest of a workspace as a component, and removes components whose guest is gone: what lies in the folder is
# what the host gets.
#
#   scripts/guests.sh WORKSPACE OUT        e.g. scripts/guests.sh plugins target/plugins
set -euo pipefail
cd "$(dirname "$0")/.."
workspace=$1 out=$2

# the whole workspace's features, as everywhere: what is compiled here is not compiled again for the host
cargo build --release --workspace --bin hostler-componentize
built=$(target/release/hostler-componentize build --manifest "$workspace/Cargo.toml" --out "$out")
printf '%s\n' "$built"
for component in "$out"/*.wasm; do
    name=$(basename "$component" .wasm)
    grep -q "^$name " <<<"$built" || { rm -f "$component" "$out/$name.grants.json"; echo "$name  removed: it has no guest any more"; }
done
