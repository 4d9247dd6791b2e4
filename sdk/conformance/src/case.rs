//! What a case is, and the list of all.

use std::time::Instant;

use serde::Serialize;

use crate::cases::{checks, crash, faults, lifecycle, limits, load, looking, security};
use crate::report::CaseReport;
use crate::stand::World;

/// One promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Case {
    /// Stable; what `--case` names. Promises of the contract have their number there.
    pub name: &'static str,
    /// Which part of the contract.
    pub group: Group,
    /// One sentence: what is promised, and why it matters.
    pub why: &'static str,
}

/// Parts of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// What a file promises before anything is run.
    Static,
    /// Bringing tasks up, looking at them, taking them down.
    Lifecycle,
    /// Instances and replies that are lost at the worst moment.
    Crash,
    /// Engines that answer badly.
    Faults,
    /// Many calls.
    Limits,
    /// Grants and secrets.
    Security,
    /// Clocks that jump.
    Clocks,
    /// Health checks.
    Checks,
}

impl Group {
    /// Its name on the wire and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Group::Static => "static",
            Group::Lifecycle => "lifecycle",
            Group::Crash => "crash",
            Group::Faults => "faults",
            Group::Limits => "limits",
            Group::Security => "security",
            Group::Clocks => "clocks",
            Group::Checks => "checks",
        }
    }
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "text")]
pub enum Outcome {
    /// The promise was kept.
    Passed,
    /// It was not; the text says what happened and what was expected.
    Failed(String),
    /// It cannot be tried on this plugin, or not here; the text says why.
    NotApplicable(String),
}

/// How a case's own code ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    Failed(String),
    NotApplicable(String),
}

pub(crate) type Kept = Result<(), Stop>;

/// The promise was not kept.
pub(crate) fn failed<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(why.into()))
}

/// There is nothing to try.
pub(crate) fn not_applicable<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::NotApplicable(why.into()))
}

/// Fails the case unless something holds.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return crate::case::failed(format!($($text)+));
        }
    };
}
pub(crate) use ensure;

const fn case(name: &'static str, group: Group, why: &'static str) -> Case {
    Case { name, group, why }
}

/// Every case, in the order in which they run.
pub const CASES: &[Case] = &[
    case("component", Group::Static, "It loads as a host loads it: a component of the right world, with known imports and the contract's shapes."),
    case("schemas", Group::Static, "Its schemas hold, and accept its own example: what people copy from them works."),
    case("needs", Group::Static, "What it imports it declares in its needs: an operator reads the reason before granting."),
    case("B1", Group::Static, "describe calls nothing and always says the same: hosts ask at any time, for files nobody has applied."),
    case("B2", Group::Static, "Unknown keys in settings are refused at their place: a typo is not silently another meaning."),
    case("validate", Group::Static, "validate calls nothing and has no opinion that changes: documents are checked long before they run."),
    case("steps", Group::Lifecycle, "start, inspect, list, stop and destroy do what they say, once."),
    case("twice", Group::Lifecycle, "Every step made twice succeeds and changes nothing more: hosts repeat what they have no answer to."),
    case("late", Group::Lifecycle, "Steps after destroy succeed or say gone: a late call must not hurt or revive anything."),
    case("B3", Group::Lifecycle, "The host writes its intent before start, and the handle after it: a plugin need not remember."),
    case("B4", Group::Lifecycle, "start with the same id and digest finds the task that is there, by the same handle: nothing is started twice."),
    case("B5", Group::Lifecycle, "The same id with another digest is a conflict, and an exited task is not run again by start."),
    case("B6", Group::Lifecycle, "Everything it creates carries its id, so that list finds it after every memory is lost."),
    case("B7", Group::Lifecycle, "A start that fails leaves nothing behind, or says interrupted: otherwise something runs that nobody knows."),
    case("B8", Group::Lifecycle, "An engine that is away makes a task unknown, never exited; an exit stays what it was until it is destroyed."),
    case("B9", Group::Lifecycle, "stop succeeds only when nothing is alive, and also when repeated, at the same time, or late."),
    case("B10", Group::Lifecycle, "destroy of what is gone succeeds, and of what runs is refused without force."),
    case("B11", Group::Lifecycle, "A handle never means another task, even if that has the same pid: the wrong one would be stopped."),
    case("B12", Group::Lifecycle, "Logs resume exactly after a cursor, with any bytes and very long lines."),
    case("B13", Group::Lifecycle, "What was not measured is absent, never zero: zero is a claim."),
    case("B14", Group::Lifecycle, "exec passes arguments as they are, to no shell, and says gone of what does not run."),
    case("B15", Group::Lifecycle, "A lost link is unavailable or interrupted, never an end of the task: hosts restart what has ended."),
    case("B18", Group::Lifecycle, "Handles of every version it lists are read, others refused; migrate changes nothing but the shape."),
    case("crash-start", Group::Crash, "Killed at any import of start: one task or none, found by list, and taken up by the next start."),
    case("crash-stop", Group::Crash, "Killed at any import of stop: the next stop ends it."),
    case("crash-destroy", Group::Crash, "Killed at any import of destroy: the next destroy frees it."),
    case("lost-reply", Group::Crash, "An answer that the host never got changes nothing: the call is made again with the same result."),
    case("amnesia", Group::Crash, "With all of the host's memory gone, list alone is enough to look at, stop and destroy every task."),
    case("fault-errors", Group::Faults, "Whatever error an import answers, no call traps: an engine in trouble must not look like a broken plugin."),
    case("fault-slow", Group::Faults, "An engine that is slow does not cost more than the call's time, and nothing traps."),
    case("fault-short", Group::Faults, "Answers that are cut short do not break it."),
    case("fault-huge", Group::Faults, "Answers that are far too large do not break it."),
    case("fault-bytes", Group::Faults, "Bytes that are no UTF-8 do not break it: programs write what they like."),
    case("parallel", Group::Limits, "64 calls at a time do not disturb each other."),
    case("sequence", Group::Limits, "1,000 calls in a row answer alike and take no more memory at the end than at the beginning."),
    case("reused", Group::Limits, "An instance that was used before answers as a fresh one does: what it keeps between calls is not relied on."),
    case("B16", Group::Security, "Secrets appear in no handle, attribute, fault, log line or schema default."),
    case("B17", Group::Security, "With what it needs granted everything works; with any one need removed it is cleanly denied."),
    case("denied", Group::Security, "Every import may be denied at any time: the call says denied, and traps nowhere."),
    case("clocks", Group::Clocks, "Clocks a year ahead or behind change no answer: time on machines jumps."),
    case("H1", Group::Checks, "A good target passes, a bad one does not: the verdict is about the target."),
    case("H2", Group::Checks, "A checker's own trouble is unknown, not fail: nobody restarts a service because its checker lacks something."),
    case("H3", Group::Checks, "A check never overlaps itself, and the result of an older run is dropped: a plugin need not lock."),
    case("H4", Group::Checks, "The deadline is kept: a target that does not answer in time fails, and the check itself comes back."),
    case("H5", Group::Checks, "No check remembers the one before: the same target gets the same verdict."),
    case("malformed", Group::Checks, "Answers that are cut short, endless or nonsense break no check."),
];

