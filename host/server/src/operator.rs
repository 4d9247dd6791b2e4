//! The operator's view on disk, written behind the loop's back so that a slow disk does not slow decisions.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hostler_core::ServiceName;
use hostler_failpoint::failpoint;
use hostler_store::view::{ServiceView, View};
use hostler_wasm::record::Redactor;

use crate::desk::Desk;
use crate::ledger::Written;
use crate::speak::{self, Past};

/// What has changed is written this much later, once: a start alone changes a service three times.
const LATER: Duration = Duration::from_millis(200);
/// While so many services wait, it is a burst, in which whoever starts or stops needs the processors.
const CROWD: usize = 50;
/// A burst has an end, for this.
const LONGEST_BURST: Duration = Duration::from_secs(3);
/// How far behind everything else this stands for a processor.
const NICE: i32 = 10;

/// What waits to be written: only the newest of each service counts.
#[derive(Default)]
struct Waiting {
    shows: BTreeMap<ServiceName, Option<Show>>,
    health: Vec<(ServiceName, String)>,
    /// Counts what was added.
    added: u64,
    finished: bool,
}

struct Show {
    written: Written,
    state: hostler_api::ServiceDetail,
    pid: Option<u32>,
}

/// Writes `services/NAME/…` of the state directory.
pub(crate) struct Operator {
    waiting: Arc<(Mutex<Waiting>, Condvar)>,
    thread: Option<JoinHandle<()>>,
    /// What an earlier host showed.
    found: Vec<ServiceName>,
}

impl Operator {
    /// Begins to write; where it cannot, the host goes on without.
    pub(crate) fn new(state_dir: &Path) -> Operator {
        let waiting: Arc<(Mutex<Waiting>, Condvar)> = Arc::default();
        let for_thread = Arc::clone(&waiting);
        let begun = View::new(state_dir).and_then(|view| Ok((view.services()?, view)));
        let (found, thread) = match begun {
            Ok((found, view)) => (found, std::thread::Builder::new().name("view".to_owned()).spawn(move || write(&view, &for_thread)).ok()),
            Err(error) => {
                tracing::warn!(%error, "the view for operators is not written");
                (Vec::new(), None)
            }
        };
        let found = found.iter().filter_map(|name| ServiceName::read(name).ok()).collect();
        Operator { waiting, thread, found }
    }

    /// Shows all that there is, and takes away what an earlier host showed and did not live to take away itself.
    pub(crate) fn show_all(&self, desk: &Desk) {
        desk.core.names().chain(&self.found).for_each(|name| self.show(desk, name));
    }

    /// Shows a service as it is now, or takes it away when it is gone.
    pub(crate) fn show(&self, desk: &Desk, name: &ServiceName) {
        // What changes with every check belongs to `hostler status`, not on the disk.
        let state = speak::detail(desk, name.as_str(), Past::LeftOut);
        let show = state.map(|state| Show { written: written(desk, name), pid: state.service.pid, state });
        self.add(|waiting| {
            waiting.shows.insert(name.clone(), show);
        });
    }

    /// Adds a line to a service's health log.
    pub(crate) fn health(&self, name: &ServiceName, message: &str) {
        let line = format!("{} {message}", hostler_api::Timestamp(crate::clock::wall_ms()));
        self.add(|waiting| waiting.health.push((name.clone(), line)));
    }

    fn add(&self, change: impl FnOnce(&mut Waiting)) {
        let (waiting, wake) = &*self.waiting;
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut waiting);
        waiting.added += 1;
        wake.notify_one();
    }

    /// Writes what waits, and ends.
    pub(crate) fn finish(&mut self) {
        self.add(|waiting| waiting.finished = true);
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the thread itself.
            thread.join().ok();
        }
    }
}

