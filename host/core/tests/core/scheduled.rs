//! What starts when, and what follows an end, beside models: random graphs whose starts are answered in any order, random lives under
//! random policies.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::{CheckResult, Config, Dependency, Event, Kind, RestartMode, RestartPolicy, ServiceName, Span, Spec, Verdict};
use proptest::prelude::{ProptestConfig, Strategy, any, prop, proptest};
use proptest::test_runner::RngSeed;

use crate::world::{Course, Fate, What, World};

const MOST: usize = 10;

fn name(node: usize) -> ServiceName {
    // names run against the numbers for every other one
    ServiceName::new(&if node.is_multiple_of(2) { format!("s{node}") } else { format!("a{}", 99 - node) }).expect("a name")
}

/// Services, each needing some of those before it.
fn graph() -> impl Strategy<Value = Vec<BTreeSet<usize>>> {
    prop::collection::vec(prop::collection::btree_set(0..MOST, 0..4), 1..MOST).prop_map(|mut edges| {
        edges.iter_mut().enumerate().for_each(|(node, edges)| edges.retain(|to| *to < node));
        edges
    })
}

fn specs(edges: &[BTreeSet<usize>]) -> Vec<Spec> {
    let spec = |(node, edges): (usize, &BTreeSet<usize>)| {
        let mut spec = Spec::new(name(node), "p", "{}");
        let edge = |to: &usize| Dependency::on(name(*to));
        spec.dependencies = edges.iter().map(edge).collect();
        spec
    };
    edges.iter().enumerate().map(spec).collect()
}

/// A world that keeps its starts and stops until they are released, and a journal.
fn patient(max_parallel: u32) -> World {
    let mut world = World::with(Config { max_parallel, ..Config::default() });
    world.journal = Some(Vec::new());
    world.fates = Some(Box::new(|call, _| {
        let held = call.starts_with("start ") || call.starts_with("stop ");
        Course::at_once(if held { Fate::Held } else { Fate::Done })
    }));
    world
}

/// What was asked since the last time, of those calls that begin like this.
fn asked(world: &mut World, call: &str) -> Vec<String> {
    let entries = world.journal.as_mut().map(std::mem::take).unwrap_or_default();
    let calls = entries.into_iter().filter_map(|entry| match entry.what {
        What::Asked(name, _) => name.strip_prefix(call).map(str::to_owned),
        What::Told(_) => None,
    });
    calls.collect()
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(31), failure_persistence: None, ..ProptestConfig::default() }
}

/// Is everything that this one waits for done?
fn is_free(waits_for: &BTreeSet<usize>, done: &BTreeSet<usize>) -> bool {
    waits_for.is_subset(done)
}

/// Plays one direction: `waits_for` says who comes before whom, `room` how many may be under way. Every call is released at a random time.
fn in_order(world: &mut World, call: &str, waits_for: &[BTreeSet<usize>], room: usize, layers: Option<&[usize]>, picks: &[prop::sample::Index]) {
    let numbers: BTreeMap<String, usize> = (0..waits_for.len()).map(|node| (name(node).to_string(), node)).collect();
    let (mut done, mut under_way) = (BTreeSet::new(), BTreeSet::new());
    for turn in 0..=waits_for.len() {
        let new: Vec<usize> = asked(world, call).iter().map(|name| numbers[name.as_str()]).collect();
        for node in &new {
            assert!(is_free(&waits_for[*node], &done), "{call}{} comes before what it waits for: {done:?}", name(*node));
            assert!(under_way.insert(*node) && !done.contains(node), "{call}{} comes twice", name(*node));
        }
        assert!(under_way.len() <= room, "{} are under way where {room} may be", under_way.len());
        let free: Vec<usize> = (0..waits_for.len()).filter(|node| !done.contains(node) && !under_way.contains(node)).collect();
        let free: Vec<usize> = free.into_iter().filter(|node| is_free(&waits_for[*node], &done)).collect();
        assert!(free.is_empty() || under_way.len() == room, "{free:?} could go, and there is room");
        if let Some(layers) = layers {
            let highest = new.iter().map(|node| layers[*node]).max();
            assert!(free.iter().all(|left| highest.is_none_or(|highest| layers[*left] >= highest)), "a higher one went before {free:?}");
        }
        if under_way.is_empty() {
            assert_eq!(done.len(), waits_for.len(), "after {turn} turns nothing moves, and {done:?} is all that is done");
            return;
        }
        let pick = *picks[turn % picks.len()].get(&under_way.iter().copied().collect::<Vec<_>>());
        under_way.remove(&pick);
        done.insert(pick);
        world.release(&format!("{call}{}", name(pick)));
    }
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn all_that_can_start_starts_in_order_and_goes_down_the_other_way(
        edges in graph(),
        max_parallel in 1..5_u32,
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        down_by_hand: bool,
    ) {
        let mut layers = vec![0; edges.len()];
        for node in 0..edges.len() {
            layers[node] = edges[node].iter().map(|below| layers[*below] + 1).max().unwrap_or(0);
        }
        let mut world = patient(max_parallel);
        world.apply_specs(specs(&edges));
        in_order(&mut world, "start ", &edges, max_parallel as usize, Some(&layers), &picks);
        assert!(edges.iter().enumerate().all(|(node, _)| world.status(name(node).as_str()) == "running"), "{}", world.statuses());

        let dependents: Vec<BTreeSet<usize>> = (0..edges.len()).map(|node| (0..edges.len()).filter(|up| edges[*up].contains(&node)).collect()).collect();
        if down_by_hand {
            let all: Vec<String> = (0..edges.len()).map(|node| name(node).to_string()).collect();
            world.stop(&all.join(" "));
        } else {
            world.close(false);
        }
        in_order(&mut world, "stop ", &dependents, usize::MAX, None, &picks);
        assert!(world.alive().is_empty());
    }
}

