//! What is measured, part by part.

mod calls;
mod chain;
mod checks;
mod containers;
mod crash;
mod crowd;
mod fan_out;
pub(crate) mod keeper;
mod languages;
mod pair;
mod plan;
mod plugin_call;
mod requests;
mod single;
mod sizes;

use std::ops::Range;

use serde_json::Value;

use crate::Fallible;
use crate::births::Births;
use crate::machine;
use crate::options::{Options, Part};
use crate::peers::{self, Peers};
use crate::place::Place;
use crate::report::{Figure, Report, Unit};

/// Measures everything that is asked for. A part that fails says so in the table, and the others go on.
pub(crate) fn all(options: &Options, report: &mut Report) -> Fallible<()> {
    let peers = if options.wants(Part::Peers) { peers::measure(options, report) } else { Peers::default() };
    let mut failed = 0;
    for part in options.parts.iter() {
        let outcome = match part {
            Part::One => single::measure(options, &peers, report),
            Part::Many => crowd::measure(options, &peers, report),
            Part::Sizes => sizes::measure(options, &peers, report),
            Part::Keeper => keeper::measure(options, report),
            Part::Chain => chain::measure(options, report),
            Part::Events => fan_out::measure(options, report),
            Part::Requests => requests::measure(options, report),
            Part::Checks => checks::measure(options, report),
            Part::Plan => plan::measure(options, report),
            Part::Call => plugin_call::measure(&options.fixtures(), report).and_then(|()| languages::measure(report)),
            Part::Containers => containers::measure(options, report),
            // Before all others.
            Part::Peers => Ok(()),
        };
        if let Err(error) = outcome {
            report.note(format!("not measured from here on: {error}"));
            failed += 1;
        }
    }
    if failed == 0 { Ok(()) } else { Err(format!("{failed} of the parts could not be measured to their end; the table says why").into()) }
}

/// A figure beside a program that does nothing, run now: the least that a command can take.
fn beside_nothing(place: &Place, name: impl Into<String>, took: f64) -> Fallible<Figure> {
    let nothing = machine::repeated(20, || place.program("/bin/true"))?;
    Ok(Figure::new(name, Unit::Seconds, took).beside("/bin/true, from start to end", nothing))
}

/// How a file begins.
fn head() -> String {
    format!("version = \"1.0\"\n\n[settings]\nmax_parallel = {PARALLEL}\n\n")
}

/// How many services the host starts at a time: enough for it never to wait for one that is starting.
const PARALLEL: usize = 64;

/// Services that do nothing, in these slots; each with more lines that its number may be part of.
fn idlers(place: &Place, births: &Births, slots: Range<usize>, more: impl Fn(usize) -> String) -> String {
    slots.map(|slot| format!("[services.{}]\n{}{}", idler(slot), backend(place, births, slot), more(slot))).collect()
}

fn idler(n: usize) -> String {
    format!("idle-{n:05}")
}

/// A service that is started again at once, whenever it ends.
fn crasher(place: &Place, births: &Births, slot: usize) -> String {
    let backend = backend(place, births, slot);
    let restart = "restart = { policy = \"always\", max_attempts = \"unlimited\", backoff = { initial = 0, max = 0 } }\n";
    format!("[services.{CRASHER}]\n{backend}{restart}")
}

const CRASHER: &str = "crasher";

fn backend(place: &Place, births: &Births, slot: usize) -> String {
    let (program, args) = (place.service_program().display().to_string(), births.words(slot));
    format!("backend = {{ type = \"process\", binary = {program:?}, args = {args:?} }}\n")
}

fn pid_in(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|pid| u32::try_from(pid).ok())
}
