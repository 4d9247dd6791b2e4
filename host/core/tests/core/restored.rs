//! Host restarts: nothing is started twice, nothing finished is lost, nobody healthy turns ill.

use hostler_core::{Event, Exit, Fault, NoticeKind, Phase, Span, Stage, Time, Verdict};

use crate::world::{Fate, World};

#[test]
fn what_runs_is_taken_up_again_as_it_is() {
    let mut world = World::of("db+; app <- db!; web <- app");
    world.pass(Span::secs(5));
    world.moves();
    let alive = world.alive();
    for same_boot in [true, false, true] {
        world.restart_host(same_boot);
        assert_eq!(world.statuses(), "app running, db running, web running");
        world.pass(Span::secs(1_000));
    }
    assert_eq!((world.moves().as_str(), world.alive()), ("", alive));
    assert_eq!(world.told("db", NoticeKind::Adopted).len(), 3);
}

#[test]
fn no_healthy_service_turns_ill_by_a_host_restart() {
    let mut world = World::of("db+; app <- db");
    world.next("check db/ping", Fate::Held);
    world.restart_host(true);
    assert_eq!((world.health("db"), world.status("db")), ("healthy", "running"));
    assert_eq!(world.told("db", NoticeKind::HealthChanged), ["unknown -> healthy: pass"]);
}

#[test]
fn failures_are_counted_on_over_a_host_restart() {
    let mut world = World::of("db+");
    world.says("db", Verdict::Fail);
    world.pass(Span::secs(70));
    assert_eq!(world.health("db"), "degraded");
    world.restart_host(true);
    assert_eq!(world.moves(), "start db, stop db");
}

#[test]
fn a_service_known_to_be_ill_is_restarted_only_by_a_new_failure() {
    let mut world = World::of("db+");
    world.edit("db", |spec| spec.checks[0].auto_recovery = false);
    world.says("db", Verdict::Fail);
    world.pass(Span::secs(110));
    world.edit("db", |spec| spec.checks[0].interval = Span::secs(31));
    world.pass(Span::secs(110));
    assert_eq!(world.health("db"), "unhealthy");
    world.says("db", Verdict::Unknown);
    world.restart_host(true);
    world.pass(Span::secs(600));
    assert_eq!((world.moves().as_str(), world.health("db")), ("start db", "unhealthy"));
}

#[test]
fn what_one_restart_gave_up_the_next_does_not_take_for_its_slots() {
    let mut world = World::of("web");
    world.stop("web");
    world.next("start db", Fate::Held);
    world.apply("web; db");
    world.remove("db");
    world.away("process", "no route");
    world.restart_host(true);
    assert!(world.core.is_abandoned(1 + 1) && world.store.tasks[&2].stage == Stage::Abandoned);
    world.next("start db", Fate::Fault(Fault::Invalid("no such program".to_owned())));
    world.back("process");
    world.apply("db");
    world.pass(Span::secs(1));
    assert_eq!(world.status("db"), "failed");
    world.moves();
    world.restart_host(true);
    world.pass(Span::secs(1_000));
    assert_eq!((world.moves().as_str(), world.status("db")), ("", "failed"));
}

#[test]
fn what_was_given_up_is_waited_for_while_the_machine_is_awake() {
    let mut world = World::new();
    world.next("start db", Fate::Late(Span::secs(60)));
    world.apply("db");
    world.pass(Span::secs(35));
    assert!(world.core.is_abandoned(1) && world.alive() == [2]);
    // The machine sleeps for a day; what was under way goes on when it wakes up.
    world.sleep(Span::secs(86_400));
    world.pass(Span::secs(60));
    assert_eq!((world.alive(), world.core.is_abandoned(1)), (vec![2], false), "what turned up late is destroyed");
}

#[test]
fn exits_that_happened_meanwhile_are_found() {
    let mut world = World::of("db; job*; gone");
    for (name, exit) in [("db", Some(3)), ("job", Some(0)), ("gone", None)] {
        let run = world.run_of(name).expect("it runs");
        match exit {
            Some(code) => world.engine("process").exit(run, Exit { code: Some(code), ..Exit::default() }),
            None => drop(world.engine("process").tasks.remove(&run)),
        }
    }
    world.restart_host(true);
    assert_eq!(world.statuses(), "db pending, gone pending, job completed");
    assert_eq!(world.explain("gone"), "waits before a restart: is gone: its backend knows nothing of it\nnext: restart in 2s");
}

