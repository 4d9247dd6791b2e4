//! Stops: dependents first, waits pre-empted, and remembered.

use hostler_core::{Exit, Fault, Phase, Span, Verdict};

use crate::world::{Fate, World};

#[test]
fn a_stop_takes_dependents_down_first() {
    let mut world = World::of("web <- app; app <- db; db; other");
    world.moves();
    world.stop("db");
    assert_eq!(world.moves(), "stop web, stop app, stop db");
    assert_eq!(world.statuses(), "app pending, db stopped, other running, web pending");
}

#[test]
fn each_waits_for_its_dependents_to_be_down() {
    let mut world = World::of("web <- app; app <- db; db");
    world.moves();
    world.next("stop web", Fate::Held);
    world.stop("db");
    assert_eq!(world.moves(), "stop web");
    assert_eq!(
        world.explain("db"),
        "is about to be stopped: it was stopped by request; waits for app to go down first\n\
         app is about to be stopped: it needs db, which was stopped by request; waits for web to go down first\n\
         web is being stopped: it needs db, which was stopped by request"
    );
    world.release("stop web");
    assert_eq!(world.moves(), "stop app, stop db");
}

#[test]
fn an_optional_dependent_stays_when_only_its_dependency_goes() {
    let mut world = World::of("app <- cache?; cache");
    world.moves();
    world.stop("cache");
    assert_eq!(world.moves(), "stop cache");
    assert_eq!(world.statuses(), "app running, cache stopped");
}

#[test]
fn an_optional_dependent_that_goes_too_goes_first() {
    let mut world = World::of("app <- zache?; zache");
    world.moves();
    world.next("stop app", Fate::Held);
    world.stop("zache app");
    assert_eq!(world.moves(), "stop app");
    world.release("stop app");
    assert_eq!(world.moves(), "stop zache");
}

#[test]
fn closing_takes_everything_down_in_order_and_forgets_no_wish() {
    let mut world = World::of("web <- app; app <- db cache?; db; cache");
    world.moves();
    world.close(false);
    assert_eq!(world.moves(), "stop web, stop app, stop cache, stop db");
    assert!(world.core.is_closed() && world.alive().is_empty());
    world.restart_host(true);
    assert_eq!(world.moves(), "start cache, start db, start app, start web");
}

#[test]
fn closing_waits_for_a_start_under_way() {
    let mut world = World::new();
    world.next("start db", Fate::Held);
    world.apply("db; app <- db");
    world.close(false);
    assert!(!world.core.is_closed());
    world.release("start db");
    assert_eq!(world.moves(), "start db, stop db");
    assert!(world.core.is_closed());
}

#[test]
fn closing_by_force_waits_for_nobody() {
    let mut world = World::of("web <- app; app <- db; db");
    world.moves();
    world.next("kill web", Fate::Held);
    world.close(true);
    assert_eq!(world.moves(), "kill app, kill db, kill web");
    assert!(!world.core.is_closed());
    world.release("kill web");
    assert!(world.core.is_closed());
}

#[test]
fn closing_by_force_hastens_stops_under_way() {
    let mut world = World::of("app <- db; db");
    world.moves();
    world.next("stop app", Fate::Held);
    world.close(false);
    assert_eq!(world.moves(), "stop app");
    world.close(true);
    assert_eq!(world.moves(), "kill app, kill db");
    assert!(world.core.is_closed());
}

#[test]
fn force_lasts_as_long_as_the_stop() {
    let mut world = World::of("db+");
    world.moves();
    world.next("stop db", Fate::Held);
    world.restart("db");
    world.force("db");
    assert_eq!(world.moves(), "stop db, kill db, start db");
    world.restart("db");
    assert_eq!(world.moves(), "stop db, start db");
}

#[test]
fn a_stop_by_hand_is_remembered_over_a_host_restart() {
    let mut world = World::of("db; app <- db");
    world.stop("app");
    world.moves();
    world.restart_host(true);
    world.pass(Span::secs(3_600));
    assert_eq!(world.statuses(), "app stopped, db running");
    assert_eq!(world.moves(), "");
    world.restart_host(false);
    world.pass(Span::secs(3_600));
    assert_eq!(world.statuses(), "app stopped, db running");
}

