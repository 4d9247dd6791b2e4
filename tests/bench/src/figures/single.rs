//! A host with one service.

use super::{beside_nothing, calls, crash, crasher, head, idlers};
use crate::births::Births;
use crate::options::Options;
use crate::peers::Peers;
use crate::place::Place;
use crate::report::Report;
use crate::{Fallible, clock};

/// The slots of the service that does nothing, of the one that is killed, and of the one that a loop kills.
const SLOTS: [usize; 3] = [0, 1, 2];

/// How soon it is ready, how soon a crash is mended, what a plugin call costs.
pub(crate) fn measure(options: &Options, peers: &Peers, report: &mut Report) -> Fallible<()> {
    let place = Place::new(&options.hostler)?;
    report.group("A host with one service");
    begin(&place, report)?;
    let [idle, killed, bare] = SLOTS;
    let births = Births::create(place.dir(), SLOTS.len())?;
    let file =
        place.write("one.toml", &[head(), idlers(&place, &births, idle..idle + 1, |_| String::new()), crasher(&place, &births, killed)].concat())?;
    let begun = clock::now();
    place.run(&format!("up --detach {}", file.display()))?;
    births.after(killed, begun)?;
    calls::measure(&place, 1_000, report)?;
    report.group("A crash with delay zero, alone");
    let crash = crash::Measured { births: &births, slot: killed, bare, kills: options.kills };
    crash::measure(&place, &crash, |figure, percent| peers.beside(figure, |peer| peer.alone.percentile(percent)), report)
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
