//! Every interface of `hostler:host` behind a tap: without one, each function is the capability's own.

use std::marker::PhantomData;
use std::sync::Arc;

use wasmtime::component::HasData;

use super::CallTap;
use crate::bindings::hostler::host::commands::{Command, Output};
use crate::bindings::hostler::host::errors::Error;
use crate::bindings::hostler::host::{commands, containers, context, log, processes, secrets, secrets_reveal, state, task_exec};
use crate::scope::Scope;

/// A capability during one call, and who listens.
pub(crate) struct Tapped<'a, T> {
    inner: &'a mut T,
    tap: Option<&'a Arc<CallTap>>,
}

impl<'a, T> Tapped<'a, T> {
    pub(crate) fn new(inner: &'a mut T, scope: &'a Scope) -> Tapped<'a, T> {
        Tapped { inner, tap: scope.tap() }
    }
}

/// Names [`Tapped`] for wasmtime's linker.
pub(crate) struct Through<T>(PhantomData<T>);

impl<T: 'static> HasData for Through<T> {
    type Data<'a> = Tapped<'a, T>;
}

macro_rules! through {
    ($self:ident.$name:ident($($argument:ident),*), $interface:literal, $function:literal) => {{
        let Some(tap) = $self.tap else { return $self.inner.$name($($argument),*).await };
        let import = tap.import($interface, $function, &($(&$argument,)*));
        if let Some(answer) = tap.before(&import).await {
            return answer;
        }
        let answer = $self.inner.$name($($argument),*).await;
        tap.after(&import, answer).await
    }};
}

impl<T: log::Host + Send> log::Host for Tapped<'_, T> {
    async fn write(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) {
        through!(self.write(level, message, fields), "hostler:host/log", "write")
    }
}

impl<T: context::Host + Send> context::Host for Tapped<'_, T> {
    async fn config(&mut self) -> String {
        through!(self.config(), "hostler:host/context", "config")
    }

    async fn owner(&mut self) -> String {
        through!(self.owner(), "hostler:host/context", "owner")
    }

    async fn remaining(&mut self) -> u64 {
        through!(self.remaining(), "hostler:host/context", "remaining")
    }
}

impl<T: processes::Host + Send> processes::Host for Tapped<'_, T> {
    async fn spawn(&mut self, key: String, command: processes::Command) -> Result<processes::Process, Error> {
        through!(self.spawn(key, command), "hostler:host/processes", "spawn")
    }

    async fn inspect(&mut self, keys: Vec<String>) -> Result<Vec<Option<processes::Process>>, Error> {
        through!(self.inspect(keys), "hostler:host/processes", "inspect")
    }

    async fn stop(&mut self, key: String, signal: String, grace: u64) -> Result<processes::Exit, Error> {
        through!(self.stop(key, signal, grace), "hostler:host/processes", "stop")
    }

    async fn signal(&mut self, key: String, signal: String) -> Result<(), Error> {
        through!(self.signal(key, signal), "hostler:host/processes", "signal")
    }

    async fn forget(&mut self, key: String) -> Result<(), Error> {
        through!(self.forget(key), "hostler:host/processes", "forget")
    }

    async fn list(&mut self) -> Result<Vec<processes::Process>, Error> {
        through!(self.list(), "hostler:host/processes", "list")
    }

    async fn read_log(&mut self, log_name: String, cursor: Option<String>, tail: Option<u32>, max_bytes: u32) -> Result<processes::Lines, Error> {
        through!(self.read_log(log_name, cursor, tail, max_bytes), "hostler:host/processes", "read-log")
    }

    async fn measure(&mut self, keys: Vec<String>) -> Result<Vec<Option<processes::Usage>>, Error> {
        through!(self.measure(keys), "hostler:host/processes", "measure")
    }
}

impl<T: commands::Host + Send> commands::Host for Tapped<'_, T> {
    async fn run(&mut self, command: Command) -> Result<Output, Error> {
        through!(self.run(command), "hostler:host/commands", "run")
    }
}

impl<T: secrets::Host + Send> secrets::Host for Tapped<'_, T> {
    async fn place(&mut self, name: String) -> Result<String, Error> {
        through!(self.place(name), "hostler:host/secrets", "place")
    }
}

impl<T: secrets_reveal::Host + Send> secrets_reveal::Host for Tapped<'_, T> {
    async fn reveal(&mut self, name: String) -> Result<String, Error> {
        through!(self.reveal(name), "hostler:host/secrets-reveal", "reveal")
    }
}

