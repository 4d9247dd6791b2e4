//! A program that stays: in the foreground of a pipe, or of a terminal.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::heard::Heard;
use crate::machine;

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(10);
/// Far longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program under way. It is killed when this is dropped.
#[derive(Debug)]
pub struct Live {
    child: Child,
    said: Heard,
    terminal: Option<File>,
}

impl Live {
    /// Starts it with its output on a pipe.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn piped(command: &mut Command) -> Live {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program can be started");
        let said = Heard::default();
        said.listen(child.stdout.take().expect("it was asked to be a pipe"));
        said.listen(child.stderr.take().expect("it was asked to be a pipe"));
        Live { child, said, terminal: None }
    }

    /// Starts it on a terminal of its own, whose Ctrl-C reaches it.
    ///
    /// # Panics
    /// When there are no terminals, or it cannot be started.
    #[track_caller]
    pub fn on_terminal(command: &Command) -> Live {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("there is a free terminal");
        grantpt(&ours).expect("it is ours");
        unlockpt(&ours).expect("it is ours");
        let name = ptsname(&ours, Vec::new()).expect("it has a name");
        let theirs = || -> OwnedFd { File::options().read(true).write(true).open(name.to_str().expect("/dev/pts/N")).expect("it is there").into() };
        // `setsid --ctty` makes it the terminal that signals come from.
        let mut wrapped = Command::new("setsid");
        wrapped.arg("--ctty").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        wrapped.current_dir(command.get_current_dir().expect("commands of a yard say where they run"));
        let child = wrapped.stdin(theirs()).stdout(theirs()).stderr(theirs()).spawn().expect("the program can be started");
        let terminal = File::from(ours);
        let said = Heard::default();
        said.listen(terminal.try_clone().expect("descriptors are left"));
        Live { child, said, terminal: Some(terminal) }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it said until now.
    pub fn said(&self) -> String {
        self.said.text()
    }

    /// Waits until it has said this.
    ///
    /// # Panics
    /// When it never does.
    #[track_caller]
    pub fn says(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said().contains(text) {
            assert!(Instant::now() < deadline, "it never says `{text}`, but:\n{}", self.said());
            thread::sleep(PAUSE);
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        machine::signal(self.pid(), signal);
    }

    /// Types on its terminal.
    ///
    /// # Panics
    /// When it has none.
    pub fn types(&mut self, keys: &[u8]) {
        self.terminal.as_mut().expect("it was started on a terminal").write_all(keys).expect("the terminal is open");
    }

    /// Waits until it ends; its exit code, and all it said.
    ///
    /// # Panics
    /// When it does not end, or is ended by a signal.
    #[track_caller]
    pub fn ends(mut self) -> (i32, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end; it says:\n{}", self.said());
            thread::sleep(PAUSE);
        };
        let said = self.said.to_its_end();
        (status.code().unwrap_or_else(|| panic!("it was ended: {status}\n{said}")), said)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            // It may end by itself just now.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
