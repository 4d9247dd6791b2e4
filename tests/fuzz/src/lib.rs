//! What must hold of everything that others wrote: functions from bytes, each of which panics when a promise is broken.
//!
//! `make fuzz` hands them to libFuzzer, which looks for bytes that reach new code; `tests/replay.rs` plays the ones that were found worth
//! keeping (`corpus/TARGET/*`), so that `make test` has every find of the past.

mod directory;
mod targets;

/// What looks at bytes.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("spec", targets::spec::spec),
    ("env", targets::spec::env),
    ("compose", targets::compose::compose),
    ("words", targets::words::words),
    ("frames", targets::frames::frames),
    ("journal", targets::journal::journal),
    ("log", targets::log::log),
    ("segments", targets::log::segments),
    ("http", targets::http::http),
    ("answers", targets::answers::answers),
    ("core", targets::core::core),
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}
