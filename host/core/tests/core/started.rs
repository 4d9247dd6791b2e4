//! Starts: who waits for whom, and how many at once.

use hostler_core::{Config, Fault, Span, Verdict};

use crate::world::{Fate, World};

#[test]
fn what_others_need_starts_first() {
    let mut world = World::of("web <- app; app <- db cache; db; cache");
    assert_eq!(world.moves(), "start cache, start db, start app, start web");
    assert_eq!(world.statuses(), "app running, cache running, db running, web running");
}

#[test]
fn a_layer_starts_together_and_the_next_waits_for_all_it_needs() {
    let mut world = World::new();
    world.next("start db", Fate::Held);
    world.apply("app <- db cache; web <- cache; db; cache");
    assert_eq!(world.moves(), "start cache, start db, start web");
    assert_eq!(world.explain("app"), "waits for db to be started\ndb is being started by process");
    world.release("start db");
    assert_eq!(world.moves(), "start app");
}

#[test]
fn started_is_enough_where_it_is_asked_for() {
    let mut world = World::new();
    world.says("db", Verdict::Fail);
    world.apply("db+; app <- db:started; report <- db");
    assert_eq!(world.moves(), "start db, start app");
}

#[test]
fn a_dependency_with_checks_must_be_healthy() {
    let mut world = World::new();
    world.says("db", Verdict::Fail);
    world.apply("db+; app <- db");
    assert_eq!(world.moves(), "start db");
    world.says("db", Verdict::Pass);
    world.pass(Span::secs(3));
    assert_eq!(world.moves(), "start app");
}

#[test]
fn a_check_that_cannot_say_is_not_healthy() {
    let mut world = World::new();
    world.says("db", Verdict::Unknown);
    world.apply("db+; app <- db");
    world.pass(Span::secs(3_600));
    assert_eq!(world.moves(), "start db");
    assert_eq!((world.status("db"), world.health("db")), ("starting", "unknown"));
}

#[test]
fn a_one_shot_must_be_completed() {
    let mut world = World::of("migrate*; app <- migrate");
    assert_eq!(world.moves(), "start migrate");
    world.exit("migrate", 0);
    assert_eq!(world.moves(), "start app");
    assert_eq!(world.statuses(), "app running, migrate completed");
}

#[test]
fn a_one_shot_that_fails_holds_its_dependents() {
    let mut world = World::of("migrate*; app <- migrate");
    for _ in 0..4 {
        world.exit("migrate", 1);
        world.pass(Span::secs(60));
    }
    assert_eq!(world.moves(), "start migrate, start migrate, start migrate, start migrate");
    assert_eq!(world.statuses(), "app pending, migrate failed");
}

#[test]
fn no_more_starts_are_under_way_than_allowed() {
    let mut world = World::with(Config { max_parallel: 2, ..Config::default() });
    for name in ["a", "b", "c", "d"] {
        world.next(&format!("start {name}"), Fate::Held);
    }
    world.apply("a; b; c; d");
    assert_eq!(world.moves(), "start a, start b");
    assert_eq!(world.explain("c"), "waits for its turn: 2 starts are under way\nnext: start");
    world.release("start b");
    assert_eq!(world.moves(), "start c");
    world.fail("start a", Fate::Fault(Fault::Failed("no".to_owned())));
    assert_eq!(world.moves(), "start d");
}

#[test]
fn an_optional_edge_orders_when_both_are_on_their_way() {
    let mut world = World::new();
    world.next("start cache", Fate::Held);
    world.apply("app <- cache?; cache");
    assert_eq!(world.moves(), "start cache");
    world.release("start cache");
    assert_eq!(world.moves(), "start app");
}

#[test]
fn an_optional_dependency_that_failed_blocks_nobody() {
    let mut world = World::new();
    world.next("start cache", Fate::Fault(Fault::Invalid("no such image".to_owned())));
    world.apply("app <- cache?; cache");
    assert_eq!(world.moves(), "start cache, start app");
    assert_eq!(world.statuses(), "app running, cache failed");
}

#[test]
fn an_optional_dependency_in_backoff_blocks_nobody() {
    let mut world = World::new();
    world.next("start cache", Fate::Fault(Fault::Failed("port taken".to_owned())));
    world.apply("app <- cache?; cache");
    assert_eq!(world.moves(), "start cache, start app");
    world.pass(Span::secs(2));
    assert_eq!(world.moves(), "start cache");
}

