//! A program that stays: in the foreground of a pipe, or of a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::machine;
use crate::wait::{until, until_some};

/// A program under way. It is killed when this is dropped.
#[derive(Debug)]
pub struct Live {
    child: Child,
    said: Arc<Mutex<Vec<u8>>>,
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
        let said = Arc::default();
        hear(child.stdout.take().expect("it was asked to be a pipe"), &said);
        hear(child.stderr.take().expect("it was asked to be a pipe"), &said);
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
        let said = Arc::default();
        hear(terminal.try_clone().expect("descriptors are left"), &said);
        Live { child, said, terminal: Some(terminal) }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it said until now.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until it has said this.
    ///
    /// # Panics
    /// When it never does.
    #[track_caller]
    pub fn says(&self, text: &str) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !self.said().contains(text) {
            assert!(std::time::Instant::now() < deadline, "it never says `{text}`, but:\n{}", self.said());
            thread::sleep(std::time::Duration::from_millis(10));
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

    /// Waits until it ends; its exit code.
    ///
    /// # Panics
    /// When it does not end, or is ended by a signal.
    #[track_caller]
    pub fn ends(mut self) -> (i32, String) {
        let mut ended = None;
        let said = Arc::clone(&self.said);
        let so_far = || String::from_utf8_lossy(&said.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
        let what = format!("the program ends; it said so far:\n{}", so_far());
        let status = until_some(&what, || self.child.try_wait().expect("it is our child"));
        // The last words may still be on their way.
        until("its last words are read", || {
            let before = ended.replace(so_far());
            before == ended
        });
        (status.code().unwrap_or_else(|| panic!("it was ended: {status}\n{}", so_far())), so_far())
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

fn hear(mut from: impl Read + Send + 'static, said: &Arc<Mutex<Vec<u8>>>) {
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        // A terminal that nobody has open any more reads as an error: the end.
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            said.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
        }
    });
}
