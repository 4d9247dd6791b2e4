//! Restarts: their budget, their waits, and whom they take along.

use hostler_core::{NoticeKind, RestartMode, Span, Verdict};

use crate::world::{Course, Fate, World, specs};

#[test]
fn three_restarts_after_two_four_and_eight_seconds_then_failed() {
    let mut world = World::of("db");
    world.moves();
    for (secs, attempt) in [(2, 1), (4, 2), (8, 3)] {
        world.exit("db", 1);
        assert_eq!(world.told("db", NoticeKind::Restarting).last(), Some(&&*format!("exited with code 1; restart {attempt} of 3 in {secs}s")));
        world.pass(Span::millis(secs * 1000 - 1));
        assert_eq!(world.moves(), "");
        world.pass(Span::millis(1));
        assert_eq!(world.moves(), "start db");
    }
    world.exit("db", 1);
    world.pass(Span::secs(3_600));
    assert_eq!((world.moves().as_str(), world.status("db")), ("", "failed"));
    assert_eq!(
        world.explain("db"),
        "failed: exited with code 1; it was restarted 3 times in a row, which is its limit\n\
         next: nothing by itself: `hostler start db` or `hostler restart --force db` tries again"
    );
}

fn failed() -> World {
    let mut world = World::of("db");
    for _ in 0..4 {
        world.exit("db", 1);
        world.pass(Span::secs(10));
    }
    assert_eq!(world.status("db"), "failed");
    world.moves();
    world
}

#[test]
fn a_start_by_hand_unparks_and_counts_anew() {
    let mut world = failed();
    world.start("db");
    assert_eq!((world.moves().as_str(), world.status("db")), ("start db", "running"));
    world.exit("db", 1);
    assert_eq!(world.told("db", NoticeKind::Restarting).last(), Some(&"exited with code 1; restart 1 of 3 in 2s"));
}

#[test]
fn a_restart_by_hand_unparks_and_counts_anew() {
    let mut world = failed();
    world.restart("db");
    assert_eq!((world.moves().as_str(), world.status("db")), ("start db", "running"));
    assert_eq!(world.core.service("db").expect("it is there").replicas[0].attempts, 0);
}

#[test]
fn a_stop_unparks_to_stopped() {
    let mut world = failed();
    world.stop("db");
    assert_eq!((world.moves().as_str(), world.status("db")), ("", "stopped"));
}

#[test]
fn a_changed_spec_is_a_new_chance_for_what_failed_or_waits() {
    let mut world = failed();
    world.edit("db", |spec| spec.stop.grace = Span::secs(1));
    assert_eq!((world.moves().as_str(), world.status("db")), ("", "failed"));
    world.edit("db", |spec| spec.task_digest.push('2'));
    assert_eq!((world.moves().as_str(), world.status("db")), ("start db", "running"));
    world.exit("db", 1);
    world.edit("db", |spec| spec.task_digest.push('3'));
    assert_eq!((world.moves().as_str(), world.status("db")), ("start db", "running"));
    assert_eq!(world.core.service("db").expect("it is there").replicas[0].attempts, 0);
}

#[test]
fn a_spec_changed_while_the_host_was_away_is_a_new_chance_too() {
    let mut world = failed();
    let name = hostler_core::ServiceName::new("db").expect("a name");
    let mut wanted = world.store.wanted[&name].clone();
    let mut spec = wanted.spec.as_ref().clone();
    spec.task_digest.push('2');
    wanted.spec = std::sync::Arc::new(spec);
    world.store.wanted.insert(name, wanted);
    world.restart_host(true);
    assert_eq!((world.moves().as_str(), world.status("db")), ("start db", "running"));
}

#[test]
fn a_start_by_hand_ends_a_backoff() {
    let mut world = World::of("db");
    world.exit("db", 1);
    world.moves();
    world.start("db");
    assert_eq!((world.moves().as_str(), world.status("db")), ("start db", "running"));
}

#[test]
fn a_start_by_hand_of_what_runs_changes_nothing() {
    let mut world = World::of("db");
    world.moves();
    world.start("db");
    assert_eq!((world.moves().as_str(), world.run_of("db")), ("", Some(1)));
    world.exit("db", 1);
    assert_eq!(world.moves(), "");
}

#[test]
fn a_stable_run_counts_anew() {
    let mut world = World::of("db");
    for _ in 0..3 {
        world.exit("db", 1);
        world.pass(Span::secs(10));
    }
    let attempts = |world: &World| world.core.service("db").expect("it is there").replicas[0].attempts;
    assert_eq!(attempts(&world), 3);
    world.pass(Span::secs(591));
    assert_eq!(attempts(&world), 3);
    world.pass(Span::secs(9));
    assert_eq!(attempts(&world), 0);
}