/// A policy whose waits can be told exactly.
fn policy() -> impl Strategy<Value = RestartPolicy> {
    let mode = prop::sample::select(vec![RestartMode::Always, RestartMode::Always, RestartMode::OnFailure, RestartMode::Never]);
    (mode, proptest::option::of(0..4_u32), 1..5_000_u64, 1_000..4_000_u32, 1..20_000_u64, 1_000..30_000_u64).prop_map(
        |(mode, max_attempts, initial, factor_permille, max, reset_after)| RestartPolicy {
            mode,
            max_attempts,
            initial: Span(initial),
            factor_permille,
            max: Span(max),
            jitter_permille: 0,
            reset_after: Span(reset_after),
        },
    )
}

proptest! {
    #![proptest_config(config(3_000))]

    /// Lives of some length end with some code; what follows each is what the model says, to the millisecond.
    #[test]
    fn what_follows_each_end_is_what_the_policy_says(
        policy in policy(),
        oneshot in prop::sample::select(vec![false, false, true]),
        lives in prop::collection::vec((prop::sample::select(vec![0_u64, 1, 500, 999, 1_000, 15_000, 29_999, 30_000, 60_000]), 0..2_i32), 1..12),
    ) {
        let mut spec = Spec::new(name(0), "p", "{}");
        spec.restart = policy;
        spec.kind = if oneshot { Kind::Oneshot } else { Kind::Service };
        let mut world = World::new();
        world.apply_specs(vec![spec]);
        let service = name(0).to_string();
        let (mut in_a_row, mut wait) = (0_u32, policy.initial.0.min(policy.max.0));
        for (lived, code) in lives {
            assert_eq!(world.status(&service), "running");
            world.pass(Span(lived));
            if lived >= policy.reset_after.0 {
                (in_a_row, wait) = (0, policy.initial.0.min(policy.max.0));
            }
            world.exit(&service, code);
            let succeeded = code == 0;
            let again = match policy.mode {
                // what has run to its end is not run again, whatever the policy says of other ends
                _ if oneshot && succeeded => false,
                RestartMode::Always => true,
                RestartMode::OnFailure => !succeeded,
                RestartMode::Never => false,
            };
            if !again || policy.max_attempts.is_some_and(|max| in_a_row >= max) {
                world.pass(Span::secs(100_000));
                let expected = if !again && succeeded { "completed" } else { "failed" };
                assert_eq!(world.status(&service), expected, "after {in_a_row} in a row");
                return Ok(());
            }
            world.pass(Span(wait - 1));
            assert!(world.alive().is_empty(), "it came back before its {wait} ms were over");
            world.pass(Span(1));
            assert_eq!(world.alive().len(), 1, "its {wait} ms are over");
            in_a_row += 1;
            wait = policy.max.0.min(if wait >= policy.max.0 { wait } else { wait * u64::from(policy.factor_permille) / 1_000 });
        }
    }

    /// An answer to another question, or of another life, is no answer.
    #[test]
    fn a_late_verdict_changes_nothing(tickets in prop::collection::vec((any::<u64>(), 0..4_u64), 1..20), verdict in prop::sample::select(vec![Verdict::Pass, Verdict::Fail, Verdict::Warn])) {
        let mut world = World::of("db+");
        world.pass(Span::secs(60));
        let before = (world.status("db").to_owned(), world.health("db"), world.decided);
        let run = world.alive()[0];
        for (ticket, other) in tickets {
            // every real question was answered at once: none is open
            let result = CheckResult { run: run + other, ticket, verdict, message: "late".to_owned(), took: Span(1) };
            assert_eq!(world.core.asked_by(&result), None);
            world.hear(Event::Checked(result));
            assert_eq!((world.status("db").to_owned(), world.health("db"), world.decided), before);
        }
        assert!(world.core.service("db").expect("it is there").replicas[0].checks.iter().all(|check| check.history.iter().all(|sample| &*sample.message != "late")));
    }
}