#[test]
fn a_stopped_service_is_not_started_by_anything_but_a_request() {
    let mut world = World::of("db; app <- db!");
    world.stop("app");
    world.moves();
    world.restart("db");
    world.edit("app", |spec| spec.task_digest.push('2'));
    world.pass(Span::secs(3_600));
    assert_eq!(world.moves(), "stop db, start db");
    world.start("app");
    assert_eq!(world.moves(), "start app");
}

#[test]
fn a_stop_preempts_a_start_that_waits_for_its_turn() {
    let mut world = World::with(hostler_core::Config { max_parallel: 1, ..hostler_core::Config::default() });
    world.next("start a", Fate::Held);
    world.apply("a; b");
    world.stop("b");
    assert_eq!(world.status("b"), "stopped");
    world.release("start a");
    assert_eq!(world.moves(), "start a");
}

#[test]
fn a_stop_preempts_a_backoff() {
    let mut world = World::of("db");
    world.exit("db", 1);
    assert_eq!(world.status("db"), "pending");
    world.stop("db");
    assert_eq!(world.status("db"), "stopped");
    world.pass(Span::secs(3_600));
    assert_eq!(world.moves(), "start db");
}

#[test]
fn a_stop_preempts_the_wait_for_a_dependency() {
    let mut world = World::new();
    world.says("db", Verdict::Fail);
    world.apply("db+; app <- db");
    world.stop("app");
    assert_eq!(world.status("app"), "stopped");
    world.says("db", Verdict::Pass);
    world.pass(Span::secs(60));
    assert_eq!(world.moves(), "start db");
}

#[test]
fn a_stop_during_a_start_follows_at_once() {
    let mut world = World::new();
    world.next("start db", Fate::Held);
    world.apply("db");
    world.stop("db");
    assert_eq!(world.moves(), "start db");
    world.release("start db");
    assert_eq!(world.moves(), "stop db");
    assert_eq!(world.status("db"), "stopped");
}

#[test]
fn a_stop_during_a_start_that_fails_is_not_tried_again() {
    for fault in [Fault::Failed("no".to_owned()), Fault::Interrupted("cut".to_owned()), Fault::Invalid("bad".to_owned())] {
        let mut world = World::new();
        world.next("start db", Fate::Held);
        world.apply("db");
        world.stop("db");
        world.fail("start db", Fate::Fault(fault));
        world.pass(Span::secs(100));
        assert_eq!((world.moves().as_str(), world.status("db")), ("start db", "stopped"));
        assert!(world.told("db", hostler_core::NoticeKind::Restarting).is_empty());
    }
}

#[test]
fn a_task_that_exits_while_it_is_stopped_is_no_failure() {
    let mut world = World::of("db");
    world.next("stop db", Fate::Held);
    world.stop("db");
    world.engine("process").exit(1, Exit { code: Some(3), ..Exit::default() });
    world.pass(Span::secs(5));
    world.release("stop db");
    assert_eq!((world.status("db"), world.told("db", hostler_core::NoticeKind::Exited).len()), ("stopped", 0));
    let view = world.core.service("db").expect("it is there");
    assert_eq!((view.replicas[0].failures, view.replicas[0].last_exit.and_then(|exit| exit.code)), (0, Some(3)));
}

#[test]
fn a_stop_that_fails_is_tried_again_and_says_so() {
    let mut world = World::of("db");
    world.moves();
    world.next("stop db", Fate::Fault(Fault::Interrupted("timed out".to_owned())));
    world.next("stop db", Fate::Fault(Fault::Failed("will not die".to_owned())));
    world.stop("db");
    assert_eq!(world.explain("db"), "is being stopped: it was stopped by request; stop failed: timed out\nnext: stop again in 1s");
    world.pass(Span::secs(1));
    assert_eq!(world.explain("db"), "is being stopped: it was stopped by request; stop failed: will not die\nnext: stop again in 2s");
    world.pass(Span::secs(2));
    assert_eq!((world.status("db"), world.moves().as_str()), ("stopped", "stop db, stop db, stop db"));
}

