//! Backends that cannot be asked, plugins that are missing, and clocks that jump.

use hostler_core::{Event, Exit, Fault, NoticeKind, Phase, Span, Time, Verdict};

use crate::world::{Fate, World};

#[test]
fn what_cannot_be_looked_at_is_unknown_and_left_alone() {
    let mut world = World::of("db+@docker; app <- db");
    world.moves();
    world.away("docker", "no socket");
    world.pass(Span::secs(2));
    assert_eq!((world.status("db"), world.status("app")), ("unknown", "running"));
    assert_eq!(world.explain("db"), "cannot be looked at: no socket\nnext: look again in 1s");
    world.pass(Span::secs(3_600));
    assert_eq!(world.moves(), "");
    world.back("docker");
    world.pass(Span::secs(2));
    assert_eq!((world.status("db"), world.health("db"), world.run_of("db")), ("running", "healthy", Some(1)));
    assert_eq!((world.told("db", NoticeKind::Unknown).len(), world.told("db", NoticeKind::Known).len()), (1, 1));
}

#[test]
fn unknown_moves_no_verdict_and_is_no_health() {
    let mut world = World::of("db+");
    world.away("process", "gone");
    world.pass(Span::secs(2));
    assert_eq!(world.health("db"), "unknown");
    let view = world.core.service("db").expect("it is there");
    assert_eq!(view.replicas[0].checks[0].health.as_str(), "healthy");
    world.back("process");
    world.pass(Span::secs(2));
    assert_eq!(world.health("db"), "healthy");
    assert_eq!(world.told("db", NoticeKind::HealthChanged), ["unknown -> healthy: pass"]);
}

#[test]
fn ill_health_restarts_nothing_while_its_backend_is_away() {
    let mut world = World::of("db+@docker");
    world.moves();
    world.away("docker", "no socket");
    world.pass(Span::secs(2));
    world.says("db", Verdict::Fail);
    world.pass(Span::secs(600));
    assert_eq!(world.moves(), "");
    world.back("docker");
    world.pass(Span::secs(2));
    assert_eq!(world.moves(), "stop db");
}

#[test]
fn nothing_starts_on_what_is_unknown() {
    let mut world = World::of("db@docker; app <- db");
    world.stop("app");
    world.away("docker", "no socket");
    world.pass(Span::secs(2));
    world.moves();
    world.start("app");
    assert_eq!(world.moves(), "");
    assert_eq!(world.explain("app"), "waits for db to be started\ndb cannot be looked at: no socket\nnext: look again in 1s");
    world.back("docker");
    world.pass(Span::secs(2));
    assert_eq!(world.moves(), "start app");
}

#[test]
fn what_ended_meanwhile_is_found_when_the_backend_is_back() {
    let mut world = World::of("db@docker; job*@docker");
    world.away("docker", "no socket");
    world.pass(Span::secs(2));
    let exit = |code| hostler_core::Exit { code: Some(code), ..hostler_core::Exit::default() };
    let (db, job) = (world.run_of("db").expect("it runs"), world.run_of("job").expect("it runs"));
    world.engine("docker").exit(db, exit(9));
    world.engine("docker").exit(job, exit(0));
    world.pass(Span::secs(60));
    world.back("docker");
    world.pass(Span::secs(1));
    assert_eq!(world.statuses(), "db pending, job completed");
}

#[test]
fn what_vanished_counts_as_a_failure() {
    let mut world = World::of("db");
    world.engine("process").tasks.clear();
    world.pass(Span::secs(1));
    assert_eq!(world.explain("db"), "waits before a restart: vanished: its backend knows nothing of it\nnext: restart in 2s");
}

#[test]
fn a_missing_plugin_makes_its_tasks_unknown_and_starts_wait() {
    let mut world = World::of("db+@docker; app@docker <- db");
    world.stop("app");
    world.moves();
    world.hear(Event::Plugin { backend: "docker".to_owned(), missing: Some("plugin docker is quarantined".to_owned()) });
    assert_eq!((world.status("db"), world.health("db")), ("unknown", "unknown"));
    world.start("app");
    world.apply("cache@docker");
    assert_eq!(world.explain("cache"), "waits for its backend: plugin docker is quarantined\nnext: start");
    world.pass(Span::secs(3_600));
    assert_eq!(world.moves(), "");
    world.hear(Event::Plugin { backend: "docker".to_owned(), missing: None });
    world.settle();
    assert_eq!((world.moves().as_str(), world.status("db")), ("start cache, start app", "running"));
}

#[test]
fn a_look_that_somebody_asked_for_meanwhile_follows_at_once() {
    let mut world = World::of("db");
    world.next("look process", Fate::Held);
    world.pass(Span::secs(1));
    let run = world.run_of("db").expect("it runs");
    world.exit("db", 1);
    assert_eq!(world.run_of("db"), Some(run));
    world.fail("look process", Fate::Fault(Fault::Failed("late".to_owned())));
    assert_eq!(world.status("db"), "pending");
}

