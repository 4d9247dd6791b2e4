//! Does a plugin keep the contract? Every promise is a case with a name; each runs on the real component, from outside.
//!
//! A [`Subject`] is loaded as a host loads it, with a tap on its imports, once for every case and under a name of its own. What
//! it calls is either played ([`Against::Fake`]: processes in memory, commands by script, web servers on loopback) or real
//! ([`Against::Real`]: a keeper, real commands, real connections, within the operator's grants). The cases are the same.
//!
//! ```no_run
//! # async fn example(subject: hostler_conformance::Subject) -> Result<(), hostler_conformance::Error> {
//! let report = hostler_conformance::check(subject, &|_| true).await?;
//! println!("{}", report.text());
//! assert!(report.passed());
//! # Ok(()) }
//! ```
//!
//! Settings of the tasks and checks that are tried come from the [`Subject`], or are the first of the `examples` in the plugin's own
//! schema. A backend's example should run until it is stopped. In a check's settings, a `url` is pointed at the
//! suite's own server, and so are a `host` and a `port`.

mod case;
mod cases;
mod containers;
mod engine;
mod once;
mod replay;
mod report;
mod script;
mod stand;
mod web;

pub use case::{CASES, Case, Group, Outcome};
pub use containers::FakeEngine;
pub use engine::FakeKeeper;
pub use once::Once;
pub use replay::{Difference, NotARecording, Recording, Replay, replay};
pub use report::{CaseReport, Report};
pub use stand::{Against, Subject, everything};

/// Why nothing could be tried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The suite's own surroundings.
    #[error("cannot set up a host to try the plugin in: {0}")]
    Host(String),
    /// A host would not load it either.
    #[error(transparent)]
    Load(hostler_wasm::LoadError),
}

/// Tries every case that is wanted, in the order of [`CASES`].
pub async fn check(subject: Subject, wanted: &dyn Fn(&Case) -> bool) -> Result<Report, Error> {
    check_telling(subject, wanted, &mut |_| ()).await
}

/// As [`check`], and says each result as soon as it is there.
pub async fn check_telling(subject: Subject, wanted: &dyn Fn(&Case) -> bool, tell: &mut dyn FnMut(&CaseReport)) -> Result<Report, Error> {
    let world = stand::World::new(subject).map_err(Error::Host)?;
    let mut report = Report::new(&world);
    // what does not load keeps no promise, whichever was asked for
    let loads = world.capabilities().await.is_ok();
    for case in CASES.iter().filter(|case| wanted(case) || (!loads && case.name == "component")) {
        let done = case::run(case, &world).await;
        tell(&done);
        report.cases.push(done);
    }
    Ok(report)
}
