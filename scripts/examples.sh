#!/usr/bin/env bash
# Builds the plugins of examples/plugins as components in target/examples, as their authors would. What is newer than all it is made of stays.
set -euo pipefail
cd "$(dirname "$0")/.."
out=target/examples
tool=target/release/hostler-componentize
mkdir -p $out

cargo build --release --workspace --bin hostler-componentize
for manifest in examples/plugins/*/plugin.toml; do
    dir=$(dirname "$manifest")
    component=$out/$(basename "$dir").wasm
    # -L: the SDK lies there as links
    if [ -f "$component" ] && [ -z "$(find -L "$dir" wit $tool -newer "$component" -type f -not -path '*/target/*' -not -path '*/test/*' -print -quit)" ]; then
        continue
    fi
    $tool project "$dir" --out "$component"
    touch "$component"
done
# in Rust with the target directory of all guests: the standard library is there already
for manifest in examples/plugins/*/Cargo.toml; do
    $tool build --manifest "$manifest" --out $out --target-dir target/guests
done
