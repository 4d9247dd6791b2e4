//! The configuration file of one command: read, sent to the host, and drawn where the host finds mistakes in it.

use std::path::{Path, PathBuf};

use hostler_api::config::{self, Config};
use hostler_api::{ApplyRequest, Failure};
use hostler_core::Problem;
use serde_json::{Map, Value};

use crate::client::Client;
use crate::config::{ConfigError, Loaded, Look, load, load_settings};
use crate::context::Context;
use crate::error::Error;

/// What somebody wishes for, in one file.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) file: PathBuf,
    pub(crate) config: Config,
    loaded: Loaded,
    look: Look,
}

impl Wish {
    /// Reads the file that is meant, completely.
    pub(crate) fn read(context: &Context, positional: Option<&Path>) -> Result<Wish, Error> {
        let file = context.file(positional)?;
        let look = context.look();
        let loaded = load(&file, &environment).map_err(|error| drawn(&error, look))?;
        Ok(Wish { file, config: loaded.config.clone(), loaded, look })
    }

    /// What the host is asked to make true.
    pub(crate) fn request(&self, start: bool, services: Option<Vec<String>>) -> ApplyRequest {
        let base_dir = self.loaded.base_dir.to_string_lossy().into_owned();
        ApplyRequest { document: self.loaded.document.clone(), base_dir, start, start_stopped: false, services }
    }

    /// What the host is asked to bring up: everything, or these, whatever was stopped before.
    pub(crate) fn up(&self, services: Option<Vec<String>>) -> ApplyRequest {
        ApplyRequest { start_stopped: true, ..self.request(true, services) }
    }

    /// One service of it as it is written there, and what its paths are relative to.
    pub(crate) fn service(&self, name: &str) -> Option<(Map<String, Value>, String)> {
        let service = self.loaded.document.get("services")?.get(name)?.as_object()?;
        Some((service.clone(), self.loaded.base_dir.to_string_lossy().into_owned()))
    }

    /// Where the file wants the state; absolute.
    pub(crate) fn state_dir(&self) -> Option<PathBuf> {
        state_dir_of(&self.loaded)
    }

    /// A failure of the host, with its mistakes drawn where they are.
    pub(crate) fn refused(&self, failure: Failure) -> Error {
        if failure.problems.is_empty() {
            return failure.into();
        }
        let error = self.loaded.error(&failure.problems);
        Error::Drawn { drawing: error.render(self.look), places: error.to_json(), failure: Box::new(failure) }
    }

    /// The same of an error that may be one.
    pub(crate) fn redrawn(&self, error: Error) -> Error {
        match error {
            Error::Failure(failure) => self.refused(*failure),
            Error::Unusable(_) | Error::Drawn { .. } | Error::Output(_) => error,
        }
    }

    /// Mistakes that came with an answer.
    pub(crate) fn doubt(&self, problems: Vec<Problem>) -> Result<(), Error> {
        if problems.is_empty() { Ok(()) } else { Err(self.refused(Failure::config(problems))) }
    }
}

impl Context {
    /// A caller of the host that a file is meant for.
    pub(crate) fn client_of(&self, wish: &Wish) -> Result<Client, Error> {
        if let Some(client) = self.remote()? {
            return Ok(self.within(client));
        }
        match (&self.global.state_dir, wish.state_dir()) {
            (None, Some(named)) => Ok(self.within(Client::new(&named))),
            (Some(_), _) | (None, None) => Ok(self.within(Client::new(&self.state_dir(Some(&wish.file))?))),
        }
    }
}

/// Where a file wants the state, if it says so.
///
/// A file that cannot be read does not count as one that says nothing: its host could be somewhere else than by default. Mistakes
/// elsewhere in it do not matter: a host is to be found while somebody writes its file.
pub(crate) fn state_dir(file: &Path, look: Look) -> Result<Option<PathBuf>, Error> {
    match load_settings(file, &environment) {
        Ok(loaded) => Ok(state_dir_of(&loaded)),
        Err(error) => {
            let hint = format!("{} was read for its `state_dir`; --state-dir names one without it", file.display());
            let (drawing, failure) = (format!("{}\n{hint}", error.render(look).trim_end()), refusal(&error).hint(hint));
            Err(Error::Drawn { drawing, places: error.to_json(), failure: Box::new(failure) })
        }
    }
}

fn state_dir_of(loaded: &Loaded) -> Option<PathBuf> {
    loaded.config.settings.state_dir.as_deref().map(|named| config::absolute(named, &loaded.base_dir))
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn drawn(error: &ConfigError, look: Look) -> Error {
    Error::Drawn { drawing: error.render(look), places: error.to_json(), failure: Box::new(refusal(error)) }
}

fn refusal(error: &ConfigError) -> Failure {
    Failure::config(error.problems().cloned().collect())
}