#[test]
fn an_optional_dependency_that_is_disabled_or_stopped_blocks_nobody() {
    let mut world = World::new();
    world.next("start app", Fate::Held);
    world.apply("cache");
    world.stop("cache");
    world.apply("app <- cache? extra? nowhere?; extra <- cache");
    assert_eq!(world.moves(), "start cache, stop cache, start app");
}

#[test]
fn an_optional_dependency_whose_backend_is_away_blocks_nobody() {
    let mut world = World::new();
    world.away("docker", "no socket");
    world.apply("app <- cache?; cache@docker; behind <- mid?; mid <- cache");
    assert_eq!(world.moves(), "start cache, start app, start behind");
    world.pass(Span::secs(60));
    world.back("docker");
    world.pass(Span::secs(30));
    assert_eq!(world.statuses(), "app running, behind running, cache running, mid running");
}

#[test]
fn an_optional_dependency_that_nobody_can_judge_blocks_nobody() {
    let mut world = World::new();
    world.says("cache", Verdict::Unknown);
    world.apply("app <- cache?; cache+");
    assert_eq!(world.moves(), "start cache, start app");
}

#[test]
fn an_optional_dependency_that_never_gets_well_blocks_until_it_is_known_to_be_ill() {
    let mut world = World::new();
    world.says("cache", Verdict::Fail);
    world.apply("app <- cache?; cache+");
    assert_eq!(world.moves(), "start cache");
    world.pass(Span::secs(120));
    assert!(world.moves().starts_with("stop cache, start app"));
}

#[test]
fn a_disabled_service_is_kept_and_not_run() {
    let mut world = World::new();
    let mut specs = crate::world::specs("job");
    specs[0].enabled = false;
    world.apply_specs(specs);
    assert_eq!((world.status("job"), world.moves().as_str()), ("disabled", ""));
    assert_eq!(world.explain("job"), "is down: it is disabled\nnext: nothing by itself: `enabled` is false in the configuration of job");
    world.edit("job", |spec| spec.enabled = true);
    assert_eq!((world.status("job"), world.moves().as_str()), ("running", "start job"));
    world.edit("job", |spec| spec.enabled = false);
    assert_eq!((world.status("job"), world.moves().as_str()), ("disabled", "stop job"));
}

#[test]
fn a_dependency_about_to_be_restarted_is_waited_for() {
    let mut world = World::of("db; app <- db");
    world.stop("app");
    world.next("stop db", Fate::Held);
    world.restart("db");
    world.start("app");
    assert_eq!(world.moves(), "start db, start app, stop app, stop db");
    world.release("stop db");
    assert_eq!(world.moves(), "start db, start app");
}

#[test]
fn an_unavailable_backend_blames_no_task_and_is_asked_again_later_and_later() {
    let mut world = World::new();
    world.away("docker", "no socket");
    world.apply("db@docker");
    let mut waits = Vec::new();
    for _ in 0..6 {
        let before = world.now;
        while world.moves().is_empty() {
            world.pass(Span::secs(1));
        }
        waits.push(world.now.since(before).0 / 1000);
    }
    assert_eq!(waits, [0, 1, 2, 4, 8, 16]);
    let view = world.core.service("db").expect("it is there");
    assert_eq!((view.replicas[0].attempts, view.replicas[0].failures), (0, 0));
    world.back("docker");
    world.pass(Span::secs(30));
    assert_eq!(world.status("db"), "running");
}

#[test]
fn several_starts_that_find_a_backend_away_are_one_finding() {
    let mut world = World::new();
    world.away("docker", "no socket");
    world.apply("a@docker; b@docker; c@docker; d@docker; e@docker");
    assert_eq!(world.moves(), "start a, start b, start c, start d");
    world.pass(Span::millis(1_000));
    assert_eq!(world.moves().split(", ").count(), 4);
    world.pass(Span::millis(1_999));
    assert_eq!(world.moves(), "");
}

#[test]
fn a_backend_that_says_when_is_asked_then() {
    let mut world = World::new();
    world.next("start db", Fate::Fault(Fault::Unavailable { message: "busy".to_owned(), after: Some(Span::secs(7)) }));
    world.apply("db");
    assert_eq!(world.explain("db"), "waits for its backend: backend process unavailable: busy\nnext: start in 7s");
    world.pass(Span::millis(6_999));
    assert_eq!(world.moves(), "start db");
    world.pass(Span::millis(1));
    assert_eq!(world.moves(), "start db");
}

