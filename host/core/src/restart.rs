//! Restart policy: numbers in, decision and reason out.

use crate::chance::spread;
use crate::spec::{RestartMode, RestartPolicy};
use crate::time::Span;
use crate::words::times;

/// How a life ended, as far as the policy cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, with success.
    Success,
    /// In any other way: an exit code, a signal, a failed start, ill health.
    Failure,
}

/// What follows an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Run again after a wait; this is the `attempt`-th restart in a row.
    Again {
        /// How long to wait.
        after: Span,
        /// Counted from 1.
        attempt: u32,
    },
    /// It has done its work.
    Done,
    /// Parked until somebody asks.
    Parked {
        /// Why, to stand behind what happened.
        because: String,
    },
}

/// Decides what follows an end after `attempts` restarts in a row; `roll` spreads the wait.
pub(crate) fn decide(policy: &RestartPolicy, ending: Ending, attempts: u32, roll: u64) -> Verdict {
    match (policy.mode, ending) {
        (RestartMode::Never | RestartMode::OnFailure, Ending::Success) => return Verdict::Done,
        (RestartMode::Never, Ending::Failure) => return Verdict::Parked { because: "its restart policy is `never`".to_owned() },
        (RestartMode::Always, _) | (RestartMode::OnFailure, Ending::Failure) => {}
    }
    match policy.max_attempts {
        Some(0) => Verdict::Parked { because: "its restart policy allows no attempts".to_owned() },
        Some(max) if attempts >= max.saturating_add(u32::from(planted!(6))) => {
            Verdict::Parked { because: format!("it was restarted {} in a row, which is its limit", times(attempts)) }
        }
        Some(_) | None => Verdict::Again { after: wait(policy, attempts, roll), attempt: attempts.saturating_add(1) },
    }
}

/// `initial × factor^attempts`, at most `max`, spread by the jitter.
fn wait(policy: &RestartPolicy, attempts: u32, roll: u64) -> Span {
    let mut millis = u128::from(policy.initial.0);
    let max = u128::from(policy.max.0);
    for _ in 0..attempts {
        if millis >= max || policy.factor_permille <= 1000 {
            break;
        }
        let longer = millis * u128::from(policy.factor_permille) / 1000;
        if longer == millis {
            break;
        }
        millis = longer;
    }
    let capped = u64::try_from(millis.min(max)).unwrap_or(u64::MAX);
    Span(spread(capped, policy.jitter_permille, roll))
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn steady() -> RestartPolicy {
        RestartPolicy { jitter_permille: 0, ..RestartPolicy::default() }
    }

    #[test]
    fn rests_longer_after_each_end() {
        let waits: Vec<Verdict> = (0..4).map(|attempts| decide(&steady(), Ending::Failure, attempts, 0)).collect();
        let again = |secs, attempt| Verdict::Again { after: Span::secs(secs), attempt };
        assert_eq!(waits[..3], [again(2, 1), again(4, 2), again(8, 3)]);
        assert!(matches!(&waits[3], Verdict::Parked { because } if because.contains("3 times in a row")));
    }

    #[test]
    fn no_wait_is_longer_than_the_longest() {
        let policy = RestartPolicy { max_attempts: None, ..steady() };
        assert_eq!(decide(&policy, Ending::Failure, u32::MAX, 0), Verdict::Again { after: Span::secs(60), attempt: u32::MAX });
    }

    #[test]
    fn a_wait_that_cannot_grow_is_found_at_once() {
        for (initial, factor_permille) in [(0, 2_000), (1, 1_500)] {
            let policy = RestartPolicy { max_attempts: None, initial: Span(initial), factor_permille, ..steady() };
            assert_eq!(decide(&policy, Ending::Failure, u32::MAX, 0), Verdict::Again { after: Span(initial), attempt: u32::MAX });
        }
    }

    #[test]
    fn each_mode_knows_its_ends() {
        let with = |mode| RestartPolicy { mode, ..steady() };
        assert_eq!(decide(&with(RestartMode::OnFailure), Ending::Success, 0, 0), Verdict::Done);
        assert_eq!(decide(&with(RestartMode::Never), Ending::Success, 0, 0), Verdict::Done);
        assert!(matches!(decide(&with(RestartMode::Never), Ending::Failure, 0, 0), Verdict::Parked { .. }));
        assert!(matches!(decide(&with(RestartMode::Always), Ending::Success, 0, 0), Verdict::Again { .. }));
    }
}