/// Tries one case.
pub(crate) async fn run(case: &Case, world: &World) -> CaseReport {
    let begun = Instant::now();
    let kept = Box::pin(dispatch(case.name, world)).await;
    world.clean().await;
    let outcome = match kept {
        Ok(()) => Outcome::Passed,
        Err(Stop::Failed(why)) => Outcome::Failed(why),
        Err(Stop::NotApplicable(why)) => Outcome::NotApplicable(why),
    };
    CaseReport { case: *case, outcome, took: begun.elapsed() }
}

async fn dispatch(name: &str, world: &World) -> Kept {
    match name {
        "component" => load::component(world).await,
        "schemas" => load::schemas(world).await,
        "needs" => load::needs(world).await,
        "B1" => load::describe(world).await,
        "B2" => load::unknown_keys(world).await,
        "validate" => load::validate(world).await,
        "steps" => lifecycle::steps(world).await,
        "twice" => lifecycle::twice(world).await,
        "late" => lifecycle::late(world).await,
        "B3" => not_applicable("it is the host's own promise, and its crash sweep holds it"),
        "H3" => not_applicable("it is the host's own promise, and the tests of its core hold it"),
        "B4" => lifecycle::idempotent(world).await,
        "B5" => lifecycle::conflict(world).await,
        "B6" => lifecycle::tagged(world).await,
        "B7" => lifecycle::failed_start(world).await,
        "B8" => lifecycle::engine_away(world).await,
        "B9" => lifecycle::stop(world).await,
        "B10" => lifecycle::destroy(world).await,
        "B11" => lifecycle::identity(world).await,
        "B12" => looking::logs(world).await,
        "B13" => looking::stats(world).await,
        "B14" => looking::exec(world).await,
        "B15" => faults::lost_link(world).await,
        "B18" => looking::migrate(world).await,
        "crash-start" => crash::start(world).await,
        "crash-stop" => crash::stop(world).await,
        "crash-destroy" => crash::destroy(world).await,
        "lost-reply" => crash::lost_reply(world).await,
        "amnesia" => crash::amnesia(world).await,
        "fault-errors" => faults::errors(world).await,
        "fault-slow" => faults::slow(world).await,
        "fault-short" => faults::short(world).await,
        "fault-huge" => faults::huge(world).await,
        "fault-bytes" => faults::bytes(world).await,
        "parallel" => limits::parallel(world).await,
        "sequence" => limits::sequence(world).await,
        "reused" => limits::reused(world).await,
        "B16" => security::secrets(world).await,
        "B17" => security::least_privilege(world).await,
        "denied" => security::denied(world).await,
        "clocks" => limits::clocks(world).await,
        "H1" => checks::verdicts(world).await,
        "H2" => checks::own_trouble(world).await,
        "H4" => checks::deadline(world).await,
        "H5" => checks::forgetful(world).await,
        "malformed" => checks::malformed(world).await,
        other => unreachable!("case `{other}` is in the list and has no code"),
    }
}
