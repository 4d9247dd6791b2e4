//! Health: thresholds, recovery, and what no verdict may do.

use hostler_core::{NoticeKind, Span, Verdict};

use crate::world::{Fate, World};

#[test]
fn three_failures_restart_a_service_that_is_alive_and_ill() {
    let mut world = World::of("db+");
    world.says("db", Verdict::Fail);
    world.pass(Span::secs(34));
    assert_eq!((world.status("db"), world.health("db")), ("running", "degraded"));
    world.pass(Span::secs(66));
    assert_eq!(world.moves(), "start db, stop db, start db");
    assert_eq!(world.told("db", NoticeKind::Stopping), ["stopping run 1: check ping says unhealthy: fail"]);
}

#[test]
fn without_auto_recovery_an_ill_service_stays_up_and_gets_well() {
    let mut world = World::of("db+");
    world.edit("db", |spec| spec.checks[0].auto_recovery = false);
    world.says("db", Verdict::Fail);
    world.pass(Span::secs(110));
    assert_eq!((world.status("db"), world.health("db")), ("unhealthy", "unhealthy"));
    world.says("db", Verdict::Pass);
    world.pass(Span::secs(34));
    assert_eq!(world.health("db"), "unhealthy");
    world.pass(Span::secs(34));
    assert_eq!((world.status("db"), world.health("db"), world.moves().as_str()), ("running", "healthy", "start db"));
    let told = world.told("db", NoticeKind::HealthChanged);
    assert_eq!(told, ["unknown -> healthy: pass", "healthy -> degraded: fail", "degraded -> unhealthy: fail", "unhealthy -> healthy: pass"]);
}

#[test]
fn ill_health_counts_as_a_failure() {
    let mut world = World::of("db+");
    world.says("db", Verdict::Fail);
    world.pass(Span::secs(3_600));
    assert_eq!((world.status("db"), world.moves().split(", ").filter(|call| *call == "start db").count()), ("failed", 4));
    assert!(world.explain("db").starts_with("failed: check ping says unhealthy: fail; it was restarted 3 times in a row, which is its limit"));
}

#[test]
fn a_start_period_forgives() {
    let mut world = World::new();
    let mut changed = crate::world::specs("db+");
    changed[0].checks[0].start_period = Span::secs(600);
    world.says("db", Verdict::Fail);
    world.apply_specs(changed);
    world.pass(Span::secs(590));
    assert_eq!((world.status("db"), world.moves().as_str()), ("starting", "start db"));
    world.pass(Span::secs(100));
    assert_eq!(world.moves(), "stop db, start db");
}

#[test]
fn a_check_that_cannot_say_moves_nothing() {
    let mut world = World::of("db+");
    world.says("db", Verdict::Fail);
    world.pass(Span::secs(70));
    let failures = |world: &World| world.core.service("db").expect("it is there").replicas[0].checks[0].failures;
    assert_eq!(failures(&world), 2);
    world.says("db", Verdict::Unknown);
    world.pass(Span::secs(3_600));
    assert_eq!((failures(&world), world.health("db"), world.moves().as_str()), (2, "degraded", "start db"));
}

#[test]
fn one_ill_check_of_several_makes_the_service_ill() {
    let mut world = World::of("db+");
    world.edit("db", |spec| {
        let mut deep = hostler_core::CheckSpec::new("deep", "http", "{}");
        deep.auto_recovery = false;
        spec.checks.push(deep);
    });
    world.says("db/deep", Verdict::Fail);
    world.pass(Span::secs(110));
    assert_eq!((world.health("db"), world.status("db")), ("unhealthy", "unhealthy"));
    assert_eq!(world.moves(), "start db");
    world.says("db/deep", Verdict::Warn);
    world.pass(Span::secs(34));
    assert_eq!(world.health("db"), "unhealthy");
}

#[test]
fn a_new_life_begins_without_a_verdict() {
    let mut world = World::of("db+");
    assert_eq!(world.health("db"), "healthy");
    world.next("check db/ping", Fate::Held);
    world.restart("db");
    assert_eq!((world.health("db"), world.status("db")), ("unknown", "starting"));
    world.release("check db/ping");
    assert_eq!((world.health("db"), world.status("db")), ("healthy", "running"));
}

#[test]
fn the_verdict_on_an_old_life_does_not_reach_the_new_one() {
    let mut world = World::of("db+");
    world.next("check db/ping", Fate::Held);
    world.pass(Span::secs(34));
    world.restart("db");
    world.says("db", Verdict::Fail);
    world.release("check db/ping");
    assert_eq!((world.health("db"), world.run_of("db")), ("healthy", Some(2)));
}

