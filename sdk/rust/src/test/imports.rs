//! The functions of the contract, as the bindings have them, answered by the host of this thread.

use super::world::{ask, call};
use super::{commands as scripts, containers as engines, world};
use crate::host::Error;

/// `hostler:host/log`.
pub mod log {
    use super::{ask, world};
    pub use crate::bindings::imports::hostler::host::log::*;

    /// Kept for the test.
    pub fn write(level: Level, message: &str, fields: &[(String, String)]) {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        ask("log.write", |world| world.log.push(world::Line { level, message: message.into(), fields: fields.to_vec() }));
    }
}

/// `hostler:host/context`.
pub mod context {
    use super::ask;

    /// What the test set.
    pub fn config() -> String {
        ask("context.config", |world| world.config.clone())
    }

    /// What the test set.
    pub fn owner() -> String {
        ask("context.owner", |world| world.owner.clone())
    }

    /// Until the deadline that the test set, by the test's clock.
    pub fn remaining() -> u64 {
        ask("context.remaining", |world| world.remaining())
    }
}

/// `hostler:host/processes`.
pub mod processes {
    use super::call;
    pub use crate::bindings::imports::hostler::host::processes::*;

    /// As the keeper does.
    pub fn spawn(key: &str, command: &Command) -> Result<Process, Error> {
        call("processes.spawn", |world| {
            let mut world = world.borrow_mut();
            let now = world.now;
            world.engine.spawn(key, command, now)
        })
    }

    /// As the keeper does.
    pub fn inspect(keys: &[String]) -> Result<Vec<Option<Process>>, Error> {
        call("processes.inspect", |world| world.borrow().engine.inspect(keys))
    }

    /// As the keeper does; a process that ignores signals takes its grace by the test's clock.
    pub fn stop(key: &str, signal: &str, grace: u64) -> Result<Exit, Error> {
        call("processes.stop", |world| {
            let mut world = world.borrow_mut();
            let mut now = world.now;
            let end = world.engine.stop(key, signal, grace, &mut now);
            world.now = now;
            end
        })
    }

    /// As the keeper does.
    pub fn signal(key: &str, signal: &str) -> Result<(), Error> {
        call("processes.signal", |world| world.borrow_mut().engine.signal(key, signal))
    }

    /// As the keeper does.
    pub fn forget(key: &str) -> Result<(), Error> {
        call("processes.forget", |world| world.borrow_mut().engine.forget(key))
    }

    /// As the keeper does.
    pub fn list() -> Result<Vec<Process>, Error> {
        call("processes.list", |world| Ok(world.borrow().engine.list()))
    }

    /// As the keeper does.
    pub fn read_log(log_name: &str, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Lines, Error> {
        call("processes.read-log", |world| world.borrow().engine.read_log(log_name, cursor, tail, max_bytes))
    }

    /// What the test measured.
    pub fn measure(keys: &[String]) -> Result<Vec<Option<Usage>>, Error> {
        call("processes.measure", |world| world.borrow().engine.measure(keys))
    }
}

/// `hostler:host/commands`.
pub mod commands {
    use super::{call, scripts};
    pub use crate::bindings::imports::hostler::host::commands::*;

    /// As the test scripted it.
    pub fn run(command: &Command) -> Result<Output, Error> {
        call("commands.run", |world| scripts::run(world, |world| Some(&mut world.commands), command))
    }
}

/// `hostler:host/task-exec`.
pub mod task_exec {
    use super::{Error, ask, call, scripts};
    use crate::bindings::imports::hostler::host::commands::{Command, Output};

    /// Has the test scripted a command in the task?
    pub fn available() -> bool {
        ask("task-exec.available", |world| world.in_task.is_some())
    }

    /// As the test scripted it.
    pub fn run(command: &Command) -> Result<Output, Error> {
        call("task-exec.run", |world| scripts::run(world, |world| world.in_task.as_mut(), command))
    }
}

/// `hostler:host/state`.
pub mod state {
    use super::{Error, call};

    /// As the host's store does.
    pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
        call("state.get", |world| world.borrow().state.get(key))
    }

    /// As the host's store does.
    pub fn set(key: &str, value: &[u8], expected: Option<&[u8]>) -> Result<(), Error> {
        call("state.set", |world| world.borrow_mut().state.set(key, value, expected))
    }

    /// As the host's store does.
    pub fn delete(key: &str) -> Result<(), Error> {
        call("state.delete", |world| world.borrow_mut().state.delete(key))
    }

