//! What a guest's cargo may see of the environment it is started from.

use std::process::Command;

/// Cargo settings of a user or a company that a guest build needs: where crates come from and how to reach them.
const KEPT: [&str; 8] =
    ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_SOURCE_", "CARGO_TERM_", "RUSTUP_"];

/// Removes what an outer cargo, rustup or clippy leaves in the environment and what would break or slow a build for another
/// target: `RUSTC`, `RUSTFLAGS`, `CARGO_TARGET_DIR` (a deadlock on its lock), `LD_LIBRARY_PATH`, `RUSTC_WORKSPACE_WRAPPER`, …
pub(crate) fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(leaks) {
            command.env_remove(name);
        }
    }
    command
}

fn leaks(name: &str) -> bool {
    if name == "RUSTUP_TOOLCHAIN" {
        return true;
    }
    if KEPT.iter().any(|kept| name.starts_with(kept)) {
        return false;
    }
    name == "CARGO" || name == "LD_LIBRARY_PATH" || name.starts_with("CARGO_") || name.starts_with("RUST") || name.starts_with("__CARGO")
}

#[cfg(test)]
mod tests {
    use super::leaks;

    #[test]
    fn an_outer_build_is_forgotten() {
        for name in [
            "RUSTC",
            "RUSTDOC",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_WRAPPER",
            "CARGO",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_MANIFEST_DIR",
            "CARGO_MAKEFLAGS",
            "CARGO_PROFILE_RELEASE_LTO",
            "LD_LIBRARY_PATH",
        ] {
            assert!(leaks(name), "{name}");
        }
    }

    #[test]
    fn homes_mirrors_and_proxies_stay() {
        for name in ["CARGO_HOME", "RUSTUP_HOME", "CARGO_NET_OFFLINE", "CARGO_HTTP_CAINFO", "PATH", "HTTPS_PROXY", "HOME"] {
            assert!(!leaks(name), "{name}");
        }
    }
}