#[test]
fn a_start_that_can_never_work_parks_the_task() {
    for fault in [Fault::Invalid("no image".to_owned()), Fault::Denied("no grant".to_owned()), Fault::Unsupported("no signals".to_owned())] {
        let mut world = World::new();
        let why = fault.message().to_owned();
        world.next("start db", Fate::Fault(fault));
        world.apply("db");
        world.pass(Span::secs(3_600));
        assert_eq!((world.status("db"), world.moves().as_str()), ("failed", "start db"));
        assert!(world.explain("db").starts_with(&format!("failed: start failed: {why}")), "{}", world.explain("db"));
    }
}

#[test]
fn a_start_that_failed_counts_and_is_tried_again() {
    let mut world = World::new();
    world.next("start db", Fate::Fault(Fault::Failed("port taken".to_owned())));
    world.apply("db");
    assert_eq!(world.explain("db"), "waits before a restart: start failed: port taken\nnext: restart in 2s");
    world.pass(Span::secs(2));
    assert_eq!((world.status("db"), world.moves().as_str()), ("running", "start db, start db"));
    assert_eq!(world.core.service("db").expect("it is there").replicas[0].attempts, 1);
}

#[test]
fn a_start_whose_answer_was_lost_is_looked_for_and_adopted() {
    let mut world = World::new();
    world.next("start db", Fate::Lost);
    world.apply("db");
    assert_eq!((world.status("db"), world.moves().as_str()), ("running", "start db"));
    assert_eq!(world.run_of("db"), Some(1));
}

#[test]
fn a_start_that_was_interrupted_and_left_nothing_counts() {
    let mut world = World::new();
    world.next("start db", Fate::Fault(Fault::Interrupted("it trapped".to_owned())));
    world.apply("db");
    assert_eq!(world.explain("db"), "waits before a restart: start failed: it trapped\nnext: restart in 2s");
    world.pass(Span::secs(2));
    assert_eq!((world.status("db"), world.run_of("db")), ("running", Some(2)));
}

#[test]
fn an_interrupted_start_is_not_judged_by_an_older_listing() {
    let mut world = World::of("other");
    world.next("list process", Fate::Held);
    world.pass(Span::secs(300));
    world.next("start db", Fate::Lost);
    world.apply("db");
    // What was listed before the start knows nothing of it.
    world.fail("list process", Fate::Done);
    assert_eq!((world.status("db"), world.run_of("db")), ("running", Some(2)));
}

#[test]
fn an_interrupted_start_that_turns_up_late_is_destroyed() {
    let mut world = World::new();
    world.next("start db", Fate::Fault(Fault::Interrupted("killed".to_owned())));
    world.apply("db");
    world.pass(Span::secs(10));
    assert_eq!(world.run_of("db"), Some(2));
    world.engine("process").start(1, "").expect("it is there");
    world.pass(Span::secs(40));
    assert_eq!(world.alive(), [2]);
    assert!(world.store.tasks.keys().eq([&2]));
    assert_eq!(world.told("db", hostler_core::NoticeKind::Abandoned).len(), 1);
}

#[test]
fn late_and_double_answers_of_old_lives_mean_nothing() {
    let mut world = World::of("db");
    world.exit("db", 1);
    world.pass(Span::secs(2));
    assert_eq!((world.moves().as_str(), world.run_of("db")), ("start db, start db", Some(2)));
    for event in [
        hostler_core::Event::Started { run: 1 },
        hostler_core::Event::Started { run: 2 },
        hostler_core::Event::StartFailed { run: 2, fault: Fault::Failed("late".to_owned()) },
        hostler_core::Event::Stopped { run: 1, exit: None },
        hostler_core::Event::Stopped { run: 2, exit: None },
        hostler_core::Event::StopFailed { run: 2, fault: Fault::Failed("late".to_owned()) },
        hostler_core::Event::Destroyed { run: 2, fault: None },
        hostler_core::Event::Destroyed { run: 99, fault: None },
        hostler_core::Event::Seen { backend: "process".to_owned(), seen: vec![(1, hostler_core::Phase::Gone)] },
    ] {
        world.hear(event);
        world.settle();
        assert_eq!((world.status("db"), world.run_of("db")), ("running", Some(2)));
    }
    assert_eq!(world.moves(), "");
}
