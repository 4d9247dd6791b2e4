//! Services in a line of text: `db+@docker; migrate* <- db; app <- db:started cache? queue!`.
//!
//! After a name: `+` it has a check, `*` it is a one-shot, `@x` its backend, `xN` nothing else. After an edge: `?` optional, `!` restart,
//! `:started`, `:healthy`, `:completed` its condition, `=any`, `=2` of how many replicas. Restarts have no jitter, so that times can be said exactly.

use hostler_core::{CheckSpec, Condition, Dependency, Kind, Quorum, ServiceName, Spec};

/// Reads services.
///
/// # Panics
/// When it is no such text.
pub fn specs(text: &str) -> Vec<Spec> {
    text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(spec).collect()
}

fn spec(text: &str) -> Spec {
    let (head, edges) = text.split_once("<-").unwrap_or((text, ""));
    let (head, backend) = head.trim().split_once('@').unwrap_or((head.trim(), "process"));
    let name = head.trim_end_matches(['+', '*']);
    let mut spec = Spec::new(ServiceName::new(name).expect("a name"), backend, "{}");
    spec.restart.jitter_permille = 0;
    if head.contains('+') {
        spec.checks.push(CheckSpec::new("ping", "tcp", "{}"));
    }
    if head.contains('*') {
        spec.kind = Kind::Oneshot;
    }
    spec.dependencies = edges.split_whitespace().map(edge).collect();
    spec
}

fn edge(text: &str) -> Dependency {
    let (text, quorum) = text.split_once('=').map_or((text, None), |(text, quorum)| (text, Some(quorum)));
    let (name, condition) = text.split_once(':').map_or((text, None), |(name, condition)| (name, Some(condition)));
    let name = name.trim_end_matches(['?', '!']);
    Dependency {
        service: ServiceName::new(name).expect("a name"),
        optional: text.contains('?'),
        restart: text.contains('!'),
        condition: condition.map(|word| match word.trim_end_matches(['?', '!']) {
            "started" => Condition::Started,
            "healthy" => Condition::Healthy,
            "completed" => Condition::Completed,
            other => panic!("{other} is no condition"),
        }),
        healthy: match quorum {
            None => Quorum::All,
            Some("any") => Quorum::Any,
            Some(number) => Quorum::Some(number.parse().expect("a number of replicas")),
        },
    }
}
