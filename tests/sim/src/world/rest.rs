//! The faults stop, and everything must come to rest where it is wanted; then the host is killed once more, and everything goes.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::{Desired, Exit, Health, Kind, Run, ServiceName, Stage, Starting, Status, Wanted};

use super::{Due, World};
use crate::Violation;
use crate::story::Temper;

/// After so long without faults everything must be at rest.
const AT_REST_MS: u64 = 40 * 60_000;

impl World<'_> {
    /// Heals the world, and waits until everything is where it is wanted.
    pub(super) fn come_to_rest(&mut self) {
        if self.violation.is_some() {
            return;
        }
        self.note(|| "the faults stop".to_owned());
        self.heal();
        let end = self.at + AT_REST_MS;
        loop {
            self.pass_until((self.at + 30_000).min(end));
            if self.violation.is_some() {
                return;
            }
            let judged = self.at_rest().and_then(|()| self.nothing_left_over());
            match judged {
                Ok(()) => return,
                Err(violation) if self.at >= end => return self.judge(Err(violation)),
                Err(_) => {}
            }
        }
    }

    fn heal(&mut self) {
        self.calm = true;
        self.fuse = None;
        self.disk.full_until = 0;
        self.disk.slow_until = 0;
        self.moods.clear();
        self.tempers.iter_mut().for_each(|temper| *temper = Temper::Steady);
        for engine in &mut self.engines {
            engine.away_until = 0;
            engine.missing_until = 0;
        }
        if self.host.as_ref().is_some_and(|host| host.closing) {
            self.down_ms = 0;
            self.kill_host();
        }
        self.pass_until(self.at + 4_000);
        if self.host.is_none() && self.violation.is_none() {
            self.boot_host();
        }
        self.plugins_are_there();
        self.carry_out();
        self.finish_one_shots();
    }

    /// What was to flap runs on, and what was to end has ended.
    fn finish_one_shots(&mut self) {
        self.queue.retain(|_, due| !matches!(due, Due::End { .. }));
        let wanted = |service: usize| self.host.as_ref().and_then(|host| host.core.wanted(self.names[service].as_str()));
        let is_one_shot = |service: usize| wanted(service).is_some_and(|wanted| wanted.spec.kind == Kind::Oneshot);
        let one_shots: Vec<bool> = (0..self.names.len()).map(is_one_shot).collect();
        for engine in &mut self.engines {
            let running: Vec<Run> = engine.alive().filter(|(_, task)| one_shots[task.service]).map(|(run, _)| run).collect();
            for run in running {
                engine.end(run, Exit { code: Some(0), ..Exit::default() });
            }
        }
    }

    /// Whatever is wanted runs, has run, or is parked or held by what is, with a reason; whatever is not is down.
    fn at_rest(&self) -> Result<(), Violation> {
        let rest = |message: String| Err(Violation { rule: "rest", message });
        let Some(host) = &self.host else { return rest("the host is not there".to_owned()) };
        for name in host.core.names() {
            let Some(view) = host.core.service(name.as_str()) else { continue };
            let why = view.cause.join("; ");
            let status = view.status.as_str();
            let Some(wanted) = host.core.wanted(name.as_str()) else { return rest(format!("{name} was removed and is still there: {why}")) };
            let up = wanted.desired == Desired::Running && wanted.spec.enabled;
            let live: Vec<Run> = view.replicas.iter().filter_map(|replica| replica.run).collect();
            let done = view.replicas.iter().filter(|replica| replica.status == Status::Completed).count();
            if !host.core.is_settled(name.as_str()) {
                return rest(format!("{name} is {status} and not settled: {why}"));
            }
            if let Some(run) = live.iter().find(|run| !self.engines.iter().any(|engine| engine.is_alive(**run))) {
                return rest(format!("{name} is {status}, and its run {run} is not there"));
            }
            let made_of = |run: &Run| self.engines.iter().find_map(|engine| engine.tasks.get(run)).map(|task| &task.digest);
            if let Some(run) = live.iter().find(|run| made_of(run) != Some(&wanted.spec.task_digest)) {
                let message = format!("run {run} of {name} is {:?}, and {} is wanted", made_of(run), wanted.spec.task_digest);
                return Err(Violation { rule: "I13", message });
            }
            match view.status {
                Status::Running if !up || live.len() + done != wanted.count() as usize => {
                    return rest(format!("{name} runs {} times and is wanted {:?} {}: {why}", live.len(), wanted.desired, wanted.count()));
                }
                Status::Running if !wanted.spec.checks.is_empty() && view.health != Health::Healthy => {
                    return rest(format!("{name} runs, and is {}", view.health.as_str()));
                }
                Status::Failed | Status::Pending | Status::Scaling if !up || why.is_empty() => {
                    return rest(format!("{name} is {status}, wanted {:?}: {why}", wanted.desired));
                }
                Status::Stopped | Status::Disabled if (up && wanted.count() > 0) || !live.is_empty() => {
                    return rest(format!("{name} is {status}, wanted {:?}", wanted.desired));
                }
                Status::Unhealthy | Status::Starting | Status::Stopping | Status::Unknown | Status::NotFound => {
                    return rest(format!("{name} is {status}: {why}"));
                }
                Status::Running | Status::Failed | Status::Pending | Status::Scaling | Status::Stopped | Status::Disabled | Status::Completed => {}
            }
        }
        Ok(())
    }

    /// I5: what lives is what is believed to live, and nothing else is left.
    fn nothing_left_over(&self) -> Result<(), Violation> {
        let rest = |message: String| Err(Violation { rule: "I5", message });
        let tasks = self.watch.tasks();
        if let Some((run, record)) = tasks.iter().find(|(_, record)| !matches!(record.stage, Stage::Started | Stage::Ended)) {
            return rest(format!("run {run} of {}.{} is still {:?}", record.service, record.replica, record.stage));
        }
        let believed: BTreeSet<Run> = tasks.iter().filter(|(_, record)| record.stage == Stage::Started).map(|(run, _)| *run).collect();
        let alive = self.alive();
        if alive != believed {
            return rest(format!("{alive:?} live, and {believed:?} are believed to"));
        }
        let kept = self.engines.iter().flat_map(|engine| engine.tasks.keys());
        if let Some(run) = kept.into_iter().find(|run| !tasks.contains_key(run)) {
            return rest(format!("run {run} is left over in its engine, and nobody knows it"));
        }
        let counts = |name: &ServiceName| self.host.as_ref().and_then(|host| host.core.wanted(name.as_str())).map_or(0, Wanted::count);
        let mut kept: BTreeMap<&ServiceName, u32> = BTreeMap::new();
        for ((name, replica), record) in self.watch.slots() {
            let kept = kept.entry(name).or_default();
            *kept += 1;
            if record.surplus || *kept > counts(name) {
                return rest(format!("the record of {name}.{replica} is left over: {} are wanted", counts(name)));
            }
        }
        Ok(())
    }

    fn alive(&self) -> BTreeSet<Run> {
        self.engines.iter().flat_map(|engine| engine.alive().map(|(run, _)| run)).collect()
    }

    fn statuses(&self) -> Vec<(ServiceName, Status)> {
        let Some(host) = &self.host else { return Vec::new() };
        host.core.names().map(|name| (name.clone(), host.core.status(name.as_str()))).collect()
    }

    /// At rest the host is killed and started again, and nothing changes; then everything is stopped or taken away.
    pub(super) fn end(&mut self) {
        if self.violation.is_some() {
            return;
        }
        let (alive, before) = (self.alive(), self.statuses());
        self.down_ms = 0;
        self.kill_host();
        self.pass_until(self.at + 60_000);
        if self.violation.is_none() && (self.alive(), self.statuses()) != (alive.clone(), before.clone()) {
            let (now, after) = (self.alive(), self.statuses());
            return self.fail("I10", format!("a host restart changed {alive:?} to {now:?}, {before:?} to {after:?}"));
        }
        if self.story.seed.is_multiple_of(2) {
            self.close_host(false, 600_000);
            self.pass_until(self.at + 300_000);
            if self.violation.is_none() && !(self.alive().is_empty() && self.host.is_none()) {
                self.fail("rest", format!("the host is shut down, and {:?} live", self.alive()));
            }
            return;
        }
        self.people.file.clear();
        self.people_apply(Starting::Nothing);
        self.pass_until(self.at + 300_000);
        let left = self.engines.iter().map(|engine| engine.tasks.len()).sum::<usize>();
        let records = (self.watch.tasks().len(), self.watch.slots().len());
        if self.violation.is_none() && (left, records, self.statuses().len()) != (0, (0, 0), 0) {
            self.fail("I5", format!("everything was removed: {left} tasks, {records:?} records and {:?} are left", self.statuses()));
        }
    }
}