#[test]
fn checks_can_be_asked_beside_their_intervals() {
    let mut world = World::of("db+; app+");
    world.says("db", Verdict::Fail);
    world.says("app", Verdict::Fail);
    world.hear(hostler_core::Event::CheckNow(vec![hostler_core::ServiceName::new("db").expect("a name")]));
    world.settle();
    assert_eq!((world.health("db"), world.health("app")), ("degraded", "healthy"));
    world.hear(hostler_core::Event::CheckNow(Vec::new()));
    world.settle();
    assert_eq!((world.health("db"), world.health("app")), ("degraded", "healthy"), "nobody is named, and so nobody is asked");
    world.hear(hostler_core::Event::CheckNow(world.core.names().cloned().collect()));
    world.settle();
    assert_eq!((world.health("db"), world.health("app")), ("degraded", "degraded"));
}

#[test]
fn a_check_is_asked_again_only_after_its_answer() {
    let mut world = World::of("db+");
    world.next("check db/ping", Fate::Held);
    world.pass(Span::secs(3_600));
    world.hear(hostler_core::Event::CheckNow(world.core.names().cloned().collect()));
    world.settle();
    assert_eq!(world.core.service("db").expect("it is there").replicas[0].checks[0].history.len(), 1);
    world.release("check db/ping");
    assert_eq!(world.core.service("db").expect("it is there").replicas[0].checks[0].history.len(), 2);
}

#[test]
fn recovery_before_the_stop_began_ends_the_wish_to_stop() {
    let mut world = World::of("db+; app <- db!");
    world.moves();
    world.next("stop app", Fate::Fault(hostler_core::Fault::Failed("busy".to_owned())));
    world.says("db", Verdict::Fail);
    while world.status("app") == "running" {
        world.pass(Span::secs(1));
    }
    world.says("db", Verdict::Pass);
    for _ in 0..2 {
        world.hear(hostler_core::Event::CheckNow(world.core.names().cloned().collect()));
        world.settle();
    }
    world.pass(Span::secs(10));
    assert_eq!(world.moves(), "stop app, stop app, start app");
    assert_eq!((world.run_of("db"), world.health("db")), (Some(1), "healthy"));
}

#[test]
fn a_replica_that_is_done_hides_no_health_of_the_others() {
    let mut world = World::new();
    let mut changed = crate::world::specs("web+");
    changed[0].restart.mode = hostler_core::RestartMode::OnFailure;
    changed[0].replicas = hostler_core::Replicas { min: 1, max: 2, count: 2, autoscale: None };
    world.apply_specs(changed);
    world.exit("web.1", 0);
    assert_eq!((world.status("web"), world.health("web")), ("running", "healthy"));
}

#[test]
fn a_life_that_was_found_again_is_judged_without_the_one_before() {
    let mut world = World::of("db+");
    world.next("check db/ping", Fate::Held);
    world.pass(Span::secs(34));
    world.exit("db", 1);
    world.next("start db", Fate::Lost);
    world.says("db", Verdict::Unknown);
    world.pass(Span::secs(2));
    assert_eq!((world.run_of("db"), world.health("db")), (Some(2), "unknown"));
    world.says("db", Verdict::Pass);
    world.pass(Span::secs(2));
    assert_eq!(world.health("db"), "healthy");
}

#[test]
fn a_start_under_way_over_a_host_restart_begins_without_a_verdict() {
    let mut world = World::of("db+");
    world.next("start db", Fate::Held);
    world.restart("db");
    world.engine("process").start(2, "").expect("it is there");
    world.says("db", Verdict::Unknown);
    world.restart_host(true);
    assert_eq!((world.run_of("db"), world.health("db"), world.status("db")), (Some(2), "unknown", "starting"));
}

#[test]
fn the_time_between_two_lives_is_watched_by_nobody() {
    let mut world = World::new();
    let mut changed = crate::world::specs("db+");
    changed[0].restart = hostler_core::RestartPolicy { max_attempts: None, initial: Span::secs(60), factor_permille: 1_000, ..changed[0].restart };
    world.apply_specs(changed);
    let uptime = |world: &World| world.core.service("db").expect("it is there").replicas[0].checks[0].uptime_permille[0];
    for _ in 0..5 {
        assert_eq!((world.health("db"), uptime(&world)), ("healthy", None));
        world.exit("db", 1);
        world.pass(Span::secs(60));
    }
    world.pass(Span::secs(90));
    assert_eq!(uptime(&world), Some(1_000));
    world.says("db", Verdict::Fail);
    world.pass(Span::secs(34));
    assert!((600..900).contains(&uptime(&world).expect("it was watched")), "{:?}", uptime(&world));
}
