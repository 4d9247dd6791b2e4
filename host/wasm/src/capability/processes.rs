//! `hostler:host/processes`: long-lived processes, held by the keeper.
//!
//! In the keeper a process of plugin `web` with the key `a` is `web.a`, its log `web.LOG`: plugins cannot name each other's.

use std::sync::Arc;

use hostler_keeper::protocol::{self, ErrorKind, Request, Response};
use wasmtime::component::Linker;

use super::CallState;
use crate::bindings::hostler::host::errors::Error;
use crate::bindings::hostler::host::processes;
use crate::grant::ProcessesGrant;
use crate::grant::environment::Environment;
use crate::grant::program::{Programs, Refused, check_no_nul};
use crate::runtime::Shared;
use crate::scope::Scope;
use crate::tap::{Tapped, Through};

mod connection;
mod convert;
mod link;

pub use link::{ExitNews, KeeperError, KeeperLink, KeeperRole, RestartHook};

const CAPABILITY: &str = "processes";
const MAX_KEY_BYTES: usize = 63;
const MAX_LOG_NAME_BYTES: usize = 200;
const MAX_LABEL_BYTES: usize = 4 << 10;
const MAX_LOG_READ_BYTES: u32 = 16 << 20;

/// The grant, read.
pub(super) struct Settled {
    programs: Programs,
    environment: Environment,
    users: Vec<String>,
    keeper: Arc<KeeperLink>,
}

/// One call's way to the keeper.
pub(super) struct Processes {
    settled: Arc<Settled>,
    scope: Scope,
}

pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    processes::add_to_linker::<_, Through<Processes>>(linker, |call| {
        Tapped::new(call.processes.as_mut().expect("linked only where granted"), &call.scope)
    })
}

pub(super) fn settle(grant: &ProcessesGrant, shared: &Shared) -> Result<Settled, String> {
    let path = std::env::var_os("PATH");
    Ok(Settled {
        programs: Programs::settle(&grant.programs, path.as_deref())?,
        environment: Environment::settle(grant.env.as_deref(), &grant.programs, path.as_deref())?,
        users: grant.users.clone(),
        keeper: shared.keeper.clone().ok_or_else(|| "this host has no keeper".to_owned())?,
    })
}

pub(super) fn build(settled: &Arc<Settled>, scope: &Scope) -> Processes {
    Processes { settled: Arc::clone(settled), scope: scope.clone() }
}

impl Processes {
    /// Asks the keeper, but not past the call's deadline.
    async fn ask(&self, request: Request) -> Result<(Response, Vec<u8>), Error> {
        self.scope.permit(CAPABILITY).map_err(Error::Denied)?;
        let changes = changes(&request);
        let answer = match tokio::time::timeout_at(self.scope.until(), self.settled.keeper.request(request)).await {
            Ok(answer) => answer,
            Err(_) => return Err(Error::Timeout),
        };
        answer.map_err(|error| match error {
            KeeperError::Refused(refusal) => refused(refusal),
            KeeperError::Unavailable(text) => Error::Unavailable(text),
            // it may have happened, which is what `timeout` says
            KeeperError::Lost | KeeperError::Protocol(_) if changes => Error::Timeout,
            KeeperError::Lost => Error::Unavailable("the keeper went away".to_owned()),
            KeeperError::Protocol(text) => Error::Other(text),
        })
    }

    /// The key as the keeper knows it.
    fn key(&self, key: &str) -> Result<String, Error> {
        let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if key.is_empty() || key.len() > MAX_KEY_BYTES || !key.bytes().all(fine) {
            return Err(Error::Invalid(format!("key {key:?} is not [a-z0-9-] of 1 to {MAX_KEY_BYTES} bytes")));
        }
        Ok(self.own(key))
    }

    fn keys(&self, keys: &[String]) -> Result<Vec<String>, Error> {
        keys.iter().map(|key| self.key(key)).collect()
    }

