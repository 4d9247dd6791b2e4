//! The role of a backend, and the abilities it may have beside.

use crate::{Description, Exit, Fault, Handle, Problem, Status, Task};
use serde::de::DeserializeOwned;
use std::time::Duration;

pub use crate::bindings::discovery::exports::hostler::plugin::discovery::Candidate;
pub use crate::bindings::exec::exports::hostler::plugin::exec::Output;
pub use crate::bindings::logs::exports::hostler::plugin::logs::{Chunk, Line, Origin};
pub use crate::bindings::stats::exports::hostler::plugin::stats::Usage;
pub use crate::bindings::update::exports::hostler::plugin::update::Outcome;

/// Runs tasks on one kind of engine.
///
/// Every call is served by a fresh instance, so nothing is kept between calls: what must last is the [`Handle`].
/// The contract's rules B1–B18 say what each call owes the host; the important ones stand beside the methods.
pub trait Backend {
    /// The settings of one task. `#[serde(deny_unknown_fields)]` belongs on it; see [`crate::settings`].
    type Settings: DeserializeOwned;

    /// What finds a task again.
    type Handle: Handle;

    /// Says what the plugin is and needs. Pure: calls no capability, and always answers the same.
    fn describe() -> Description;

    /// Checks what a schema cannot say, without side effects. The settings were readable when this is called.
    fn validate(_settings: Self::Settings) -> Result<(), Vec<Problem>> {
        Ok(())
    }

    /// How is the engine? One that is away is an answer ([`Engine::away`]), not a fault.
    fn fingerprint() -> Result<Engine, Fault> {
        Ok(Engine::ready(""))
    }

    /// Brings a task up, and returns once the engine has accepted it.
    ///
    /// Idempotent: the same id and digest answers the same handle, also after a lost reply and for a task that has exited since;
    /// the same id and another digest is [`Fault::Conflict`]. A start that fails leaves nothing, or says [`Fault::Interrupted`].
    fn start(task: Task<Self::Settings>) -> Result<Self::Handle, Fault>;

    /// One status per handle, in their order. An unreachable engine is [`Status::unknown`] in each, not a fault.
    fn inspect(handles: &[Self::Handle]) -> Result<Vec<Status>, Fault>;

    /// Asks a task to end, forces it after `grace`, and succeeds once nothing of it is alive. Stopping what is down or gone succeeds.
    fn stop(handle: Self::Handle, signal: Option<&str>, grace: Duration) -> Result<Status, Fault>;

    /// Frees what is left of a stopped task. Of what is gone it succeeds; what runs is refused unless `force`.
    fn destroy(handle: Self::Handle, force: bool) -> Result<(), Fault>;

    /// Everything that this host owns on the engine, exited tasks included, a page at a time.
    fn list(cursor: Option<&str>) -> Result<Page<Self::Handle>, Fault>;
}

/// The health of the engine behind a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// May new tasks be started?
    pub ready: bool,
    /// Can running tasks be looked at?
    pub reachable: bool,
    /// For people.
    pub message: String,
    /// For people: versions, counts.
    pub attributes: Vec<(String, String)>,
}

impl Engine {
    /// Takes new tasks.
    pub fn ready(message: impl Into<String>) -> Self {
        Self { ready: true, reachable: true, message: message.into(), attributes: Vec::new() }
    }

    /// Cannot be asked now; the message says why.
    pub fn away(message: impl Into<String>) -> Self {
        Self { ready: false, reachable: false, message: message.into(), attributes: Vec::new() }
    }
}

/// One task that [`Backend::list`] found on the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<H> {
    /// The id that `start` wrote onto it.
    pub id: String,
    /// As `start` answered it.
    pub handle: H,
    /// As `inspect` would answer it.
    pub status: Status,
    /// The digest it was started with, when the engine could keep it.
    pub spec_digest: Option<String>,
}

/// Some of what `list` finds, and where to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<H> {
    /// At most a few hundred.
    pub items: Vec<Found<H>>,
    /// The cursor of the next page; nothing on the last.
    pub next: Option<String>,
}

/// Tasks on one page of [`Page::of`].
const PAGE: usize = 200;

impl<H> Page<H> {
    /// The page after the one that ended with this cursor, of everything there is. Pages go by id, so that nothing is left out when tasks
    /// come and go in between.
    pub fn of(mut found: Vec<Found<H>>, cursor: Option<&str>) -> Self {
        found.retain(|task| cursor.is_none_or(|last| task.id.as_str() > last));
        found.sort_by(|one, other| one.id.cmp(&other.id));
        let more = found.len() > PAGE;
        found.truncate(PAGE);
        let next = found.last().filter(|_| more).map(|last| last.id.clone());
        Self { items: found, next }
    }
}

