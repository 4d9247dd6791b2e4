//! A place to try `hostler` in, that leaves nothing behind.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::live::Live;
use crate::machine;
use crate::panics;
use crate::place::{program, root};
use crate::ran::Ran;

/// A temporary directory with a configuration and a state directory. Everything that was started in it ends when it is dropped.
#[derive(Debug)]
pub struct Yard {
    dir: TempDir,
    state: PathBuf,
    /// Where programs are looked for first.
    search_first: Option<PathBuf>,
}

impl Yard {
    /// An empty one. Components that other tests have compiled before are in its cache.
    ///
    /// # Panics
    /// When there is no place for it.
    pub fn new() -> Yard {
        let yard = Yard::bare();
        let cache = yard.state.join("cache");
        DirBuilder::new().recursive(true).mode(0o700).create(&cache).expect("the directory is ours");
        share(&shared_cache(), &cache);
        yard
    }

    /// One without even a state directory.
    ///
    /// # Panics
    /// When there is no place for it.
    pub fn bare() -> Yard {
        panics::are_told_at_once();
        let dir = tempfile::Builder::new().prefix("yard-").tempdir().expect("there is a temporary directory");
        // Services of other users work in it.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("it is ours");
        let state = dir.path().join("state");
        Yard { dir, state, search_first: None }
    }

    /// One with this configuration.
    pub fn with(config: &str) -> Yard {
        let yard = Yard::new();
        yard.config(config);
        yard
    }

    /// The directory that commands run in.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The state directory.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The host's socket.
    pub fn socket(&self) -> PathBuf {
        self.state.join("api.sock")
    }

    /// Writes a file.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Writes a shell script, without the line that names the shell.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it was just written");
        path
    }

    /// What a service has written into a file of the yard; empty when it is not there.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// Writes `hostler.toml`, which commands find by themselves.
    pub fn config(&self, text: &str) {
        self.write("hostler.toml", format!("version = \"1.0\"\n{text}\n"));
    }

    /// A command of `hostler`: words with blanks between them.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(program());
        command.args(line.split_whitespace()).current_dir(self.path());
        command.env("HOSTLER_STATE_DIR", &self.state).env("TZ", "UTC").env("HOME", self.path());
        if let Some(first) = &self.search_first {
            command.env("PATH", format!("{}:{}", first.display(), std::env::var("PATH").unwrap_or_default()));
        }
        for name in ["HOSTLER_LOG", "NO_COLOR", "XDG_STATE_HOME", "RUST_LOG"] {
            command.env_remove(name);
        }
        command
    }

    /// From now on, whatever is run here finds programs of this directory before others of their name.
    pub fn search_first(&mut self, dir: &Path) {
        self.search_first = Some(dir.to_owned());
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run(&self, line: &str) -> Ran {
        Ran::of(&mut self.command(line))
    }

    /// Starts a command that stays, with its output on a pipe.
    #[track_caller]
    pub fn stay(&self, line: &str) -> Live {
        Live::piped(&mut self.command(line))
    }

    /// Starts a command that stays, on a terminal.
    #[track_caller]
    pub fn stay_on_terminal(&self, line: &str) -> Live {
        let mut command = self.command(line);
        command.env("TERM", "xterm");
        Live::on_terminal(&command)
    }

    /// Writes a configuration, and starts all of it in the background; all of it comes up.
    #[track_caller]
    pub fn up(&self, config: &str) {
        self.config(config);
        self.run("up --detach").ok();
    }

    /// Every process that was started here and is still there.
    pub fn processes(&self) -> Vec<u32> {
        machine::living_in(self.path())
    }

    /// Leaves its files where they are when it is dropped, for whoever wants to know why.
    pub fn keep_files(&mut self) {
        self.dir.disable_cleanup(true);
    }

    fn end_everything(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        // A plugin may give its tasks an environment that does not name the yard; the keeper's mark is in all of them.
        let mark = keeper_instance(&self.state).map(|instance| format!("HOSTLER_TASK={instance}/"));
        loop {
            let mut left = self.processes();
            left.extend(mark.as_ref().map(|mark| machine::living_in(Path::new(mark))).unwrap_or_default());
            if left.is_empty() || Instant::now() > deadline {
                break;
            }
            for pid in left {
                machine::signal(pid, Signal::KILL);
            }
            thread::sleep(Duration::from_millis(5));
        }
        if let Some(instance) = keeper_instance(&self.state) {
            remove_what_a_keeper_made(&instance);
        }
    }

    fn tell_what_there_is(&self) {
        eprintln!("\n--- what there is to read of {} ---", self.path().display());
        if self.socket().exists() {
            for line in ["ps", "events"] {
                let output = self.command(line).output();
                eprintln!("$ hostler {line}\n{}", output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default());
            }
        }
        for log in ["host.log", "keeper/keeper.log"] {
            eprintln!("{log}:\n{}", fs::read_to_string(self.state.join(log)).unwrap_or_default());
        }
    }
}

impl Default for Yard {
    fn default() -> Self {
        Yard::new()
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        if thread::panicking() {
            self.tell_what_there_is();
        }
        self.end_everything();
        share(&self.state.join("cache"), &shared_cache());
    }
}

/// Compiled components, from one test to the next: they are named by their content, and each host checks them itself.
fn shared_cache() -> PathBuf {
    let dir = root().join("target/e2e/cache");
    // Without it every host compiles by itself.
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    dir
}

/// Links, or copies, what is not there yet.
fn share(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.extension().is_none_or(|extension| extension != "cwasm") || target.exists() {
            continue;
        }
        if fs::hard_link(&source, &target).is_err() {
            // Beside first: nobody is to find half of it.
            let beside = to.join(format!(".{}-{:?}", std::process::id(), thread::current().id()));
            let _ = fs::copy(&source, &beside).and_then(|_| fs::rename(&beside, &target));
        }
    }
}

/// What the keeper of a state directory calls itself outside of it.
fn keeper_instance(state: &Path) -> Option<String> {
    let journal = fs::read_to_string(state.join("keeper/journal")).ok()?;
    let (_, rest) = journal.split_once("\"instance\":\"")?;
    rest.split('"').next().map(str::to_owned)
}

/// Cgroups and pipes of a keeper that was killed; the next keeper would remove them, but there may be none.
fn remove_what_a_keeper_made(instance: &str) {
    let controllers = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    for hierarchy in controllers.chain([PathBuf::from("/sys/fs/cgroup")]) {
        remove_cgroups(&hierarchy.join("hostler").join(instance));
    }
    // Made for root only.
    let _ = fs::remove_dir_all(Path::new("/dev/shm").join(format!("hostler-keeper-{instance}")));
}

/// The innermost first; one goes when nobody is in it any more, which takes the kernel a moment.
fn remove_cgroups(dir: &Path) {
    let inner = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    inner.for_each(|path| remove_cgroups(&path));
    let deadline = Instant::now() + Duration::from_secs(2);
    while dir.is_dir() && fs::remove_dir(dir).is_err() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
}