    fn log_name(&self, name: &str) -> Result<String, Error> {
        let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > MAX_LOG_NAME_BYTES || name.starts_with('.') || !name.bytes().all(fine) {
            return Err(Error::Invalid(format!("log name {name:?} is not [a-z0-9._-] of at most {MAX_LOG_NAME_BYTES} bytes")));
        }
        Ok(self.own(name))
    }

    fn own(&self, name: &str) -> String {
        format!("{}.{name}", self.scope.plugin())
    }

    /// The command as the keeper runs it, if this plugin may.
    fn admit(&self, key: &str, command: processes::Command) -> Result<protocol::Command, Error> {
        let program = self.settled.programs.admit(&command.program, &command.args).map_err(|refused| self.refuse(refused))?;
        if let Some(what) = self.settled.environment.refused(&command.env) {
            return Err(Error::Denied(self.scope.denied(CAPABILITY, &what)));
        }
        check_values(&command.env)?;
        if let Some(directory) = &command.directory {
            check_directory(directory)?;
        }
        if let Some(user) = &command.user {
            self.admit_user(user)?;
        }
        check_labels(&command.labels)?;
        Ok(protocol::Command {
            program: program.to_string_lossy().into_owned(),
            args: command.args,
            env: command.env,
            directory: command.directory,
            user: command.user,
            log_name: Some(self.log_name(command.log_name.as_deref().unwrap_or(key))?),
            cpu_millis: command.cpu_millis,
            memory_bytes: command.memory_bytes,
            labels: command.labels,
        })
    }

    fn admit_user(&self, user: &str) -> Result<(), Error> {
        check_no_nul("user", user).map_err(|refused| self.refuse(refused))?;
        if self.settled.users.iter().any(|granted| granted == "*" || granted == user) {
            return Ok(());
        }
        Err(Error::Denied(self.scope.denied(CAPABILITY, &format!("user `{user}`"))))
    }

    fn refuse(&self, refused: Refused) -> Error {
        match refused {
            Refused::Denied(what) => Error::Denied(self.scope.denied(CAPABILITY, &what)),
            Refused::NotFound(text) | Refused::Invalid(text) => Error::Invalid(text),
        }
    }
}

impl processes::Host for Processes {
    async fn spawn(&mut self, key: String, command: processes::Command) -> Result<processes::Process, Error> {
        let owned = self.key(&key)?;
        let mut command = self.admit(&key, command)?;
        command.env = self.scope.fill_env(command.env).await.map_err(Error::Unavailable)?;
        check_values(&command.env)?;
        let owner = self.scope.plugin().to_owned();
        match self.ask(Request::Spawn { key: owned, owner, command }).await? {
            (Response::Process(process), _) => Ok(convert::process(process, self.scope.plugin())),
            (other, _) => Err(unclear(&other)),
        }
    }

    async fn inspect(&mut self, keys: Vec<String>) -> Result<Vec<Option<processes::Process>>, Error> {
        let keys = self.keys(&keys)?;
        let asked = keys.len();
        match self.ask(Request::Inspect { keys }).await? {
            (Response::Processes(found), _) if found.len() == asked => {
                let plugin = self.scope.plugin();
                Ok(found.into_iter().map(|process| process.map(|process| convert::process(process, plugin))).collect())
            }
            (other, _) => Err(unexpected(&other)),
        }
    }

    async fn stop(&mut self, key: String, signal: String, grace: u64) -> Result<processes::Exit, Error> {
        let key = self.key(&key)?;
        match self.ask(Request::Stop { key, signal, grace_ms: grace }).await? {
            (Response::Exit(exit), _) => Ok(convert::exit(exit)),
            (other, _) => Err(unclear(&other)),
        }
    }

    async fn signal(&mut self, key: String, signal: String) -> Result<(), Error> {
        let key = self.key(&key)?;
        self.done(Request::Signal { key, signal }).await
    }

    async fn forget(&mut self, key: String) -> Result<(), Error> {
        let key = self.key(&key)?;
        self.done(Request::Forget { key }).await
    }

