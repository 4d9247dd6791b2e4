//! What only shows when all services are seen together, in the places of the document.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::{Problem, ServiceName, Spec, doubt};

use super::place::Report;
use super::service::Places;

/// Comparing an unknown name with every known one costs: so many comparisons are afforded.
const COMPARISONS: usize = 500_000;
/// A longer cycle is shown by its beginning and its end.
const CYCLE_SHOWN: usize = 16;

/// Asks the core, and turns its numbers (third dependency, second check) back into what the document says there.
///
/// `named` are all keys under `services`: who depends on one that could not be read is not told that it is unknown.
pub(crate) fn doubt_together(
    specs: &mut BTreeMap<ServiceName, Spec>,
    places: &mut BTreeMap<ServiceName, Places>,
    named: &BTreeSet<&str>,
    report: &mut Report,
) {
    sift_unknown(specs, places, named, report);
    for problem in doubt(specs) {
        report.add(shorten_cycle(in_place(problem, places)));
    }
}

/// Leaves the core the edges it can doubt at a bearable price: none to services that were refused already, few to unknown ones.
fn sift_unknown(specs: &mut BTreeMap<ServiceName, Spec>, places: &mut BTreeMap<ServiceName, Places>, named: &BTreeSet<&str>, report: &mut Report) {
    let known: BTreeSet<ServiceName> = specs.keys().cloned().collect();
    let mut afforded = (COMPARISONS / known.len().max(1)).clamp(3, 100);
    for (name, spec) in specs {
        let Some(places) = places.get_mut(name) else { continue };
        let edges = std::mem::take(&mut spec.dependencies).into_iter().zip(std::mem::take(&mut places.dependencies));
        for (edge, index) in edges {
            if !known.contains(&edge.service) {
                if named.contains(edge.service.as_str()) {
                    continue;
                }
                if afforded == 0 {
                    report.add(Problem::new(format!("/services/{name}/dependencies/{index}"), format!("there is no service `{}`", edge.service)));
                    continue;
                }
                afforded -= 1;
            }
            spec.dependencies.push(edge);
            places.dependencies.push(index);
        }
    }
}

/// `/services/web/health_checks/0` → `/services/web/health_check`, where that is what was written.
pub(super) fn in_place(mut problem: Problem, places: &BTreeMap<ServiceName, Places>) -> Problem {
    let parts: Vec<&str> = problem.at.split('/').collect();
    let ["", "services", name, list, index] = parts[..] else { return problem };
    let (Some(places), Ok(index)) = (places.get(name), index.parse::<usize>()) else { return problem };
    let below = match list {
        "dependencies" => places.dependencies.get(index).map(|index| format!("dependencies/{index}")),
        "health_checks" => places.checks.get(index).cloned(),
        _ => None,
    };
    if let Some(below) = below {
        problem.at = format!("/services/{name}/{below}");
    }
    problem
}

fn shorten_cycle(mut problem: Problem) -> Problem {
    let names: Vec<&str> = problem.message.split(" -> ").collect();
    if names.len() > CYCLE_SHOWN {
        let (first, last) = (names[..CYCLE_SHOWN / 2].join(" -> "), names[names.len() - 2..].join(" -> "));
        problem.message = format!("{first} -> … ({} more) … -> {last}", names.len() - CYCLE_SHOWN / 2 - 2);
    }
    problem
}
