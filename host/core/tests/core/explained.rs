//! What people read when they ask why.

use hostler_core::{Fault, Span, Verdict};

use crate::world::{Fate, World};

#[test]
fn a_service_that_is_as_wanted_needs_no_words() {
    let world = World::of("db+; app <- db");
    assert_eq!(world.explain("app"), "");
    assert_eq!(world.explain("db"), "");
    assert_eq!(world.explain("nobody"), "");
}

#[test]
fn it_waits_for_a_dependency_whose_backend_is_away() {
    let mut world = World::new();
    world.away("docker", "no socket at /run/docker.sock");
    world.apply("db@docker; app <- db; web <- app");
    assert_eq!(
        world.explain("web"),
        "waits for app to be started\n\
         app waits for db to be started\n\
         db waits for its backend: backend docker unavailable: no socket at /run/docker.sock\n\
         next: start in 1s"
    );
}

#[test]
fn it_is_held_down_by_a_stopped_dependency() {
    let mut world = World::of("db; app <- db; web <- app");
    world.stop("db");
    assert_eq!(
        world.explain("web"),
        "waits for app, which it needs\napp waits for db, which it needs\ndb is down: it was stopped by request\n\
         next: nothing by itself: `hostler start db` starts it"
    );
}

#[test]
fn it_waits_before_a_restart() {
    let mut world = World::of("db; app <- db");
    world.exit("db", 137);
    world.stop("app");
    world.start("app");
    assert_eq!(world.explain("app"), "waits for db to be started\ndb waits before a restart: exited with code 137\nnext: restart in 2s");
}

#[test]
fn it_failed_and_says_what_helps() {
    let mut world = World::new();
    world.next("start db", Fate::Fault(Fault::Denied("program /bin/x is not granted".to_owned())));
    world.apply("db; app <- db");
    assert_eq!(
        world.explain("app"),
        "waits for db to be started\n\
         db failed: start failed: program /bin/x is not granted\n\
         next: nothing by itself: `hostler start db` or `hostler restart --force db` tries again"
    );
}

#[test]
fn it_waits_for_a_dependent_to_go_down() {
    let mut world = World::of("db; app <- db");
    world.next("stop app", Fate::Fault(Fault::Failed("it does not answer".to_owned())));
    world.stop("db");
    assert_eq!(
        world.explain("db"),
        "is about to be stopped: it was stopped by request; waits for app to go down first\n\
         app is being stopped: it needs db, which was stopped by request; stop failed: it does not answer\n\
         next: stop again in 1s"
    );
}

#[test]
fn it_is_not_judged_yet() {
    let mut world = World::new();
    world.says("db", Verdict::Fail);
    world.apply("db+; app <- db");
    assert_eq!(world.explain("app"), "waits for db to be healthy\ndb is not judged yet: check ping says: fail\nnext: check ping in 50ms");
}

#[test]
fn it_is_degraded_or_ill() {
    let mut world = World::of("db+");
    world.edit("db", |spec| spec.checks[0].auto_recovery = false);
    world.says("db", Verdict::Fail);
    world.pass(Span::secs(34));
    assert!(world.explain("db").starts_with("is degraded: check ping failed 1 of 3 times in a row: fail\nnext: check ping in "));
    world.pass(Span::secs(70));
    assert!(world.explain("db").starts_with("is unhealthy: check ping failed 3 times in a row: fail\nnext: check ping in "));
    world.says("db", Verdict::Pass);
    world.pass(Span::secs(70));
    world.says("db", Verdict::Warn);
    world.pass(Span::secs(34));
    assert!(world.explain("db").starts_with("is degraded: check ping warns: warn"));
}

#[test]
fn it_goes_down_with_the_host() {
    let mut world = World::of("db; app <- db");
    world.next("stop app", Fate::Held);
    world.close(false);
    assert_eq!(
        world.explain("db"),
        "is about to be stopped: it goes down with the host; waits for app to go down first\napp is being stopped: it goes down with the host"
    );
    assert_eq!(world.explain("app"), "is being stopped: it goes down with the host");
}

#[test]
fn a_chain_of_ten_thousand_is_told_from_its_end_and_costs_no_stack() {
    let chain: Vec<String> = (0..10_000).map(|n| if n == 0 { "s0@docker".to_owned() } else { format!("s{n} <- s{}", n - 1) }).collect();
    let mut world = World::new();
    world.away("docker", "no socket");
    world.apply(&chain.join(";"));
    let explained = world.explain("s9999");
    assert!(explained.starts_with("waits for s9998 to be started\ns9998 waits for s9997"));
    assert!(explained.lines().count() < 100);
    assert!(!world.core.is_settled("s9999"));
}

#[test]
fn nothing_more_happens_by_itself_to_what_is_done_or_held() {
    let mut world = World::new();
    let mut changed = crate::world::specs("db; jobs* <- db; late");
    changed[1].replicas = hostler_core::Replicas { min: 1, max: 2, count: 2, autoscale: None };
    world.next("start late", Fate::Held);
    world.apply_specs(changed);
    world.pass(hostler_core::Span::millis(299));
    assert!(!world.core.is_settled("db"), "what no check judges has to prove itself");
    world.pass(hostler_core::Span::millis(1));
    assert!(world.core.is_settled("db") && !world.core.is_settled("late"));
    world.exit("jobs", 0);
    world.stop("db");
    assert_eq!(world.statuses(), "db stopped, jobs pending, late starting");
    assert!(world.core.is_settled("jobs"), "{}", world.explain("jobs"));
    world.release("start late");
    world.exit("late", 1);
    assert!(!world.core.is_settled("late"));
}

#[test]
fn a_host_is_ready_when_every_critical_service_that_is_enabled_serves() {
    let mut world = World::new();
    let mut changed = crate::world::specs("db+; job*; off; web; extra");
    changed[..4].iter_mut().for_each(|spec| spec.critical = true);
    changed[2].enabled = false;
    world.next("check db/ping", Fate::Held);
    world.apply_specs(changed);
    assert!(!world.core.is_ready(), "db is not judged, and job not done");
    world.release("check db/ping");
    world.exit("job", 0);
    world.stop("extra");
    assert!(world.core.is_ready(), "{}", world.statuses());
    world.stop("web");
    assert!(!world.core.is_ready(), "web was stopped by request, and does not serve");
    world.edit("web", |spec| spec.enabled = false);
    assert!(world.core.is_ready());
    world.exit("db", 1);
    assert!(!world.core.is_ready());
}
