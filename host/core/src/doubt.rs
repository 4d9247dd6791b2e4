//! Doubts about a set of services: the mistakes that show only when they are seen together.

use std::collections::BTreeMap;

use crate::graph::Graph;
use crate::problem::{Problem, closest, pointer_key};
use crate::registry::condition;
use crate::spec::{Condition, Dependency, Kind, MAX_REPLICAS, Quorum, Replicas, RestartMode, ServiceName, Spec};
use crate::time::Span;

/// Every mistake that shows only when the services are seen together: unknown and own dependencies, twice the same one, conditions that
/// can never hold, replica bounds, check names, thresholds; and of the cycles one.
///
/// Places are JSON pointers below `/services/NAME`. An empty answer means: may be applied.
pub fn doubt(specs: &BTreeMap<ServiceName, Spec>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for spec in specs.values() {
        doubt_one(spec, specs, &mut problems);
    }
    if let Some(cycle) = Graph::new(specs.values()).cycle() {
        let path: Vec<&str> = cycle.iter().map(ServiceName::as_str).collect();
        problems.push(
            Problem::new(
                format!("/services/{}/dependencies", pointer_key(path[0])),
                format!("dependency cycle: {} -> {}", path.join(" -> "), path[0]),
            )
            .hint("remove one of these edges; an optional edge counts too, because it orders starts"),
        );
    }
    problems
}

fn doubt_one(spec: &Spec, specs: &BTreeMap<ServiceName, Spec>, problems: &mut Vec<Problem>) {
    let here = format!("/services/{}", pointer_key(spec.name.as_str()));
    for (index, edge) in spec.dependencies.iter().enumerate() {
        let at = format!("{here}/dependencies/{index}");
        if edge.service == spec.name {
            problems.push(Problem::new(at, format!("service `{}` depends on itself", spec.name)).hint("remove this dependency"));
            continue;
        }
        if spec.dependencies[..index].iter().any(|earlier| earlier.service == edge.service) {
            problems.push(Problem::new(at, format!("`{}` is named twice among the dependencies", edge.service)).hint("keep one of the two"));
            continue;
        }
        let Some(dependency) = specs.get(&edge.service) else {
            let names = specs.keys().map(ServiceName::as_str).filter(|name| *name != spec.name.as_str());
            let hint = match closest(edge.service.as_str(), names) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "every dependency must be a service of the same file".to_owned(),
            };
            problems.push(Problem::new(at, format!("there is no service `{}`", edge.service)).hint(hint));
            continue;
        };
        doubt_quorum(edge, dependency, &at, problems);
        doubt_condition(edge, dependency, at, problems);
    }
    doubt_checks(spec, &here, problems);
    doubt_autoscale(spec, &here, problems);
    let Replicas { min, max, count, .. } = spec.replicas;
    if max == 0 || max > MAX_REPLICAS {
        problems.push(Problem::new(format!("{here}/replicas"), format!("`max` is {max}; it must be between 1 and {MAX_REPLICAS}")));
    } else if !(min <= count && count <= max) {
        problems.push(
            Problem::new(format!("{here}/replicas"), format!("min {min}, count {count} and max {max} do not fit together"))
                .hint("min <= count <= max must hold"),
        );
    }
}

fn doubt_autoscale(spec: &Spec, here: &str, problems: &mut Vec<Problem>) {
    let Some(policy) = spec.replicas.autoscale else { return };
    let at = format!("{here}/replicas/autoscale");
    if policy.cpu_permille.is_none() && policy.memory_permille.is_none() {
        problems.push(Problem::new(&at, "has no target").hint("write cpu = \"70%\" or memory = \"80%\""));
    }
    if policy.memory_permille.is_some() && spec.resources.memory_bytes.is_none() {
        problems.push(
            Problem::new(format!("{at}/memory"), "is a share of a limit, and there is none")
                .hint("write resources = { memory = \"512Mi\" } for the service"),
        );
    }
    if spec.kind == Kind::Oneshot {
        problems.push(Problem::new(&at, "a one-shot runs to its end, whatever its load").hint("remove `autoscale`"));
    }
    if spec.replicas.min == 0 {
        problems.push(Problem::new(format!("{here}/replicas/min"), "is 0, and nothing can be measured of no replica").hint("make `min` at least 1"));
    }
}

fn doubt_condition(edge: &Dependency, dependency: &Spec, at: String, problems: &mut Vec<Problem>) {
    let name = &edge.service;
    match edge.condition {
        Some(Condition::Completed) if dependency.kind == Kind::Service && dependency.restart.mode == RestartMode::Always => problems.push(
            Problem::new(at, format!("`{name}` never completes: it is restarted after every end"))
                .hint(format!("make `{name}` a one-shot (kind = \"oneshot\"), or wait for `started` or `healthy`")),
        ),
        Some(Condition::Healthy) if dependency.checks.is_empty() => problems.push(
            Problem::new(at, format!("`{name}` has no health check, so it never becomes healthy"))
                .hint(format!("give `{name}` a health_check, or wait for `started`")),
        ),
        None | Some(Condition::Started | Condition::Healthy | Condition::Completed) => {}
    }
}

fn doubt_quorum(edge: &Dependency, dependency: &Spec, at: &str, problems: &mut Vec<Problem>) {
    let (name, at) = (&edge.service, format!("{at}/healthy"));
    match edge.healthy {
        Quorum::All => {}
        Quorum::Any | Quorum::Some(_) if condition(edge, dependency) == Condition::Completed => problems.push(
            Problem::new(at, format!("`{name}` is waited for until it has completed, which all its replicas must have"))
                .hint("remove `healthy`, or wait for `started` or `healthy`"),
        ),
        Quorum::Some(0) => problems.push(Problem::new(at, "is 0; it must be at least 1").hint("an edge that waits for nothing is `optional = true`")),
        Quorum::Some(number) if number > dependency.replicas.max => problems.push(
            Problem::new(at, format!("waits for {number} replicas of `{name}`, which has at most {}", dependency.replicas.max))
                .hint(format!("raise `max` in the `replicas` of `{name}`, or wait for fewer")),
        ),
        Quorum::Any | Quorum::Some(_) => {}
    }
}

fn doubt_checks(spec: &Spec, here: &str, problems: &mut Vec<Problem>) {
    for (index, check) in spec.checks.iter().enumerate() {
        let at = format!("{here}/health_checks/{index}");
        if spec.checks[..index].iter().any(|earlier| earlier.name == check.name) {
            problems.push(Problem::new(&at, format!("two checks are named `{}`", check.name)).hint("give each a `name` of its own"));
        }
        if check.interval == Span::ZERO || check.timeout == Span::ZERO {
            problems.push(Problem::new(&at, "`interval` and `timeout` must be longer than zero"));
        }
        if check.failure_threshold == 0 || check.recovery_threshold == 0 {
            problems.push(Problem::new(&at, "thresholds must be at least 1"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_told_beside_the_other_mistakes() {
        let named = |name: &str, on: &[&str]| {
            let mut spec = Spec::new(ServiceName::new(name).expect("a name"), "process", "{}");
            let edge = |on: &&str| Dependency::on(ServiceName::new(on).expect("a name"));
            spec.dependencies = on.iter().map(edge).collect();
            (spec.name.clone(), spec)
        };
        let found = doubt(&BTreeMap::from([named("a", &["b"]), named("b", &["a", "nobody"]), named("c", &["c"])]));
        let messages: Vec<&str> = found.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(messages, ["there is no service `nobody`", "service `c` depends on itself", "dependency cycle: a -> b -> a"]);
    }
}
