//! What a container carries of its task, and what finds it again.

use hostler_sdk::host::containers::{Container, Limits};
use hostler_sdk::{Handle, TaskId};
use serde::{Deserialize, Serialize};

/// Written by the host alone: whose it is.
pub(crate) const OWNER: &str = "hostler.owner";
/// The task's id.
pub(crate) const TASK: &str = "hostler.task";
/// Which workspace the task is in.
pub(crate) const WORKSPACE: &str = "hostler.workspace";
/// The service it is a replica of.
pub(crate) const SERVICE: &str = "hostler.service";
/// Which replica.
pub(crate) const REPLICA: &str = "hostler.replica";
/// Which life of it.
pub(crate) const RUN: &str = "hostler.run";
/// The digest of the spec it was made from.
pub(crate) const DIGEST: &str = "hostler.digest";
/// Identifies everything but the limits, which can change while it runs.
pub(crate) const SAME: &str = "hostler.same";
/// The limits it was made with.
pub(crate) const LIMITS: &str = "hostler.limits";

/// What finds a task again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) engine: String,
    /// The engine's id, never a name: another container may get that.
    pub(crate) container: String,
    /// The task's id.
    pub(crate) task: String,
    /// Of one that was there before us: when the life that was taken over began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) taken: Option<u64>,
}

impl Handle for Held {}

impl Held {
    /// Is what is there now the life that was taken over? Of a container of our own there is only one.
    pub(crate) fn is_this_life(&self, container: &Container) -> bool {
        self.taken.is_none_or(|began| container.started_at.unwrap_or(0) == began)
    }
}

/// The name of a task's container: owner and id, which are `[a-z0-9-]` and short. Ids that begin with their owner say it once.
pub(crate) fn name(owner: &str, task: &str) -> String {
    let says_it = task.strip_prefix(owner).is_some_and(|rest| rest.starts_with('-'));
    if says_it { format!("hostler-{task}") } else { format!("hostler-{owner}-{task}") }
}

/// Labels of a task, for people and for `list`.
pub(crate) fn labels(id: &TaskId, digest: &str, same: &str, limits: &Limits) -> Vec<(String, String)> {
    let fixed = [
        (TASK, id.id.clone()),
        (WORKSPACE, id.workspace.clone()),
        (SERVICE, id.service.clone()),
        (REPLICA, id.replica.to_string()),
        (RUN, id.run.to_string()),
        (DIGEST, digest.to_owned()),
        (SAME, same.to_owned()),
        (LIMITS, limits_written(limits)),
    ];
    fixed.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Which limits there are, in one word: a limit that is there cannot be lifted while a container runs.
pub(crate) fn limits_written(limits: &Limits) -> String {
    let given = [
        ("cpu", limits.cpu_millis.is_some()),
        ("memory", limits.memory_bytes.is_some()),
        ("swap", limits.memory_swap_bytes.is_some()),
        ("pids", limits.processes.is_some()),
    ];
    given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect::<Vec<_>>().join(",")
}

/// Identifies a text within one service: FNV-1a, in 64 bits.
pub(crate) fn digest(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
