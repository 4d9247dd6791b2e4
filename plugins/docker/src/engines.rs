//! Which engines there are, where their ports are reached, and what their refusals mean.

use hostler_sdk::host::containers::{self, EngineInfo};
use hostler_sdk::host::{Error, context, state};
use hostler_sdk::{Engine, Fault};
use serde::Deserialize;

/// Under this, with the engine's name, stands where its ports are reached; and that something was started on it.
const KEY: &str = "engines/";
const HERE: &str = "127.0.0.1";

/// The plugin's own configuration; `config.json` says the same as a schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default = "default_engines")]
    engines: Vec<String>,
}

fn default_engines() -> Vec<String> {
    vec!["default".into()]
}

/// Engines to look for tasks on: those of the configuration, and every one that something was ever started on.
pub(crate) fn known() -> Result<Vec<String>, Fault> {
    let config: Config = context::config()?;
    let mut engines = config.engines;
    engines.extend(state::keys(KEY)?.into_iter().filter_map(|key| key.strip_prefix(KEY).map(str::to_owned)));
    engines.sort_unstable();
    engines.dedup();
    Ok(engines)
}

/// Remembers an engine before anything is made there: a task on an engine that nobody knows would never be listed.
pub(crate) fn remember(engine: &str) -> Result<(), Fault> {
    if state::get(&key(engine))?.is_some() {
        return Ok(());
    }
    let info = containers::info(engine).map_err(|error| untouched(engine, error))?;
    Ok(state::set(&key(engine), info.host.as_deref().unwrap_or(HERE).as_bytes())?)
}

/// Where the ports of an engine are reached.
pub(crate) fn host(engine: &str) -> Result<String, Fault> {
    let kept = state::get(&key(engine))?;
    Ok(kept.map_or(HERE.to_owned(), |host| String::from_utf8_lossy(&host).into_owned()))
}

/// The same for a look at tasks: when it cannot be said now, why they are unknown.
pub(crate) fn host_if_known(engine: &str) -> Result<Result<String, String>, Fault> {
    match host(engine) {
        Ok(host) => Ok(Ok(host)),
        Err(Fault::Denied(grant)) => Err(Fault::Denied(grant)),
        Err(fault) => Ok(Err(format!("what is known of engine `{engine}` cannot be read: {}", said(fault)))),
    }
}

fn said(fault: Fault) -> String {
    match fault {
        Fault::Unavailable(retry) => retry.message,
        Fault::Interrupted(why) | Fault::Conflict(why) | Fault::Other(why) | Fault::Unsupported(why) | Fault::Denied(why) => why,
        Fault::Invalid(problems) => problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("; "),
        Fault::Gone => "it is gone".to_owned(),
    }
}

fn key(engine: &str) -> String {
    format!("{KEY}{engine}")
}

/// How all known engines are: ready when any of them is.
pub(crate) fn fingerprint() -> Result<Engine, Fault> {
    let mut all = Engine::away("");
    let mut messages = Vec::new();
    let engines = match known() {
        Ok(engines) => engines,
        Err(Fault::Denied(grant)) => return Err(Fault::Denied(grant)),
        Err(fault) => return Ok(Engine::away(said(fault))),
    };
    for engine in engines {
        match containers::info(&engine) {
            Ok(info) => {
                all.ready = true;
                all.reachable = true;
                messages.push(described(&engine, &info));
                all.attributes.extend(attributes(&engine, &info));
            }
            Err(Error::Denied(grant)) => return Err(Fault::Denied(grant)),
            Err(error) => messages.push(away(&engine, error)),
        }
    }
    Ok(Engine { message: messages.join("; "), ..all })
}

fn described(engine: &str, info: &EngineInfo) -> String {
    let gib = info.memory_bytes >> 30;
    format!("{engine}: {} {} (API {}), {}, {} CPUs, {gib} GiB", info.product, info.version, info.api_version, info.storage_driver, info.cpus)
}

fn attributes(engine: &str, info: &EngineInfo) -> Vec<(String, String)> {
    let facts = [("version", info.version.clone()), ("api-version", info.api_version.clone()), ("system", info.operating_system.clone())];
    let warnings = info.warnings.iter().map(|warning| ("warning", warning.clone()));
    facts.into_iter().chain(warnings).map(|(name, value)| (format!("{engine}.{name}"), value)).collect()
}

/// What a refused or failed look means for the tasks on an engine: they are unknown, and the text says why. A missing grant is told as such.
pub(crate) fn unseen(engine: &str, error: Error) -> Result<String, Fault> {
    match error {
        Error::Denied(grant) => Err(Fault::Denied(grant)),
        error => Ok(away(engine, error)),
    }
}

fn away(engine: &str, error: Error) -> String {
    let why = match error {
        Error::Unavailable(why) | Error::Other(why) | Error::Invalid(why) | Error::Conflict(why) | Error::Denied(why) => why,
        Error::Timeout => "it did not answer in time".to_owned(),
        Error::NotFound => "there is no such engine".to_owned(),
    };
    format!("engine `{engine}`: {why}")
}

/// A failed call that changes nothing: late is no more than away.
pub(crate) fn untouched(engine: &str, error: Error) -> Fault {
    match error {
        Error::Timeout | Error::Unavailable(_) => Fault::unavailable(away(engine, error)),
        error => error.into(),
    }
}
