//! Random services in a random world: calls come late, in another order or not at all, tasks exit, engines go away, the host is
//! killed at any instant, and people ask for things meanwhile. Every step checks the invariants; at the end the faults stop, and
//! everything must come to rest where it is wanted.
//!
//! `SEED=17 cargo test -p hostler-core --test core chance -- --nocapture` plays one seed and shows what happened;
//! `SEEDS=200000` plays more of them, `FROM=1000` begins there.

mod dice;
mod end;
mod fates;
mod people;

use std::panic::{AssertUnwindSafe, catch_unwind};

use hostler_core::{Config, Span};

use crate::world::World;
use dice::Dice;
use people::People;

#[expect(clippy::disallowed_methods, reason = "which seeds to play is asked of the environment; the core is not")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// One seed, from the first request to rest.
fn play(seed: u64) {
    let mut dice = Dice::new(seed);
    let config = Config {
        max_parallel: 1 + dice.below(4) as u32,
        seed,
        look_every: Span::secs(1 + dice.below(5)),
        list_every: Span::secs(60),
        ..Config::default()
    };
    let mut world = World::with(config);
    world.shown = number("SEED").is_some();
    let calm = fates::set(&mut world, seed);
    let mut people = People::new(&mut dice);
    people.apply_all(&mut world);
    for _ in 0..10 + dice.below(60) {
        people.act(&mut world, &mut dice);
    }
    calm.set(true);
    end::check(&mut world, &people);
}

#[test]
fn whatever_happens_the_invariants_hold_and_everything_comes_to_rest() {
    if let Some(seed) = number("SEED") {
        return play(seed);
    }
    let from = number("FROM").unwrap_or(0);
    for seed in from..from + number("SEEDS").unwrap_or(2_000) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| play(seed))) {
            let message = panic.downcast_ref::<String>().map_or("a panic without words", String::as_str);
            panic!("SEED={seed}: {message}");
        }
    }
}