#[test]
fn a_stable_run_is_counted_over_a_host_restart() {
    let mut world = World::of("db");
    world.exit("db", 1);
    world.pass(Span::secs(302));
    world.restart_host(true);
    world.pass(Span::secs(301));
    assert_eq!(world.core.service("db").expect("it is there").replicas[0].attempts, 0);
}

#[test]
fn a_restart_by_hand_starts_at_once_in_a_new_run() {
    let mut world = World::of("db");
    world.restart("db");
    assert_eq!((world.moves().as_str(), world.run_of("db")), ("start db, stop db, start db", Some(2)));
    assert_eq!(world.core.service("db").expect("it is there").replicas[0].restarts, 1);
}

#[test]
fn a_restart_takes_along_those_who_asked_for_it_and_nobody_else() {
    let mut world = World::of("db; app <- db!; web <- app!; plain <- db; loose <- db?!");
    world.moves();
    world.next("stop web", Fate::Held);
    world.next("stop loose", Fate::Held);
    world.restart("db");
    assert_eq!(world.moves(), "stop loose, stop web");
    world.release("stop web");
    assert_eq!(world.moves(), "stop app");
    assert_eq!(
        world.explain("db"),
        "is about to be stopped: a restart was requested; waits for loose to go down first\n\
         loose is being stopped: its dependency db is being restarted"
    );
    world.release("stop loose");
    assert_eq!(world.moves(), "stop db, start db, start app, start loose, start web");
    world.pass(Span::secs(1_000));
    assert_eq!(world.moves(), "");
}

#[test]
fn a_crash_takes_along_those_who_asked_for_it_once_it_is_back() {
    let mut world = World::of("db; app <- db!; plain <- db");
    world.moves();
    world.exit("db", 1);
    assert_eq!(world.moves(), "");
    world.pass(Span::secs(2));
    assert_eq!(world.moves(), "start db, stop app, start app");
    world.pass(Span::secs(1_000));
    assert_eq!(world.moves(), "");
}

#[test]
fn ill_health_takes_along_those_who_asked_for_it() {
    let mut world = World::of("db+; app <- db!; plain <- db");
    world.moves();
    world.says("db", Verdict::Fail);
    while world.status("db") == "running" {
        world.pass(Span::secs(1));
    }
    world.says("db", Verdict::Pass);
    world.pass(Span::secs(10));
    assert_eq!(world.moves(), "stop app, stop db, start db, start app");
}

#[test]
fn a_dependency_that_restarts_does_not_use_up_or_renew_the_count() {
    let mut world = World::of("db; app <- db!");
    world.exit("app", 1);
    world.pass(Span::secs(2));
    world.restart("db");
    assert_eq!(world.core.service("app").expect("it is there").replicas[0].attempts, 1);
}

#[test]
fn an_optional_dependency_that_is_stopped_restarts_nobody() {
    let mut world = World::of("cache; app <- cache?!");
    world.moves();
    world.stop("cache");
    world.pass(Span::secs(10));
    assert_eq!(world.moves(), "stop cache");
    world.start("cache");
    assert_eq!(world.moves(), "start cache, stop app, start app");
}

#[test]
fn each_mode_knows_when_to_restart() {
    for (mode, code, status) in [
        (RestartMode::Always, 0, "pending"),
        (RestartMode::OnFailure, 0, "completed"),
        (RestartMode::OnFailure, 1, "pending"),
        (RestartMode::Never, 0, "completed"),
        (RestartMode::Never, 1, "failed"),
    ] {
        let mut world = World::new();
        let mut specs = crate::world::specs("db");
        specs[0].restart.mode = mode;
        world.apply_specs(specs);
        world.exit("db", code);
        assert_eq!(world.status("db"), status, "{mode:?} {code}");
    }
}

#[test]
fn a_flapping_service_does_not_starve_the_others() {
    let mut world = World::with(hostler_core::Config { max_parallel: 1, ..hostler_core::Config::default() });
    let mut specs = crate::world::specs("a; b; c");
    specs[0].restart.max_attempts = None;
    specs[0].restart.initial = Span::ZERO;
    world.next("start b", Fate::Held);
    world.apply_specs(specs);
    world.exit("a", 1);
    world.pass(Span::secs(1));
    world.release("start b");
    assert_eq!(world.moves(), "start a, start b, start a, start c");
}

