//! The targets under libFuzzer; `HOSTLER_FUZZ_TARGET` says which, all other words are the engine's own.
#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<hostler_fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("HOSTLER_FUZZ_TARGET").unwrap_or_default();
    hostler_fuzz::target(&name).unwrap_or_else(|| {
        let known: Vec<&str> = hostler_fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("HOSTLER_FUZZ_TARGET={name} is no target; there are: {}", known.join(", "));
        std::process::exit(2)
    })
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
