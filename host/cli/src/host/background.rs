//! A host in a process of its own: how it is started, and how it says that it stands.
//!
//! The new process has a session of its own, and its log in the state directory. It hears on standard input what it begins with: files and
//! variables were read by whoever started it. On standard output it says one line, that it is ready, or the failure that keeps it from
//! being so: whoever started it knows why, without looking into a log.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use hostler_api::{Code, Failure};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::diary::{LOG, append_to};
use super::{Beginning, program};
use crate::context::Context;
use crate::error::{Error, failed};

/// Compiling every plugin for the first time takes a while on a small machine; one alone may take two minutes.
const PATIENCE: Duration = Duration::from_secs(300);

/// The one line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Said {
    /// It stands, with this pid.
    Ready(u32),
    /// It does not.
    Failed(Failure),
    /// Nor will it the next time: its store cannot be used.
    Unusable(Failure),
}

/// What this process's host is to begin with, from standard input.
pub(crate) fn hear() -> Result<Beginning, Error> {
    let heard = io::read_to_string(io::stdin()).map_err(|error| failed(format!("cannot hear what to begin with: {error}")))?;
    serde_json::from_str(&heard).map_err(|error| failed(format!("what to begin with is not understood: {error}")).into())
}

/// Says how the start of this process's host went, on standard output.
pub(crate) fn say(how: Result<(), &Error>) {
    let said = match how {
        Ok(()) => Said::Ready(std::process::id()),
        Err(Error::Failure(failure) | Error::Drawn { failure, .. }) => Said::Failed((**failure).clone()),
        Err(Error::Unusable(failure)) => Said::Unusable((**failure).clone()),
        Err(Error::Output(error)) => Said::Failed(failed(error.to_string())),
    };
    let line = serde_json::to_string(&said).expect("a failure is strings and numbers");
    // When nobody listens any more, the log has it too.
    let _ = io::Write::write_all(&mut io::stdout(), format!("{line}\n").as_bytes());
}

/// Leaves the terminal of whoever started this process.
pub(crate) fn leave_terminal() {
    // Of a process that leads its group already nothing is to be left.
    let _ = rustix::process::setsid();
}

/// Starts a host of this program on a state directory, and returns its pid once it answers.
pub(crate) async fn in_background(state_dir: &Path, beginning: &Beginning, context: &Context) -> Result<u32, Error> {
    let log = state_dir.join(LOG);
    let mut child = spawn(state_dir, &log, context)?;
    match ready(&mut child, beginning, PATIENCE).await {
        Ok(Said::Ready(pid)) => Ok(pid),
        Ok(Said::Failed(failure)) => Err(failure.into()),
        Ok(Said::Unusable(failure)) => Err(Error::Unusable(Box::new(failure))),
        Err(why) => Err(failed(format!("the host in the background did not start: {why}"))
            .at(log.display().to_string())
            .hint("its log, named above, says more")
            .into()),
    }
}

/// How its start went. What is not ready in time is ended: nobody is to hear that it did not start, and find it running later.
async fn ready(child: &mut Child, beginning: &Beginning, patience: Duration) -> Result<Said, String> {
    if let Ok(said) = tokio::time::timeout(patience, converse(child, beginning)).await {
        return said;
    }
    // It fails for one that has just ended by itself.
    let _ = child.kill().await;
    Err(format!("it was not ready after {} s, and has been ended", patience.as_secs()))
}

/// Tells it what to begin with, and hears how that went.
async fn converse(child: &mut Child, beginning: &Beginning) -> Result<Said, String> {
    let mut stdin = child.stdin.take().expect("it was asked to be a pipe");
    let stdout = child.stdout.take().expect("it was asked to be a pipe");
    let told = serde_json::to_vec(beginning).expect("a document is JSON already");
    // One that ended early does not hear, but it has said why.
    let _ = stdin.write_all(&told).await;
    drop(stdin);
    let mut line = String::new();
    match BufReader::new(stdout).read_line(&mut line).await {
        Ok(0) => Err("it ended before it was ready".to_owned()),
        Ok(_) => serde_json::from_str(&line).map_err(|error| format!("it said something else: {error}")),
        Err(error) => Err(format!("it cannot be heard: {error}")),
    }
}

fn spawn(state_dir: &Path, log: &Path, context: &Context) -> Result<Child, Error> {
    let output = open_log(state_dir, log)?;
    let mut command = Command::new(program()?);
    command.arg("serve").arg("--detached").arg("--state-dir").arg(state_dir);
    // It would stand in the environment of a process that stays, and nobody there needs it.
    command.env_remove("HOSTLER_TOKEN").env_remove("HOSTLER_HOST");
    for _ in 0..context.global.verbose {
        command.arg("--verbose");
    }
    // Not the directory of whoever started it: that one may be unmounted, this one may not.
    command.current_dir(state_dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(output);
    command.spawn().map_err(|error| failed(format!("cannot start a host in the background: {error}")).into())
}

fn open_log(state_dir: &Path, log: &Path) -> Result<File, Error> {
    let refuse = |error: io::Error| {
        let code = if error.kind() == io::ErrorKind::PermissionDenied { Code::Denied } else { Code::Failed };
        Failure::new(code, format!("the state directory {} cannot be used: {error}", state_dir.display()))
            .hint("choose another with --state-dir, or make this one writable for you")
    };
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(refuse)?;
    append_to(log).map_err(|error| refuse(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_that_is_not_ready_in_time_is_ended() {
        let mut command = Command::new("sleep");
        let mut child = command.arg("1000").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sleep is everywhere");
        let why = ready(&mut child, &Beginning::default(), Duration::from_millis(20)).await.expect_err("it never says anything");
        assert!(why.contains("has been ended"), "{why}");
        assert!(child.try_wait().expect("it is our child").is_some(), "nothing is left of it");
    }
}
