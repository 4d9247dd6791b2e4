//! I2, I3 and I4: who may start, and who must be down first.

use std::sync::Arc;

use hostler_core::{Condition, Core, Dependency, Desired, Kind, Replicas, Run, Spec, Stage, Status, Verdict, Wanted};

use super::{Acked, Judged, Watch, broken};

impl Watch {
    pub(super) fn owned(&mut self, run: Run, spec: &Arc<Spec>, replica: u32) {
        self.owners.insert(run, (spec.name.clone(), replica, Arc::clone(spec)));
        self.forced.remove(&spec.name);
    }

    pub(super) fn may_start(&self, core: &Core, spec: &Spec, replica: u32, acked: &[Option<Acked>]) -> Judged {
        let name = &spec.name;
        let Some(wanted) = core.wanted(name.as_str()) else { return broken("I4", format!("{name} is started and not wanted")) };
        if wanted.desired == Desired::Stopped || !wanted.spec.enabled || self.closing {
            return broken("I4", format!("{name}.{replica} is started against its will"));
        }
        let Replicas { min, max, .. } = wanted.spec.replicas;
        let replicas = core.replicas(name.as_str());
        let chosen = replicas.iter().filter(|part| !part.surplus).count();
        let surplus = replicas.iter().any(|part| part.replica == replica && part.surplus);
        if surplus || chosen > wanted.count() as usize || replica >= max.max(wanted.count()) || !(min..=max).contains(&wanted.count()) {
            return broken("I4", format!("replica {replica} of {name} is started, {chosen} are chosen, and {} are wanted", wanted.count()));
        }
        match acked[self.numbers[name]] {
            Some(acked) if acked != Acked::Wanted(Desired::Running) => {
                return broken("I4", format!("{name}.{replica} is started, and people were told {acked:?}"));
            }
            Some(_) | None => {}
        }
        for edge in &spec.dependencies {
            if edge.optional {
                self.is_ordered(core, spec, edge)?;
            } else if !self.holds(core, edge) {
                let status = core.status(edge.service.as_str()).as_str();
                return broken("I2", format!("{name}.{replica} is started against {edge:?}, which is {status}"));
            }
        }
        Ok(())
    }

    /// An optional edge orders: whoever is being brought up for the first time is waited for, unless there are fewer than it takes.
    fn is_ordered(&self, core: &Core, spec: &Spec, edge: &Dependency) -> Judged {
        let count = core.wanted(edge.service.as_str()).map_or(0, Wanted::count);
        if edge.healthy.of(count) > count {
            return Ok(());
        }
        let replicas = core.replicas(edge.service.as_str());
        let intent = |run: Option<Run>| run.and_then(|run| self.decided.tasks.get(&run)).is_some_and(|record| record.stage == Stage::Intent);
        let begins = !replicas.is_empty() && replicas.iter().all(|replica| replica.status == Status::Starting && intent(replica.run));
        if begins && !self.goes_down(core, edge.service.as_str()) {
            return broken("I2", format!("{} is started while {}, which it optionally follows, is being started", spec.name, edge.service));
        }
        Ok(())
    }

    fn holds(&self, core: &Core, edge: &Dependency) -> bool {
        let Some(spec) = core.wanted(edge.service.as_str()).map(|wanted| &wanted.spec) else { return false };
        let condition = edge.condition.unwrap_or(match (spec.kind, spec.checks.is_empty()) {
            (Kind::Oneshot, _) => Condition::Completed,
            (Kind::Service, true) => Condition::Started,
            (Kind::Service, false) => Condition::Healthy,
        });
        let replicas = core.replicas(edge.service.as_str());
        let holding = replicas.iter().filter(|replica| !replica.surplus).filter(|replica| {
            let run = replica.run.filter(|run| self.decided.tasks.get(run).is_some_and(|record| record.stage == Stage::Started));
            let up = run.filter(|_| !matches!(replica.status, Status::Stopping | Status::Unknown));
            let passes = |run: Run| spec.checks.iter().all(|check| self.decided.said.get(&(run, check.name.clone())) == Some(&Verdict::Pass));
            replica.status == Status::Completed
                || match condition {
                    Condition::Started => up.is_some(),
                    Condition::Healthy => up.is_some_and(passes),
                    Condition::Completed => false,
                }
        });
        let count = core.wanted(edge.service.as_str()).map_or(0, Wanted::count);
        completed(core, edge.service.as_str()) || holding.count() >= edge.healthy.of(count) as usize
    }

    /// I3: a dependent that goes down too is down first.
    pub(super) fn may_stop(&self, core: &Core, run: Run, alive: &impl Fn(Run) -> bool) -> Judged {
        let Some((name, _)) = core.owner_of(run) else { return broken("I5", format!("run {run} is stopped, and is nobody's")) };
        if self.forced.contains(name) || !self.goes_down(core, name.as_str()) {
            return Ok(());
        }
        for dependent in core.graph().dependents(name.as_str()) {
            let lives = self.decided.tasks.iter().filter(|(_, record)| record.service == *dependent);
            let live = lives.filter(|(_, record)| matches!(record.stage, Stage::Started | Stage::Intent)).find(|(run, _)| alive(**run));
            if let Some((other, _)) = live.filter(|_| self.goes_down(core, dependent.as_str())) {
                return broken("I3", format!("run {run} of {name} is stopped while run {other} of its dependent {dependent} is up"));
            }
        }
        Ok(())
    }

    /// Is a service to be down, by its own wish or by that of one it requires?
    fn goes_down(&self, core: &Core, name: &str) -> bool {
        let mut open = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            let Some(wanted) = core.wanted(&name) else {
                if core.service(&name).is_some() {
                    return true;
                }
                continue;
            };
            if self.closing || wanted.desired == Desired::Stopped || !wanted.spec.enabled {
                return true;
            }
            let required = wanted.spec.dependencies.iter().filter(|edge| !edge.optional).map(|edge| edge.service.as_str());
            open.extend(required.filter(|name| !completed(core, name)).map(str::to_owned));
        }
        false
    }
}

/// Have all replicas that are wanted run to their end?
fn completed(core: &Core, name: &str) -> bool {
    let replicas = core.replicas(name);
    let mut wanted = replicas.iter().filter(|replica| !replica.surplus).peekable();
    wanted.peek().is_some() && wanted.all(|replica| replica.status == Status::Completed)
}
