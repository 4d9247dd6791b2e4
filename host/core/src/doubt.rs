//! Doubts about a set of services: the mistakes that show only when they are seen together.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::Graph;
use crate::machine::Core;
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
        doubt_edges(spec, &|name| specs.get(name), &|| specs.keys().collect(), &mut problems);
        doubt_alone(spec, &mut problems);
    }
    problems.extend(Graph::new(specs.values()).cycle().map(|cycle| told_cycle(&cycle)));
    problems
}

/// The mistakes of one service that show without the others: own and double dependencies, replica bounds, check names, thresholds.
pub fn doubt_one(spec: &Spec) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, edge) in spec.dependencies.iter().enumerate() {
        problems.extend(doubt_named(spec, index, edge));
    }
    doubt_alone(spec, &mut problems);
    problems
}

impl Core {
    /// The mistakes that show when these come beside the services that are wanted, or in the place of those of their names: what [`doubt`]
    /// finds, where one of these has a part in it. It costs what their neighbours are, not what there is in all.
    ///
    /// Services are called by their names within their workspace.
    pub fn doubt_beside(&self, new: &BTreeMap<ServiceName, Spec>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let find = |name: &ServiceName| new.get(name).or_else(|| Some(&*self.wanted(name.as_str())?.spec));
        for spec in new.values() {
            let workspace = spec.name.workspace();
            let names = || self.names().chain(new.keys()).filter(|name| name.workspace() == workspace).collect();
            doubt_edges(spec, &find, &names, &mut problems);
            for dependent in self.graph().dependents(spec.name.as_str()).filter(|name| !new.contains_key(*name)) {
                let Some(wanted) = self.wanted(dependent.as_str()) else { continue };
                for (index, edge) in wanted.spec.dependencies.iter().enumerate().filter(|(_, edge)| edge.service == spec.name) {
                    doubt_edge(edge, spec, &place(&wanted.spec, index), &mut problems);
                }
            }
        }
        problems.extend(new.keys().find_map(|name| way_back(name, &find)).map(|cycle| told_cycle(&cycle)));
        problems
    }
}

/// From a service along its dependencies back to it.
fn way_back<'a>(first: &'a ServiceName, find: &dyn Fn(&ServiceName) -> Option<&'a Spec>) -> Option<Vec<ServiceName>> {
    // Each name once, with the one that led to it: no chain is too long for the stack.
    let mut led: BTreeMap<&ServiceName, &ServiceName> = BTreeMap::new();
    let mut open = vec![first];
    while let Some(name) = open.pop() {
        for edge in find(name).iter().flat_map(|spec| &spec.dependencies) {
            if edge.service == *first {
                let mut way = vec![name];
                while way[way.len() - 1] != first {
                    way.push(led[way[way.len() - 1]]);
                }
                return (name != first).then(|| way.into_iter().rev().cloned().collect());
            }
            if !led.contains_key(&edge.service) {
                led.insert(&edge.service, name);
                open.push(&edge.service);
            }
        }
    }
    None
}

fn told_cycle(cycle: &[ServiceName]) -> Problem {
    let path: Vec<&str> = cycle.iter().map(ServiceName::local).collect();
    let message = format!("dependency cycle: {} -> {}", path.join(" -> "), path[0]);
    Problem::new(format!("/services/{}/dependencies", pointer_key(path[0])), message)
        .hint("remove one of these edges; an optional edge counts too, because it orders starts")
}

fn place(spec: &Spec, index: usize) -> String {
    format!("/services/{}/dependencies/{index}", pointer_key(spec.name.local()))
}

/// What is wrong with an edge whoever it leads to.
fn doubt_named(spec: &Spec, index: usize, edge: &Dependency) -> Option<Problem> {
    if edge.service == spec.name {
        let message = format!("service `{}` depends on itself", spec.name.local());
        return Some(Problem::new(place(spec, index), message).hint("remove this dependency"));
    }
    let is_double = spec.dependencies[..index].iter().any(|earlier| earlier.service == edge.service);
    let message = || format!("`{}` is named twice among the dependencies", edge.service.local());
    is_double.then(|| Problem::new(place(spec, index), message()).hint("keep one of the two"))
}