    /// As the host's store does.
    pub fn keys(prefix: &str) -> Result<Vec<String>, Error> {
        call("state.keys", |world| world.borrow().state.keys(prefix))
    }
}

/// `hostler:host/secrets`.
pub mod secrets {
    use super::{Error, call};

    /// A placeholder for what the test granted.
    pub fn place(name: &str) -> Result<String, Error> {
        call("secrets.place", |world| world.borrow().secrets.place(name))
    }
}

/// `hostler:host/secrets-reveal`.
pub mod secrets_reveal {
    use super::{Error, call};

    /// What the test granted.
    pub fn reveal(name: &str) -> Result<String, Error> {
        call("secrets-reveal.reveal", |world| world.borrow().secrets.reveal(name))
    }
}

/// `hostler:host/containers`.
pub mod containers {
    use super::{call, engines};
    pub use crate::bindings::imports::hostler::host::containers::*;

    /// An engine that is well.
    pub fn info(_: &str) -> Result<EngineInfo, Error> {
        call("containers.info", |world| Ok(world.borrow().containers.info()))
    }

    /// What the test added.
    pub fn find_image(_: &str, reference: &str) -> Result<Option<Image>, Error> {
        call("containers.find-image", |world| Ok(world.borrow().containers.find_image(reference)))
    }

    /// What the test said.
    pub fn pull(_: &str, reference: &str, _: Option<&str>, _: Option<&Credentials>) -> Result<Pulled, Error> {
        call("containers.pull", |world| world.borrow_mut().containers.pull(reference))
    }

    /// As the engine does.
    pub fn create(_: &str, name: &str, spec: &Spec) -> Result<String, Error> {
        call("containers.create", |world| {
            let mut world = world.borrow_mut();
            let (owner, now) = (world.owner.clone(), world.now);
            world.containers.create(name, spec, &owner, now)
        })
    }

    /// As the engine does.
    pub fn start(_: &str, id: &str) -> Result<(), Error> {
        call("containers.start", |world| {
            let mut world = world.borrow_mut();
            let now = world.now;
            world.containers.start(id, now)
        })
    }

    /// As the engine does.
    pub fn inspect(_: &str, ids: &[String]) -> Result<Vec<Option<Container>>, Error> {
        call("containers.inspect", |world| Ok(world.borrow().containers.inspect(ids)))
    }

    /// As the engine does; everything ends by the first signal.
    pub fn stop(_: &str, id: &str, signal: &str, _: u64) -> Result<Container, Error> {
        call("containers.stop", |world| {
            let mut world = world.borrow_mut();
            let now = world.now;
            world.containers.stop(id, signal, now)
        })
    }

    /// As the engine does.
    pub fn signal(_: &str, id: &str, signal: &str) -> Result<(), Error> {
        call("containers.signal", |world| world.borrow_mut().containers.signal(id, signal))
    }

    /// As the engine does.
    pub fn remove(_: &str, id: &str, force: bool) -> Result<(), Error> {
        call("containers.remove", |world| world.borrow_mut().containers.remove(id, force))
    }

    /// As the engine does.
    pub fn update(_: &str, id: &str, limits: Limits) -> Result<(), Error> {
        call("containers.update", |world| world.borrow_mut().containers.update(id, limits))
    }

    /// As the engine does.
    pub fn list(_: &str, whose: Whose, labels: &[(String, String)]) -> Result<Vec<Container>, Error> {
        call("containers.list", |world| {
            let world = world.borrow();
            Ok(world.containers.list(whose, labels, &world.owner))
        })
    }

    /// What the test wrote.
    pub fn read_log(_: &str, id: &str, cursor: Option<&str>, tail: Option<u32>, max_bytes: u32) -> Result<Lines, Error> {
        call("containers.read-log", |world| world.borrow().containers.read_log(id, cursor, tail, max_bytes))
    }

    /// What the test measured.
    pub fn measure(_: &str, ids: &[String]) -> Result<Vec<Option<Usage>>, Error> {
        call("containers.measure", |world| Ok(world.borrow().containers.measure(ids)))
    }

    /// As the test scripted it.
    pub fn exec(_: &str, id: &str, command: &Command, _: u64) -> Result<Output, Error> {
        call("containers.exec", |world| engines::exec(world, id, command))
    }

    /// As the engine does.
    pub fn ensure_network(_: &str, name: &str, _: Option<&str>, _: &[(String, String)]) -> Result<bool, Error> {
        call("containers.ensure-network", |world| Ok(world.borrow_mut().containers.ensure_network(name)))
    }
}
