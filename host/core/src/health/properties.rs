//! Health beside a model that keeps every verdict and looks at all of them each time.

use proptest::prelude::{ProptestConfig, Strategy, prop, proptest};
use proptest::test_runner::RngSeed;

use super::{Check, HISTORY, Health, Sample, Verdict};
use crate::spec::CheckSpec;
use crate::time::{Span, Time};

const SINCE: Time = Time(1_000_000);

fn spec() -> impl Strategy<Value = CheckSpec> {
    (1..6_u32, 1..6_u32, 1..60_000_u64, 0..3_u64, 0..120_000_u64).prop_map(|(failures, passes, interval, with_period, period)| CheckSpec {
        failure_threshold: failures,
        recovery_threshold: passes,
        interval: Span(interval),
        start_period: Span(if with_period == 0 { period } else { 0 }),
        ..CheckSpec::new("c", "tcp", "{}")
    })
}

/// Verdicts, and thousandths of the interval between each and the one before.
fn verdicts() -> impl Strategy<Value = Vec<(Verdict, u64)>> {
    let verdict =
        prop::sample::select(vec![Verdict::Pass, Verdict::Pass, Verdict::Fail, Verdict::Fail, Verdict::Fail, Verdict::Warn, Verdict::Unknown]);
    let pause = prop::sample::select(vec![1_000, 1_000, 1_000, 0, 100, 799, 800, 801, 5_000]);
    prop::collection::vec((verdict, pause), 0..60)
}

/// Every verdict of one life.
struct Model<'a> {
    spec: &'a CheckSpec,
    heard: Vec<(Verdict, Time)>,
}

impl Model<'_> {
    /// The verdicts that say something: not those of who could not say, and of the failures before the first success one per interval,
    /// from the end of the start period on.
    fn counted(&self) -> Vec<Verdict> {
        let mut counted = Vec::new();
        let mut last = SINCE;
        for (verdict, at) in &self.heard {
            let worked = counted.iter().any(|before| matches!(before, Verdict::Pass | Verdict::Warn));
            let apart = at.0 - last.0 >= self.spec.interval.0 - self.spec.interval.0 / 5;
            match verdict {
                Verdict::Unknown => continue,
                Verdict::Fail if !worked && (!apart || at.0 - SINCE.0 < self.spec.start_period.0) => continue,
                Verdict::Fail => last = *at,
                Verdict::Pass | Verdict::Warn => {}
            }
            counted.push(*verdict);
        }
        counted
    }

    fn health(&self) -> Health {
        let counted = self.counted();
        let rows = |of: Verdict, length: u32, from: usize| {
            let length = length as usize;
            counted[from..].windows(length).rposition(|row| row.iter().all(|verdict| *verdict == of)).map(|at| from + at + length)
        };
        let fell = rows(Verdict::Fail, self.spec.failure_threshold, 0);
        if fell.is_some_and(|fell| rows(Verdict::Pass, self.spec.recovery_threshold, fell).is_none()) {
            return Health::Unhealthy;
        }
        let worked = counted.iter().any(|verdict| matches!(verdict, Verdict::Pass | Verdict::Warn));
        match counted.last() {
            None => Health::Unknown,
            Some(Verdict::Pass) => Health::Healthy,
            Some(Verdict::Warn) => Health::Degraded,
            Some(Verdict::Fail | Verdict::Unknown) => {
                if worked {
                    Health::Degraded
                } else {
                    Health::Unknown
                }
            }
        }
    }
}

fn sample(verdict: Verdict, at: Time) -> Sample {
    Sample::new(at, verdict, Span(1), "m".into())
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(29), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(5_000))]

    #[test]
    fn health_is_what_all_verdicts_together_say(spec in spec(), verdicts in verdicts(), lives in 1..3_u32) {
        let mut check = Check::default();
        for life in 0..lives {
            if life > 0 {
                check.new_life();
                assert_eq!(check.health, Health::Unknown, "a new life begins without a verdict");
            }
            let mut model = Model { spec: &spec, heard: Vec::new() };
            let mut at = SINCE;
            for (verdict, pause) in &verdicts {
                at = at + Span(spec.interval.0 * pause / 1_000);
                let before = check.health;
                check.hear(&spec, SINCE, sample(*verdict, at));
                model.heard.push((*verdict, at));
                assert_eq!(check.health, model.health(), "after {:?} of {spec:?}", model.heard);
                assert!(*verdict != Verdict::Unknown || check.health == before, "who cannot say changes nothing");
                assert_eq!(check.ticket, None, "it was answered");
                assert_eq!(check.last().map(|last| last.health), Some(check.health), "each result is remembered with what it made of the health");
                assert_eq!(check.is_silent(), *verdict == Verdict::Unknown);
            }
        }
        assert_eq!(check.history.len(), HISTORY.min(verdicts.len() * lives as usize));
    }

    #[test]
    fn it_falls_with_exactly_the_last_failure_and_rises_with_exactly_the_last_pass(spec in spec()) {
        let mut check = Check::default();
        let mut at = SINCE + spec.start_period;
        let mut hear = |check: &mut Check, verdict| {
            at = at + spec.interval;
            check.hear(&spec, SINCE, sample(verdict, at));
            check.health
        };
        assert_eq!(hear(&mut check, Verdict::Pass), Health::Healthy);
        for _ in 1..spec.failure_threshold {
            assert_eq!(hear(&mut check, Verdict::Fail), Health::Degraded);
        }
        assert_eq!(hear(&mut check, Verdict::Fail), Health::Unhealthy);
        for _ in 1..spec.recovery_threshold {
            assert_eq!(hear(&mut check, Verdict::Pass), Health::Unhealthy);
        }
        assert_eq!(hear(&mut check, Verdict::Pass), Health::Healthy);
    }

    #[test]
    fn a_check_is_asked_soon_at_first_and_then_once_per_interval(spec in spec(), verdicts in verdicts(), roll: u64) {
        let mut check = Check::default();
        let mut at = SINCE;
        let mut eager = 0;
        for (verdict, pause) in verdicts {
            at = at + Span(spec.interval.0 * pause / 1_000);
            check.hear(&spec, SINCE, sample(verdict, at));
            let wait = check.wait(&spec, roll).0;
            let interval = spec.interval.0;
            if check.health == Health::Unknown {
                assert!(wait <= 2_000 && wait <= interval && wait >= eager, "{wait} after {eager}");
                eager = wait;
            } else {
                assert!((interval - interval / 10..=interval + interval / 10).contains(&wait), "{wait} of {interval}");
            }
        }
    }

    #[test]
    fn a_host_restart_forgets_no_verdict(spec in spec(), before in verdicts(), after in verdicts()) {
        let mut check = Check::default();
        let mut at = SINCE;
        let mut hear = |check: &mut Check, verdict: Verdict| {
            at = at + spec.interval;
            check.hear(&spec, SINCE, sample(verdict, at));
        };
        hear(&mut check, Verdict::Pass);
        before.iter().for_each(|(verdict, _)| hear(&mut check, *verdict));
        let mut restored = Check::restored(&check.record(&spec));
        assert_eq!(restored.health, check.health);
        for (verdict, _) in after {
            hear(&mut check, verdict);
            restored.hear(&spec, SINCE, sample(verdict, SINCE + Span(u64::MAX / 2)));
            assert_eq!(restored.health, check.health, "both count the same");
        }
    }
}
