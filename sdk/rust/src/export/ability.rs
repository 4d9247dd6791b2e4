use super::{Export, backend::readable};
use crate::backend::{Candidate, Chunk, Discovery, Exec, ExecCommand, Handles, Logs, Outcome, Output, Scale, Signals, Stats, Update, Usage};
use crate::bindings::imports::hostler::plugin::types;
use crate::bindings::{discovery, exec, handles, logs, scale, signals, stats, update};
use crate::{Backend, Fault, Status, handle, panic};
use std::time::Duration;

impl<T: Logs> logs::exports::hostler::plugin::logs::Guest for Export<T> {
    fn read(handle: types::Handle, cursor: Option<String>, tail: Option<u32>, max_bytes: u32) -> Result<Chunk, Fault> {
        panic::report();
        T::read(handle::read(&handle)?, cursor.as_deref(), tail, max_bytes)
    }
}

impl<T: Stats> stats::exports::hostler::plugin::stats::Guest for Export<T> {
    fn measure(handles: Vec<types::Handle>) -> Result<Vec<Option<Usage>>, Fault> {
        panic::report();
        let read: Vec<_> = handles.iter().map(handle::read::<T::Handle>).collect();
        let known: Vec<bool> = read.iter().map(Result::is_ok).collect();
        let readable: Vec<T::Handle> = read.into_iter().flatten().collect();
        let mut usages = T::measure(&readable)?.into_iter();
        Ok(known.into_iter().filter_map(|known| if known { usages.next() } else { Some(None) }).collect())
    }
}

impl<T: Exec> exec::exports::hostler::plugin::exec::Guest for Export<T> {
    fn run(handle: types::Handle, command: exec::exports::hostler::plugin::exec::Command) -> Result<Output, Fault> {
        panic::report();
        let command = ExecCommand {
            program: command.program,
            args: command.args,
            env: command.env,
            stdin: command.stdin,
            deadline: Duration::from_millis(command.deadline),
        };
        T::exec(handle::read(&handle)?, command)
    }
}

impl<T: Signals> signals::exports::hostler::plugin::signals::Guest for Export<T> {
    fn supported() -> Vec<String> {
        panic::report();
        T::SUPPORTED.iter().map(|&signal| signal.to_owned()).collect()
    }

    fn send(handle: types::Handle, signal: String) -> Result<(), Fault> {
        panic::report();
        if !T::SUPPORTED.contains(&signal.as_str()) {
            return Err(Fault::invalid("", format!("signal `{signal}` is none of {}", T::SUPPORTED.join(", "))));
        }
        T::send(handle::read(&handle)?, &signal)
    }
}

impl<T: Scale> scale::exports::hostler::plugin::scale::Guest for Export<T> {
    fn set(handle: types::Handle, replicas: u32) -> Result<(), Fault> {
        panic::report();
        T::scale(handle::read(&handle)?, replicas)
    }

    fn replicas(handle: types::Handle) -> Result<Vec<Status>, Fault> {
        panic::report();
        T::replicas(handle::read(&handle)?)
    }
}

impl<T: Update> update::exports::hostler::plugin::update::Guest for Export<T> {
    fn apply(handle: types::Handle, task: types::Task) -> Result<Outcome, Fault> {
        panic::report();
        T::update(handle::read(&handle)?, readable(task)?)
    }
}

impl<T: Handles> handles::exports::hostler::plugin::handles::Guest for Export<T> {
    fn migrate(handle: types::Handle) -> Result<types::Handle, Fault> {
        panic::report();
        handle::write(&handle::read::<<T as Backend>::Handle>(&handle)?)
    }
}

impl<T: Discovery> discovery::exports::hostler::plugin::discovery::Guest for Export<T> {
    fn survey() -> Result<Vec<Candidate>, Fault> {
        panic::report();
        T::survey()
    }

    fn release(handle: types::Handle) -> Result<(), Fault> {
        panic::report();
        T::release(handle::read(&handle)?)
    }

    fn kill(key: String) -> Result<(), Fault> {
        panic::report();
        T::kill(&key)
    }
}
