//! What deciding costs: actions per service are bounded, and time grows little faster than the number of services, whatever the shape.

mod answers;

use std::collections::BTreeMap;

use answers::Answers;
use hostler_core::{Config, Desired, ServiceName, Span};
use rustix::time::{ClockId, clock_gettime};

use crate::world::{World, specs};

const SERVICES: usize = 10_000;

/// Applies, starts, restarts the host, stops and removes `SERVICES` services of this shape; counts the actions of each part.
fn play(shape: impl Fn(usize) -> String) -> BTreeMap<&'static str, usize> {
    let mut world = World::with(Config { max_parallel: 64, ..Config::default() });
    world.fates = None;
    let text: Vec<String> = (0..SERVICES).map(shape).collect();
    let mut counts = BTreeMap::new();
    let mut count = |world: &mut World, part| {
        counts.insert(part, std::mem::take(&mut world.decided));
    };
    world.apply(&text.join(";"));
    assert_eq!(world.alive().len(), SERVICES);
    count(&mut world, "start");
    world.pass(Span::secs(2));
    count(&mut world, "run");
    world.apply(&text.join(";"));
    count(&mut world, "apply the same");
    world.restart_host(true);
    count(&mut world, "restore");
    let names: Vec<String> = world.core.names().map(ToString::to_string).collect();
    world.stop(&names.join(" "));
    assert!(world.alive().is_empty());
    count(&mut world, "stop");
    world.remove(&names.join(" "));
    assert_eq!((world.statuses().as_str(), world.store.tasks.len()), ("", 0));
    count(&mut world, "remove");
    counts
}

fn check(shape: impl Fn(usize) -> String) {
    let counts = play(shape);
    let most = BTreeMap::from([("start", 8), ("run", 0), ("apply the same", 0), ("restore", 4), ("stop", 6), ("remove", 5)]);
    for (part, most) in most {
        assert!(counts[part] <= most * SERVICES + SERVICES / 100, "{part}: {counts:?}");
    }
}

fn layered(n: usize) -> String {
    if n < 100 { format!("s{n}") } else { format!("s{n} <- s{} s{}! s{}?", n - 100, n - 100 + (n * 7) % 100 - n % 100, n % 100) }
}

/// One service that needs all the others.
fn top(services: usize) -> String {
    let edges: Vec<String> = (0..services - 1).map(|n| format!("s{n}{}", if n % 2 == 0 { "!" } else { "" })).collect();
    format!("top <- {}", edges.join(" "))
}

#[test]
fn ten_thousand_alone() {
    check(|n| format!("s{n}"));
}

#[test]
fn ten_thousand_in_a_chain() {
    check(|n| if n == 0 { "s0".to_owned() } else { format!("s{n} <- s{}", n - 1) });
}

#[test]
fn ten_thousand_in_a_chain_that_runs_against_their_names() {
    check(|n| if n + 1 == SERVICES { format!("s{n:05}") } else { format!("s{n:05} <- s{:05}", n + 1) });
}

#[test]
fn ten_thousand_around_one() {
    check(|n| if n == 0 { "hub".to_owned() } else { format!("s{n} <- hub") });
}

#[test]
fn ten_thousand_below_one() {
    check(|n| if n + 1 == SERVICES { top(SERVICES) } else { format!("s{n}") });
}

#[test]
fn ten_thousand_in_layers() {
    check(layered);
}

#[test]
fn ten_thousand_one_by_one() {
    let mut world = World::with(Config { max_parallel: 64, ..Config::default() });
    for n in 0..SERVICES {
        world.apply(&if n < 100 { format!("s{n}") } else { format!("s{n} <- s{}", n % 100) });
    }
    for n in 0..SERVICES {
        world.stop(&format!("s{}", SERVICES - 1 - n));
    }
    for n in 0..SERVICES {
        world.remove(&format!("s{}", SERVICES - 1 - n));
    }
    assert!(world.decided <= 20 * SERVICES, "{}", world.decided);
    assert!(world.store.tasks.is_empty() && world.store.slots.is_empty());
}

/// Processor time of this thread, in nanoseconds: what else the machine does is not in it.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// What it costs to decide all that happens in the life of so many services of this shape.
fn cost(services: usize, shape: &impl Fn(usize, usize) -> String) -> u64 {
    let text: Vec<String> = (0..services).map(|n| shape(n, services)).collect();
    let specs = specs(&text.join(";"));
    let names: Vec<ServiceName> = specs.iter().map(|spec| spec.name.clone()).collect();
    let mut answers = Answers::default();
    let begun = thread_time();
    answers.apply(specs);
    answers.change_all(|_| ());
    answers.change_all(|wanted| wanted.restarts += 1);
    answers.exit_all();
    assert_eq!(answers.alive(), services);
    answers.change_each(names.iter().rev(), |wanted| wanted.desired = Desired::Stopped);
    assert_eq!(answers.alive(), 0);
    answers.change_each(&names, |wanted| wanted.desired = Desired::Running);
    assert_eq!(answers.alive(), services);
    answers.change_all(|wanted| wanted.desired = Desired::Stopped);
    answers.remove_all();
    assert_eq!(answers.core.names().count(), 0);
    thread_time() - begun
}

/// Four times the services cost about five times as much; sixteen times would be their square. A busy machine may need another try.
fn grows_gently(shape: impl Fn(usize, usize) -> String) {
    let tries: Vec<(u64, u64)> = (0..5).map(|_| (cost(500, &shape), cost(2_000, &shape))).take_while(|(few, many)| many / few >= 10).collect();
    assert!(tries.len() < 5, "500 and 2,000 services cost (ns): {tries:?}");
}

#[test]
fn time_grows_gently_in_a_chain() {
    grows_gently(|n, _| if n == 0 { "s0".to_owned() } else { format!("s{n} <- s{}", n - 1) });
}

#[test]
fn time_grows_gently_around_one() {
    grows_gently(|n, _| if n == 0 { "hub".to_owned() } else { format!("s{n} <- hub!") });
}

#[test]
fn time_grows_gently_below_one() {
    grows_gently(|n, services| if n + 1 == services { top(services) } else { format!("s{n}") });
}

#[test]
fn time_grows_gently_in_layers() {
    grows_gently(|n, _| layered(n));
}
