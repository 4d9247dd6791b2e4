//! What is measured, part by part.

mod calls;
mod crash;
mod crowd;
mod single;

use std::path::Path;

use crate::Fallible;
use crate::machine;
use crate::options::Options;
use crate::place::Place;
use crate::report::{Figure, Report, Unit};

/// Measures everything.
pub(crate) fn all(options: &Options, report: &mut Report) -> Fallible<()> {
    single::measure(options, report)?;
    crowd::measure(options, report)
}

/// A figure beside a program that does nothing, run now: the least that a command can take.
fn beside_nothing(place: &Place, name: impl Into<String>, took: f64) -> Fallible<Figure> {
    let nothing = machine::repeated(20, || place.program("/bin/true"))?;
    Ok(Figure::new(name, Unit::Seconds, took).beside("/bin/true, from start to end", nothing))
}

/// A file with this many services that sleep.
fn sleepers(count: usize) -> String {
    let [program, argument] = machine::SLEEP;
    let service = |n| format!("[services.{}]\nbackend = {{ type = \"process\", binary = \"{program}\", args = [\"{argument}\"] }}\n", sleeper(n));
    let services: String = (0..count).map(service).collect();
    format!("version = \"1.0\"\n\n[settings]\nmax_parallel = {PARALLEL}\n\n{services}")
}

/// How many services the host starts at a time: enough for it never to wait for one that is starting.
const PARALLEL: usize = 64;

fn sleeper(n: usize) -> String {
    format!("sleep-{n:05}")
}

/// A service that is started again at once, whenever it ends.
fn crasher(socket: &Path) -> Fallible<String> {
    let program = std::env::current_exe()?;
    Ok(format!(
        "[services.{CRASHER}]\nbackend = {{ type = \"process\", binary = {:?}, args = [\"child\", {:?}] }}\n\
         restart = {{ policy = \"always\", max_attempts = \"unlimited\", backoff = {{ initial = 0, max = 0 }} }}\n",
        program.display().to_string(),
        socket.display().to_string()
    ))
}

const CRASHER: &str = "crasher";
