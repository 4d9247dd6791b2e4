//! Everything that the loop knows and reads may look at: the core, and what the core need not know.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use hostler_api::EventKind;
use hostler_api::config::Common;
use hostler_core::{Exit, Phase, Run, ServiceName, Time, Wanted};
use hostler_wasm::KeeperLink;
use hostler_wasm::words::{Handle, Status};

use crate::alerts::Alerting;
use crate::board::Observed;
use crate::discovery::Discoveries;
use crate::engines::Engines;
use crate::front::Front;
use crate::heartbeats::Heartbeats;
use crate::laps::Laps;
use crate::ledger::{self, HandleRecord, Origin, Written};
use crate::metrics::Latency;
use crate::operations::Operations;
use crate::plugins::Plugins;
use crate::secrets::Secrets;
use crate::stats::Meter;
use crate::telemetry::Telemetry;
use crate::workspaces::{CheckRates, EventRates, Workspaces};

/// Something with our tag that nobody knows.
#[derive(Debug, Clone)]
pub(crate) struct Stranger {
    pub(crate) handle: Handle,
    pub(crate) status: Status,
}

/// What reads may look at. Only the loop changes it.
pub(crate) struct Desk {
    pub(crate) core: Observed,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) engines: Arc<Engines>,
    pub(crate) discoveries: Arc<Discoveries>,
    /// What services beside the document have of it.
    pub(crate) common: Common,
    /// The TCP door.
    pub(crate) front: Arc<Front>,
    pub(crate) workspaces: Arc<Workspaces>,
    /// How fast each workspace's events come.
    pub(crate) event_rates: EventRates,
    /// How many checks beside their intervals each workspace may still ask for.
    pub(crate) check_rates: CheckRates,
    pub(crate) heartbeats: Arc<Heartbeats>,
    pub(crate) alerting: Arc<Alerting>,
    pub(crate) operations: Arc<Operations>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) keeper: Arc<KeeperLink>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) state_dir: PathBuf,
    pub(crate) owner: String,
    /// Counted up by every change of what is wanted.
    pub(crate) generation: u64,
    pub(crate) last_event: u64,
    /// How many commits the store has had, as of the last one of this host.
    pub(crate) commits: Option<u64>,
    /// How many events of each kind this host has told.
    pub(crate) told: BTreeMap<EventKind, u64>,
    /// How long the answers of each check took.
    pub(crate) latencies: BTreeMap<(ServiceName, String), Latency>,
    pub(crate) started_at: Time,
    pub(crate) shutting_down: bool,
    /// Why nothing can be committed now.
    pub(crate) trouble: Option<String>,
    /// Each service as it was written.
    pub(crate) written: BTreeMap<ServiceName, Written>,
    /// Who asked for each service that stands in no configuration.
    pub(crate) origins: BTreeMap<ServiceName, Origin>,
    pub(crate) handles: BTreeMap<Run, HandleRecord>,
    /// What the backend last said of each life.
    pub(crate) seen: BTreeMap<Run, Status>,
    /// When each start that is not judged yet was begun.
    pub(crate) begun: BTreeMap<Run, Time>,
    /// How long the last start of each replica took, in milliseconds.
    pub(crate) startup_ms: BTreeMap<(ServiceName, u32), u64>,
    /// Figures of the last result of each check.
    pub(crate) details: BTreeMap<(ServiceName, u32, String), BTreeMap<String, String>>,
    /// Where the time of restarts goes.
    pub(crate) laps: Laps,
    /// The backend that holds each life.
    pub(crate) holders: BTreeMap<Run, String>,
    /// Lives that are let go of instead of stopped.
    pub(crate) released: BTreeSet<Run>,
    /// What has our tag and nobody knows, by id, from the latest listing of each backend.
    pub(crate) strangers: BTreeMap<String, BTreeMap<String, Stranger>>,
}

impl Desk {
    /// The text form of a life: what backends write onto the real thing. `[a-z0-9-]`, at most 63 bytes, unique by its run.
    pub(crate) fn task_id(&self, service: &ServiceName, replica: u32, run: Run) -> String {
        task_id(&self.owner, service, replica, run)
    }

    /// The run in a task's id, when the id is one of ours.
    pub(crate) fn run_of(&self, id: &str) -> Option<Run> {
        let rest = id.strip_prefix(self.owner.as_str())?.strip_prefix('-')?;
        rest.rsplit_once('-')?.1.parse().ok()
    }

