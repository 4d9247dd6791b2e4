//! Services that wait for each other.

use super::{beside_nothing, head, idler, idlers};
use crate::births::{Births, until_last};
use crate::options::Options;
use crate::place::Place;
use crate::report::{Figure, Report, Unit};
use crate::target::Target;
use crate::{Fallible, clock, machine};

const LENGTH: usize = 50;

/// Starts a chain in which each waits for the one before it to be healthy, and each is healthy at its first check.
pub(crate) fn measure(options: &Options, report: &mut Report) -> Fallible<()> {
    let place = Place::new(&options.hostler)?;
    report.group(format!("A chain of {LENGTH} services, each healthy at once"));
    let births = Births::create(place.dir(), LENGTH + 1)?;
    let floor = machine::chain(&place, &births, LENGTH)?;
    let target = Target::start(&place, 1)?;
    let check = format!("health_check = {{ type = \"http\", url = \"http://127.0.0.1:{}/\", recovery_threshold = 1 }}\n", target.ports[0]);
    let link = |slot: usize| match slot.checked_sub(1) {
        Some(before) => format!("{check}dependencies = [{{ service = {:?}, condition = \"healthy\" }}]\n", idler(before)),
        None => check.clone(),
    };
    let file = place.write("chain.toml", &(head() + &idlers(&place, &births, 0..LENGTH, link)))?;
    place.run("serve --detach")?;
    let begun = clock::now();
    let took = place.run(&format!("up --detach --json {}", file.display()))?;
    let last = until_last(&births.all_after(0..LENGTH, begun)?, begun);
    let what = "posix_spawn → main, one after the other";
    report.add(beside_nothing(&place, "`up --detach` until the last is healthy", took)?.beside(what, floor).at_most(0.15));
    report.add(Figure::new("from `up` until the last is in main", Unit::Seconds, last).beside(what, floor));
    Ok(())
}