#[test]
fn where_every_end_is_told_only_what_is_new_or_unknown_is_looked_at_often() {
    let mut world = World::of("db");
    let next = |world: &World| world.core.poll_timeout().expect("something is watched").since(world.now);
    let watched = |closely| Event::Watched { backend: "process".to_owned(), closely };
    world.pass(Span::secs(1_000));
    assert!(next(&world) <= Span::secs(1));
    world.hear(watched(true));
    world.settle();
    assert_eq!(next(&world), Span::secs(30));
    world.apply("db; app");
    assert!(next(&world) <= Span::secs(1), "its end may have come before anybody knew whose it was");
    world.pass(Span::secs(2));
    assert!(next(&world) > Span::secs(5));
    world.away("process", "gone");
    world.pass(Span::secs(40));
    assert_eq!(world.status("db"), "unknown");
    assert!(next(&world) <= Span::secs(1));
    world.back("process");
    world.pass(Span::secs(2));
    assert_eq!(world.status("db"), "running");
    assert!(next(&world) > Span::secs(5));
    world.hear(watched(false));
    world.settle();
    assert!(next(&world) <= Span::secs(1));
}

#[test]
fn a_clock_that_jumps_forward_fires_every_timer_once() {
    let mut world = World::of("db+; app <- db; bad");
    world.exit("bad", 1);
    world.moves();
    world.now = Time(u64::MAX / 2);
    world.hear(Event::Tick);
    world.settle();
    assert_eq!((world.moves().as_str(), world.statuses().as_str()), ("start bad", "app running, bad running, db running"));
    world.now = Time(u64::MAX);
    world.hear(Event::Tick);
    assert_eq!(world.statuses(), "app running, bad running, db running");
}

#[test]
fn a_clock_that_jumps_back_is_read_as_standing() {
    let mut world = World::of("db+; bad");
    world.exit("bad", 1);
    world.moves();
    let now = world.now;
    for at in [0, 1, 5_000] {
        world.core.handle(Time(at), Event::Tick);
        assert_eq!((world.core.now(), world.core.poll_action()), (now, None));
    }
    world.pass(Span::secs(2));
    assert_eq!(world.moves(), "start bad");
}

#[test]
fn a_backend_is_asked_again_neither_at_once_nor_never() {
    for (after, first, last) in [(0, 1, 1), (1_000_000_000_000, 300, 300), (u64::MAX, 300, 300), (7_000, 7, 7)] {
        let mut world = World::new();
        world.next("start db", Fate::Fault(Fault::Unavailable { message: "busy".to_owned(), after: Some(Span(after)) }));
        world.apply("db");
        world.pass(Span(first * 1_000 - 1));
        assert_eq!((world.moves().as_str(), world.status("db")), ("start db", "pending"), "{after}");
        world.pass(Span(last * 1_000));
        assert_eq!((world.moves().as_str(), world.status("db")), ("start db", "running"), "{after}");
    }
}

fn plugin(world: &mut World, missing: Option<&str>) {
    world.hear(Event::Plugin { backend: "docker".to_owned(), missing: missing.map(str::to_owned) });
    world.settle();
}

#[test]
fn a_look_that_was_under_way_when_its_plugin_went_is_not_believed() {
    let mut world = World::of("db@docker");
    world.next("look docker", Fate::Held);
    world.pass(Span::secs(1));
    plugin(&mut world, Some("plugin docker is quarantined"));
    world.release("look docker");
    world.pass(Span::secs(60));
    assert_eq!((world.status("db"), world.told("db", NoticeKind::Known).len()), ("unknown", 0));
    plugin(&mut world, None);
    assert_eq!((world.status("db"), world.told("db", NoticeKind::Known).len()), ("running", 1));
}

#[test]
fn a_start_that_was_under_way_when_its_plugin_went_leaves_an_unknown_task() {
    let mut world = World::new();
    world.next("start db", Fate::Held);
    world.apply("db+@docker; app <- db:started");
    plugin(&mut world, Some("plugin docker is quarantined"));
    world.release("start db");
    world.pass(Span::secs(60));
    assert_eq!((world.status("db"), world.health("db"), world.moves().as_str()), ("unknown", "unknown", "start db"));
    plugin(&mut world, None);
    assert_eq!((world.status("db"), world.moves().as_str()), ("running", "start app"));
}

#[test]
fn a_check_that_is_gone_when_its_backend_is_back_restarts_nothing() {
    for recovery in [true, false] {
        let mut world = World::of("db+@docker");
        world.away("docker", "no socket");
        world.pass(Span::secs(2));
        world.says("db", Verdict::Fail);
        world.pass(Span::secs(600));
        world.edit("db", |spec| match recovery {
            true => spec.checks[0].auto_recovery = false,
            false => spec.checks.clear(),
        });
        world.back("docker");
        world.pass(Span::secs(600));
        assert_eq!(world.moves(), "start db");
    }
}

#[test]
fn a_backend_is_not_believed_about_the_tasks_of_another() {
    let mut world = World::of("db; evil@other");
    for event in [
        Event::Seen { backend: "other".to_owned(), seen: vec![(1, Phase::Gone)] },
        Event::Looked { backend: "other".to_owned(), seen: Ok(vec![(1, Phase::Exited(Exit::default()))]) },
        Event::Listed { backend: "other".to_owned(), found: Ok(vec![(1, Phase::Exited(Exit::default()))]) },
    ] {
        world.hear(event);
        world.settle();
        assert_eq!((world.status("db"), world.run_of("db")), ("running", Some(1)));
    }
    world.next("list process", Fate::Held);
    world.restart_host(true);
    world.hear(Event::Listed { backend: "other".to_owned(), found: Ok(vec![(1, Phase::Exited(Exit::default())), (2, Phase::Running)]) });
    world.settle();
    assert_eq!((world.status("db"), world.status("evil")), ("unknown", "running"));
    world.release("list process");
    assert_eq!((world.moves().as_str(), world.run_of("db")), ("start db, start evil", Some(1)));
}
