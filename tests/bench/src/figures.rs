//! What is measured, part by part.

mod calls;
mod crash;
mod crowd;
mod single;

use std::path::Path;

use crate::Fallible;
use crate::machine::{self, Crowd};
use crate::options::Options;
use crate::place::Place;
use crate::report::Report;

/// What the machine does by itself, measured before anything else.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Running `/bin/true`, in seconds.
    nothing: f64,
    /// Removing the directories of as many services.
    remove: f64,
    /// Starting as many `sleep`s as there will be services, in seconds.
    start: f64,
    /// Ending them.
    stop: f64,
    /// What they have in memory, in bytes.
    memory: f64,
}

/// Measures everything.
pub(crate) fn all(options: &Options, report: &mut Report) -> Fallible<()> {
    let limits = limits(options)?;
    single::measure(options, &limits, report)?;
    crowd::measure(options, &limits, report)
}

fn limits(options: &Options) -> Fallible<Limits> {
    eprintln!("· the machine's own limits");
    let place = Place::new(&options.hostler)?;
    let crowd = Crowd::start(&place, options.services)?;
    let (start, memory) = (crowd.start, crowd.memory());
    let stop = crowd.stop()?;
    let (nothing, remove) = (machine::nothing(&place, 50)?, machine::removals(&place, options.services)?);
    Ok(Limits { nothing, remove, start, stop, memory })
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
