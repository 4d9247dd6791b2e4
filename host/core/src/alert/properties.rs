//! The machine beside a model that remembers everything it ever heard.

use proptest::prelude::{ProptestConfig, Strategy, prop, proptest};
use proptest::test_runner::RngSeed;

use super::{AlertRule, AlertTurn, Alerts, Facts, Severity, Subject, Trigger};
use crate::health::Health;
use crate::spec::ServiceName;
use crate::time::{Span, Time};
use crate::view::Status;

#[derive(Debug, Clone)]
enum Step {
    /// So much later, this is heard.
    Hear(u64, Health),
    /// So much later, nothing is.
    Wait(u64),
    /// The host ends, and another one begins.
    Again,
}

fn step() -> impl Strategy<Value = Step> {
    let health = prop::sample::select(vec![Health::Healthy, Health::Degraded, Health::Unhealthy, Health::Unhealthy, Health::Unknown]);
    proptest::prop_oneof![
        6 => (0..40_u64, health).prop_map(|(later, health)| Step::Hear(later, health)),
        3 => (0..40_u64).prop_map(Step::Wait),
        1 => proptest::strategy::Just(Step::Again),
    ]
}

fn rule(hold: u64) -> AlertRule {
    AlertRule {
        name: "ill".to_owned(),
        trigger: Trigger::Unhealthy,
        hold: Span::secs(hold),
        severity: Severity::Critical,
        services: Vec::new(),
        categories: Vec::new(),
        sinks: Vec::new(),
    }
}

/// Everything in order, looked through from the end whenever somebody asks.
#[derive(Default)]
struct Model {
    heard: Vec<(u64, Health)>,
    firing: bool,
}

impl Model {
    /// Since when it has held, when it was so at the last look.
    fn since(&self) -> Option<u64> {
        let mut since = None;
        for (at, health) in self.heard.iter().rev() {
            match health {
                Health::Unhealthy => since = Some(*at),
                Health::Unknown => {}
                Health::Healthy | Health::Degraded => break,
            }
        }
        since.filter(|_| self.heard.last().is_some_and(|(_, health)| *health == Health::Unhealthy))
    }

    fn turn(&mut self, now: u64, hold: u64) -> Option<bool> {
        let last = self.heard.last().map(|(_, health)| *health);
        let fires = !self.firing && self.since().is_some_and(|since| now >= since + hold);
        let ends = self.firing && matches!(last, Some(Health::Healthy | Health::Degraded));
        if fires || ends {
            self.firing = fires;
        }
        (fires || ends).then_some(fires)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, rng_seed: RngSeed::Fixed(29), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_turn_is_told_once_and_when_it_is_due(hold in 0..90_u64, steps in prop::collection::vec(step(), 1..60)) {
        let subject = Subject::Service(ServiceName::new("db").expect("a name"));
        let rules = || [("ill".to_owned(), rule(hold))].into();
        let (mut alerts, mut model, mut now) = (Alerts::default(), Model::default(), 1_000_u64);
        assert_eq!(alerts.set_rules(rules()), []);
        for step in steps {
            let turns = match step {
                Step::Hear(later, health) => {
                    // Whoever looks in between has seen what came due in the meantime.
                    now += later;
                    let due = alerts.tick(Time(now * 1_000));
                    let expected = model.turn(now, hold);
                    assert_eq!(due.len(), usize::from(expected.is_some()));
                    model.heard.push((now, health));
                    let facts = Facts { status: Some(Status::Running), health: Some(health), ..Facts::default() };
                    alerts.observe(Time(now * 1_000), &subject, Some(&facts))
                }
                Step::Wait(later) => {
                    now += later;
                    alerts.tick(Time(now * 1_000))
                }
                Step::Again => {
                    let firing: Vec<_> = alerts.live().filter(|(_, stage, _)| **stage == super::AlertStage::Firing).map(|(key, _, text)| (key.clone(), text.to_owned())).collect();
                    assert_eq!(firing.len(), usize::from(model.firing));
                    alerts = Alerts::restore(firing);
                    model.heard.clear();
                    alerts.set_rules(rules())
                }
            };
            let told: Vec<bool> = turns.iter().map(|turn| matches!(turn, AlertTurn::Fired { .. })).collect();
            assert_eq!(told, model.turn(now, hold).into_iter().collect::<Vec<_>>(), "at {now}");
            assert!(alerts.poll_timeout().is_none_or(|at| at > Time(now * 1_000)), "what is due is done");
        }
    }
}