#[test]
fn a_start_that_was_under_way_and_worked_is_adopted() {
    let mut world = World::new();
    world.next("start db", Fate::Held);
    world.apply("db");
    world.engine("process").start(1, "").expect("it is there");
    world.restart_host(true);
    assert_eq!((world.status("db"), world.run_of("db"), world.moves().as_str()), ("running", Some(1), "start db"));
    assert_eq!(world.store.tasks[&1].stage, Stage::Started);
}

#[test]
fn a_start_that_was_under_way_and_did_not_happen_is_made_anew() {
    let mut world = World::new();
    world.next("start db", Fate::Held);
    world.apply("db");
    world.restart_host(true);
    assert_eq!((world.status("db"), world.run_of("db"), world.moves().as_str()), ("running", Some(2), "start db, start db"));
    assert_eq!(world.core.service("db").expect("it is there").replicas[0].failures, 0);
    // What may still turn up is kept in mind over another restart, and destroyed when it does.
    world.restart_host(true);
    assert!(world.core.is_abandoned(1));
    world.engine("process").start(1, "").expect("it is there");
    world.pass(Span::secs(31));
    assert_eq!((world.alive(), world.core.is_abandoned(1)), (vec![2], false));
}

#[test]
fn what_never_turns_up_is_forgotten() {
    let mut world = World::new();
    world.next("start db", Fate::Held);
    world.apply("db");
    world.restart_host(true);
    world.pass(Span::secs(300));
    assert!(world.core.is_abandoned(1));
    world.pass(Span::secs(100));
    assert!(!world.core.is_abandoned(1) && world.store.tasks.keys().eq([&2]));
}

#[test]
fn nothing_is_started_in_a_slot_whose_backend_cannot_be_asked() {
    let mut world = World::of("db@docker; app <- db; other");
    world.moves();
    world.away("docker", "no socket");
    world.restart_host(true);
    world.pass(Span::secs(600));
    assert_eq!(world.statuses(), "app running, db unknown, other running");
    assert!(!world.core.is_initialized());
    let explained = world.explain("db");
    assert!(
        explained.starts_with("may be running: docker is asked (no socket); backend docker unavailable: no socket\nnext: ask the backend in "),
        "{explained}"
    );
    world.back("docker");
    world.pass(Span::secs(30));
    assert_eq!((world.moves().as_str(), world.status("db")), ("", "running"));
    assert!(world.core.is_initialized());
}

#[test]
fn a_stop_that_was_under_way_is_carried_on() {
    let mut world = World::of("db; app <- db");
    world.moves();
    world.next("stop app", Fate::Held);
    world.stop("db");
    world.restart_host(true);
    assert_eq!(world.moves(), "stop app, stop app, stop db");
    assert_eq!(world.statuses(), "app pending, db stopped");
}

#[test]
fn a_restart_that_was_under_way_is_carried_on_without_blame() {
    let mut world = World::of("db");
    world.next("stop db", Fate::Held);
    world.restart("db");
    world.engine("process").stop(1).expect("it is there");
    world.restart_host(true);
    assert_eq!((world.status("db"), world.run_of("db")), ("running", Some(2)));
    assert_eq!(world.core.service("db").expect("it is there").replicas[0].attempts, 0);
}

#[test]
fn a_backoff_goes_on_over_a_host_restart() {
    let mut world = World::of("db");
    world.exit("db", 1);
    world.pass(Span::secs(1));
    world.moves();
    world.restart_host(true);
    assert_eq!(world.explain("db"), "waits before a restart: exited with code 1\nnext: restart in 1s");
    world.pass(Span::secs(1));
    assert_eq!(world.moves(), "start db");
}

#[test]
fn a_backoff_of_another_boot_is_over() {
    let mut world = World::of("db");
    world.exit("db", 1);
    world.moves();
    world.restart_host(false);
    assert_eq!(world.moves(), "start db");
}

