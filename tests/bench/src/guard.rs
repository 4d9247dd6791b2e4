//! Ends what was started, however this program ends: by itself, by Ctrl-C, by `kill -9`.
//!
//! A second process of this program holds nothing but the other end of a pipe. When that closes it takes down the host of the directory,
//! kills what is left in it, and removes it.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::processes;
use crate::{Fallible, engine, place};

/// How long ending everything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody who cleans up.
#[derive(Debug)]
pub(crate) struct Guard(Child);

impl Guard {
    /// Stands guard over a directory.
    pub(crate) fn over(dir: &Path, hostler: &Path) -> Fallible<Guard> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("guard").arg(dir).env("HOSTLER_BIN", hostler).stdin(Stdio::piped()).stdout(Stdio::null());
        // Not the terminal's: a Ctrl-C there is for the others.
        Ok(Guard(command.process_group(0).spawn()?))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It may have been killed: then there is nothing to wait for.
        let _ = self.0.wait();
    }
}

/// The life of the guard.
pub(crate) fn stand(dir: Option<OsString>) -> ExitCode {
    let (Some(dir), Some(hostler)) = (dir.map(PathBuf::from), std::env::var_os("HOSTLER_BIN")) else { return ExitCode::from(2) };
    // Nothing is ever said: it ends when the other side does.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    clean(&dir, Path::new(&hostler));
    ExitCode::SUCCESS
}

fn clean(dir: &Path, hostler: &Path) {
    let state = dir.join(place::STATE);
    if state.join("store.db").exists() {
        let mut down = Command::new(hostler);
        down.args(["down", "--force", "--timeout", "20s", "--state-dir"]).arg(&state);
        // What it leaves is killed below.
        let _ = down.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = processes::living_in(dir);
        if left.is_empty() || Instant::now() > deadline {
            break;
        }
        left.iter().for_each(|pid| processes::signal(*pid, Signal::KILL));
        for pid in left {
            processes::wait_for_end(pid, Duration::from_secs(1));
        }
    }
    engine::clean(dir);
    if let Err(error) = std::fs::remove_dir_all(dir) {
        eprintln!("{} is left behind: {error}", dir.display());
    }
}
