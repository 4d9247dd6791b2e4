//! `hostler:host/commands`: short-lived commands, argv only, each in a process group that does not outlive the call.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, Interest};
use tokio::process::{Child, Command as Process};
use wasmtime::component::Linker;

use super::CallState;
use super::processes::{check_directory, check_env};
use crate::bindings::hostler::host::commands::{self, Command, Output};
use crate::bindings::hostler::host::errors::Error;
use crate::grant::CommandsGrant;
use crate::grant::environment::Environment;
use crate::grant::program::{Programs, Refused};
use crate::limits::MAX_OUTPUT_BYTES;
use crate::scope::Scope;
use crate::tap::{Tapped, Through};
use crate::turns::Turns;

/// Looks at one working directory at a time: on a mount that does not answer, each keeps a thread.
static LOOKS: Turns = Turns::new(2);

/// What a command finds programs in, when neither it nor the host has a search path.
const FALLBACK_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long outputs may stay open after the command and its group are gone: somebody escaped and holds them.
const DRAIN: Duration = Duration::from_millis(500);

/// The grant, read.
pub(super) struct Settled {
    programs: Programs,
    environment: Environment,
    path: String,
}

/// One call's way to run commands.
pub(super) struct Commands {
    settled: Arc<Settled>,
    scope: Scope,
}

pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    commands::add_to_linker::<_, Through<Commands>>(linker, |call| {
        Tapped::new(call.commands.as_mut().expect("linked only where granted"), &call.scope)
    })
}

pub(super) fn settle(grant: &CommandsGrant) -> Result<Settled, String> {
    let path = std::env::var("PATH").unwrap_or_else(|_| FALLBACK_PATH.to_owned());
    Ok(Settled {
        programs: Programs::settle(&grant.programs, Some(path.as_ref()))?,
        environment: Environment::settle(grant.env.as_deref(), &grant.programs, Some(path.as_ref()))?,
        path,
    })
}

pub(super) fn build(settled: &Arc<Settled>, scope: &Scope) -> Commands {
    Commands { settled: Arc::clone(settled), scope: scope.clone() }
}

impl commands::Host for Commands {
    async fn run(&mut self, command: Command) -> Result<Output, Error> {
        self.scope.permit("commands").map_err(Error::Denied)?;
        let admitted = self.admit(&command).await;
        // whoever answers instead needs no program on this machine
        if let Some(tap) = self.scope.tap()
            && !matches!(admitted, Err(Error::Denied(_)))
            && let Some(answer) = tap.instead(&tap.granted("hostler:host/commands", "run", &(&command,))).await
        {
            return answer;
        }
        let mut process = admitted?;
        process.envs(self.scope.fill_env(command.env).await.map_err(Error::Unavailable)?);
        let stdin = self.scope.fill_bytes(command.stdin).await.map_err(Error::Unavailable)?;
        let child = process.spawn().map_err(|error| spawn_error(&command.program, &error))?;
        let most = usize::try_from(command.max_output).unwrap_or(usize::MAX).min(MAX_OUTPUT_BYTES);
        let group = Group::of(&child)?;
        match tokio::time::timeout_at(self.scope.until(), finish(child, group, stdin, most)).await {
            Ok(output) => Ok(self.hide(output?).await),
            Err(_) => Err(Error::Timeout),
        }
    }
}

/// Runs a program that the operator's configuration names, and no guest, to its end: with the same care as a guest's, and nothing of the
/// host's environment but the search path. What it writes is kept up to `most` bytes of each output.
///
/// # Errors
/// It cannot be started, or takes too long: then it is killed with all that it has started.
pub async fn run_command(command: &[String], stdin: Vec<u8>, within: Duration, most: usize) -> Result<CommandEnd, String> {
    let (program, arguments) = command.split_first().ok_or("no program is named")?;
    let mut process = Process::new(program);
    process.args(arguments).env_clear().env("PATH", std::env::var("PATH").unwrap_or_else(|_| FALLBACK_PATH.to_owned()));
    process.current_dir("/").process_group(0).kill_on_drop(true);
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = process.spawn().map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    let group = Group::of(&child).map_err(|error| error.to_string())?;
    match tokio::time::timeout(within, finish(child, group, stdin, most)).await {
        Ok(Ok(Output { code, signal, out, err, .. })) => Ok(CommandEnd { code, signal, out, err }),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("`{program}` did not end within {} ms, and was killed", within.as_millis())),
    }
}

/// How a program of [`run_command`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandEnd {
    /// Absent when a signal ended it.
    pub code: Option<i32>,
    /// Name of the signal.
    pub signal: Option<String>,
    /// What it wrote.
    pub out: Vec<u8>,
    /// What it complained about.
    pub err: Vec<u8>,
}

impl Commands {
    async fn hide(&self, output: Output) -> Output {
        let cut = output.truncated;
        Output { out: self.scope.hide(output.out, cut).await, err: self.scope.hide(output.err, cut).await, ..output }
    }

