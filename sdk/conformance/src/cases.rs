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

use crate::case::{Kept, Stop, failed};

/// Late so often in a row, a call is late by itself; before, the machine may have stood still.
const OVERRUNS: usize = 3;

/// Nothing of it is alive.
pub(crate) fn is_down(status: &Status) -> bool {
    matches!(status.phase, Phase::Exited(_) | Phase::Gone)
}

/// The plugin itself broke, instead of saying what is wrong.
pub(crate) fn broke(error: &CallError) -> bool {
    matches!(error.why, Failure::Trapped { .. } | Failure::Limit(_) | Failure::Deadline { .. })
}

/// It was not back when its time was over.
pub(crate) fn overran(error: &CallError) -> bool {
    matches!(error.why, Failure::Deadline { .. })
}

/// Makes calls that answer which of them broke; again as long as one of them is late each time, and nothing else breaks.
pub(crate) async fn unbroken(how: &str, mut calls: impl AsyncFnMut() -> Result<Vec<(&'static str, CallError)>, Stop>) -> Kept {
    let mut late: Option<Vec<&'static str>> = None;
    for nth in 1..=OVERRUNS {
        let mut broken = calls().await?;
        let trapped = broken.iter().position(|(_, error)| !overran(error));
        if trapped.is_none() {
            broken.retain(|(call, _)| late.as_ref().is_none_or(|late| late.contains(call)));
        }
        match broken.get(trapped.unwrap_or(0)) {
            None => return Ok(()),
            Some((call, error)) if trapped.is_some() || nth == OVERRUNS => return failed(format!("when {how}, {call} breaks: {error}")),
            Some(_) => late = Some(broken.iter().map(|(call, _)| *call).collect()),
        }
    }
    Ok(())
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
