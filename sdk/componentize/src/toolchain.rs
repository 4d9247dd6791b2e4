//! A cargo that can build guests, wherever it comes from.

use crate::{TARGET, environment};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `rustup target add` downloads some 20 MB; a machine that cannot is told so after this long.
const DOWNLOAD: Duration = Duration::from_secs(120);

/// A way to compile for [`TARGET`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// A cargo and rustc that have the target's standard library.
    Ready {
        /// The directory of both programs.
        bin: PathBuf,
    },
    /// Debian's `rustc-web`, `cargo-web`, `rust-web-src` and lld: builds the standard library from source, once per target directory.
    FromSource {
        /// The directory of both programs.
        bin: PathBuf,
        /// The wasm linker.
        linker: PathBuf,
    },
}

/// No toolchain was found. Its message is the commands to run.
#[derive(Debug, thiserror::Error)]
#[error(
    "no Rust toolchain on this machine can build for {TARGET}; run one of\n  \
     rustup target add {TARGET}\n  \
     apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src lld-22"
)]
pub struct Missing;

impl Toolchain {
    /// The first that works of: what is on the search path, the same after `rustup target add`, Debian's.
    pub fn find(say: &mut dyn FnMut(&str)) -> Result<Self, Missing> {
        Self::ready().or_else(|| Self::after_rustup(say)).or_else(|| Self::from_source(Path::new("/usr/bin"))).ok_or(Missing)
    }

    /// A toolchain on the search path, or in rustup's own directory, that has the target installed.
    pub fn ready() -> Option<Self> {
        program_dirs().into_iter().find(|bin| bin.join("cargo").is_file() && has_standard_library(bin)).map(|bin| Self::Ready { bin })
    }

    /// As [`Toolchain::ready`], once rustup, where there is one, has been asked for the target. Silent when that fails.
    pub fn after_rustup(say: &mut dyn FnMut(&str)) -> Option<Self> {
        let rustup = program_dirs().into_iter().map(|dir| dir.join("rustup")).find(|program| program.is_file())?;
        say(&format!("asking rustup for {TARGET}"));
        let mut command = Command::new(rustup);
        environment::clean(&mut command).args(["target", "add", TARGET]).stdout(Stdio::null()).stderr(Stdio::null());
        succeeds_within(&mut command, DOWNLOAD).then(Self::ready).flatten()
    }

    /// Debian's toolchain, when it is complete: compiler, cargo, the library's source and a linker.
    pub fn from_source(bin: &Path) -> Option<Self> {
        let sysroot = ask(&bin.join("rustc"), &["--print", "sysroot"])?;
        let source = Path::new(&sysroot).join("lib/rustlib/src/rust/library/Cargo.lock");
        let complete = bin.join("cargo").is_file() && source.is_file();
        let linker = wasm_linker(bin)?;
        complete.then(|| Self::FromSource { bin: bin.to_path_buf(), linker })
    }

    /// A `cargo build` for the target, with nothing of an outer build in its environment.
    pub fn cargo_build(&self) -> Command {
        let (Self::Ready { bin } | Self::FromSource { bin, .. }) = self;
        let mut command = Command::new(bin.join("cargo"));
        environment::clean(&mut command).env("RUSTC", bin.join("rustc")).args(["build", "--release", "--target", TARGET]);
        if let Self::FromSource { linker, .. } = self {
            // building std is unstable for years, and works; Debian's compiler is told to allow it
            command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker).arg("-Zbuild-std=std,panic_abort");
        }
        command
    }
}

impl std::fmt::Display for Toolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready { bin } => write!(f, "{} with {TARGET} installed", bin.join("cargo").display()),
            Self::FromSource { bin, linker } => {
                write!(f, "{} building std from source, linking with {}", bin.join("cargo").display(), linker.display())
            }
        }
    }
}

/// The search path, then where rustup puts its programs: a shell that was open while rustup was installed does not know it yet.
fn program_dirs() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
    std::env::split_paths(&path).chain(cargo_home.map(|home| home.join("bin"))).collect()
}

fn has_standard_library(bin: &Path) -> bool {
    let Some(dir) = ask(&bin.join("rustc"), &["--print", "target-libdir", "--target", TARGET]) else { return false };
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

/// The newest `wasm-ld-N` beside the compiler, or a plain `wasm-ld`.
fn wasm_linker(bin: &Path) -> Option<PathBuf> {
    let version = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.strip_prefix("wasm-ld")?;
        if name.is_empty() { Some(0) } else { name.strip_prefix('-')?.parse::<u32>().ok() }
    };
    std::fs::read_dir(bin).ok()?.flatten().map(|entry| entry.path()).filter(|path| version(path).is_some()).max_by_key(version)
}

/// The trimmed standard output of a program, or nothing when it does not exist or fails.
fn ask(program: &Path, args: &[&str]) -> Option<String> {
    if !program.is_file() {
        return None;
    }
    let mut command = Command::new(program);
    let output = environment::clean(&mut command).args(args).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn succeeds_within(command: &mut Command, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let Ok(mut child) = command.stdin(Stdio::null()).spawn() else { return false };
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            _ => {
                // too late to matter: the caller goes on with the next toolchain
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_any_toolchain_is_told_what_to_run() {
        let message = Missing.to_string();
        assert!(message.contains("rustup target add wasm32-unknown-unknown") && message.contains("apt-get install"), "{message}");
    }

    #[test]
    fn an_incomplete_toolchain_is_none() {
        assert_eq!(Toolchain::from_source(Path::new("/var/empty")), None);
    }

    #[test]
    fn building_from_source_says_so_to_cargo() {
        let toolchain = Toolchain::FromSource { bin: "/usr/bin".into(), linker: "/usr/bin/wasm-ld-22".into() };
        let command = toolchain.cargo_build();
        assert!(command.get_args().any(|arg| arg == "-Zbuild-std=std,panic_abort"));
        let linker = command.get_envs().find(|(name, _)| *name == "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER");
        assert_eq!(linker.and_then(|(_, value)| value), Some("/usr/bin/wasm-ld-22".as_ref()));
    }
}
