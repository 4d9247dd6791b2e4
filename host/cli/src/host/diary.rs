//! The host's own log, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::out::{colours_wanted, note};

/// How much is said without being asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loudness {
    /// Say what happens, and not only what is wrong?
    pub(crate) chatty: bool,
    /// How often `--verbose` was given.
    pub(crate) verbose: u8,
    /// No colours?
    pub(crate) no_color: bool,
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
pub(crate) fn begin(loudness: Loudness, file_says: Option<&str>) {
    let asked = std::env::var("HOSTLER_LOG").ok().filter(|text| !text.is_empty());
    let text = asked.as_deref().or(file_says.filter(|_| loudness.verbose == 0)).unwrap_or(loudness.filter());
    let filter = EnvFilter::try_new(quiet(text)).unwrap_or_else(|error| {
        note(&format!("`{text}` is no filter for the host's log ({error}); it says what is wrong, and no more"));
        EnvFilter::new("warn")
    });
    let colours = std::io::stderr().is_terminal() && colours_wanted(loudness.no_color);
    // Already begun: this process had a host before.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).with_target(false).try_init();
}
