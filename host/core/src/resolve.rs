//! What is there: the answers of looks and listings, and what follows for lives that may exist.

use std::collections::BTreeMap;

use crate::backends::{LIST_SOON, Lost};
use crate::event::{Action, Exit, Fault, NoticeKind, Phase, Run};
use crate::machine::Core;
use crate::record::{Saved, Stage};
use crate::spec::ServiceName;
use crate::task::{Life, State};
use crate::time::Span;

impl Core {
    pub(crate) fn hear_looked(&mut self, backend: &str, seen: Result<Vec<(Run, Phase)>, String>) {
        let is_whole = seen.as_ref().is_ok_and(|seen| seen.iter().all(|(_, phase)| !matches!(phase, Phase::Unknown(_))));
        match seen {
            Ok(seen) => {
                for (run, phase) in seen {
                    self.see(backend, run, phase);
                }
            }
            Err(reason) => {
                let runs: Vec<Run> = self.backends.get(backend).map(|backend| backend.watched.iter().copied().collect()).unwrap_or_default();
                for run in runs {
                    self.see(backend, run, Phase::Unknown(reason.clone()));
                }
            }
        }
        self.looked(backend, is_whole);
    }

    /// A running life was looked at by its own backend; what another one says of it is no news.
    pub(crate) fn see(&mut self, backend: &str, run: Run, phase: Phase) {
        if matches!(phase, Phase::Pending | Phase::Running | Phase::Stopping) && !self.is_unknown(run) {
            return;
        }
        let missing = self.backends.get(backend).and_then(|backend| backend.missing.clone());
        let Some((name, replica, slot)) = self.live_slot(run) else { return };
        let State::Running(life) = &slot.state else { return };
        if life.backend != backend {
            return;
        }
        match phase {
            // A late answer of a plugin that went meanwhile: nobody looks any more, so that it would be believed for ever.
            Phase::Pending | Phase::Running | Phase::Stopping if missing.is_some() => {}
            Phase::Pending | Phase::Running | Phase::Stopping => {
                if slot.unknown.take().is_some() {
                    self.tell(NoticeKind::Known, &name, Some(replica), Some(run), "its backend can be asked again: it runs");
                    self.touch(&name);
                }
            }
            Phase::Exited(exit) => {
                let life = life.clone();
                self.ended(&name, replica, &life, exit);
            }
            Phase::Gone => {
                let life = life.clone();
                let exit = Exit { reason: Some("vanished: its backend knows nothing of it".to_owned()), ..Exit::default() };
                self.ended(&name, replica, &life, exit);
            }
            Phase::Unknown(reason) => {
                // That there is nobody to ask says more than how asking went before.
                let reason = missing.unwrap_or(reason);
                let before = slot.unknown.replace(reason.clone());
                if before.is_none() {
                    self.tell(NoticeKind::Unknown, &name, Some(replica), Some(run), reason.clone());
                }
                if before != Some(reason) {
                    self.touch(&name);
                }
            }
        }
    }

    /// Is it a life of which nobody could say lately whether it is there?
    fn is_unknown(&self, run: Run) -> bool {
        let slot = self.runs.get(&run).and_then(|(name, replica)| self.services.get(name)?.slots.get(replica));
        slot.is_some_and(|slot| slot.unknown.is_some())
    }

    pub(crate) fn hear_listed(&mut self, backend: &str, found: Result<Vec<(Run, Phase)>, String>) {
        match found {
            Ok(found) => {
                let found: BTreeMap<Run, Phase> = found.into_iter().collect();
                self.backend_is_back(backend);
                self.resolve(backend, &found);
                self.clear_abandoned(backend, &found);
            }
            Err(reason) => {
                self.cannot_say(backend, &reason);
                self.backend_is_away(backend, &format!("backend {backend} unavailable: {reason}"), None);
            }
        }
        self.listed(backend);
    }

    /// Nobody can say where the uncertain lives of a backend are.
    fn cannot_say(&mut self, backend: &str, reason: &str) {
        let runs: Vec<Run> = self.backends.get(backend).into_iter().flat_map(|backend| backend.uncertain.keys().copied()).collect();
        for run in runs {
            self.cannot_say_of(run, reason);
        }
    }

    fn cannot_say_of(&mut self, run: Run, reason: &str) {
        if let Some((name, _, slot)) = self.live_slot(run) {
            slot.unknown = Some(reason.to_owned());
            self.touch(&name);
        }
    }