    async fn list(&mut self) -> Result<Vec<processes::Process>, Error> {
        let plugin = self.scope.plugin();
        match self.ask(Request::List { owner: Some(plugin.to_owned()) }).await? {
            // the keeper filters by prefix, and another plugin's name may begin with this one's
            (Response::List(found), _) => {
                Ok(found.into_iter().filter(|process| process.owner == plugin).map(|process| convert::process(process, plugin)).collect())
            }
            (other, _) => Err(unexpected(&other)),
        }
    }

    async fn read_log(&mut self, log_name: String, cursor: Option<String>, tail: Option<u32>, max_bytes: u32) -> Result<processes::Lines, Error> {
        let log_name = self.log_name(&log_name)?;
        let max_bytes = max_bytes.min(MAX_LOG_READ_BYTES);
        match self.ask(Request::ReadLog { log_name, cursor, tail, max_bytes }).await? {
            (Response::Lines { lines, next, gap }, body) => {
                let page = protocol::Lines::join(&lines, next, gap, &body).map_err(|error| Error::Other(error.to_string()))?;
                Ok(convert::lines(page))
            }
            (other, _) => Err(unexpected(&other)),
        }
    }

    async fn measure(&mut self, keys: Vec<String>) -> Result<Vec<Option<processes::Usage>>, Error> {
        let keys = self.keys(&keys)?;
        let asked = keys.len();
        match self.ask(Request::Measure { keys }).await? {
            (Response::Usage(found), _) if found.len() == asked => Ok(found.into_iter().map(|usage| usage.map(convert::usage)).collect()),
            (other, _) => Err(unexpected(&other)),
        }
    }
}

impl Processes {
    async fn done(&self, request: Request) -> Result<(), Error> {
        match self.ask(request).await? {
            (Response::Done, _) => Ok(()),
            (other, _) => Err(unclear(&other)),
        }
    }
}

fn changes(request: &Request) -> bool {
    matches!(request, Request::Spawn { .. } | Request::Stop { .. } | Request::Signal { .. } | Request::Forget { .. } | Request::DropLog { .. })
}

fn refused(refusal: protocol::Refusal) -> Error {
    let text = refusal.text;
    match refusal.kind {
        ErrorKind::NotFound => Error::NotFound,
        ErrorKind::Conflict => Error::Conflict(text),
        ErrorKind::Invalid => Error::Invalid(text),
        ErrorKind::Unavailable => Error::Unavailable(text),
        ErrorKind::Other => Error::Other(text),
    }
}

/// What was asked for may have happened, whatever the answer was meant for: that is what `timeout` says.
fn unclear(response: &Response) -> Error {
    unexpected(response);
    Error::Timeout
}

fn unexpected(response: &Response) -> Error {
    tracing::error!(?response, "the keeper answered another question");
    Error::Other("the keeper answered another question".to_owned())
}

/// Shared with commands: names without `=`, nothing with NUL.
pub(super) fn check_env(name: &str, value: &str) -> Result<(), Error> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(Error::Invalid(format!("{name:?} is no name for an environment variable")));
    }
    if value.contains('\0') {
        return Err(Error::Invalid(format!("the value of environment variable `{name}` contains a NUL byte")));
    }
    Ok(())
}

/// What the plugin sets, and what secrets bring in.
fn check_values(env: &[(String, String)]) -> Result<(), Error> {
    env.iter().try_for_each(|(name, value)| check_env(name, value))
}

pub(super) fn check_directory(directory: &str) -> Result<(), Error> {
    if !directory.starts_with('/') || directory.contains('\0') {
        return Err(Error::Invalid(format!("working directory {directory:?} is not an absolute path")));
    }
    Ok(())
}

fn check_labels(labels: &[(String, String)]) -> Result<(), Error> {
    let bytes: usize = labels.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAX_LABEL_BYTES {
        return Err(Error::Invalid(format!("labels of {bytes} bytes, at most {MAX_LABEL_BYTES} are allowed")));
    }
    Ok(())
}
