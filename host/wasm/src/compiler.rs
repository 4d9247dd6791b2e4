//! Compiling in a process of its own: the compiler is a large program that strangers feed. What it takes must not stay with the host,
//! and what it does to itself must not take the host with it.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::engine::{PoolOptions, compiling};

/// Memory that the compiler may write to: a large interpreter's component takes about a gigabyte.
const MOST_MEMORY: u64 = 4 << 30;
/// Seconds of processor time, over all its threads, until the kernel ends it.
const MOST_SECONDS: u64 = 600;
/// How much of what a compiler complains is kept.
const MOST_WORDS: u64 = 16 << 10;

/// The program that compiles components for a host.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The program.
    pub program: PathBuf,
    /// With what arguments it calls [`compile`] and does nothing else.
    pub args: Vec<OsString>,
}

/// The child's part: reads a component from standard input, and writes code for a host with this pool to standard output.
///
/// Limits its own memory and time first.
///
/// # Errors
/// It is no component, or one that cannot be compiled; or the pipes broke.
pub fn compile(pool: &PoolOptions) -> Result<(), String> {
    for (resource, most) in [(Resource::Data, MOST_MEMORY), (Resource::Cpu, MOST_SECONDS), (Resource::Core, 0)] {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|error| format!("the compiler cannot limit itself: {error}"))?;
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(|error| format!("the component cannot be read: {error}"))?;
    let engine = compiling(pool)?;
    let code = engine.precompile_component(&bytes).map_err(|error| format!("{error:#}"))?;
    std::io::stdout().lock().write_all(&code).map_err(|error| format!("the code cannot be handed over: {error}"))
}

/// Why there is no code.
pub(crate) enum Trouble {
    /// The compiler cannot be started: nothing is said of the component.
    Absent(String),
    /// The component cannot be compiled.
    Failed(String),
}

impl Compiler {
    /// Compiles in a child, which ends with this call however it ends.
    pub(crate) async fn run(&self, component: &[u8]) -> Result<Vec<u8>, Trouble> {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.args).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| Trouble::Absent(format!("{}: {error}", self.program.display())))?;
        let (Some(mut input), Some(mut output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            return Err(Trouble::Absent("it has no pipes".to_owned()));
        };
        let (mut code, mut words) = (Vec::new(), String::new());
        let feed = async move {
            // One that ends early says why itself.
            let _ = input.write_all(component).await;
        };
        let mut errors = errors.take(MOST_WORDS);
        let (_, read, _) = tokio::join!(feed, output.read_to_end(&mut code), errors.read_to_string(&mut words));
        read.map_err(|error| Trouble::Failed(format!("the compiler cannot be heard: {error}")))?;
        let status = child.wait().await.map_err(|error| Trouble::Failed(format!("the compiler's end is not known: {error}")))?;
        if status.success() { Ok(code) } else { Err(Trouble::Failed(why(status, words.trim()))) }
    }
}

fn why(status: ExitStatus, words: &str) -> String {
    match status.signal() {
        Some(signal) => {
            let limits = format!("at most {} GiB and {MOST_SECONDS} seconds of processor time are allowed", MOST_MEMORY >> 30);
            format!("the compiler was ended by signal {signal} ({limits}) {words}").trim_end().to_owned()
        }
        None if words.is_empty() => format!("the compiler ended with {status} and said nothing"),
        None => words.to_owned(),
    }
}
