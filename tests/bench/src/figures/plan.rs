//! A plan of very many services that depend on each other.

use std::collections::VecDeque;
use std::fmt::Write;
use std::hint::black_box;

use super::{head, idler};
use crate::options::Options;
use crate::place::Place;
use crate::report::{Figure, Report, Unit};
use crate::stats::Samples;
use crate::{Fallible, clock, machine};

const ROUNDS: usize = 5;

/// Asks what `apply` would do with ten times the services.
pub(crate) fn measure(options: &Options, report: &mut Report) -> Fallible<()> {
    let place = Place::new(&options.hostler)?;
    let count = options.services * 10;
    report.group(format!("A plan of {count} services, with {} edges", (0..count).map(|n| needs(n).count()).sum::<usize>()));
    let file = place.write("plan.toml", &document(count))?;
    place.run("serve --detach")?;
    let repeated = |line: String| machine::repeated(ROUNDS, || place.hostler(&line));
    let validate = repeated(format!("validate {}", file.display()))?;
    let plan = repeated(format!("plan {}", file.display()))?;
    let what = "an order of the same graph by this program";
    let order = order(count);
    report.add(Figure::new("`hostler validate`, the whole process", Unit::Seconds, validate).beside(what, order));
    report.add(Figure::new("`hostler plan`, the whole process", Unit::Seconds, plan).beside("`hostler validate`", validate).beside(what, order));
    Ok(())
}

/// What a service needs: up to three that stand before it.
fn needs(n: usize) -> impl Iterator<Item = usize> {
    [1, 7, 100].into_iter().filter_map(move |back| n.checked_sub(back))
}

fn document(count: usize) -> String {
    let mut text = head();
    for n in 0..count {
        let names: Vec<String> = needs(n).map(idler).collect();
        // Writing into a string cannot fail.
        let _ = writeln!(text, "[services.{}]\nbackend = {{ type = \"process\", binary = \"/bin/true\" }}\ndependencies = {names:?}", idler(n));
    }
    text
}

/// How long it takes to put them in an order in which each comes after what it needs, in seconds.
fn order(count: usize) -> f64 {
    let mut samples = Samples::default();
    for _ in 0..ROUNDS {
        let begun = clock::now();
        let mut missing: Vec<usize> = (0..count).map(|n| needs(n).count()).collect();
        let mut needed_by = vec![Vec::new(); count];
        (0..count).for_each(|n| needs(n).for_each(|need| needed_by[need].push(n)));
        let mut ready: VecDeque<usize> = (0..count).filter(|n| missing[*n] == 0).collect();
        let mut ordered = Vec::with_capacity(count);
        while let Some(n) = ready.pop_front() {
            ordered.push(n);
            for next in &needed_by[n] {
                missing[*next] -= 1;
                if missing[*next] == 0 {
                    ready.push_back(*next);
                }
            }
        }
        black_box(&ordered);
        samples.add_nanos(clock::now() - begun);
    }
    samples.median()
}
