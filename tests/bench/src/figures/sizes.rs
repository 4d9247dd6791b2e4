//! What a host costs that has nothing to do, by how many services it holds.

use std::thread;
use std::time::Duration;

use super::pair::Pair;
use super::{head, idlers};
use crate::Fallible;
use crate::births::Births;
use crate::options::Options;
use crate::peers::Peers;
use crate::place::Place;
use crate::processes::{self, Memory};
use crate::report::{Figure, Report, Unit};

/// What a start has left to write is not idleness.
const SETTLES: Duration = Duration::from_secs(3);

/// Grows one host from nothing to five times the services, and lets it be at each size.
pub(crate) fn measure(options: &Options, peers: &Peers, report: &mut Report) -> Fallible<()> {
    let place = Place::new(&options.hostler)?;
    let full = options.services;
    let births = Births::create(place.dir(), 5 * full)?;
    place.run("serve --detach")?;
    report.group("No service, and nothing to do");
    let bare = Idle::of(&place, options.idle_secs)?;
    bare.figures(&bare).into_iter().for_each(|figure| report.add(figure));
    for count in [full / 10, full, 5 * full] {
        report.group(format!("{count} services with nothing to do"));
        let file = place.write("sizes.toml", &(head() + &idlers(&place, &births, 0..count, |_| String::new())))?;
        place.run(&format!("up --detach --json {}", file.display()))?;
        let [memory, own, cores, parts @ ..] = Idle::of(&place, options.idle_secs)?.figures(&bare);
        let memory = memory.beside("the services themselves, each its own share", services(&births, count)?);
        if count == full {
            report.add(peers.beside(memory.at_most(40e6).aimed_if(options.is_full()), |peer| peer.resident));
            report.add(peers.beside(own, |peer| peer.proportional));
            report.add(peers.beside(cores.at_most(0.001).aimed_if(options.is_full()), |peer| peer.cores));
        } else {
            report.add(memory.at_most(100e6).aimed_if(options.is_full() && count > full));
            report.add(own);
            report.add(cores);
        }
        parts.into_iter().for_each(|figure| report.add(figure));
    }
    Ok(())
}

/// What the services have in memory of their own, in bytes.
fn services(births: &Births, count: usize) -> Fallible<f64> {
    let births = births.all_after(0..count, 0)?;
    Ok(births.iter().filter_map(|birth| processes::memory(birth.pid)).map(|memory| memory.proportional).sum())
}

/// A host and its keeper that have nothing to do: each its memory and its part of a core.
#[derive(Debug, Clone, Copy)]
struct Idle {
    memory: [Memory; 2],
    cores: [f64; 2],
}

impl Idle {
    fn of(place: &Place, secs: u64) -> Fallible<Idle> {
        let pair = Pair::of(place)?;
        thread::sleep(SETTLES);
        let cores = pair.idle(secs);
        Ok(Idle { memory: pair.memory()?, cores })
    }

    /// First of both together: resident, their own share, cores. Then of each.
    fn figures(&self, bare: &Idle) -> [Figure; 7] {
        let resident = |idle: &Idle| idle.memory.iter().map(|memory| memory.resident).sum();
        let own = |idle: &Idle| idle.memory.iter().map(|memory| memory.proportional).sum();
        let bytes = |name, now, bare| Figure::new(name, Unit::Bytes, now).beside("with no service", bare);
        let cores = |name, now| Figure::new(name, Unit::Cores, now);
        [
            bytes("host and keeper: resident", resident(self), resident(bare)),
            bytes("host and keeper: their own share, of what both share half each", own(self), own(bare)),
            cores("host and keeper: cpu", self.cores.iter().sum()),
            bytes("  host: resident", self.memory[0].resident, bare.memory[0].resident),
            bytes("  keeper: resident", self.memory[1].resident, bare.memory[1].resident),
            cores("  host: cpu", self.cores[0]),
            cores("  keeper: cpu", self.cores[1]),
        ]
    }
}
