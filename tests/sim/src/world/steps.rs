//! The steps of a story, taken.

use std::collections::BTreeSet;

use hostler_core::{Event, Exit, Kind, Run, ServiceName, Starting};

use super::calls::{Call, News};
use super::engine::FALLS;
use super::{Due, Fuse, World};
use crate::dice::Dice;
use crate::story::{ENGINES, Edit, Step};
use crate::watch::Heard;

impl World<'_> {
    pub(super) fn take_step(&mut self, step: Step) {
        match step {
            Step::Exit { service, replica, code } => self.exit(service, replica, code),
            Step::Temper { service, temper } => self.tempers[service] = temper,
            Step::Mood { service, check, verdict } => drop(self.moods.insert((service, check), verdict)),
            Step::CheckNow if self.may_ask() => self.hear_event(Event::CheckNow(self.names.clone())),
            Step::CheckNow => {}
            Step::Start { services } => self.people_start(&services),
            Step::Stop { services, force } => self.people_stop(&services, force),
            Step::Restart { services } => self.people_restart(&services),
            Step::Load { service, permille, measured } => self.weigh(service, permille, measured),
            Step::Scale { service, count } => self.people_scale(service, count),
            Step::Force { service } => {
                let named: BTreeSet<ServiceName> = [self.names[service].clone()].into();
                self.people_force(&named);
            }
            Step::Edit { service, edit } => self.edit(service, edit),
            Step::Remove { service } => self.remove(service),
            Step::Bring { service } => self.bring(service),
            Step::Again => self.people_apply_again(),
            Step::Away { engine, for_ms } => self.engines[engine].away_until = self.at + for_ms,
            Step::Lose { engine } => self.engines[engine].tasks.clear(),
            Step::Plugin { engine, for_ms } => {
                self.engines[engine].missing_until = self.at + for_ms;
                let (life, missing) = (self.life, self.engines[engine].trouble(self.at));
                self.later(0, Due::News { news: News::Plugin { engine, missing }, life });
                self.later(for_ms, Due::PluginBack { engine });
            }
            Step::Kill { after, torn, down_ms } => {
                self.fuse = Some(Fuse { moves: after, torn, machine: false });
                self.down_ms = down_ms;
                if after == 0 {
                    self.kill_host();
                }
            }
            Step::Reboot { after, torn, down_ms } => {
                self.fuse = Some(Fuse { moves: after, torn, machine: true });
                self.down_ms = down_ms;
                if after == 0 || self.host.is_none() {
                    self.reboot();
                }
            }
            Step::Close { force, down_ms } => self.close_host(force, down_ms),
            Step::Suspend { for_ms } => self.suspend(for_ms),
            Step::Wall { by_ms } => self.wall_jumps(by_ms),
            Step::DiskFull { for_ms } => self.disk.full_until = self.at + for_ms,
            Step::DiskSlow { for_ms } => self.disk.slow_until = self.at + for_ms,
            Step::Compact { keep } => self.compact(keep),
        }
    }

    fn exit(&mut self, service: usize, replica: u32, code: i32) {
        let Some(run) = self.alive_in(service, replica).first().copied() else { return };
        if let Some(engine) = (0..ENGINES.len()).find(|engine| self.engines[*engine].is_alive(run)) {
            self.end_task(engine, run, code);
        }
    }

    fn edit(&mut self, service: usize, edit: Edit) {
        let name = self.names[service].clone();
        if !self.may_ask() {
            return;
        }
        self.edit_file(|file| {
            let names: BTreeSet<ServiceName> = file.keys().cloned().collect();
            let Some(spec) = file.get_mut(&name) else { return };
            match edit {
                Edit::Digest(number) => {
                    spec.task_digest = format!("{} {number}", spec.backend.plugin);
                    spec.fixed_digest = Some(spec.task_digest.clone());
                }
                Edit::Limits(number) => {
                    let fixed = spec.fixed_digest.clone().unwrap_or_default();
                    spec.task_digest = format!("{fixed} limits {number}");
                }
                Edit::Edges(mut edges) => {
                    edges.retain(|edge| names.contains(&edge.service));
                    spec.dependencies = edges;
                }
                Edit::Checks(checks) => spec.checks = checks,
                Edit::Enabled => spec.enabled = !spec.enabled,
                Edit::Replicas(replicas) => spec.replicas = replicas,
                Edit::Engine(engine) => {
                    spec.backend.plugin = ENGINES[engine].to_owned();
                    spec.task_digest = format!("{} moved", ENGINES[engine]);
                    spec.fixed_digest = Some(spec.task_digest.clone());
                }
                Edit::Restart(policy) => spec.restart = policy,
                Edit::Kind => spec.kind = if spec.kind == Kind::Oneshot { Kind::Service } else { Kind::Oneshot },
            }
        });
        self.people_apply(match service % 4 {
            0 => Starting::AtRest,
            2 => Starting::New,
            _ => Starting::Nothing,
        });
    }

    /// Nobody needs it any more, and it is taken away.
    fn remove(&mut self, service: usize) {
        let name = self.names[service].clone();
        if !self.may_ask() {
            return;
        }
        self.edit_file(|file| {
            file.remove(&name);
            file.values_mut().for_each(|spec| spec.dependencies.retain(|edge| edge.service != name));
        });
        self.people_apply(Starting::Nothing);
    }

    /// It is there again, as it was in the beginning.
    fn bring(&mut self, service: usize) {
        let Some(mut spec) = self.story.services[service].clone() else { return };
        if !self.may_ask() || self.people.file.contains_key(&spec.name) {
            return;
        }
        self.edit_file(|file| {
            spec.dependencies.retain(|edge| file.contains_key(&edge.service));
            file.insert(spec.name.clone(), spec);
        });
        self.people_apply(Starting::New);
    }

    /// The power fails: what was not synced may be lost, and so is every task of an engine that does not outlive the machine.
    pub(super) fn reboot(&mut self) {
        // What was on its way to such an engine may have reached it, for a moment.
        let (seed, boot) = (self.story.seed, self.boot);
        let reached = self.queue.iter().filter_map(|((at, sequence), due)| match due {
            Due::Effect { call: Call::Start { run, engine: FALLS, .. }, .. } => {
                Dice::of(&[seed, 33, boot, *at, *sequence]).percent(50).then_some(*run)
            }
            _ => None,
        });
        let reached: Vec<Run> = reached.collect();
        if let Some(run) = reached.into_iter().find(|run| !self.engines[FALLS].started.insert(*run)) {
            self.fail("I1", format!("run {run} is started twice"));
        }
        self.end_host(true);
        self.note(|| "the machine is started again".to_owned());
        self.queue.retain(|_, due| matches!(due, Due::Step(_) | Due::Boot { .. } | Due::PluginBack { .. } | Due::Follow));
        self.boot += 1;
        // The clock of the new boot begins small; whoever comes up is there after a few seconds of it.
        self.ahead = 3_000 - i128::from(self.at);
        let lost = Exit { reason: Some("the machine was started again".to_owned()), ..Exit::default() };
        self.engines[FALLS].tasks.clear();
        self.engines[1].tasks.values_mut().filter(|task| task.ended.is_none()).for_each(|task| task.ended = Some(lost.clone()));
        self.watch.rebooted();
    }

    /// The machine sleeps. It stays awake for a minute at least: nobody can tell a life that never began from one that has had no
    /// second in which to begin.
    fn suspend(&mut self, for_ms: u64) {
        if self.at >= self.awake_until {
            self.awake_until = self.at + 60_000;
            self.ahead += i128::from(for_ms);
        }
    }

    pub(super) fn wall_jumps(&mut self, by_ms: i64) {
        self.wall_ms = self.wall_ms.saturating_add(by_ms).max(0);
        #[cfg(feature = "planted")]
        hostler_core::planted::set_wall_ms(self.wall_ms.unsigned_abs());
    }

    fn compact(&mut self, keep: u64) {
        use hostler_store::{Retention, Store};
        if let Err(error) = self.disk.store.compact(Retention { events: keep, deletions: keep }) {
            self.fail("I8", format!("the store cannot be compacted: {error}"));
        }
        self.watch.compacted();
    }

    /// Only for the end: every plugin is told to be there.
    pub(super) fn plugins_are_there(&mut self) {
        for engine in ENGINES {
            self.handle(Event::Plugin { backend: engine.to_owned(), missing: None }, &Heard::Other);
        }
    }
}
