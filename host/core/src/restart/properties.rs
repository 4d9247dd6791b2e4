//! The policy beside a table and exact arithmetic.

use proptest::prelude::{ProptestConfig, Strategy, any, prop, proptest};
use proptest::test_runner::RngSeed;

use super::{Ending, Verdict, decide};
use crate::spec::{RestartMode, RestartPolicy};
use crate::time::Span;

fn policy() -> impl Strategy<Value = RestartPolicy> {
    let mode = prop::sample::select(vec![RestartMode::Always, RestartMode::OnFailure, RestartMode::Never]);
    let max_attempts = proptest::option::of(proptest::prop_oneof![0..6_u32, any::<u32>()]);
    let span = || proptest::prop_oneof![0..10_000_u64, 0..10_000_000_u64, any::<u64>()].prop_map(Span);
    (mode, max_attempts, span(), 0..6_000_u32, span(), 0..1_500_u32, span()).prop_map(
        |(mode, max_attempts, initial, factor_permille, max, jitter_permille, reset_after)| RestartPolicy {
            mode,
            max_attempts,
            initial,
            factor_permille,
            max,
            jitter_permille,
            reset_after,
        },
    )
}

fn ending() -> impl Strategy<Value = Ending> {
    prop::sample::select(vec![Ending::Success, Ending::Failure])
}

/// The wait after so many restarts, before it is spread: multiplied step by step, each step rounded down, none past the longest.
fn middle(policy: &RestartPolicy, attempts: u32) -> u64 {
    let mut wait = u128::from(policy.initial.0);
    // Beyond that many steps any wait that grows has met any longest one.
    for _ in 0..attempts.min(200_000) {
        let longer = wait * u128::from(policy.factor_permille.max(1_000)) / 1_000;
        if longer == wait || wait >= u128::from(policy.max.0) {
            break;
        }
        wait = longer;
    }
    u64::try_from(wait.min(u128::from(policy.max.0))).expect("the longest wait is one")
}

fn after(policy: &RestartPolicy, attempts: u32, roll: u64) -> Option<Span> {
    match decide(policy, Ending::Failure, attempts, roll) {
        Verdict::Again { after, .. } => Some(after),
        Verdict::Done | Verdict::Parked { .. } => None,
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(23), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(5_000))]

    #[test]
    fn who_is_run_again_is_a_matter_of_the_table(policy in policy(), ending in ending(), attempts in proptest::prop_oneof![0..8_u32, any::<u32>()], roll: u64) {
        let again = match (policy.mode, ending) {
            (RestartMode::Always, _) | (RestartMode::OnFailure, Ending::Failure) => true,
            (RestartMode::OnFailure, Ending::Success) | (RestartMode::Never, _) => false,
        };
        let left = policy.max_attempts.is_none_or(|max| attempts < max);
        match decide(&policy, ending, attempts, roll) {
            Verdict::Again { attempt, .. } => assert!(again && left && attempt == attempts.saturating_add(1)),
            Verdict::Done => assert!(!again && ending == Ending::Success, "only success is done"),
            Verdict::Parked { because } => {
                assert!(if again { !left } else { ending == Ending::Failure }, "{because}");
                assert!(!because.is_empty());
            }
        }
    }

    #[test]
    fn a_wait_lies_within_its_jitter_around_the_middle(policy in policy(), attempts in proptest::prop_oneof![0..40_u32, any::<u32>()], roll: u64) {
        let policy = RestartPolicy { mode: RestartMode::Always, max_attempts: None, ..policy };
        let middle = middle(&policy, attempts);
        let reach = u64::try_from(u128::from(middle) * u128::from(policy.jitter_permille.min(1_000)) / 1_000).expect("less than the middle");
        let wait = |roll| after(&policy, attempts, roll).expect("it has attempts without end").0;
        assert!((middle - reach..=middle.saturating_add(reach)).contains(&wait(roll)), "{} is not {middle} ± {reach}", wait(roll));
        // both ends can be had, and the same roll is the same wait
        assert_eq!(wait(0), middle - reach);
        if let Some(last) = reach.checked_mul(2) {
            assert_eq!(wait(last), middle.saturating_add(reach));
        }
        assert_eq!(wait(roll), wait(roll));
    }

    #[test]
    fn without_jitter_a_wait_never_shrinks_and_never_passes_the_longest(policy in policy(), roll: u64) {
        let policy = RestartPolicy { mode: RestartMode::Always, max_attempts: None, jitter_permille: 0, ..policy };
        let waits: Vec<u64> = (0..70).map(|attempts| after(&policy, attempts, roll).expect("it has attempts without end").0).collect();
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= policy.max.0));
        assert_eq!(waits[0], policy.initial.0.min(policy.max.0));
    }
}
