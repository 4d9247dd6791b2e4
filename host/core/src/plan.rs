//! What applying a set of services would do: a plan that can be printed, tested and carried out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::spec::{ServiceName, Spec};

/// What happens to one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is new.
    Create,
    /// Its task stays: what the host does with it changes, or what its backend changes while it runs.
    UpdateLive,
    /// Its task is stopped and a new one is started.
    Recreate,
    /// It is stopped and taken away.
    Remove,
    /// Nothing.
    Unchanged,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which service.
    pub service: ServiceName,
    /// What happens to it.
    pub kind: ChangeKind,
}

/// Compares what is wanted now with what would be; one line per service, by name.
pub fn plan(now: &BTreeMap<ServiceName, &Spec>, then: &BTreeMap<ServiceName, Spec>) -> Vec<Change> {
    let names: BTreeSet<&ServiceName> = now.keys().chain(then.keys()).collect();
    names
        .into_iter()
        .map(|name| {
            let kind = match (now.get(name), then.get(name)) {
                (None, _) => ChangeKind::Create,
                (Some(_), None) => ChangeKind::Remove,
                (Some(before), Some(after)) => compare(before, after),
            };
            Change { service: name.clone(), kind }
        })
        .collect()
}

fn compare(before: &Spec, after: &Spec) -> ChangeKind {
    if before == after {
        ChangeKind::Unchanged
    } else if before.task_digest == after.task_digest || before.differs_live(after) {
        ChangeKind::UpdateLive
    } else {
        ChangeKind::Recreate
    }
}