    /// Where what a call about this came to is told: in the workspace of the task or the service that it was about. What is about neither, and what
    /// is of `default`, is the host's.
    pub(crate) fn told_to(&self, about: &str) -> String {
        // Of a check it has the task before it.
        let id = about.split_once('/').map_or(about, |(id, _)| id);
        let owner = self.run_of(id).and_then(|run| self.core.owner_of(run));
        let name = owner.map(|(name, _)| name.clone()).or_else(|| ServiceName::read(id).ok());
        name.map_or_else(|| ledger::OF_THE_HOST.to_owned(), |name| ledger::of_workspace(name.workspace()))
    }

    /// Notes which backend holds a life.
    pub(crate) fn hold(&mut self, run: Run, backend: &str) {
        self.holders.entry(run).or_insert_with(|| backend.to_owned());
    }

    /// Does this backend hold that life? What another one says of it is not about it.
    pub(crate) fn is_held_by(&self, run: Run, backend: &str) -> bool {
        self.holders.get(&run).is_some_and(|holder| holder == backend)
    }

    /// Does this backend hold any life?
    pub(crate) fn has_lives_at(&self, backend: &str) -> bool {
        self.holders.values().any(|holder| holder == backend)
    }

    /// An attribute that the backend told of a life.
    pub(crate) fn attribute(&self, run: Run, name: &str) -> Option<&str> {
        let status = self.seen.get(&run)?;
        status.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Notes what a backend says of a life.
    pub(crate) fn note_seen(&mut self, run: Run, status: Status) {
        if self.seen.get(&run) == Some(&status) {
            return;
        }
        self.seen.insert(run, status);
        if let Some((name, _)) = self.core.owner_of(run) {
            self.core.board().take_down(name);
        }
    }

    /// Forgets everything beside the core about a service that is gone.
    pub(crate) fn forget_service(&mut self, name: &ServiceName) {
        self.startup_ms.retain(|(service, _), _| service != name);
        self.details.retain(|(service, ..), _| service != name);
        self.latencies.retain(|(service, _), _| service != name);
        self.heartbeats.forget(name);
    }

    /// Forgets the figures of checks that these services have no longer: names of checks are anybody's to choose, again and again.
    pub(crate) fn keep_checks(&mut self, changes: &[(ServiceName, Option<Wanted>)]) {
        let changed: BTreeMap<&ServiceName, &Wanted> = changes.iter().filter_map(|(name, wanted)| Some((name, wanted.as_ref()?))).collect();
        let stays = |name: &ServiceName, check: &str| changed.get(name).is_none_or(|wanted| wanted.spec.checks.iter().any(|spec| spec.name == check));
        self.details.retain(|(name, _, check), _| stays(name, check));
        self.latencies.retain(|(name, check), _| stays(name, check));
    }

    /// Forgets everything beside the core about a life.
    pub(crate) fn forget(&mut self, run: Run) {
        self.handles.remove(&run);
        self.holders.remove(&run);
        self.seen.remove(&run);
        self.begun.remove(&run);
        self.released.remove(&run);
    }
}

pub(crate) fn task_id(owner: &str, service: &ServiceName, replica: u32, run: Run) -> String {
    let slug: String = service.as_str().chars().take(24).map(|c| if matches!(c, '_' | '.') { '-' } else { c }).collect();
    format!("{owner}-{slug}-{replica}-{run}")
}

/// A plugin's word for where a task is, as the core's.
pub(crate) fn phase(status: &Status) -> Phase {
    use hostler_wasm::words::Phase as Said;
    match &status.phase {
        Said::Pending => Phase::Pending,
        Said::Running => Phase::Running,
        Said::Stopping => Phase::Stopping,
        Said::Exited(exit) => {
            Phase::Exited(Exit { code: exit.code, signal: exit.signal.clone(), out_of_memory: exit.out_of_memory, reason: exit.reason.clone() })
        }
        Said::Gone => Phase::Gone,
        Said::Unknown(reason) => Phase::Unknown(reason.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_id_still_fits() {
        let workspace = hostler_core::WorkspaceName::new("acme").expect("a name");
        let name = ServiceName::new(&"a_".repeat(31)).expect("62 good characters").within(&workspace);
        let id = task_id("h0123456789", &name, 999, u64::MAX);
        assert!(id.len() <= 63, "{id} has {}", id.len());
        assert!(id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
    }
}