impl<T: task_exec::Host + Send> task_exec::Host for Tapped<'_, T> {
    async fn available(&mut self) -> bool {
        through!(self.available(), "hostler:host/task-exec", "available")
    }

    async fn run(&mut self, command: Command) -> Result<Output, Error> {
        through!(self.run(command), "hostler:host/task-exec", "run")
    }
}

impl<T: state::Host + Send> state::Host for Tapped<'_, T> {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, Error> {
        through!(self.get(key), "hostler:host/state", "get")
    }

    async fn set(&mut self, key: String, value: Vec<u8>, expected: Option<Vec<u8>>) -> Result<(), Error> {
        through!(self.set(key, value, expected), "hostler:host/state", "set")
    }

    async fn delete(&mut self, key: String) -> Result<(), Error> {
        through!(self.delete(key), "hostler:host/state", "delete")
    }

    async fn keys(&mut self, prefix: String) -> Result<Vec<String>, Error> {
        through!(self.keys(prefix), "hostler:host/state", "keys")
    }
}

impl<T: containers::Host + Send> containers::Host for Tapped<'_, T> {
    async fn info(&mut self, engine: String) -> Result<containers::EngineInfo, Error> {
        through!(self.info(engine), "hostler:host/containers", "info")
    }

    async fn find_image(&mut self, engine: String, reference: String) -> Result<Option<containers::Image>, Error> {
        through!(self.find_image(engine, reference), "hostler:host/containers", "find-image")
    }

    async fn pull(
        &mut self,
        engine: String,
        reference: String,
        platform: Option<String>,
        credentials: Option<containers::Credentials>,
    ) -> Result<containers::Pulled, Error> {
        through!(self.pull(engine, reference, platform, credentials), "hostler:host/containers", "pull")
    }

    async fn create(&mut self, engine: String, name: String, spec: containers::Spec) -> Result<String, Error> {
        through!(self.create(engine, name, spec), "hostler:host/containers", "create")
    }

    async fn start(&mut self, engine: String, id: String) -> Result<(), Error> {
        through!(self.start(engine, id), "hostler:host/containers", "start")
    }

    async fn inspect(&mut self, engine: String, ids: Vec<String>) -> Result<Vec<Option<containers::Container>>, Error> {
        through!(self.inspect(engine, ids), "hostler:host/containers", "inspect")
    }

    async fn stop(&mut self, engine: String, id: String, signal: String, grace: u64) -> Result<containers::Container, Error> {
        through!(self.stop(engine, id, signal, grace), "hostler:host/containers", "stop")
    }

    async fn signal(&mut self, engine: String, id: String, signal: String) -> Result<(), Error> {
        through!(self.signal(engine, id, signal), "hostler:host/containers", "signal")
    }

    async fn remove(&mut self, engine: String, id: String, force: bool) -> Result<(), Error> {
        through!(self.remove(engine, id, force), "hostler:host/containers", "remove")
    }

    async fn update(&mut self, engine: String, id: String, limits: containers::Limits) -> Result<(), Error> {
        through!(self.update(engine, id, limits), "hostler:host/containers", "update")
    }

    async fn list(&mut self, engine: String, whose: containers::Whose, labels: Vec<(String, String)>) -> Result<Vec<containers::Container>, Error> {
        through!(self.list(engine, whose, labels), "hostler:host/containers", "list")
    }

    async fn read_log(
        &mut self,
        engine: String,
        id: String,
        cursor: Option<String>,
        tail: Option<u32>,
        max_bytes: u32,
    ) -> Result<containers::Lines, Error> {
        through!(self.read_log(engine, id, cursor, tail, max_bytes), "hostler:host/containers", "read-log")
    }

    async fn measure(&mut self, engine: String, ids: Vec<String>) -> Result<Vec<Option<containers::Usage>>, Error> {
        through!(self.measure(engine, ids), "hostler:host/containers", "measure")
    }

    async fn exec(&mut self, engine: String, id: String, command: Command, deadline: u64) -> Result<Output, Error> {
        through!(self.exec(engine, id, command, deadline), "hostler:host/containers", "exec")
    }

    async fn ensure_network(&mut self, engine: String, name: String, subnet: Option<String>, labels: Vec<(String, String)>) -> Result<bool, Error> {
        through!(self.ensure_network(engine, name, subnet, labels), "hostler:host/containers", "ensure-network")
    }
}