#[test]
fn what_failed_stays_failed_until_somebody_asks() {
    let mut world = World::new();
    world.next("start db", Fate::Fault(Fault::Invalid("no image".to_owned())));
    world.apply("db");
    world.moves();
    world.restart_host(true);
    world.pass(Span::secs(1_000));
    assert_eq!((world.status("db"), world.moves().as_str()), ("failed", ""));
    world.start("db");
    assert_eq!(world.status("db"), "running");
}

#[test]
fn what_was_removed_while_the_host_was_away_is_taken_down() {
    let mut world = World::of("db; app <- db");
    world.done();
    world.store.wanted.clear();
    world.restart_host(true);
    assert_eq!(world.statuses(), "");
    assert!(world.alive().is_empty() && world.store.tasks.is_empty() && world.store.slots.is_empty());
}

#[test]
fn a_spec_changed_while_the_host_was_away_recreates() {
    let mut world = World::of("db");
    let (name, mut wanted) = world.store.wanted.pop_first().expect("it is wanted");
    let mut spec = wanted.spec.as_ref().clone();
    spec.task_digest.push('2');
    wanted.spec = std::sync::Arc::new(spec);
    world.store.wanted.insert(name, wanted);
    world.restart_host(true);
    assert_eq!(world.moves(), "start db, stop db, start db");
}

#[test]
fn run_numbers_are_never_used_twice() {
    let mut world = World::of("db");
    world.remove("db");
    world.restart_host(true);
    world.apply("db");
    assert_eq!(world.run_of("db"), Some(2));
}

#[test]
fn of_two_lives_in_one_slot_the_newer_goes_on() {
    let mut world = World::of("db");
    let mut record = world.store.tasks[&1].clone();
    record.stage = Stage::Intent;
    world.store.tasks.insert(5, record);
    world.engine("process").start(5, "").expect("it is there");
    let forgotten = world.core.owner_of(1).map(|(name, replica)| (name.clone(), replica)).expect("it is known");
    world.owners.clear();
    world.restart_host(true);
    world.owners.insert(5, forgotten);
    assert_eq!((world.run_of("db"), world.alive()), (Some(5), vec![5]));
    assert_eq!(world.engine("process").tasks.len(), 1);
}

#[test]
fn a_kept_life_is_known_again_and_freed_in_its_time() {
    let mut world = World::of("db");
    world.exit("db", 1);
    world.pass(Span::secs(2));
    world.restart_host(true);
    assert_eq!(world.core.service("db").expect("it is there").replicas[0].previous, Some(1));
    world.exit("db", 1);
    assert!(!world.engine("process").tasks.contains_key(&1));
}

#[test]
fn a_listing_says_what_runs_and_strangers_are_left_alone() {
    let mut world = World::of("db");
    world.engine("process").start(77, "").expect("it is there");
    world.restart_host(true);
    world.pass(Span::secs(1_000));
    assert_eq!(world.alive(), [1, 77]);
    world.hear(Event::Listed { backend: "process".to_owned(), found: Ok(vec![(78, Phase::Running)]) });
    assert_eq!(world.done(), "start db");
}

#[test]
fn times_of_another_boot_are_not_left_in_the_store() {
    let mut world = World::new();
    world.next("start parked", Fate::Fault(Fault::Invalid("no image".to_owned())));
    world.apply("db+; waits; parked");
    world.exit("waits", 1);
    world.now = Time(5_000);
    world.next("list process", Fate::Held);
    world.restart_host(false);
    world.pass(Span::secs(1));
    let now = world.now;
    assert!(world.store.tasks.values().all(|record| record.since <= now), "{:?}", world.store.tasks);
    let times =
        world.store.slots.values().flat_map(|slot| [slot.memory.last_failure, slot.memory.last_restart, slot.backoff.as_ref().map(|(at, _)| *at)]);
    assert!(times.flatten().all(|at| at <= now), "{:?}", world.store.slots);
    // A second host in this boot counts failures from now, not from a point that the other boot reached.
    world.says("db", Verdict::Fail);
    world.edit("db", |spec| spec.checks[0].name = "pong".to_owned());
    world.restart_host(true);
    world.moves();
    world.pass(Span::secs(110));
    assert_eq!(world.moves(), "stop db, start db");
}
