//! Changes of what is wanted: what they touch, and what they leave alone.

use std::sync::Arc;

use hostler_core::{CheckSpec, Event, Fault, Replicas, Span, Verdict};

use crate::world::{Fate, World, specs};

fn health_of(world: &World, service: &str) -> Vec<(String, &'static str, u32)> {
    let view = world.core.service(service).expect("it is there");
    view.replicas[0].checks.iter().map(|check| (check.name.to_owned(), check.health.as_str(), check.failures)).collect()
}

#[test]
fn an_identical_spec_changes_nothing() {
    let mut world = World::of("migrate*; db+ <- migrate; app <- db; bad");
    world.exit("migrate", 0);
    world.exit("bad", 1);
    world.says("db", Verdict::Fail);
    world.pass(Span::secs(31));
    let (decided, healths) = (world.decided, health_of(&world, "db"));
    let wanted: Vec<_> = world.store.wanted.clone().into_iter().map(|(name, wanted)| (name, Some(wanted))).collect();
    world.hear(Event::Wanted(wanted));
    assert_eq!((world.decided, health_of(&world, "db")), (decided, healths));
}

#[test]
fn a_change_beside_the_task_is_made_live() {
    let mut world = World::of("db+");
    world.moves();
    world.edit("db", |spec| {
        spec.restart.max_attempts = Some(0);
        spec.stop.grace = Span::secs(1);
        spec.critical = true;
    });
    assert_eq!((world.moves().as_str(), world.run_of("db")), ("", Some(1)));
    world.exit("db", 1);
    assert_eq!(world.status("db"), "failed");
}

#[test]
fn a_changed_check_begins_anew_and_the_others_go_on() {
    let mut world = World::of("db+");
    world.edit("db", |spec| spec.checks.push(CheckSpec::new("deep", "http", "{}")));
    world.says("db/ping", Verdict::Fail);
    world.pass(Span::secs(34));
    assert_eq!(health_of(&world, "db"), [("ping".to_owned(), "degraded", 1), ("deep".to_owned(), "healthy", 0)]);
    world.next("check db/deep", Fate::Held);
    world.edit("db", |spec| {
        spec.checks[1].timeout = Span::secs(1);
        spec.checks.reverse();
    });
    assert_eq!(health_of(&world, "db")[0], ("deep".to_owned(), "unknown", 0));
    assert_eq!(health_of(&world, "db")[1].1, "degraded");
}

#[test]
fn the_answer_of_a_check_that_moved_still_reaches_it() {
    let mut world = World::of("db+");
    world.edit("db", |spec| spec.checks.insert(0, CheckSpec::new("deep", "http", "{}")));
    world.next("check db/ping", Fate::Held);
    world.pass(Span::secs(34));
    world.edit("db", |spec| {
        spec.checks.remove(0);
    });
    world.says("db/ping", Verdict::Fail);
    world.release("check db/ping");
    assert_eq!(health_of(&world, "db"), [("ping".to_owned(), "degraded", 1)]);
    world.pass(Span::secs(34));
    assert_eq!(health_of(&world, "db"), [("ping".to_owned(), "degraded", 2)]);
}

#[test]
fn a_changed_digest_recreates_the_task() {
    let mut world = World::of("db; app <- db");
    world.moves();
    world.edit("db", |spec| spec.task_digest.push('2'));
    assert_eq!((world.moves().as_str(), world.run_of("db")), ("stop db, start db", Some(3)));
    assert_eq!(world.told("db", hostler_core::NoticeKind::Stopping), ["stopping run 1: its spec changed"]);
}

#[test]
fn a_digest_that_changes_during_a_start_recreates_what_was_started() {
    let mut world = World::new();
    world.next("start db", Fate::Held);
    world.apply("db");
    world.edit("db", |spec| spec.task_digest.push('2'));
    world.release("start db");
    assert_eq!((world.moves().as_str(), world.status("db")), ("start db, stop db, start db", "running"));
}

#[test]
fn a_digest_that_changes_during_a_start_that_fails_waits_for_nothing() {
    let mut world = World::new();
    world.next("start db", Fate::Held);
    world.apply("db");
    world.edit("db", |spec| spec.task_digest.push('2'));
    world.fail("start db", Fate::Fault(Fault::Invalid("bad image".to_owned())));
    assert_eq!((world.moves().as_str(), world.status("db")), ("start db, start db", "running"));
}

#[test]
fn another_backend_takes_over_after_the_first_has_let_go() {
    let mut world = World::of("db");
    world.moves();
    world.next("stop db", Fate::Held);
    world.apply("db@docker");
    assert_eq!(world.moves(), "stop db");
    world.release("stop db");
    assert_eq!(world.moves(), "start db");
    assert!(world.engine("docker").tasks.contains_key(&2));
}

#[test]
fn a_removed_service_leaves_nothing_behind() {
    let mut world = World::of("db+; app <- db");
    world.exit("app", 1);
    world.pass(Span::secs(5));
    world.remove("app db");
    assert_eq!(world.done(), "start db, start app, start app, stop app, destroy app, destroy app, stop db, destroy db");
    assert_eq!((world.statuses().as_str(), world.store.tasks.len(), world.store.slots.len()), ("", 0, 0));
    assert!(world.engine("process").tasks.is_empty());
    world.pass(Span::secs(1_000));
    assert_eq!((world.done().as_str(), world.core.poll_timeout().is_some()), ("", true));
}

