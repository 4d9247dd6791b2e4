//! Services by chance: every kind of edge, policy, check and count.

use hostler_core::{Autoscale, CheckSpec, Condition, Dependency, Kind, Quorum, Replicas, RestartMode, RestartPolicy, ServiceName, Span, Spec};

use super::ENGINES;
use crate::dice::Dice;

/// So many services; each may depend on those before it.
pub(super) fn draw(count: usize, dice: &mut Dice) -> Vec<Spec> {
    let mut specs: Vec<Spec> = Vec::new();
    for n in 0..count {
        // Names run against the order of dependencies as often as with it.
        let name = if n % 2 == 0 { format!("a{n}") } else { format!("z{}", 90 - n) };
        let mut spec = Spec::new(ServiceName::new(&name).expect("letters and digits"), ENGINES[dice.index(ENGINES.len())], "{}");
        spec.kind = if dice.percent(20) { Kind::Oneshot } else { Kind::Service };
        spec.restart = policy(dice);
        spec.stop.grace = Span(*dice.pick(&[100, 1_000, 10_000]));
        spec.replicas = count_of(dice);
        if spec.kind == Kind::Oneshot {
            spec.replicas = Replicas { min: 0, autoscale: None, ..spec.replicas };
        }
        spec.dependencies = edges(n, &specs, dice);
        spec.checks = checks(dice);
        spec.fixed_digest = Some(spec.task_digest.clone());
        specs.push(spec);
    }
    specs
}

pub(super) fn edges(n: usize, specs: &[Spec], dice: &mut Dice) -> Vec<Dependency> {
    let mut edges: Vec<Dependency> = Vec::new();
    for _ in 0..dice.below(4).min(n as u64) {
        let on = &specs[dice.index(n)];
        let condition = *dice.pick(&[None, None, Some(Condition::Started), Some(Condition::Healthy), Some(Condition::Completed)]);
        let mut edge = Dependency {
            optional: dice.percent(30),
            restart: dice.percent(30),
            condition: can_hold(condition, on),
            ..Dependency::on(on.name.clone())
        };
        if on.kind == Kind::Service && edge.condition != Some(Condition::Completed) {
            edge.healthy = *dice.pick(&[Quorum::All, Quorum::All, Quorum::All, Quorum::Any, Quorum::Some(2)]);
        }
        if edges.iter().all(|other| other.service != edge.service) {
            edges.push(edge);
        }
    }
    edges
}

/// A condition that may hold one day; others are refused when they are applied.
pub(crate) fn can_hold(condition: Option<Condition>, on: &Spec) -> Option<Condition> {
    match condition {
        Some(Condition::Healthy) if on.checks.is_empty() => None,
        Some(Condition::Completed) if on.kind == Kind::Service => None,
        other => other,
    }
}

pub(super) fn checks(dice: &mut Dice) -> Vec<CheckSpec> {
    let count = *dice.pick(&[0, 0, 1, 1, 2]);
    let mut checks: Vec<CheckSpec> = ["one", "two"].into_iter().take(count).map(|name| check(name, dice)).collect();
    if dice.percent(50) {
        checks.reverse();
    }
    checks
}

fn check(name: &str, dice: &mut Dice) -> CheckSpec {
    let mut check = CheckSpec::new(name, "tcp", "{}");
    check.interval = Span(*dice.pick(&[500, 5_000, 30_000, 30_000]) + dice.below(3_000));
    check.failure_threshold = 1 + dice.small(3);
    check.recovery_threshold = 1 + dice.small(3);
    check.auto_recovery = dice.percent(70);
    check.start_period = Span(dice.below(2) * dice.below(20_000));
    check
}

pub(super) fn count_of(dice: &mut Dice) -> Replicas {
    let autoscale = Autoscale {
        cpu_permille: Some(*dice.pick(&[300, 700])),
        cooldown_up: Span(*dice.pick(&[0, 5_000, 30_000])),
        cooldown_down: Span(*dice.pick(&[0, 20_000, 300_000])),
        ..Autoscale::default()
    };
    let autoscale = dice.percent(30).then_some(autoscale);
    Replicas { min: u32::from(autoscale.is_some()), max: 3, count: *dice.pick(&[1, 1, 1, 2, 3]), autoscale }
}

pub(super) fn policy(dice: &mut Dice) -> RestartPolicy {
    RestartPolicy {
        mode: *dice.pick(&[RestartMode::Always, RestartMode::Always, RestartMode::OnFailure, RestartMode::Never]),
        max_attempts: *dice.pick(&[Some(0), Some(1), Some(3), Some(10), None]),
        initial: Span(*dice.pick(&[0, 100, 2_000, 20_000])),
        factor_permille: *dice.pick(&[1_000, 1_500, 2_000]),
        max: Span::secs(60),
        jitter_permille: *dice.pick(&[0, 250]),
        reset_after: Span(*dice.pick(&[1_000, 20_000, 600_000])),
    }
}
