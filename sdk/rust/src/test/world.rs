//! The host of one test's thread.

use super::{commands::Scripts, containers::Engines, processes::Engine, secrets::Secrets, state::State};
use crate::host::Error;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

thread_local! {
    /// The innermost is last: a test may make one within another.
    static HOSTS: RefCell<Vec<Rc<RefCell<World>>>> = const { RefCell::new(Vec::new()) };
}

/// A host in memory, for the thread that made it and for as long as it lives.
pub struct FakeHost {
    pub(super) world: Rc<RefCell<World>>,
}

/// One line that the plugin wrote through [`log`](crate::host::log).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// The message.
    pub message: String,
    /// Its fields, in the plugin's order.
    pub fields: Vec<(String, String)>,
}

/// Everything a fake host knows.
pub(super) struct World {
    pub(super) config: String,
    pub(super) owner: String,
    /// Unix time, milliseconds.
    pub(super) now: u64,
    pub(super) deadline: u64,
    calls: Vec<String>,
    faults: BTreeMap<String, VecDeque<Plan>>,
    denied: BTreeSet<String>,
    pub(super) log: Vec<Line>,
    pub(super) engine: Engine,
    pub(super) containers: Engines,
    pub(super) commands: Scripts,
    /// Absent: the task's backend cannot run commands in it.
    pub(super) in_task: Option<Scripts>,
    pub(super) state: State,
    pub(super) secrets: Secrets,
}

/// What becomes of one call.
enum Plan {
    /// Nothing happens.
    Refuse(Error),
    /// It happens, and the caller hears that time is over.
    Lose,
}

/// New Year of 2026: a test's messages are the same on every day.
const BEGINNING: u64 = 1_767_225_600_000;

/// What a call has, until a test says otherwise.
const DEADLINE: u64 = 30_000;

impl Default for FakeHost {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeHost {
    /// A host with nothing on it: no process, no script, no state, configuration `{}`, owner `test`, half a minute for every call.
    pub fn new() -> Self {
        let world = Rc::new(RefCell::new(World {
            config: "{}".into(),
            owner: "test".into(),
            now: BEGINNING,
            deadline: BEGINNING + DEADLINE,
            calls: Vec::new(),
            faults: BTreeMap::new(),
            denied: BTreeSet::new(),
            log: Vec::new(),
            engine: Engine::default(),
            containers: Engines::default(),
            commands: Scripts::default(),
            in_task: None,
            state: State::default(),
            secrets: Secrets::default(),
        }));
        HOSTS.with_borrow_mut(|hosts| hosts.push(Rc::clone(&world)));
        Self { world }
    }

    /// The plugin's configuration, `plugins.NAME.config`, as JSON.
    pub fn set_config(&self, json: &str) {
        self.world.borrow_mut().config = json.into();
    }

    /// The tag that everything of this host carries.
    pub fn set_owner(&self, owner: &str) {
        self.world.borrow_mut().owner = owner.into();
    }

    /// What the calls that follow have left; time that passes uses it up.
    pub fn set_remaining(&self, left: Duration) {
        let mut world = self.world.borrow_mut();
        world.deadline = world.now + millis(left);
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        self.world.borrow_mut().now += millis(time);
    }

    /// The next call of a function answers this, and does nothing. Functions are named as in the contract: `processes.spawn`,
    /// `commands.run`, `task-exec.run`, `state.set`. Called twice, it holds for the next two.
    pub fn fail(&self, function: &str, error: Error) {
        self.plan(function, Plan::Refuse(error));
    }

    /// The next call of a function does what it should, and its answer is lost: [`Error::Timeout`].
    pub fn lose_reply(&self, function: &str) {
        self.plan(function, Plan::Lose);
    }

    /// From now on a capability (`processes`, `commands`, `containers`, `task-exec`, `state`, `secrets`, `secrets-reveal`) is not granted.
    pub fn deny(&self, capability: &str) {
        self.world.borrow_mut().denied.insert(capability.into());
    }

    /// Every function that was called, in order: `["context.owner", "processes.spawn"]`.
    pub fn calls(&self) -> Vec<String> {
        self.world.borrow().calls.clone()
    }

    /// What the plugin wrote to its log.
    pub fn log(&self) -> Vec<Line> {
        self.world.borrow().log.clone()
    }

    fn plan(&self, function: &str, plan: Plan) {
        self.world.borrow_mut().faults.entry(function.into()).or_default().push_back(plan);
    }
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        HOSTS.with_borrow_mut(|hosts| hosts.retain(|world| !Rc::ptr_eq(world, &self.world)));
    }
}

impl World {
    /// Writes a call down, and takes what a test planned for it.
    fn arrive(&mut self, function: &str) -> Option<Plan> {
        self.calls.push(function.into());
        let capability = function.split('.').next().unwrap_or(function);
        if self.denied.contains(capability) {
            return Some(Plan::Refuse(Error::Denied(format!("{capability} is not granted"))));
        }
        self.faults.get_mut(function).and_then(VecDeque::pop_front)
    }

    /// Milliseconds until the deadline.
    pub(super) fn remaining(&self) -> u64 {
        self.deadline.saturating_sub(self.now)
    }
}

/// One call of a function that can fail.
pub(super) fn call<T>(function: &str, effect: impl FnOnce(&RefCell<World>) -> Result<T, Error>) -> Result<T, Error> {
    let world = current(function);
    let plan = world.borrow_mut().arrive(function);
    match plan {
        Some(Plan::Refuse(error)) => Err(error),
        Some(Plan::Lose) => effect(&world).and(Err(Error::Timeout)),
        None => effect(&world),
    }
}

/// One call of a function that always answers.
pub(super) fn ask<T>(function: &str, effect: impl FnOnce(&mut World) -> T) -> T {
    let world = current(function);
    let mut world = world.borrow_mut();
    world.arrive(function);
    effect(&mut world)
}

fn current(function: &str) -> Rc<RefCell<World>> {
    let innermost = HOSTS.with_borrow(|hosts| hosts.last().cloned());
    innermost
        .unwrap_or_else(|| panic!("{function} was called, and there is no host on this thread: begin the test with `let host = FakeHost::new();`"))
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