#[test]
fn what_is_removed_during_its_start_is_taken_down_again() {
    let mut world = World::new();
    world.next("start db", Fate::Held);
    world.apply("db");
    world.remove("db");
    world.release("start db");
    assert_eq!((world.done().as_str(), world.statuses().as_str()), ("start db, stop db, destroy db", ""));
    assert!(world.store.tasks.is_empty() && world.engine("process").tasks.is_empty());
}

#[test]
fn what_is_removed_and_wanted_again_before_it_is_gone_begins_anew() {
    let mut world = World::of("job*");
    world.exit("job", 0);
    world.start("job");
    world.exit("job", 0);
    world.next("destroy job", Fate::Held);
    world.next("destroy job", Fate::Held);
    world.remove("job");
    world.moves();
    world.apply("job*");
    assert_eq!((world.moves().as_str(), world.status("job")), ("start job", "running"));
    world.restart("job");
    assert_eq!(world.moves(), "stop job, start job");
}

#[test]
fn a_dependency_that_comes_later_is_waited_for() {
    let mut world = World::of("app <- db");
    assert_eq!(world.explain("app"), "waits for db to be started, which is not among the services");
    world.apply("db");
    assert_eq!(world.moves(), "start db, start app");
}

#[test]
fn a_new_edge_is_heeded_by_the_next_start() {
    let mut world = World::of("app; db");
    world.stop("db");
    world.moves();
    world.apply("app <- db");
    assert_eq!(world.moves(), "stop app");
    world.start("db");
    assert_eq!(world.moves(), "start db, start app");
}

#[test]
fn a_dependency_that_gets_its_first_check_is_waited_for_until_it_is_healthy() {
    let mut world = World::new();
    world.next("start db", Fate::Held);
    world.says("db", Verdict::Fail);
    world.apply("db; app <- db");
    world.apply("db+");
    world.release("start db");
    assert_eq!(world.moves(), "start db");
    world.apply("db");
    assert_eq!(world.moves(), "start app");
}

#[test]
fn a_service_scales_up_and_down() {
    let mut world = World::of("web; front <- web!");
    world.moves();
    world.edit("web", |spec| spec.replicas = Replicas { min: 1, max: 5, count: 3, autoscale: None });
    assert_eq!((world.moves().as_str(), world.status("web")), ("start web.1, start web.2", "running"));
    world.next("stop web.2", Fate::Held);
    world.edit("web", |spec| spec.replicas.count = 1);
    assert_eq!(world.moves(), "stop web.1, stop web.2");
    assert_eq!(world.told("web", hostler_core::NoticeKind::Stopping)[0], "stopping run 3: only 1 replica is wanted");
    world.release("stop web.2");
    assert_eq!(world.core.service("web").expect("it is there").replicas.len(), 1);
    assert_eq!((world.alive().len(), world.store.slots.len(), world.store.tasks.len()), (2, 2, 2));
    // Whoever follows the restarts of a service is not moved by how many there are of it.
    assert_eq!(world.run_of("front"), Some(2));
}

#[test]
fn a_scaled_service_is_started_only_when_all_of_it_is() {
    let mut world = World::new();
    let mut changed = specs("web; front <- web");
    changed[0].replicas = Replicas { min: 1, max: 2, count: 2, autoscale: None };
    world.next("start web.1", Fate::Held);
    world.apply_specs(changed);
    assert_eq!((world.moves().as_str(), world.status("web")), ("start web, start web.1", "scaling"));
    world.release("start web.1");
    assert_eq!(world.moves(), "start front");
}

#[test]
fn one_replica_that_crashes_takes_nobody_along() {
    let mut world = World::new();
    let mut changed = specs("web; front <- web!");
    changed[0].replicas = Replicas { min: 1, max: 2, count: 2, autoscale: None };
    world.apply_specs(changed);
    world.moves();
    world.exit("web.1", 1);
    world.pass(Span::secs(10));
    assert_eq!(world.moves(), "start web.1");
    world.restart("web");
    assert_eq!(world.moves(), "stop front, stop web, stop web.1, start web, start web.1, start front");
}

#[test]
fn a_one_shot_runs_again_when_somebody_asks_or_its_spec_changes() {
    let mut world = World::of("job*");
    world.exit("job", 0);
    world.apply("job*");
    world.restart_host(true);
    world.pass(Span::secs(1_000));
    assert_eq!((world.moves().as_str(), world.status("job")), ("start job", "completed"));
    world.start("job");
    world.exit("job", 0);
    assert_eq!((world.moves().as_str(), world.status("job")), ("start job", "completed"));
    world.edit("job", |spec| spec.task_digest.push('2'));
    world.exit("job", 0);
    assert_eq!((world.moves().as_str(), world.status("job")), ("start job", "completed"));
}

#[test]
fn one_request_for_many_is_one_decision() {
    let mut world = World::of("a; b <- a; c <- b");
    world.moves();
    let changes = world.store.wanted.clone().into_iter().map(|(name, mut wanted)| {
        let mut spec = wanted.spec.as_ref().clone();
        spec.task_digest.push('2');
        wanted.spec = Arc::new(spec);
        (name, Some(wanted))
    });
    let changes = changes.collect();
    world.want(changes);
    assert_eq!(world.moves(), "stop c, stop b, stop a, start a, start b, start c");
}
