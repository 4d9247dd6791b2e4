//! What must hold after every step: the invariants of the design, judged by the world and not by the core's own reasons.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::{Action, Condition, Dependency, Desired, Event, Health, Kind, Notice, NoticeKind, Run, ServiceName, Spec, Stage, Status, Verdict};

use super::World;

/// Looking at everything in every step of a big world costs the square of its size.
fn is_big(world: &World) -> bool {
    world.core.names().size_hint().0 > 200
}

/// Health of every check of every run, and restarts in a row of every slot.
#[derive(Default)]
pub(crate) struct Before {
    healths: BTreeMap<(Run, String), Health>,
    attempts: BTreeMap<(ServiceName, u32), u32>,
    /// Of what rests: all that is shown of it, but for what time alone changes.
    resting: BTreeMap<ServiceName, String>,
}

/// Whose health an event may change.
pub(crate) enum Told {
    Run(Run),
    All,
    Nothing,
}

impl Told {
    pub(crate) fn of(event: &Event) -> Told {
        match event {
            Event::Checked(result) if result.verdict != Verdict::Unknown => Told::Run(result.run),
            Event::Wanted(_) => Told::All,
            _ => Told::Nothing,
        }
    }
}

pub(crate) fn look(world: &World) -> Before {
    let mut before = Before::default();
    if is_big(world) {
        return before;
    }
    for name in world.core.names() {
        before.resting.extend(resting(world, name).map(|shown| (name.clone(), shown)));
        for replica in world.core.replicas(name.as_str()) {
            before.attempts.insert((name.clone(), replica.replica), replica.attempts);
            let Some(run) = replica.run else { continue };
            before.healths.extend(replica.checks.iter().map(|check| ((run, check.name.to_owned()), check.health)));
        }
    }
    before
}

fn resting(world: &World, name: &ServiceName) -> Option<String> {
    let view = world.core.service(name.as_str()).filter(|view| world.core.rests(view))?;
    let replicas = view.replicas.iter().map(|part| {
        let checks = part.checks.iter().map(|check| (check.name, check.health, check.failures, check.successes, check.history.len()));
        let counts = (part.attempts, part.restarts, part.failures, part.last_restart, part.last_failure);
        let lives = (part.run, part.previous, part.since, part.last_exit, part.last_error);
        format!("{:?}", (part.replica, part.status, part.health, part.surplus, part.held, counts, lives, checks.collect::<Vec<_>>()))
    });
    let asked = (view.spec, view.desired, view.generation, view.count);
    Some(format!("{:?}", (asked, view.status, view.health, view.layer, &view.cause, &view.next, replicas.collect::<Vec<_>>())))
}

/// I7: no verdict changes without a result that says something; I6: no count of restarts beyond its limit.
pub(crate) fn after(world: &World, told: &Told, changed: &BTreeSet<ServiceName>, before: &Before) -> Before {
    one_life_per_slot(world);
    let now = look(world);
    for (key, health) in &now.healths {
        let Some(earlier) = before.healths.get(key) else { continue };
        let judged = match told {
            Told::Run(run) => *run == key.0,
            Told::All => true,
            Told::Nothing => false,
        };
        assert!(earlier == health || judged, "I7: check {key:?} went from {earlier:?} to {health:?}");
    }
    for (name, shown) in before.resting.iter().filter(|(name, _)| !changed.contains(*name)) {
        assert_eq!(now.resting.get(name), Some(shown), "{name} rested, and nobody told that it changed");
    }
    for ((name, replica), attempts) in &now.attempts {
        let earlier = before.attempts.get(&(name.clone(), *replica)).copied().unwrap_or(0);
        let max = || world.store.wanted.get(name).and_then(|wanted| wanted.spec.restart.max_attempts);
        assert!(*attempts <= earlier || max().is_none_or(|max| *attempts <= max), "I6: {name} is restarted for the {attempts}th time in a row");
    }
    now
}

/// I6: no more restarts in a row than allowed, without a request or a stable run between.
pub(crate) fn count_restarts(world: &mut World, notice: &Notice) {
    let Some(replica) = notice.replica else { return };
    let now = world.now;
    let policy = world.store.wanted.get(&notice.service).map(|wanted| wanted.spec.restart).unwrap_or_default();
    let slot = (notice.service.clone(), replica);
    let asked = notice.kind == NoticeKind::Starting && world.asked_for.remove(&slot);
    let (count, since) = world.in_a_row.entry(slot).or_insert((0, now));
    match notice.kind {
        NoticeKind::Starting => {
            *count = if asked { 0 } else { *count };
            *since = now;
        }
        NoticeKind::Completed => *count = 0,
        NoticeKind::Exited | NoticeKind::Stopping if now.since(*since) >= policy.reset_after => *count = 0,
        NoticeKind::Restarting => {
            *count += 1;
            let (count, name) = (*count, &notice.service);
            assert!(policy.max_attempts.is_none_or(|max| count <= max), "I6: restart {count} in a row of {name}: {}", notice.message);
        }
        _ => {}
    }
}

