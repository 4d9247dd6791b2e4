//! Seeds that are played with every test run. `make sim SEEDS=N` plays more.

use hostler_sim::{Size, Story, play, play_twice, shrink};

/// Where the seeds of every test run begin, and how many there are.
const FROM: u64 = 1_000;
const SEEDS: u64 = 500;

fn holds(seed: u64, size: Size) {
    let story = Story::new(seed, size);
    let Some(violation) = play_twice(&story).violation else { return };
    let short = shrink(&story, violation.rule);
    let told = play(&short, true).log.join("\n");
    panic!("seed {seed} breaks {violation}\n{told}\nagain: cargo run --release -p hostler-sim -- {} --show", short.arguments());
}

/// Half of the seeds: the two halves are two tests, so that two cores play them.
fn half(odd: u64) {
    (FROM..FROM + SEEDS).filter(|seed| seed % 2 == odd).for_each(|seed| holds(seed, Size::default()));
}

#[test]
fn five_hundred_seeds_hold_the_even_ones() {
    half(0);
}

#[test]
fn five_hundred_seeds_hold_the_odd_ones() {
    half(1);
}

#[test]
fn what_once_broke_holds() {
    for line in include_str!("../seeds.txt").lines().filter(|line| !line.starts_with('#')) {
        let seed = line.rsplit("--seed ").next().and_then(|seed| seed.trim().parse().ok()).expect("each line ends with a seed");
        holds(seed, Size::default());
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..5 {
        let story = Story::new(seed, Size { minutes: 20, ..Size::default() });
        let (one, other) = (play(&story, true), play(&story, true));
        assert!(one.log == other.log && one.trace == other.trace, "seed {seed} went two ways");
        assert!(one.log.len() > 10, "seed {seed} tells nothing");
    }
}

#[test]
fn a_story_that_is_cut_to_nothing_still_comes_to_rest() {
    let story = Story::new(7, Size::default());
    let mut cut = story.cut.clone();
    cut.steps = Some([].into());
    cut.services = Some([0].into());
    let played = play(&story.cut(&cut), true);
    assert_eq!(played.violation, None, "{}", played.log.join("\n"));
}
