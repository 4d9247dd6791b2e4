//! The end: the faults stop, and everything must come to rest where it is wanted.

use hostler_core::{Event, Exit, Health, Kind, Phase, Run, Span, Stage, Status};

use super::people::People;
use crate::world::World;

pub(super) fn check(world: &mut World, people: &People) {
    for backend in ["p", "q"] {
        world.back(backend);
        world.hear(Event::Plugin { backend: backend.to_owned(), missing: None });
    }
    world.verdicts.clear();
    for _ in 0..20 {
        world.pass(Span::secs(15));
        complete_one_shots(world);
    }
    at_rest(world);
    nothing_left_over(world);
    let (alive, before) = (world.alive(), world.statuses());
    world.moves();
    world.kill_host(true);
    world.pass(Span::secs(10));
    assert_eq!((world.moves().as_str(), world.alive(), world.statuses()), ("", alive, before), "I10: a host restart changed something");
    if world.now.0.is_multiple_of(2) {
        world.close(false);
        world.pass(Span::secs(5));
        assert!(world.core.is_closed() && world.alive().is_empty(), "closed, and {:?} are alive", world.alive());
    } else {
        let names: Vec<String> = people.specs.iter().map(|spec| spec.name.to_string()).collect();
        world.remove(&names.join(" "));
        world.pass(Span::secs(5));
        assert_eq!((world.statuses().as_str(), world.store.tasks.len(), world.store.slots.len()), ("", 0, 0), "removed, and not gone");
        assert!(world.engines.values().all(|engine| engine.tasks.is_empty()), "removed, and something is left: {:?}", world.engines);
    }
}

fn complete_one_shots(world: &mut World) {
    let one_shots: Vec<Run> = world
        .core
        .names()
        .filter_map(|name| world.core.service(name.as_str()))
        .filter(|view| view.spec.kind == Kind::Oneshot)
        .flat_map(|view| view.replicas.into_iter().filter_map(|replica| replica.run))
        .collect();
    for run in one_shots {
        for engine in world.engines.values_mut().filter(|engine| engine.tasks.get(&run) == Some(&Phase::Running)) {
            engine.exit(run, Exit { code: Some(0), ..Exit::default() });
        }
    }
}

/// Whatever is wanted runs, has run, or is parked or held by what is, with a reason; whatever is not is down.
fn at_rest(world: &World) {
    for name in world.core.names() {
        let view = world.core.service(name.as_str()).expect("it is named");
        let status = view.status;
        let explained = world.explain(name.as_str());
        assert!(world.core.is_settled(name.as_str()), "{name} is {} and not settled: {explained}", status.as_str());
        let wanted = world.store.wanted.get(name).unwrap_or_else(|| panic!("{name} was removed and is still there: {explained}"));
        let up = wanted.desired == hostler_core::Desired::Running && wanted.spec.enabled;
        let alive = view.replicas.iter().filter(|replica| replica.run.is_some()).count();
        let done = view.replicas.iter().filter(|replica| replica.status == Status::Completed).count();
        match status {
            Status::Running => {
                assert!(up && alive + done == wanted.count() as usize, "{name} runs {alive} times: {explained}");
                assert!(wanted.spec.checks.is_empty() || view.health == Health::Healthy, "{name} runs and is {}", view.health.as_str());
            }
            Status::Failed | Status::Pending | Status::Scaling => assert!(up && !explained.is_empty(), "{name} is {}: {explained}", status.as_str()),
            Status::Stopped | Status::Disabled => assert!((!up || wanted.count() == 0) && alive == 0, "{name} is {}", status.as_str()),
            Status::Completed => {}
            Status::NotFound | Status::Starting | Status::Unhealthy | Status::Stopping | Status::Unknown => {
                panic!("{name} is {}: {explained}", status.as_str())
            }
        }
    }
}

fn nothing_left_over(world: &World) {
    let believed: Vec<Run> = world.store.tasks.iter().filter(|(_, record)| record.stage == Stage::Started).map(|(run, _)| *run).collect();
    let mut alive = world.alive();
    alive.sort_unstable();
    assert_eq!(alive, believed, "what lives is what is believed to live");
    let mut kept: Vec<Run> = world.engines.values().flat_map(|engine| engine.tasks.keys().copied()).collect();
    kept.sort_unstable();
    let records: Vec<Run> = world.store.tasks.keys().copied().collect();
    assert!(kept.iter().all(|run| records.contains(run)), "left over: engines {kept:?}, records {:?}", world.store.tasks);
    let settled = world.store.tasks.values().all(|record| matches!(record.stage, Stage::Started | Stage::Ended));
    assert!(settled, "I5: {:?}", world.store.tasks);
    for ((name, replica), record) in &world.store.slots {
        let wanted = world.store.wanted.get(name).map_or(0, hostler_core::Wanted::count);
        let kept = world.store.slots.keys().filter(|(other, _)| other == name).count();
        assert!(!record.surplus && kept <= wanted as usize, "the record of {name}.{replica} is left over");
    }
}
