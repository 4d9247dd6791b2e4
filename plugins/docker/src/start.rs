//! Bringing up a container of one's own: image, container, start; each step is found again when the one before was cut short.

use std::time::Duration;

use hostler_sdk::Fault;
use hostler_sdk::host::containers::{self, Container, Credentials, Pulled, State};
use hostler_sdk::host::{Error, context, secrets};

use crate::engines::untouched;
use crate::facts::{self, Held};
use crate::settings::Pull;
use crate::spec::Plan;
use crate::{changed, refused};

/// When to ask again how far a pull is.
const PULLING: Duration = Duration::from_secs(1);

/// Brings it up, or finds it.
pub(crate) fn start(plan: &Plan) -> Result<Held, Fault> {
    if let Some(container) = present(plan)? {
        return go_on(plan, &container);
    }
    if plan.spec.limits.storage_bytes.is_some() {
        let info = containers::info(&plan.engine).map_err(|error| untouched(&plan.engine, error))?;
        if !info.limits_storage {
            let what = format!("engine `{}` holds no container to an amount of storage: its driver {} cannot", plan.engine, info.storage_driver);
            return Err(Fault::Unsupported(what));
        }
    }
    for network in &plan.spec.networks {
        containers::ensure_network(&plan.engine, &network.network, None, &[]).map_err(|error| match error {
            Error::Invalid(why) => Fault::invalid("/networks", why),
            error => untouched(&plan.engine, error),
        })?;
    }
    if plan.pull == Pull::Always {
        pull(plan)?;
    }
    let id = make(plan, true)?;
    begin(plan, &id)
}

/// The container of this task, when there is one; a conflict when its name is somebody else's, or its spec is another.
fn present(plan: &Plan) -> Result<Option<Container>, Fault> {
    let found = containers::inspect(&plan.engine, std::slice::from_ref(&plan.name)).map_err(|error| untouched(&plan.engine, error))?;
    let Some(container) = found.into_iter().next().flatten() else { return Ok(None) };
    if container.label(facts::OWNER) != Some(&context::owner()) || container.label(facts::TASK) != Some(&plan.id.id) {
        return Err(taken(plan));
    }
    let digest = changed::digest(&plan.id.id)?.or_else(|| container.label(facts::DIGEST).map(str::to_owned));
    if digest.as_deref() != Some(&plan.digest) {
        let what = format!("{} is there already, from another spec ({})", plan.name, digest.unwrap_or_default());
        return Err(Fault::Conflict(what));
    }
    Ok(Some(container))
}

fn taken(plan: &Plan) -> Fault {
    Fault::Conflict(format!("the name `{}` is taken by a container of somebody else on engine `{}`", plan.name, plan.engine))
}

/// One that was made is started; one that ran is not run again.
fn go_on(plan: &Plan, container: &Container) -> Result<Held, Fault> {
    match container.state {
        State::Created => begin(plan, &container.id),
        State::Removing => Err(Fault::Interrupted(format!("{} is being removed", plan.name))),
        State::Running | State::Paused | State::Restarting | State::Exited(_) | State::Dead(_) => Ok(held(plan, &container.id)),
    }
}

fn held(plan: &Plan, id: &str) -> Held {
    Held { engine: plan.engine.clone(), container: id.to_owned(), task: plan.id.id.clone(), taken: None }
}

/// Makes the container; fetches its image once, when it is missing.
fn make(plan: &Plan, may_pull: bool) -> Result<String, Fault> {
    let image = &plan.spec.image;
    match containers::create(&plan.engine, &plan.name, &plan.spec) {
        Ok(id) => Ok(id),
        Err(Error::NotFound) if plan.pull == Pull::Never => {
            Err(Fault::invalid("/image", format!("engine `{}` has no image `{image}`, and `pull` is `never`", plan.engine)))
        }
        Err(Error::NotFound) if may_pull => {
            pull(plan)?;
            make(plan, false)
        }
        Err(Error::NotFound) => Err(Fault::unavailable(format!("the image `{image}` was fetched, and is gone again"))),
        // Another call may have made it meanwhile, or this one before its answer was lost.
        Err(Error::Conflict(_)) => present(plan)?.map(|container| container.id).ok_or_else(|| taken(plan)),
        Err(Error::Invalid(why)) => Err(refused::at_create(why)),
        Err(Error::Timeout) => Err(Fault::Interrupted(format!("whether {} was made is not known", plan.name))),
        Err(error) => Err(error.into()),
    }
}

/// Fetches the image, or joins who fetches it already.
fn pull(plan: &Plan) -> Result<(), Fault> {
    let image = &plan.spec.image;
    let credentials = match &plan.registry {
        Some(registry) => Some(Credentials { user: registry.user.clone(), password: secrets::place(&registry.password_secret)? }),
        None => None,
    };
    match containers::pull(&plan.engine, image, plan.spec.platform.as_deref(), credentials.as_ref()) {
        Ok(Pulled::Done(_)) => Ok(()),
        Ok(Pulled::UnderWay(progress)) => Err(Fault::unavailable_for(format!("image `{image}` is being fetched: {progress}"), PULLING)),
        Err(Error::NotFound) => Err(Fault::invalid("/image", format!("no registry has the image `{image}`"))),
        Err(Error::Invalid(why)) => Err(Fault::invalid("/image", format!("image `{image}` cannot be fetched: {why}"))),
        // A registry that is away is no reason to wait with everything else on this engine.
        Err(Error::Unavailable(why)) if containers::info(&plan.engine).is_ok() => {
            Err(Fault::Other(format!("image `{image}` cannot be fetched: {why}")))
        }
        // The pull goes on without this call.
        Err(Error::Timeout) => Err(Fault::unavailable_for(format!("image `{image}` is being fetched"), PULLING)),
        Err(error) => Err(error.into()),
    }
}

/// Starts what was made; a start that fails leaves nothing.
fn begin(plan: &Plan, id: &str) -> Result<Held, Fault> {
    let fault = match containers::start(&plan.engine, id) {
        Ok(()) => return Ok(held(plan, id)),
        Err(Error::Timeout) => return Err(Fault::Interrupted(format!("whether {} was started is not known", plan.name))),
        Err(Error::NotFound) => return Err(Fault::Interrupted(format!("{} was removed by somebody while it was started", plan.name))),
        Err(Error::Invalid(why)) => refused::at_start(why),
        // Whoever has the port may let go of it: that is no mistake of the file.
        Err(Error::Conflict(why)) => Fault::Other(why),
        Err(error) => error.into(),
    };
    match containers::remove(&plan.engine, id, true) {
        Ok(()) | Err(Error::NotFound) => Err(fault),
        Err(_) => Err(Fault::Interrupted(format!("{} could not be started, and could not be removed: {fault:?}", plan.name))),
    }
}