/// I1: at most one live run per slot, those aside that were given up and wait to be found.
pub(crate) fn one_life_per_slot(world: &World) {
    if is_big(world) {
        return;
    }
    let mut alive: BTreeMap<&(ServiceName, u32), Run> = BTreeMap::new();
    for run in world.alive().into_iter().filter(|run| !world.core.is_abandoned(*run)) {
        let Some(owner) = world.owners.get(&run) else { continue };
        if let Some(other) = alive.insert(owner, run) {
            panic!("I1: runs {other} and {run} of {owner:?} are both alive");
        }
    }
}

/// What must hold of the core's believed world when it asks for something.
pub(crate) fn before_doing(world: &World, action: &Action) {
    match action {
        Action::Start { run, spec, replica } => {
            let record = world.store.tasks.get(run).unwrap_or_else(|| panic!("I5: run {run} is started without an intent"));
            assert!(record.stage == Stage::Intent && *run < world.store.next_run, "I5: run {run} is started without its intent: {record:?}");
            may_start(world, spec, *replica);
        }
        Action::Stop { run, .. } if !world.stopping.contains(run) => may_stop(world, *run),
        Action::Update { run, spec, .. } => {
            let record = world.store.tasks.get(run).unwrap_or_else(|| panic!("I5: run {run} is changed and has no record"));
            assert_eq!(record.changing.as_ref(), Some(&spec.task_digest), "I5: run {run} is changed without an intent");
        }
        Action::Stop { .. }
        | Action::Destroy { .. }
        | Action::Look { .. }
        | Action::List { .. }
        | Action::Check { .. }
        | Action::Save(_)
        | Action::Tell(_) => {}
    }
}

fn may_start(world: &World, spec: &Spec, replica: u32) {
    let name = &spec.name;
    let wanted = world.store.wanted.get(name).unwrap_or_else(|| panic!("I4: {name} is started and not wanted"));
    assert!(wanted.desired == Desired::Running && wanted.spec.enabled && !world.closing, "I4: {name} is started against its will");
    let replicas = world.core.replicas(name.as_str());
    let chosen = replicas.iter().filter(|part| !part.surplus).count();
    let surplus = replicas.iter().any(|part| part.replica == replica && part.surplus);
    assert!(!surplus && chosen <= wanted.count() as usize, "I4: replica {replica} of {name} is not wanted");
    for edge in spec.dependencies.iter().filter(|edge| !edge.optional) {
        assert!(holds(world, edge), "I2: {name} is started against {edge:?}; {}", world.statuses());
    }
}

fn holds(world: &World, edge: &Dependency) -> bool {
    let Some(view) = world.core.service(edge.service.as_str()) else { return false };
    let condition = edge.condition.unwrap_or(match (view.spec.kind, view.spec.checks.is_empty()) {
        (Kind::Oneshot, _) => Condition::Completed,
        (Kind::Service, true) => Condition::Started,
        (Kind::Service, false) => Condition::Healthy,
    });
    let holding = view.replicas.iter().filter(|replica| !replica.surplus).filter(|replica| {
        let up = replica.run.is_some_and(|run| world.store.tasks.get(&run).is_some_and(|record| record.stage == Stage::Started));
        let up = up && !matches!(replica.status, Status::Stopping | Status::Unknown);
        replica.status == Status::Completed
            || match condition {
                Condition::Started => up,
                Condition::Healthy => up && (view.spec.checks.is_empty() || replica.health == Health::Healthy),
                Condition::Completed => false,
            }
    });
    completed(world, edge.service.as_str()) || holding.count() >= edge.healthy.of(view.count) as usize
}

/// I3: a dependent that goes down too is down first.
fn may_stop(world: &World, run: Run) {
    let Some((name, _)) = world.core.owner_of(run) else { panic!("run {run} is stopped and nobody's") };
    if world.forced.contains(name) || world.closing && world.forced.len() == world.core.names().count() {
        return;
    }
    let goes = is_down(world, name.as_str());
    if !goes {
        return;
    }
    let dependents: Vec<&ServiceName> = world.core.graph().dependents(name.as_str()).collect();
    for dependent in dependents {
        let goes_too = is_down(world, dependent.as_str());
        let live = world.core.replicas(dependent.as_str()).iter().any(|replica| replica.run.is_some());
        assert!(!(goes_too && live), "I3: {name} is stopped while its dependent {dependent} is up");
    }
}

/// Is a service to be down, by its own wish or by that of one it requires?
fn is_down(world: &World, name: &str) -> bool {
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        let Some(wanted) = world.store.wanted.get(name.as_str()) else {
            if world.core.service(&name).is_some() {
                return true;
            }
            continue;
        };
        if world.closing || wanted.desired == Desired::Stopped || !wanted.spec.enabled {
            return true;
        }
        let required = wanted.spec.dependencies.iter().filter(|edge| !edge.optional).map(|edge| edge.service.as_str());
        open.extend(required.filter(|name| !completed(world, name)).map(str::to_owned));
    }
    false
}

/// Have all replicas that are wanted run to their end?
fn completed(world: &World, name: &str) -> bool {
    let replicas = world.core.replicas(name);
    let mut wanted = replicas.iter().filter(|replica| !replica.surplus).peekable();
    wanted.peek().is_some() && wanted.all(|replica| replica.status == Status::Completed)
}
