//! What deciding costs: actions per service are bounded, whatever the shape and the size.

use std::collections::BTreeMap;

use hostler_core::{Config, Span};

use crate::world::World;

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
        assert!(counts[part] <= most * SERVICES + 10, "{part}: {counts:?}");
    }
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
fn ten_thousand_in_layers() {
    check(|n| if n < 100 { format!("s{n}") } else { format!("s{n} <- s{} s{}! s{}?", n - 100, n - 100 + (n * 7) % 100 - n % 100, n % 100) });
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
