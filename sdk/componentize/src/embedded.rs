//! What `build.rs` put into this program: paths from the root of each tree, and texts.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The guests' own workspace, which says the versions that the SDK inherits.
pub(crate) const GUESTS: &str = include_str!("../../../plugins/Cargo.toml");

/// The versions that the built-in plugins are built and tested with.
pub(crate) const GUESTS_LOCK: &str = include_str!("../../../plugins/Cargo.lock");