/// Ability: reads what a task has written.
pub trait Logs: Backend {
    /// Reads from `cursor`, or the last `tail` lines when there is no cursor, up to `max_bytes` of line data.
    ///
    /// `next` resumes exactly after the last line, across restarts of everything; `gap` says that lines were lost.
    fn read(handle: Self::Handle, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Chunk, Fault>;
}

/// Ability: measures tasks.
pub trait Stats: Backend {
    /// One answer per handle, in their order; nothing where nothing was measured, which is not zero.
    fn measure(handles: &[Self::Handle]) -> Result<Vec<Option<Usage>>, Fault>;
}

/// Ability: runs a command inside a task.
pub trait Exec: Backend {
    /// Runs to the end, at most until the deadline; then the whole process group is killed. Of a task that does not run
    /// it is [`Fault::Gone`].
    fn exec(handle: Self::Handle, command: ExecCommand) -> Result<Output, Fault>;
}

/// A command to run inside a task: argv only, no shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecCommand {
    /// What to run.
    pub program: String,
    /// Without the program itself.
    pub args: Vec<String>,
    /// Added to the task's own.
    pub env: Vec<(String, String)>,
    /// Everything it can read.
    pub stdin: Vec<u8>,
    /// How long it may take.
    pub deadline: Duration,
}

/// Ability: sends signals, by name.
pub trait Signals: Backend {
    /// What the backend can send: `SIGHUP` and the like.
    const SUPPORTED: &'static [&'static str];

    /// Sends one of [`SUPPORTED`](Self::SUPPORTED); others were refused before. Of a task that does not run it is [`Fault::Gone`].
    fn send(handle: Self::Handle, signal: &str) -> Result<(), Fault>;
}

/// Ability: the engine itself keeps a number of replicas of one task.
pub trait Scale: Backend {
    /// Asks for a number of replicas, and returns once the engine has accepted it.
    fn scale(handle: Self::Handle, replicas: u32) -> Result<(), Fault>;

    /// One status per replica that exists now.
    fn replicas(handle: Self::Handle) -> Result<Vec<Status>, Fault>;
}

/// Ability: changes a running task without restarting it.
pub trait Update: Backend {
    /// Changes what can be changed live; [`Outcome::NeedsRestart`] and [`Outcome::NeedsRecreate`] change nothing.
    fn update(handle: Self::Handle, task: Task<Self::Settings>) -> Result<Outcome, Fault>;
}

/// Ability: carries handles of older versions over. Every [`Handle`] can; naming it in [`plugin!`](crate::plugin) exports it.
pub trait Handles: Backend {}

impl<T: Backend> Handles for T {}

/// Ability: shows what already runs on the engine and is nobody's here, and takes it over without touching it.
pub trait Discovery: Backend {
    /// Everything on the engine that this host does not own, in whatever state.
    fn survey() -> Result<Vec<Candidate>, Fault>;

    /// Lets go of a task that was taken over: it goes on as it is. Of what is gone it succeeds; of what this backend has made itself
    /// it is [`Fault::Unsupported`].
    fn release(handle: Self::Handle) -> Result<(), Fault>;

    /// Ends and removes a candidate by its key, whoever made it. Of what is gone it succeeds.
    fn kill(key: &str) -> Result<(), Fault>;
}

impl Output {
    /// A command that ended by itself.
    pub fn exited(code: i32, out: Vec<u8>, err: Vec<u8>) -> Self {
        Self { exit: Exit { code: Some(code), ..Exit::unexplained() }, out, err, truncated: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Phase;

    fn page(ids: &[String], cursor: Option<&str>) -> Page<u8> {
        let status = || Status { phase: Phase::Running, started_at: None, endpoints: Vec::new(), attributes: Vec::new() };
        let found = ids.iter().map(|id| Found { id: id.clone(), handle: 0, status: status(), spec_digest: None });
        Page::of(found.collect(), cursor)
    }

    #[test]
    fn pages_leave_nothing_out_when_tasks_come_and_go() {
        let mut ids: Vec<String> = (0..450).rev().map(|n| format!("t-{n:03}")).collect();
        let first = page(&ids, None);
        assert_eq!((first.items.len(), first.next.as_deref()), (PAGE, Some("t-199")));
        ids.retain(|id| id != "t-199" && id != "t-000");
        let second = page(&ids, first.next.as_deref());
        assert_eq!((second.items[0].id.as_str(), second.next.as_deref()), ("t-200", Some("t-399")));
        let last = page(&ids, second.next.as_deref());
        assert_eq!((last.items.len(), last.next), (50, None));
        assert_eq!(page(&[], None).next, None);
    }
}