#[test]
fn a_stop_that_fails_is_remembered_and_blocks_no_optional_dependent() {
    let mut world = World::of("cache; app <- cache?");
    world.stop("app");
    world.moves();
    world.next("stop cache", Fate::Held);
    world.restart("cache");
    world.start("app");
    assert_eq!(world.moves(), "stop cache");
    world.fail("stop cache", Fate::Fault(Fault::Failed("will not die".to_owned())));
    assert_eq!(world.moves(), "start app");
    assert!(world.store.slots.values().any(|record| record.memory.last_error.as_deref() == Some("stop failed: will not die")));
}

#[test]
fn started_again_while_it_stops_it_comes_back() {
    let mut world = World::of("db");
    world.next("stop db", Fate::Held);
    world.stop("db");
    world.start("db");
    assert_eq!(world.status("db"), "stopping");
    world.release("stop db");
    assert_eq!((world.moves().as_str(), world.status("db")), ("start db, stop db, start db", "running"));
}

#[test]
fn dependents_come_back_with_what_they_need() {
    let mut world = World::of("web <- app; app <- db; db");
    world.stop("db");
    world.moves();
    world.start("db");
    assert_eq!(world.moves(), "start db, start app, start web");
}

#[test]
fn an_edge_that_is_gone_from_the_spec_still_orders_the_tasks_started_with_it() {
    let mut world = World::of("app <- db; db");
    world.moves();
    world.edit("app", |spec| spec.dependencies.clear());
    assert_eq!(world.moves(), "");
    world.next("stop app", Fate::Held);
    world.remove("app db");
    assert_eq!(world.moves(), "stop app");
    world.release("stop app");
    assert_eq!(world.moves(), "stop db");
    assert_eq!(world.statuses(), "");
}

#[test]
fn an_edge_that_was_turned_round_blocks_no_stop() {
    let mut world = World::of("app <- db; db");
    world.apply("app");
    world.edit("db", |spec| spec.dependencies = crate::world::specs("db <- app")[0].dependencies.clone());
    world.moves();
    world.close(false);
    assert!(world.core.is_closed(), "{}", world.explain("db"));
    assert_eq!(world.moves(), "stop db, stop app");
}

#[test]
fn an_ended_life_is_kept_for_its_logs_until_the_next_one_ends() {
    let mut world = World::of("db");
    for _ in 0..3 {
        world.exit("db", 1);
        world.pass(Span::secs(20));
    }
    assert_eq!(world.done(), "start db, start db, destroy db, start db, destroy db, start db");
    assert_eq!(world.core.service("db").expect("it is there").replicas[0].previous, Some(3));
    assert!(matches!(world.engine("process").tasks.get(&3), Some(Phase::Exited(_))));
}

#[test]
fn a_destroy_that_fails_is_tried_again() {
    let mut world = World::of("db");
    world.done();
    world.next("destroy db", Fate::Fault(Fault::Failed("busy".to_owned())));
    world.remove("db");
    assert_eq!(world.done(), "stop db, destroy db");
    world.pass(Span::secs(1));
    assert_eq!((world.done().as_str(), world.status("db")), ("destroy db", "not-found"));
    assert!(world.store.tasks.is_empty() && world.store.slots.is_empty());
}

#[test]
fn a_stop_that_is_tried_again_delays_no_destroy_and_loses_none() {
    let mut world = World::of("db");
    for _ in 0..3 {
        world.next("destroy db", Fate::Fault(Fault::Failed("busy".to_owned())));
    }
    for _ in 0..2 {
        world.exit("db", 1);
        world.pass(Span::secs(4));
    }
    world.done();
    world.next("stop db", Fate::Fault(Fault::Failed("busy".to_owned())));
    world.restart("db");
    world.pass(Span::secs(2));
    assert_eq!(world.done(), "stop db, stop db, destroy db, start db");
    world.pass(Span::secs(4));
    assert_eq!((world.done().as_str(), world.engine("process").tasks.len()), ("destroy db", 2));
}