    async fn admit(&self, command: &Command) -> Result<Process, Error> {
        let program = self.settled.programs.admit(&command.program, &command.args).map_err(|refused| self.refuse(refused))?;
        if let Some(what) = self.settled.environment.refused(&command.env) {
            return Err(Error::Denied(self.scope.denied("commands", &what)));
        }
        let mut process = Process::new(program);
        process.args(&command.args).env_clear().env("PATH", &self.settled.path);
        for (name, value) in &command.env {
            check_env(name, value)?;
            process.env(name, value);
        }
        let directory = command.directory.as_deref().unwrap_or("/");
        check_directory(directory)?;
        // the one that nobody named is always there
        if directory != "/" {
            let path = PathBuf::from(directory);
            match tokio::time::timeout_at(self.scope.until(), LOOKS.run(directory, move || path.is_dir())).await {
                Ok(Ok(true)) => {}
                Ok(_) => return Err(Error::Invalid(format!("there is no working directory `{directory}`"))),
                Err(_) => return Err(Error::Timeout),
            }
        }
        process.current_dir(directory).process_group(0).kill_on_drop(true);
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(process)
    }

    fn refuse(&self, refused: Refused) -> Error {
        match refused {
            Refused::Denied(what) => Error::Denied(self.scope.denied("commands", &what)),
            Refused::NotFound(_) => Error::NotFound,
            Refused::Invalid(text) => Error::Invalid(text),
        }
    }
}

fn spawn_error(program: &str, error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound,
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::InvalidInput | std::io::ErrorKind::ArgumentListTooLong => {
            Error::Invalid(format!("`{program}` cannot be executed: {error}"))
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => Error::Invalid(format!("`{program}` is no program: {error}")),
        _ => Error::Unavailable(format!("`{program}` could not be started: {error}")),
    }
}

/// A process group that is killed when nobody waits for it any more.
///
/// The leader is watched through a pidfd and only reaped after its group was killed: until then no stranger can have its id.
struct Group {
    leader: Pid,
    ended: AsyncFd<OwnedFd>,
    reaped: bool,
}

impl Group {
    fn of(child: &Child) -> Result<Group, Error> {
        let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).expect("a child that was not waited for has an id");
        let watching = pidfd_open(leader, PidfdFlags::empty()).map_err(std::io::Error::from).and_then(watch);
        let ended = watching.map_err(|error| {
            let _ = kill_process_group(leader, Signal::KILL);
            Error::Unavailable(format!("the command cannot be watched: {error}"))
        })?;
        hostler_keeper::open_files::give_back(child.id());
        Ok(Group { leader, ended, reaped: false })
    }

    fn kill(&self) {
        if !self.reaped {
            let _ = kill_process_group(self.leader, Signal::KILL);
        }
    }
}

#[expect(deprecated, reason = "its replacement is unsafe, for types that may swap their descriptor; an OwnedFd keeps the one it owns")]
fn watch(fd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn finish(mut child: Child, mut group: Group, stdin: Vec<u8>, most: usize) -> Result<Output, Error> {
    let (input, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feeding = async move {
        if let Some(mut input) = input {
            // a command that does not read its input is none of our business
            let _ = input.write_all(&stdin).await;
        }
        std::future::pending::<()>().await;
    };
    let mut out_kept = Kept::default();
    let mut err_kept = Kept::default();
    {
        let mut reading = std::pin::pin!(async { tokio::join!(out_kept.read(out, most), err_kept.read(err, most)) });
        let mut feeding = std::pin::pin!(feeding);
        let mut all_read = false;
        // 1 both outputs closed  2 the leader ended  3 never: feeds the input meanwhile. Each arm may be dropped at any time.
        loop {
            tokio::select! {
                _ = &mut reading, if !all_read => all_read = true,
                _ = group.ended.readable() => break,
                () = &mut feeding => {}
            }
        }
        group.kill();
        if !all_read {
            let _ = tokio::time::timeout(DRAIN, reading).await;
        }
    }
    let status = child.wait().await.map_err(|error| Error::Other(error.to_string()))?;
    group.reaped = true;
    Ok(Output {
        code: status.code(),
        signal: std::os::unix::process::ExitStatusExt::signal(&status).map(hostler_keeper::signal_name),
        truncated: out_kept.truncated | err_kept.truncated,
        out: out_kept.bytes,
        err: err_kept.bytes,
    })
}

/// What is kept of one output; the rest is read and dropped, so that the command never blocks on it.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    truncated: bool,
}

impl Kept {
    async fn read(&mut self, from: Option<impl AsyncRead + Unpin>, most: usize) {
        let Some(mut from) = from else { return };
        let mut buffer = vec![0; 16 << 10];
        while let Ok(length) = from.read(&mut buffer).await {
            if length == 0 {
                return;
            }
            let room = most - self.bytes.len();
            self.bytes.extend_from_slice(&buffer[..length.min(room)]);
            self.truncated |= length > room;
        }
    }
}

/// Cuts `bytes` at `most`; the answer is whether anything was lost.
pub(super) fn cut(bytes: &mut Vec<u8>, most: usize) -> bool {
    let longer = bytes.len() > most;
    bytes.truncate(most);
    longer
}
