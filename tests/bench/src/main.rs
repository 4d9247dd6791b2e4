//! How fast Hostler is, beside what this machine can do at all: `make bench`.
//!
//! Everything is driven through the real binary, in state directories of its own, and every figure stands beside a limit or a comparison
//! that was measured in the same run, so that a slow machine does not look like a slow host. Time stamps of services come from the
//! service itself: a small static program (`service/service.c`) whose first act is to look at the clock, the same under every supervisor.
//!
//! - [`figures`] are what is measured: crashes, a thousand services, idleness, checks, plans.
//! - [`machine`] is what they are measured against; [`peers`] are other supervisors, [`engine`] is Docker.
//! - [`births`] is where services say when they came to life; [`target`] is what is checked over HTTP, [`hello`] what answers beside the API; [`listeners`] are who follows events.
//! - [`place`] is where it happens; [`guard`] ends all of it, however this program ends.
//! - [`report`] is the table, and the JSON beside it.

mod births;
mod clock;
mod engine;
mod figures;
mod guard;
mod hello;
mod http;
mod laps;
mod listeners;
mod machine;
mod options;
mod peers;
mod place;
mod processes;
mod report;
mod stats;
mod target;

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use options::{Asked, Options};
use report::Report;

/// What went wrong, for a person.
pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1).peekable();
    match words.peek().and_then(|word| word.to_str()) {
        Some("guard") => guard::stand(words.nth(1)),
        Some("keeper") => keep(words.nth(2)),
        Some("target") => target::live(words.skip(1)),
        Some("hello") => hello::live(words.nth(1)),
        _ => measure(words.map(|word| word.to_string_lossy().into_owned()).collect()),
    }
}

/// `keeper --dir DIR`: one as the host starts it, but without cgroups.
fn keep(dir: Option<OsString>) -> ExitCode {
    match dir.map(|dir| figures::keeper::live(Path::new(&dir))) {
        Some(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn measure(words: Vec<String>) -> ExitCode {
    let options = match options::read(words) {
        Ok(Asked::Help(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Asked::Run(options)) => options,
        Err(error) => {
            eprintln!("error: {error}\nhint: hostler-bench --help");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Fallible<()> {
    let mut report = Report::begin(options)?;
    eprintln!("{}", report.heading());
    let outcome = figures::all(options, &mut report);
    // What was measured before something went wrong is still worth reading.
    print!("{}", report.table());
    std::fs::write(&options.json, report.json()).map_err(|error| format!("{}: {error}", options.json.display()))?;
    eprintln!("the same as JSON: {}", options.json.display());
    outcome
}
