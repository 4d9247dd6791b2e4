//! A host with one service.

use super::{beside_nothing, calls, crash, crasher, sleepers};
use crate::Fallible;
use crate::child::Births;
use crate::options::Options;
use crate::place::Place;
use crate::report::Report;

/// How soon it is ready, how soon a crash is mended, what a plugin call costs.
pub(crate) fn measure(options: &Options, report: &mut Report) -> Fallible<()> {
    let place = Place::new(&options.hostler)?;
    report.group("A host with one service");
    begin(&place, report)?;
    let socket = place.file("births");
    let births = Births::listen(&socket)?;
    let file = place.write("one.toml", &format!("{}{}", sleepers(1), crasher(&socket)?))?;
    place.run(&format!("up --detach {}", file.display()))?;
    let first = births.next()?;
    calls::measure(&place, 1_000, report)?;
    report.group("A crash with delay zero, alone");
    crash::measure(&place, &births, first, options.kills, report)
}

/// The first start compiles the plugins, the second finds them compiled.
fn begin(place: &Place, report: &mut Report) -> Fallible<()> {
    let first = place.run("serve --detach")?;
    report.add(beside_nothing(place, "host ready, first start: plugins are compiled", first)?);
    place.run("down")?;
    let again = place.run("serve --detach")?;
    report.add(beside_nothing(place, "host ready, later starts", again)?);
    Ok(())
}