fn doubt_edges<'a>(
    spec: &Spec,
    find: &dyn Fn(&ServiceName) -> Option<&'a Spec>,
    names: &dyn Fn() -> BTreeSet<&'a ServiceName>,
    problems: &mut Vec<Problem>,
) {
    for (index, edge) in spec.dependencies.iter().enumerate() {
        if let Some(problem) = doubt_named(spec, index, edge) {
            problems.push(problem);
            continue;
        }
        let at = place(spec, index);
        let Some(dependency) = find(&edge.service) else {
            let names = names();
            let names = names.iter().map(|name| name.local()).filter(|name| *name != spec.name.local());
            let hint = match closest(edge.service.local(), names) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "every dependency must be a service of the same file".to_owned(),
            };
            problems.push(Problem::new(at, format!("there is no service `{}`", edge.service.local())).hint(hint));
            continue;
        };
        doubt_edge(edge, dependency, &at, problems);
    }
}

fn doubt_edge(edge: &Dependency, dependency: &Spec, at: &str, problems: &mut Vec<Problem>) {
    doubt_quorum(edge, dependency, at, problems);
    doubt_condition(edge, dependency, at, problems);
}

fn doubt_alone(spec: &Spec, problems: &mut Vec<Problem>) {
    let here = format!("/services/{}", pointer_key(spec.name.local()));
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

fn doubt_condition(edge: &Dependency, dependency: &Spec, at: &str, problems: &mut Vec<Problem>) {
    let name = edge.service.local();
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
    let (name, at) = (edge.service.local(), format!("{at}/healthy"));
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
    use std::sync::Arc;

    use super::*;
    use crate::{Config, Event, Starting, Status, Time, Wanted};

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).expect("a name")
    }

    fn spec(own: &str, on: &[&str]) -> Spec {
        let mut spec = Spec::new(name(own), "process", "{}");
        spec.dependencies = on.iter().map(|on| Dependency::on(name(on))).collect();
        spec
    }

    /// A core that wants these, and what it doubts of others beside them.
    fn beside(wanted: &[Spec], new: &[Spec]) -> Vec<(String, String)> {
        let mut core = Core::new(Config { seed: 1, ..Config::default() });
        let changes = wanted.iter().map(|spec| {
            let wanted = Wanted::applied(None, Arc::new(spec.clone()), Status::NotFound, Starting::Nothing);
            (spec.name.clone(), Some(wanted))
        });
        core.handle(Time(1), Event::Wanted(changes.collect()));
        let new = new.iter().map(|spec| (spec.name.clone(), spec.clone())).collect();
        core.doubt_beside(&new).into_iter().map(|problem| (problem.at, problem.message)).collect()
    }

    #[test]
    fn what_comes_beside_others_is_doubted_with_its_neighbours_alone() {
        let there = [spec("a", &[]), spec("b", &["a"]), spec("c", &["b"])];
        let one = |at: &str, message: &str| vec![(at.to_owned(), message.to_owned())];
        assert_eq!(beside(&there, &[spec("d", &["c"])]), []);
        assert_eq!(beside(&there, &[spec("d", &["nobody"])]), one("/services/d/dependencies/0", "there is no service `nobody`"));
        assert_eq!(beside(&there, &[spec("a", &["c"])]), one("/services/a/dependencies", "dependency cycle: a -> c -> b -> a"));
        assert_eq!(beside(&there, &[spec("a", &["d"]), spec("d", &["c"])]).len(), 1, "also by way of another new one");
        let broken = [spec("a", &[]), spec("x", &["gone"])];
        assert_eq!(beside(&broken, &[spec("d", &["a"])]), [], "what is wrong with others is nothing of its own");
    }

    #[test]
    fn who_depends_on_what_changes_is_asked_too() {
        let mut waits = spec("b", &["a"]);
        waits.dependencies[0].healthy = Quorum::Some(3);
        let mut three = spec("a", &[]);
        three.replicas = Replicas { min: 1, max: 3, count: 3, ..three.replicas };
        assert_eq!(beside(&[three.clone(), waits.clone()], &[three.clone()]), []);
        let told = beside(&[three, waits], &[spec("a", &[])]);
        assert_eq!(told, [("/services/b/dependencies/0/healthy".to_owned(), "waits for 3 replicas of `a`, which has at most 1".to_owned())]);
    }

    #[test]
    fn a_cycle_is_told_beside_the_other_mistakes() {
        let named = |own: &str, on: &[&str]| (name(own), spec(own, on));
        let found = doubt(&BTreeMap::from([named("a", &["b"]), named("b", &["a", "nobody"]), named("c", &["c"])]));
        let messages: Vec<&str> = found.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(messages, ["there is no service `nobody`", "service `c` depends on itself", "dependency cycle: a -> b -> a"]);
    }
}