/// How a service was written, without its secrets.
pub(crate) fn written(desk: &Desk, name: &ServiceName) -> Written {
    let written = desk.written.get(name).cloned().unwrap_or_default();
    let redactor = redactor(desk, name);
    if redactor.is_empty() { written } else { Written::from(&redactor.take_out(written.value())) }
}

/// What is secret of a service. Where a plugin cannot say which of its settings are, all of them may be.
pub(crate) fn redactor(desk: &Desk, name: &ServiceName) -> Redactor {
    let mut redactor = Redactor::default();
    let Some(wanted) = desk.core.wanted(name.as_str()) else { return redactor };
    let (backend, checks) = (&wanted.spec.backend, wanted.spec.checks.iter());
    for (plugin, settings) in checks.map(|check| (&check.plugin, &check.settings)).chain([(&backend.plugin, &backend.settings)]) {
        let settings = || serde_json::from_str(settings).unwrap_or_default();
        match desk.plugins.get(plugin) {
            Some(plugin) if plugin.has_secrets() => plugin.tell_secrets(&settings(), &mut redactor),
            Some(_) => {}
            None => redactor.learn_all(&settings()),
        }
    }
    redactor
}

/// Writes one service at a time: what changes again before its turn comes is written once, and what is gone by then not at all.
fn write(view: &View, shared: &(Mutex<Waiting>, Condvar)) {
    let (waiting, wake) = shared;
    // Of this thread alone; without it, it is only less polite.
    rustix::process::setpriority_process(None, NICE).ok();
    let mut last: Option<ServiceName> = None;
    loop {
        let (health, next) = {
            let guard = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let idle = |waiting: &mut Waiting| waiting.shows.is_empty() && waiting.health.is_empty() && !waiting.finished;
            let was_idle = guard.shows.is_empty();
            let mut guard = wake.wait_while(guard, idle).unwrap_or_else(PoisonError::into_inner);
            if was_idle {
                let since = Instant::now();
                loop {
                    let added = guard.added;
                    let rested = wake.wait_timeout_while(guard, LATER, |waiting| !waiting.finished);
                    guard = rested.unwrap_or_else(PoisonError::into_inner).0;
                    let in_burst = guard.added != added && guard.shows.len() >= CROWD && since.elapsed() < LONGEST_BURST;
                    if guard.finished || !in_burst {
                        break;
                    }
                }
            }
            (std::mem::take(&mut guard.health), take_after(&mut guard.shows, last.as_ref()))
        };
        last = next.as_ref().map(|(name, _)| name.clone());
        if health.is_empty() && next.is_none() {
            return;
        }
        failpoint!("host.view.before");
        for (name, line) in &health {
            report(view.append_health(name.as_str(), line));
        }
        match next {
            Some((name, Some(show))) => report(view.write(name.as_str(), &files(&name, &show))),
            Some((name, None)) => report(view.remove(name.as_str())),
            None => {}
        }
        failpoint!("host.view.written");
    }
}

/// The first behind the last one, round and round: who changes all the time does not keep others from being shown.
fn take_after(shows: &mut BTreeMap<ServiceName, Option<Show>>, last: Option<&ServiceName>) -> Option<(ServiceName, Option<Show>)> {
    let next = last.and_then(|last| shows.range::<ServiceName, _>((Bound::Excluded(last), Bound::Unbounded)).next().map(|(name, _)| name.clone()));
    match next {
        Some(name) => shows.remove_entry(&name),
        None => shows.pop_first(),
    }
}

fn files(name: &ServiceName, show: &Show) -> ServiceView {
    let config = serde_json::json!({ "services": { name.as_str(): show.written.value() } });
    ServiceView {
        config_yaml: serde_saphyr::to_string(&config).unwrap_or_else(|error| format!("# cannot be written as YAML: {error}\n")),
        state_json: serde_json::to_string_pretty(&show.state).unwrap_or_default() + "\n",
        pid: show.pid,
    }
}

fn report(written: Result<(), hostler_store::view::ViewError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "the view for operators is behind");
    }
}
