//! What actions came to, told to the core.

use std::collections::BTreeMap;

use hostler_api::EventKind;
use hostler_core::{CheckResult, Event, Phase, Run};
use hostler_failpoint::failpoint;
use hostler_wasm::words::{Found, Status};

use super::Driver;
use crate::clock;
use crate::desk::{Stranger, phase};
use crate::ledger::{self, HandleRecord};
use crate::message::News;

impl Driver {
    pub(super) fn hear_news(&mut self, news: News) {
        let now = clock::now();
        let event = match news {
            News::Started { run, backend, id, handle, status } => {
                self.keep_handle(run, HandleRecord { id, handle });
                if let Some((name, replica)) = self.desk.core.owner_of(run) {
                    self.desk.laps.started(name, replica);
                }
                self.desk.core.handle(now, Event::Started { run });
                let Some(status) = status else { return };
                let phase = phase(&status);
                self.desk.note_seen(run, status);
                Event::Seen { backend, seen: vec![(run, phase)] }
            }
            News::StartFailed { run, fault } => Event::StartFailed { run, fault },
            News::Updated { run, ticket, fault } => Event::Updated { run, ticket, fault },
            News::Stopped { run, status } => {
                let exit = status.as_ref().and_then(|status| match phase(status) {
                    Phase::Exited(exit) => Some(exit),
                    Phase::Pending | Phase::Running | Phase::Stopping | Phase::Gone | Phase::Unknown(_) => None,
                });
                Event::Stopped { run, exit }
            }
            News::StopFailed { run, fault } => Event::StopFailed { run, fault },
            News::Destroyed { run, fault } => Event::Destroyed { run, fault },
            News::Looked { backend, seen } => Event::Looked { backend, seen: seen.map(|seen| self.note_statuses(seen)) },
            News::Seen { backend, run, status } => {
                if let Some((name, replica)) = self.desk.core.owner_of(run) {
                    self.desk.laps.seen(name, replica);
                }
                Event::Seen { backend, seen: self.note_statuses(vec![(run, status)]) }
            }
            News::Listed { backend, found } => {
                let found = found.map(|found| self.note_found(&backend, found));
                Event::Listed { backend, found }
            }
            News::Checked { result, details } => {
                self.note_result(&result, details);
                Event::Checked(result)
            }
        };
        failpoint!("host.news.before-deciding");
        self.desk.core.handle(now, event);
        failpoint!("host.news.decided");
    }

    fn keep_handle(&mut self, run: Run, record: HandleRecord) {
        let next = std::mem::take(&mut self.next);
        self.next = next.put(ledger::handle_key(run), ledger::to_json(&record));
        self.desk.handles.insert(run, record);
        failpoint!("host.news.handle-kept");
    }

    fn note_statuses(&mut self, seen: Vec<(Run, Status)>) -> Vec<(Run, Phase)> {
        let mut phases = Vec::with_capacity(seen.len());
        for (run, status) in seen {
            phases.push((run, phase(&status)));
            if self.desk.handles.contains_key(&run) {
                self.desk.note_seen(run, status);
            }
        }
        phases
    }

    /// What a backend has of ours: handles we did not know are kept, and strangers are reported once.
    fn note_found(&mut self, backend: &str, found: Vec<Found>) -> Vec<(Run, Phase)> {
        let mut phases = Vec::new();
        let mut strangers = BTreeMap::new();
        for Found { id, handle, status, .. } in found {
            let Some(run) = self.desk.run_of(&id).filter(|run| self.is_ours(*run, &id, backend)) else {
                strangers.insert(id, Stranger { handle, status });
                continue;
            };
            if !self.desk.handles.contains_key(&run) {
                self.keep_handle(run, HandleRecord { id, handle });
                failpoint!("host.news.found-kept");
            }
            phases.push((run, phase(&status)));
            self.desk.note_seen(run, status);
        }
        self.report_strangers(backend, strangers);
        phases
    }

    /// Is this a life that we know, under its own id, at the backend that holds it?
    fn is_ours(&self, run: Run, id: &str, backend: &str) -> bool {
        self.desk.is_held_by(run, backend)
            && match self.desk.core.owner_of(run) {
                Some((name, replica)) => self.desk.task_id(name, replica, run) == id,
                None => self.desk.core.is_abandoned(run),
            }
    }

    /// Tells of those that the listing before did not have: one event for all of them.
    fn report_strangers(&mut self, backend: &str, strangers: BTreeMap<String, Stranger>) {
        /// More are only counted.
        const NAMED: usize = 5;
        let before = self.desk.strangers.remove(backend).unwrap_or_default();
        let new: Vec<&String> = strangers.keys().filter(|id| !before.contains_key(*id)).collect();
        if !new.is_empty() {
            let named: Vec<&str> = new.iter().take(NAMED).map(|id| id.as_str()).collect();
            let more = if new.len() > named.len() { format!(" and {} more", new.len() - named.len()) } else { String::new() };
            let message = format!("backend {backend} has `{}`{more} with our tag, which nobody here knows; it is left alone", named.join("`, `"));
            let data = serde_json::json!({ "message": message, "backend": backend, "count": new.len(), "ids": named });
            self.next.events.push(ledger::note(EventKind::Stranger, ledger::OF_THE_HOST, &data));
        }
        if !strangers.is_empty() {
            self.desk.strangers.insert(backend.to_owned(), strangers);
        }
    }

    /// Keeps the figures of a check under its name, unless the spec has it no longer.
    fn note_result(&mut self, result: &CheckResult, details: BTreeMap<String, String>) {
        let Some((name, replica, index)) = self.desk.core.asked_by(result) else { return };
        let check = self.desk.core.wanted(name.as_str()).and_then(|wanted| wanted.spec.checks.get(index)).map(|spec| spec.name.clone());
        if let Some(check) = check {
            let latency = self.desk.latencies.entry((name.clone(), check.clone())).or_default();
            latency.hear(result.verdict, result.took);
            let key = (name.clone(), replica, check);
            self.desk.details.insert(key, details);
        }
    }
}
