//! What was changed while it runs: a container's labels cannot be, so that the plugin's own memory says it.

use hostler_sdk::Fault;
use hostler_sdk::host::state;
use serde::{Deserialize, Serialize};

/// Under this and the task's id.
const KEY: &str = "changed/";

/// What its labels do not say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) digest: String,
    /// Which limits there are now.
    pub(crate) limits: String,
}

/// What was changed of a task, if anything was.
pub(crate) fn of(task: &str) -> Result<Option<Change>, Fault> {
    let kept = state::get(&key(task))?;
    Ok(kept.and_then(|kept| serde_json::from_slice(&kept).ok()))
}

/// Its digest since then.
pub(crate) fn digest(task: &str) -> Result<Option<String>, Fault> {
    Ok(of(task)?.map(|change| change.digest))
}

/// The tasks of which something was changed.
pub(crate) fn tasks() -> Result<Vec<String>, Fault> {
    Ok(state::keys(KEY)?.into_iter().filter_map(|key| key.strip_prefix(KEY).map(str::to_owned)).collect())
}

pub(crate) fn remember(task: &str, change: &Change) -> Result<(), Fault> {
    let text = serde_json::to_vec(change).map_err(|error| Fault::Other(error.to_string()))?;
    Ok(state::set(&key(task), &text)?)
}

pub(crate) fn forget(task: &str) -> Result<(), Fault> {
    Ok(state::delete(&key(task))?)
}

fn key(task: &str) -> String {
    format!("{KEY}{task}")
}
