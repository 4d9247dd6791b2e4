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
    /// Its task stays: only what the host does with it changes.
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
    /// Which parts of its spec differ.
    pub differs: Vec<String>,
}

/// Compares what is wanted now with what would be; one line per service, by name.
pub fn plan(now: &BTreeMap<ServiceName, &Spec>, then: &BTreeMap<ServiceName, Spec>) -> Vec<Change> {
    let names: BTreeSet<&ServiceName> = now.keys().chain(then.keys()).collect();
    names
        .into_iter()
        .map(|name| {
            let (kind, differs) = match (now.get(name), then.get(name)) {
                (None, _) => (ChangeKind::Create, Vec::new()),
                (Some(_), None) => (ChangeKind::Remove, Vec::new()),
                (Some(before), Some(after)) => compare(before, after),
            };
            Change { service: name.clone(), kind, differs }
        })
        .collect()
}

fn compare(before: &Spec, after: &Spec) -> (ChangeKind, Vec<String>) {
    if before == after {
        return (ChangeKind::Unchanged, Vec::new());
    }
    let parts = [
        ("kind", before.kind != after.kind),
        ("display_name", before.display_name != after.display_name),
        ("category", before.category != after.category),
        ("critical", before.critical != after.critical),
        ("enabled", before.enabled != after.enabled),
        ("labels", before.labels != after.labels),
        ("backend", before.backend != after.backend),
        ("dependencies", before.dependencies != after.dependencies),
        ("health_checks", before.checks != after.checks),
        ("restart", before.restart != after.restart),
        ("stop", before.stop != after.stop),
        ("timeout", before.timeout != after.timeout),
        ("resources", before.resources != after.resources),
        ("replicas", before.replicas != after.replicas),
        ("env", before.env != after.env),
        ("secrets", before.secrets != after.secrets),
        ("network", before.network != after.network),
    ];
    let differs = parts.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect();
    let kind = if before.task_digest == after.task_digest { ChangeKind::UpdateLive } else { ChangeKind::Recreate };
    (kind, differs)
}