#[test]
fn a_start_asked_for_during_a_start_is_that_start() {
    let mut world = World::of("db");
    world.exit("db", 1);
    world.next("start db", Fate::Held);
    world.pass(Span::secs(2));
    world.start("db");
    world.moves();
    world.fail("start db", Fate::Fault(hostler_core::Fault::Failed("no".to_owned())));
    assert_eq!(world.told("db", NoticeKind::Restarting).last(), Some(&"start failed: no; restart 1 of 3 in 2s"));
    assert_eq!(world.moves(), "");
}

#[test]
fn the_time_a_stop_takes_makes_no_run_stable() {
    let mut world = World::of("db+");
    world.edit("db", |spec| spec.restart.reset_after = Span::secs(120));
    world.exit("db", 1);
    world.says("db", Verdict::Fail);
    world.next("stop db", Fate::Held);
    while world.status("db") != "stopping" {
        world.pass(Span::secs(1));
    }
    world.pass(Span::secs(60));
    world.release("stop db");
    assert_eq!(world.told("db", NoticeKind::Restarting).last(), Some(&"check ping says unhealthy: fail; restart 2 of 3 in 4s"));
}

#[test]
fn a_dependency_that_will_not_stop_does_not_make_its_dependents_flap() {
    let mut world = World::of("db; app <- db?!");
    world.moves();
    world.next("stop db", Fate::Fault(hostler_core::Fault::Failed("will not die".to_owned())));
    world.restart("db");
    assert_eq!(world.moves(), "stop app, stop db, start app");
    world.pass(Span::secs(1));
    assert_eq!(world.moves(), "stop db, start db, stop app, start app");
    world.pass(Span::secs(1_000));
    assert_eq!(world.moves(), "");
}

#[test]
fn whoever_would_be_pulled_along_at_once_is_not_started() {
    let mut world = World::of("db+; app <- db?!; web <- db!");
    world.moves();
    world.next("stop web", Fate::Held);
    world.says("db", Verdict::Fail);
    while world.status("web") == "running" {
        world.pass(Span::secs(1));
    }
    assert_eq!(world.moves(), "stop app, stop web");
    world.pass(Span::secs(5));
    assert_eq!(world.moves(), "");
    world.says("db", Verdict::Pass);
    world.release("stop web");
    world.pass(Span::secs(10));
    assert_eq!(world.statuses(), "app running, db running, web running");
}

#[test]
fn a_success_that_is_restarted_is_no_failure() {
    let mut world = World::of("db");
    world.exit("db", 0);
    let view = world.core.service("db").expect("it is there");
    assert_eq!((view.replicas[0].failures, view.replicas[0].last_failure, view.replicas[0].last_error), (0, None, None));
    assert_eq!(world.told("db", NoticeKind::Restarting), ["exited with code 0; restart 1 of 3 in 2s"]);
    world.pass(Span::secs(2));
    world.exit("db", 1);
    let view = world.core.service("db").expect("it is there");
    assert_eq!((view.replicas[0].failures, view.replicas[0].last_error), (1, Some("exited with code 1")));
}

#[test]
fn lives_that_cannot_be_freed_are_few_and_the_oldest_is_given_up() {
    let mut world = World::new();
    let mut changed = specs("db");
    changed[0].restart = hostler_core::RestartPolicy { max_attempts: None, factor_permille: 1_000, ..changed[0].restart };
    world.fates = Some(Box::new(|call, _| Course::at_once(if call.starts_with("destroy") { Fate::Held } else { Fate::Done })));
    world.apply_specs(changed);
    for life in 0..40 {
        world.exit("db", 1);
        world.pass(Span::secs(2));
        assert!(world.store.tasks.len() <= 17, "{} records after {life} ends", world.store.tasks.len());
    }
    let calls = world.done();
    assert!(
        calls.matches("destroy").count() < 40 && calls.starts_with("start db, start db, destroy db, start db, destroy db, start db, start db"),
        "{calls}"
    );
    let told = world.told("db", NoticeKind::Trouble);
    assert_eq!((told.len(), told[0]), (24, "what is left of run 1 could not be freed, and is left to backend process"));
    assert_eq!(world.core.service("db").expect("it is there").replicas[0].previous, Some(40));
}

#[test]
fn what_can_be_freed_waits_for_nothing_that_cannot() {
    let mut world = World::of("db");
    for _ in 0..3 {
        world.next("destroy db", Fate::Fault(hostler_core::Fault::Failed("busy".to_owned())));
    }
    for _ in 0..5 {
        world.exit("db", 1);
        world.start("db");
    }
    assert_eq!(world.store.tasks.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 5, 6]);
    world.pass(Span::secs(10));
    assert_eq!(world.store.tasks.keys().copied().collect::<Vec<_>>(), [5, 6]);
}
