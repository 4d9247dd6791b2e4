use super::Export;
use crate::bindings::backend::exports::hostler::plugin::backend as wit;
use crate::bindings::imports::hostler::plugin::types;
use crate::{Backend, Fault, Found, Handle, Page, Problem, Status, Task, handle, panic, settings};
use std::time::Duration;

impl<T: Backend> wit::Guest for Export<T> {
    fn describe() -> wit::Description {
        panic::report();
        let description = T::describe();
        wit::Description {
            name: description.name,
            version: description.version,
            summary: description.summary,
            config_schema: description.config_schema,
            task_schema: description.settings_schema,
            handle_versions: [T::Handle::OLDER, &[T::Handle::VERSION]].concat(),
            needs: description.needs,
        }
    }

    fn validate(json: String) -> Result<(), Vec<Problem>> {
        panic::report();
        T::validate(settings::parse(&json)?)
    }

    fn fingerprint() -> Result<wit::Engine, Fault> {
        panic::report();
        let engine = T::fingerprint()?;
        Ok(wit::Engine { ready: engine.ready, reachable: engine.reachable, message: engine.message, attributes: engine.attributes })
    }

    fn start(task: types::Task) -> Result<types::Handle, Fault> {
        panic::report();
        handle::write(&T::start(readable(task)?)?)
    }

    fn inspect(handles: Vec<types::Handle>) -> Result<Vec<Status>, Fault> {
        panic::report();
        let read: Vec<_> = handles.iter().map(handle::read::<T::Handle>).collect();
        let errors: Vec<bool> = read.iter().map(Result::is_err).collect();
        let readable: Vec<T::Handle> = read.into_iter().flatten().collect();
        if readable.is_empty() {
            return Ok(errors.iter().map(|_| unreadable()).collect());
        }
        let mut statuses = T::inspect(&readable)?.into_iter();
        // a plugin that answers too few lets the host see too few: the host says so better than a made-up status would
        Ok(errors.into_iter().filter_map(|error| if error { Some(unreadable()) } else { statuses.next() }).collect())
    }

    fn stop(handle: types::Handle, signal: Option<String>, grace: u64) -> Result<Status, Fault> {
        panic::report();
        T::stop(handle::read(&handle)?, signal.as_deref(), Duration::from_millis(grace))
    }

    fn destroy(handle: types::Handle, force: bool) -> Result<(), Fault> {
        panic::report();
        T::destroy(handle::read(&handle)?, force)
    }

    fn list(cursor: Option<String>) -> Result<wit::Page, Fault> {
        panic::report();
        let Page { items, next } = T::list(cursor.as_deref())?;
        Ok(wit::Page { items: items.into_iter().map(found).collect::<Result<_, _>>()?, next })
    }
}

/// A task with its settings read; settings that cannot be are invalid.
pub(super) fn readable<S: serde::de::DeserializeOwned>(task: types::Task) -> Result<Task<S>, Fault> {
    Ok(Task {
        settings: settings::parse(&task.settings)?,
        id: task.id,
        spec_digest: task.spec_digest,
        env: task.env,
        resources: task.resources,
        labels: task.labels,
    })
}

fn found<H: Handle>(found: Found<H>) -> Result<wit::Found, Fault> {
    Ok(wit::Found { id: found.id, handle: handle::write(&found.handle)?, status: found.status, spec_digest: found.spec_digest })
}

fn unreadable() -> Status {
    Status::unknown("this version of the plugin cannot read the task's handle")
}
