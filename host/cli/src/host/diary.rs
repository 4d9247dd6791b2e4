//! The host's own log, on standard error.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use hostler_failpoint::failpoint;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::out::{colours_wanted, note};

/// The log of a host in the background, in its state directory.
pub(super) const LOG: &str = "host.log";
/// A log of more bytes becomes the one old log that is kept,
const LARGEST: u64 = 10 << 20;
/// beside it, under this name.
const OLD: &str = "host.log.1";

/// How much is said without being asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loudness {
    /// Say what happens, and not only what is wrong?
    pub(crate) chatty: bool,
    /// How often `--verbose` was given.
    pub(crate) verbose: u8,
    /// No colours?
    pub(crate) no_color: bool,
    /// Is standard error a file, the log of a host in the background?
    pub(crate) to_file: bool,
}

impl Loudness {
    fn filter(self) -> &'static str {
        match (self.chatty, self.verbose) {
            (false, 0) => "warn",
            (true, 0) | (false, 1) => "info",
            (true, 1) | (false, 2) => "info,hostler=debug,hostler_server=debug,hostler_wasm=debug,hostler_store=debug",
            (true | false, _) => "debug",
        }
    }
}

/// The same, and the library that carries checks does not warn of every connection that a service refuses: the check says so itself.
fn quiet(filter: &str) -> String {
    if filter.contains("wasmtime_wasi_http") { filter.to_owned() } else { format!("wasmtime_wasi_http=error,{filter}") }
}

/// Begins it: as `HOSTLER_LOG` says, else as the file says, else by loudness. Once per process; later calls change nothing.
pub(crate) fn begin(loudness: Loudness, file_says: Option<&str>, state_dir: &Path) {
    let asked = std::env::var("HOSTLER_LOG").ok().filter(|text| !text.is_empty());
    let text = asked.as_deref().or(file_says.filter(|_| loudness.verbose == 0)).unwrap_or(loudness.filter());
    let filter = EnvFilter::try_new(quiet(text)).unwrap_or_else(|error| {
        note(&format!("`{text}` is no filter for the host's log ({error}); it says what is wrong, and no more"));
        EnvFilter::new("warn")
    });
    let colours = io::stderr().is_terminal() && colours_wanted(loudness.no_color);
    let writer = if loudness.to_file { BoxMakeWriter::new(Mutex::new(Log::of(state_dir))) } else { BoxMakeWriter::new(io::stderr) };
    // Already begun: this process had a host before.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colours).with_target(false).try_init();
}

/// The log of this process, which whoever started it has made its standard error: written there, and kept from growing without end.
///
/// Standard error goes along to the new file: what a panic or a library says is to be found in the same place.
#[derive(Debug)]
struct Log {
    dir: PathBuf,
    bytes: u64,
}

impl Log {
    /// Of the host of this state directory.
    fn of(state_dir: &Path) -> Log {
        let bytes = std::fs::metadata(state_dir.join(LOG)).map_or(0, |about| about.len());
        let mut log = Log { dir: state_dir.to_owned(), bytes };
        log.make_room();
        log
    }

    fn make_room(&mut self) {
        if self.bytes >= LARGEST {
            self.bytes = 0;
            // One that cannot be put aside goes on as it is.
            let _ = self.rotate();
        }
    }

    fn rotate(&self) -> io::Result<()> {
        let path = self.dir.join(LOG);
        std::fs::rename(&path, self.dir.join(OLD))?;
        failpoint!("host.diary.put-aside");
        rustix::stdio::dup2_stderr(append_to(&path)?)?;
        Ok(())
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.make_room();
        let written = io::stderr().write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

pub(super) fn append_to(log: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(log)
}