    /// Every life that may exist is adopted, has ended, or never was.
    fn resolve(&mut self, backend: &str, found: &BTreeMap<Run, Phase>) {
        let Some(known) = self.backends.get(backend) else { return };
        let listing = known.listings;
        for (run, from) in known.uncertain.clone() {
            let Some((name, replica, slot)) = self.live_slot(run) else { continue };
            let State::Uncertain { life, intent, rebooted, error, leaving } = &slot.state else { continue };
            let (life, intent, rebooted, error, leaving) = (life.clone(), *intent, *rebooted, error.clone(), leaving.clone());
            match found.get(&run) {
                Some(Phase::Pending | Phase::Running | Phase::Stopping) => {
                    self.tell(NoticeKind::Adopted, &name, Some(replica), Some(run), "found running, and taken up again");
                    self.runs_now(&name, replica, life);
                }
                Some(Phase::Exited(exit)) if rebooted => self.ended_with_machine(&name, replica, &life, exit.clone()),
                Some(Phase::Exited(exit)) => match leaving {
                    Some(leaving) => self.has_left(&name, replica, &life, leaving, Some(exit.clone())),
                    None => self.ended(&name, replica, &life, exit.clone()),
                },
                Some(Phase::Unknown(reason)) => {
                    self.cannot_say_of(run, reason);
                    self.backend_is_away(backend, &format!("backend {backend} cannot say: {reason}"), None);
                }
                // It was asked for before this life was in question: the next listing tells.
                Some(Phase::Gone) | None if from > listing => {}
                Some(Phase::Gone) | None if intent => self.never_was(&name, replica, &life, error),
                Some(Phase::Gone) | None => {
                    let exit = Exit { reason: Some("is gone: its backend knows nothing of it".to_owned()), ..Exit::default() };
                    match leaving {
                        _ if rebooted => self.ended_with_machine(&name, replica, &life, exit),
                        Some(leaving) => self.has_left(&name, replica, &life, leaving, None),
                        None => self.ended(&name, replica, &life, exit),
                    }
                }
            }
        }
    }

    /// An intent of which the backend has nothing. It may still turn up late, so its number is kept for a while.
    fn never_was(&mut self, name: &ServiceName, replica: u32, life: &Life, error: Option<String>) {
        self.runs.remove(&life.run);
        self.unwatch(&life.backend, life.run);
        self.abandon(life.run, &life.backend, name, replica);
        self.actions.push_back(Action::Save(Saved::Task(life.run, Some(life.record(name, replica, Stage::Abandoned)))));
        self.put_down(name, replica);
        if let Some(message) = error {
            self.start_failed(name, replica, life, &Fault::Failed(message));
        }
    }

    /// Destroys what nobody wants, and forgets what did not turn up for as long as from one listing to the next.
    fn clear_abandoned(&mut self, backend: &str, found: &BTreeMap<Run, Phase>) {
        let (now, listing) = (self.now, self.backends.get(backend).map_or(0, |backend| backend.listings));
        let lost: Vec<(Run, Lost)> =
            self.abandoned.iter().filter(|(_, lost)| lost.backend == backend).map(|(run, lost)| (*run, lost.clone())).collect();
        for (run, lost) in lost {
            match lost.missed {
                _ if found.contains_key(&run) => self.destroy_lost(run, lost),
                // It was asked for before this life was given up.
                _ if lost.from > listing => {}
                missed => {
                    // While the machine slept nothing could turn up: of a longer time between two listings only so much counts.
                    let longer = missed.map_or(Span::ZERO, |(at, so_far)| Span(so_far.0.saturating_add(now.since(at).min(LIST_SOON).0)));
                    if longer >= self.config.list_every {
                        self.drop_lost(run);
                    } else {
                        self.abandoned.insert(run, Lost { missed: Some((now, longer)), ..lost });
                    }
                }
            }
        }
    }

    fn destroy_lost(&mut self, run: Run, lost: Lost) {
        if !lost.told {
            self.tell(NoticeKind::Abandoned, &lost.service, Some(lost.replica), Some(run), "found, and wanted by nobody: it is destroyed");
        }
        self.actions.push_back(Action::Destroy { run, backend: lost.backend.clone(), force: true });
        self.abandoned.insert(run, Lost { told: true, missed: None, ..lost });
    }

    pub(crate) fn drop_lost(&mut self, run: Run) {
        self.abandoned.remove(&run);
        self.actions.push_back(Action::Save(Saved::Task(run, None)));
    }
}
