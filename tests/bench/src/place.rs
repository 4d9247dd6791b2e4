//! Where something is measured: a temporary directory with a host in it.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::births::Births;
use crate::guard::Guard;
use crate::http::Connection;
use crate::{Fallible, laps};

/// The state directory in a place.
pub(crate) const STATE: &str = "state";

/// The service that is measured, as `service/service.c` describes it.
const SERVICE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/service"));

/// Its file in a place.
const SERVICE_NAME: &str = "service";

/// A directory of its own. Everything that was started in it ends with it.
#[derive(Debug)]
pub(crate) struct Place {
    dir: PathBuf,
    hostler: PathBuf,
    _guard: Guard,
}

impl Place {
    /// An empty one.
    pub(crate) fn new(hostler: &Path) -> Fallible<Place> {
        let dir = tempfile::Builder::new().prefix("hostler-bench-").tempdir()?;
        let guard = Guard::over(dir.path(), hostler)?;
        let mut service = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(dir.path().join(SERVICE_NAME))?;
        service.write_all(SERVICE)?;
        Ok(Place { dir: dir.keep(), hostler: hostler.to_owned(), _guard: guard })
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The program of the service that is measured.
    pub(crate) fn service_program(&self) -> PathBuf {
        self.file(SERVICE_NAME)
    }

    /// The service that is measured, telling of its birth in a slot.
    pub(crate) fn service(&self, births: &Births, slot: usize) -> Command {
        let mut command = self.program(self.service_program());
        command.args(births.words(slot));
        command
    }

    /// A file of the host's state.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.dir.join(STATE).join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) -> Fallible<PathBuf> {
        let path = self.file(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// A program that is ended with this place.
    pub(crate) fn program(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(&self.dir).env("HOSTLER_BENCH", &self.dir).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// A command of `hostler`: words with blanks between them.
    pub(crate) fn hostler(&self, line: &str) -> Command {
        let mut command = self.program(&self.hostler);
        command.args(line.split_whitespace()).env("HOSTLER_STATE_DIR", self.dir.join(STATE)).env("HOSTLER_LOG", laps::FILTER);
        command.stderr(Stdio::piped());
        command
    }

    /// Runs one to its end; how long that took, in seconds.
    pub(crate) fn run(&self, line: &str) -> Fallible<f64> {
        timed(&mut self.hostler(line)).map_err(|error| format!("hostler {line}: {error}").into())
    }

    /// A connection to the host.
    pub(crate) fn connect(&self) -> Fallible<Connection> {
        Connection::open(&self.state("api.sock"))
    }
}

/// Runs a program to its end, which is to be a good one; how long that took, in seconds.
pub(crate) fn timed(command: &mut Command) -> Fallible<f64> {
    let begun = Instant::now();
    let output = command.output()?;
    let took = begun.elapsed().as_secs_f64();
    if output.status.success() { Ok(took) } else { Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()).into()) }
}

/// Looks again and again until there is something.
pub(crate) fn until<T>(what: &str, pause: Duration, mut look: impl FnMut() -> Fallible<Option<T>>) -> Fallible<T> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(format!("waited a minute in vain: {what}").into());
        }
        std::thread::sleep(pause);
    }
}
