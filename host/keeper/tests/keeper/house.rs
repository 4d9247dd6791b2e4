//! A keeper for one test: started, killed, started again, and shut down with all it holds.

use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use hostler_keeper::client::Client;
use hostler_keeper::protocol::{Command, Event, Exit, Line, State};
use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) struct House {
    dir: PathBuf,
    /// Removed last.
    _parent: Option<tempfile::TempDir>,
    args: Vec<String>,
    keeper: Option<Child>,
}

impl House {
    pub(crate) fn new() -> House {
        House::with(&[])
    }

    pub(crate) fn with(args: &[&str]) -> House {
        let parent = tempfile::tempdir().expect("tempdir");
        let mut house = House::at(parent.path().join("keeper"), args);
        house._parent = Some(parent);
        house
    }

    /// In a directory of the caller's.
    pub(crate) fn at(dir: PathBuf, args: &[&str]) -> House {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let mut house = House { dir, _parent: None, args, keeper: None };
        house.start();
        house
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.clone()
    }

    pub(crate) fn start(&mut self) {
        self.keeper = Some(self.command().spawn().expect("the keeper's binary"));
        until("the keeper answers", || Client::connect(&self.dir(), "test", false).ok());
    }

    pub(crate) fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hostler-keeper"));
        command.arg("--dir").arg(self.dir()).args(&self.args).stdin(Stdio::null());
        command
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.dir(), "test", false).expect("connects")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.keeper.as_ref().expect("runs").id()
    }

    /// Sends one to the keeper itself.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().try_into().expect("a pid")).expect("not 0");
        kill_process(pid, signal).expect("it is there");
    }

    /// Waits until the keeper has ended by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut keeper = self.keeper.take().expect("runs");
        until("the keeper has ended", || keeper.try_wait().expect("it is our child"))
    }

    /// As an out-of-memory killer would.
    pub(crate) fn kill(&mut self) {
        let mut keeper = self.keeper.take().expect("runs");
        keeper.kill().expect("kills");
        keeper.wait().expect("waits");
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if self.keeper.is_none() {
            self.keeper = self.command().spawn().ok();
        }
        let Some(mut keeper) = self.keeper.take() else { return };
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline && keeper.try_wait().is_ok_and(|status| status.is_none()) {
            if let Ok(mut client) = Client::connect(&self.dir(), "test", false) {
                for process in client.list(None).unwrap_or_default() {
                    let _ = client.stop(&process.key, "KILL", Duration::ZERO);
                }
                let _ = client.shutdown(false);
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let _ = keeper.kill();
        let _ = keeper.wait();
    }
}

/// Asks again and again until there is an answer; fails the test after a long time.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

pub(crate) fn command(program: &str, args: &[&str]) -> Command {
    let env = vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())];
    Command { program: program.into(), args: args.iter().map(|arg| (*arg).to_owned()).collect(), env, ..Command::default() }
}

pub(crate) fn shell(script: &str) -> Command {
    command("/bin/sh", &["-c", script])
}

/// Waits for the end of one process, by its event or because it had ended already.
pub(crate) fn exit_of(client: &mut Client, key: &str) -> Exit {
    client.subscribe().expect("subscribes");
    if let Some(State::Exited(exit)) = client.inspect(key).expect("inspects").map(|process| process.state) {
        return exit;
    }
    loop {
        match client.next_event(LONG).expect("hears").expect("an event in time") {
            Event::Exited { key: ended, exit, .. } if ended == key => return exit,
            Event::Exited { .. } => {}
        }
    }
}

/// The whole log, once it has so many lines.
pub(crate) fn lines(client: &mut Client, log: &str, count: usize) -> Vec<Line> {
    until("log lines", || {
        let lines = client.read_log(log, None, None, u32::MAX).expect("reads").lines;
        (lines.len() >= count).then_some(lines)
    })
}

pub(crate) fn texts(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()).collect()
}

/// Does this pid run something?
pub(crate) fn is_alive(pid: u32) -> bool {
    !matches!(state_of(pid), None | Some('Z' | 'X'))
}

/// The kernel's letter for what it does.
pub(crate) fn state_of(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
