//! Finding the keeper of a directory, or starting one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hostler_failpoint::failpoint;

use super::ClientError;
use crate::keeper::{is_held, socket_path};
use crate::open_files;

const RETRY: Duration = Duration::from_millis(5);
/// A keeper's own messages are few; a file of them that has grown over this begins anew.
const MAX_LOG_BYTES: u64 = 1024 * 1024;

/// Makes sure that a keeper of `dir` answers, starting `exe keeper --dir DIR` when none does; answers the socket's path.
///
/// The keeper gets a session of its own and writes what it has to say to `DIR/keeper.log`. Two that ensure at once end up with
/// the same keeper: the lock lets one of the two started live. Waits until the socket answers, at most for `deadline`.
pub fn ensure(dir: &Path, exe: &Path, deadline: Duration) -> Result<PathBuf, ClientError> {
    let not_started = |why: String| ClientError::NotStarted { dir: dir.to_owned(), why };
    if connect_stream(dir).is_ok() {
        return Ok(socket_path(dir));
    }
    let until = Instant::now() + deadline;
    let begin = || start(dir, exe).map_err(|error| not_started(format!("{}: {error}", exe.display())));
    failpoint!("host.keeper.before-start");
    let mut child = begin()?;
    failpoint!("host.keeper.started");
    let (mut ended, mut again) = (None, true);
    while connect_stream(dir).is_err() {
        if ended.is_none() {
            ended = child.try_wait().map_err(|error| not_started(error.to_string()))?;
        }
        let in_vain = match &ended {
            None => false,
            // it lost the lock: to one that is on its way to the socket, or to one on its way out
            Some(_) if is_held(dir) => false,
            Some(_) if again => {
                (child, ended, again) = (begin()?, None, false);
                false
            }
            Some(_) => true,
        };
        if in_vain || Instant::now() >= until {
            let how = ended.map_or_else(|| format!("no answer after {deadline:?}"), |status| status.to_string());
            return Err(not_started(format!("{how}{}", last_words(dir))));
        }
        thread::sleep(RETRY);
    }
    failpoint!("host.keeper.answers");
    // it may end before we do, and must not stay a zombie
    thread::spawn(move || child.wait());
    Ok(socket_path(dir))
}

/// Connects to the keeper of `dir`.
pub fn connect_stream(dir: &Path) -> io::Result<UnixStream> {
    let path = socket_path(dir);
    match UnixStream::connect(&path) {
        // a path too long for a socket address: the directory's descriptor makes it short
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            let handle = File::open(dir)?;
            UnixStream::connect(format!("/proc/self/fd/{}/keeper.sock", handle.as_raw_fd()))
        }
        other => other,
    }
}

fn start(dir: &Path, exe: &Path) -> io::Result<Child> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let path = dir.join("keeper.log");
    let overgrown = path.metadata().is_ok_and(|found| found.len() > MAX_LOG_BYTES);
    if overgrown {
        std::fs::remove_file(&path)?;
    }
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
    // no process group of its own: only then can it lead a session
    let mut command = Command::new(exe);
    // what a service manager has told the host is for the host alone
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    if let Some(files) = open_files::told() {
        command.env(open_files::VARIABLE, files);
    }
    command.arg("keeper").arg("--dir").arg(dir).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

fn last_words(dir: &Path) -> String {
    let log = std::fs::read(dir.join("keeper.log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&log);
    text.trim_end().lines().next_back().map(|line| format!(": {line}")).unwrap_or_default()
}
