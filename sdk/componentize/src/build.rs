//! A workspace of guests, built and written as components.

use crate::{Error, Missing, TARGET, Toolchain, componentize};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What to build, and where to put it.
#[derive(Debug, Clone)]
pub struct Build {
    /// `Cargo.toml` of the guest workspace.
    pub manifest: PathBuf,
    /// Where `NAME.wasm` files go.
    pub out: PathBuf,
    /// The one target directory of all guests, beside `out` unless said otherwise.
    pub target_dir: PathBuf,
    /// Only this package of the workspace.
    pub package: Option<String>,
    /// This toolchain instead of the first that works.
    pub toolchain: Option<Toolchain>,
}

/// One component on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The crate's library name, with dashes.
    pub name: String,
    /// `OUT/NAME.wasm`.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// False when the file already had these bytes: it was not touched, so nothing that depends on it is rebuilt.
    pub changed: bool,
}

/// Why a guest workspace was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No compiler for the target.
    #[error(transparent)]
    NoToolchain(#[from] Missing),
    /// A file or program could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Cargo has printed why.
    #[error("cargo failed on {manifest} (its messages are above)", manifest = .0.display())]
    Cargo(PathBuf),
    /// A core module is no guest.
    #[error("{name}: {source}")]
    Guest {
        /// The library name.
        name: String,
        /// What is wrong with it.
        source: Error,
    },
    /// The workspace has no `cdylib`.
    #[error("{manifest} builds no guest: none of its packages is a library with `crate-type = [\"cdylib\"]`", manifest = .0.display())]
    Nothing(PathBuf),
}

impl Build {
    /// Builds every guest of a workspace; the target directory is `guests` beside `out`.
    pub fn new(manifest: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        let out = out.into();
        let target_dir = out.parent().unwrap_or(Path::new("")).join("guests");
        Self { manifest: manifest.into(), out, target_dir, package: None, toolchain: None }
    }

    /// Builds, componentizes and writes; files whose bytes did not change keep their time. Guests come sorted by name.
    ///
    /// `say` hears what is going on; cargo's own messages go to standard error.
    pub fn run(&self, say: &mut dyn FnMut(&str)) -> Result<Vec<Guest>, BuildError> {
        let toolchain = match &self.toolchain {
            Some(toolchain) => toolchain.clone(),
            None => Toolchain::find(say)?,
        };
        say(&format!("building {} with {toolchain}", self.manifest.display()));
        let mut modules = self.cargo(&toolchain)?;
        if modules.is_empty() {
            return Err(BuildError::Nothing(self.manifest.clone()));
        }
        modules.sort();
        std::fs::create_dir_all(&self.out).map_err(io(format!("creating {}", self.out.display())))?;
        modules.iter().map(|(name, module)| self.write(name, module)).collect()
    }

    /// Runs cargo, and answers the name and core module of every `cdylib` of the workspace.
    fn cargo(&self, toolchain: &Toolchain) -> Result<Vec<(String, PathBuf)>, BuildError> {
        let mut command = toolchain.cargo_build();
        command
            .arg("--message-format=json-render-diagnostics")
            .arg("--manifest-path")
            .arg(&self.manifest)
            .arg("--target-dir")
            .arg(&self.target_dir)
            .env("CARGO_ENCODED_RUSTFLAGS", self.anonymous_paths())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(package) = &self.package {
            command.args(["--package", package]);
        }
        let mut child = command.spawn().map_err(io(format!("running {}", command.get_program().display())))?;
        let output = child.stdout.take().expect("standard output is piped, two lines above");
        let modules = BufReader::new(output).lines().map_while(Result::ok).filter_map(|line| core_module(&line)).collect();
        let status = child.wait().map_err(io("waiting for cargo".into()))?;
        if status.success() { Ok(modules) } else { Err(BuildError::Cargo(self.manifest.clone())) }
    }

    /// Panic messages carry source paths; they should read the same on every machine, and tell nothing of it.
    fn anonymous_paths(&self) -> String {
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
        let root = source_root(&self.manifest);
        [(home, "/cargo"), (root, "/src")]
            .into_iter()
            .filter_map(|(from, to)| from.map(|from| format!("--remap-path-prefix={}={to}", from.display())))
            .collect::<Vec<_>>()
            .join("\u{1f}")
    }

    fn write(&self, name: &str, module: &Path) -> Result<Guest, BuildError> {
        let core = std::fs::read(module).map_err(io(format!("reading {}", module.display())))?;
        let component = componentize(&core).map_err(|source| BuildError::Guest { name: name.to_owned(), source })?;
        let path = self.out.join(format!("{name}.wasm"));
        let changed = std::fs::read(&path).ok().as_ref() != Some(&component);
        if changed {
            // written beside and renamed: a reader sees the old file or the new one
            let partial = self.out.join(format!(".{name}.wasm.partial"));
            std::fs::write(&partial, &component).map_err(io(format!("writing {}", partial.display())))?;
            std::fs::rename(&partial, &path).map_err(io(format!("writing {}", path.display())))?;
        }
        Ok(Guest { name: name.to_owned(), path, size: component.len() as u64, changed })
    }
}

/// One line of cargo's JSON: the name and file of a `cdylib` built for the target.
fn core_module(line: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_cdylib = |kind: &Value| kind.as_str() == Some("cdylib");
    let target = &message["target"];
    if message["reason"] != "compiler-artifact" || !target["kind"].as_array()?.iter().any(is_cdylib) {
        return None;
    }
    let name = target["name"].as_str()?.replace('_', "-");
    let file = message["filenames"].as_array()?.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm"))?;
    file.contains(TARGET).then(|| (name, PathBuf::from(file)))
}

/// The checkout that a manifest lies in, else the manifest's own directory.
fn source_root(manifest: &Path) -> Option<PathBuf> {
    let manifest = manifest.canonicalize().ok()?;
    let checkout = manifest.ancestors().find(|dir| dir.join(".git").exists());
    checkout.or(manifest.parent()).map(Path::to_path_buf)
}

fn io(what: String) -> impl FnOnce(std::io::Error) -> BuildError {
    move |source| BuildError::Io { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cdylib_is_found_in_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","target":{"kind":["cdylib"],"name":"eat_memory"},
            "filenames":["/t/wasm32-unknown-unknown/release/eat_memory.wasm"]}"#;
        let module = core_module(line);
        assert_eq!(module, Some(("eat-memory".into(), "/t/wasm32-unknown-unknown/release/eat_memory.wasm".into())));
    }

    #[test]
    fn libraries_build_scripts_and_noise_are_no_guests() {
        let library = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"serde"},"filenames":["/t/libserde.rlib"]}"#;
        for line in [library, r#"{"reason":"build-finished","success":true}"#, "warning: hello", ""] {
            assert_eq!(core_module(line), None, "{line}");
        }
    }

    #[test]
    fn the_target_directory_lies_beside_the_components() {
        assert_eq!(Build::new("plugins/Cargo.toml", "target/plugins").target_dir, Path::new("target/guests"));
        assert_eq!(Build::new("Cargo.toml", "out").target_dir, Path::new("guests"));
    }
}
