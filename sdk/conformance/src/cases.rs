//! The cases themselves, by what they try.

pub(crate) mod checks;
pub(crate) mod crash;
pub(crate) mod faults;
pub(crate) mod lifecycle;
pub(crate) mod limits;
pub(crate) mod load;
pub(crate) mod looking;
pub(crate) mod security;

use hostler_wasm::words::{Fault, Phase, Status};
use hostler_wasm::{CallError, Failure};

/// Nothing of it is alive.
pub(crate) fn is_down(status: &Status) -> bool {
    matches!(status.phase, Phase::Exited(_) | Phase::Gone)
}

/// The plugin itself broke, instead of saying what is wrong.
pub(crate) fn broke(error: &CallError) -> bool {
    matches!(error.why, Failure::Trapped { .. } | Failure::Limit(_) | Failure::Deadline { .. })
}

pub(crate) fn is_fault(error: &CallError, kinds: &[&str]) -> bool {
    error.fault().is_some_and(|fault| kinds.contains(&kind(fault)))
}

pub(crate) fn kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::Invalid(_) => "invalid",
        Fault::Unavailable(_) => "unavailable",
        Fault::Interrupted(_) => "interrupted",
        Fault::Conflict(_) => "conflict",
        Fault::Denied(_) => "denied",
        Fault::Gone => "gone",
        Fault::Unsupported(_) => "unsupported",
        Fault::Other(_) => "other",
    }
}

/// For messages: a phase in a word or two.
pub(crate) fn phase(status: &Status) -> String {
    match &status.phase {
        Phase::Pending => "pending".to_owned(),
        Phase::Running => "running".to_owned(),
        Phase::Stopping => "stopping".to_owned(),
        Phase::Exited(exit) => format!("exited (code {:?}, signal {:?})", exit.code, exit.signal),
        Phase::Gone => "gone".to_owned(),
        Phase::Unknown(why) => format!("unknown ({why})"),
    }
}
