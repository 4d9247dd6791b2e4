//! A workspace of guests, built and written as components.

use crate::{Error, Guest, Missing, TARGET, Toolchain, componentize, guest};
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
    /// The one target directory of all guests, beside `out` unless said otherwise; without any, cargo's own.
    pub target_dir: Option<PathBuf>,
    /// Only this package of the workspace.
    pub package: Option<String>,
    /// This toolchain instead of the first that works.
    pub toolchain: Option<Toolchain>,
}

/// Why a guest was not built.
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
    /// A guest's default grants are no JSON object.
    #[error("{path}: {reason}; it holds the grants of [plugins.NAME.grants] as one JSON object", path = path.display())]
    Grants {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
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
    /// A tool of another language failed; its own words.
    #[error("{tool} failed on {project}: {said}", project = .project.display())]
    Tool {
        /// The program.
        tool: String,
        /// The project's folder.
        project: PathBuf,
        /// What it printed.
        said: String,
    },
    /// A tool of another language is not there; what to install.
    #[error("{tool} is needed to build this plugin, and is not there: {hint}")]
    NoTool {
        /// The program.
        tool: String,
        /// The command that installs it.
        hint: String,
    },
    /// A file of the project is missing, or says what cannot be.
    #[error("{file}: {why}", file = .file.display())]
    Project {
        /// Which.
        file: PathBuf,
        /// What is wrong, and what would be right.
        why: String,
    },
}

impl BuildError {
    /// What was tried, beside what the system said.
    pub(crate) fn io(what: String) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

impl Build {
    /// Builds every guest of a workspace; the target directory is `guests` beside `out`.
    pub fn new(manifest: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        let out = out.into();
        let target_dir = out.parent().unwrap_or(Path::new("")).join("guests");
        Self { manifest: manifest.into(), out, target_dir: Some(target_dir), package: None, toolchain: None }
    }

    /// Builds, componentizes and writes; files whose bytes did not change keep their time. Guests come sorted by name.
    ///
    /// `say` hears what is going on; cargo's own messages go to standard error.
    pub fn run(&self, say: &mut dyn FnMut(&str)) -> Result<Vec<Guest>, BuildError> {
        let modules = self.modules(say)?;
        std::fs::create_dir_all(&self.out).map_err(BuildError::io(format!("creating {}", self.out.display())))?;
        modules.iter().map(|module| self.write(module)).collect()
    }

    /// Builds, and answers each core module, sorted by name.
    pub(crate) fn modules(&self, say: &mut dyn FnMut(&str)) -> Result<Vec<Module>, BuildError> {
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
        Ok(modules)
    }

    /// Runs cargo, and answers every `cdylib` of the workspace.
    fn cargo(&self, toolchain: &Toolchain) -> Result<Vec<Module>, BuildError> {
        let mut command = toolchain.cargo_build();
        command
            .arg("--message-format=json-render-diagnostics")
            .arg("--manifest-path")
            .arg(&self.manifest)
            .env("CARGO_ENCODED_RUSTFLAGS", self.anonymous_paths())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(target_dir) = &self.target_dir {
            command.arg("--target-dir").arg(target_dir);
        }
        if let Some(package) = &self.package {
            command.args(["--package", package]);
        }
        let mut child = command.spawn().map_err(BuildError::io(format!("running {}", command.get_program().display())))?;
        let output = child.stdout.take().expect("standard output is piped, two lines above");
        let modules = BufReader::new(output).lines().map_while(Result::ok).filter_map(|line| core_module(&line)).collect();
        let status = child.wait().map_err(BuildError::io("waiting for cargo".into()))?;
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

    fn write(&self, module: &Module) -> Result<Guest, BuildError> {
        let Module { name, file, dir } = module;
        let core = std::fs::read(file).map_err(BuildError::io(format!("reading {}", file.display())))?;
        let component = componentize(&core).map_err(|source| BuildError::Guest { name: name.clone(), source })?;
        let guest = guest::write(name, &component, &self.out.join(format!("{name}.wasm")))?;
        self.copy_grants(name, dir)?;
        Ok(guest)
    }

    /// `grants.json` of the guest's folder becomes `OUT/NAME.grants.json`; what an earlier build left is removed when it is gone.
    fn copy_grants(&self, name: &str, dir: &Path) -> Result<(), BuildError> {
        let source = dir.join("grants.json");
        let copy = self.out.join(format!("{name}.grants.json"));
        let bytes = match std::fs::read(&source) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return match std::fs::remove_file(&copy) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(BuildError::io(format!("removing {}", copy.display()))(error)),
                    _ => Ok(()),
                };
            }
            Err(error) => return Err(BuildError::io(format!("reading {}", source.display()))(error)),
        };
        let parsed: Result<serde_json::Map<String, Value>, _> = serde_json::from_slice(&bytes);
        parsed.map_err(|error| BuildError::Grants { path: source, reason: error.to_string() })?;
        guest::write_file(&copy, &bytes).map(drop)
    }
}

/// A `cdylib` that cargo built for the target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Module {
    /// The library's name, with dashes.
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// The folder of its package.
    dir: PathBuf,
}

/// One line of cargo's JSON, when it tells of a `cdylib` built for the target.
fn core_module(line: &str) -> Option<Module> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_cdylib = |kind: &Value| kind.as_str() == Some("cdylib");
    let target = &message["target"];
    if message["reason"] != "compiler-artifact" || !target["kind"].as_array()?.iter().any(is_cdylib) {
        return None;
    }
    let name = target["name"].as_str()?.replace('_', "-");
    let file = message["filenames"].as_array()?.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm"))?;
    let dir = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    file.contains(TARGET).then(|| Module { name, file: PathBuf::from(file), dir })
}

/// The checkout that a manifest lies in, else the manifest's own directory.
fn source_root(manifest: &Path) -> Option<PathBuf> {
    let manifest = manifest.canonicalize().ok()?;
    let checkout = manifest.ancestors().find(|dir| dir.join(".git").exists());
    checkout.or(manifest.parent()).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cdylib_is_found_in_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/w/eat-memory/Cargo.toml","target":{"kind":["cdylib"],"name":"eat_memory"},
            "filenames":["/t/wasm32-unknown-unknown/release/eat_memory.wasm"]}"#;
        let file = "/t/wasm32-unknown-unknown/release/eat_memory.wasm".into();
        assert_eq!(core_module(line), Some(Module { name: "eat-memory".into(), file, dir: "/w/eat-memory".into() }));
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
        assert_eq!(Build::new("plugins/Cargo.toml", "target/plugins").target_dir.as_deref(), Some(Path::new("target/guests")));
        assert_eq!(Build::new("Cargo.toml", "out").target_dir.as_deref(), Some(Path::new("guests")));
    }

    #[test]
    fn default_grants_are_copied_checked_and_removed() {
        let root = std::env::temp_dir().join(format!("hostler-componentize-grants-{}", std::process::id()));
        let (dir, out) = (root.join("guest"), root.join("out"));
        for path in [&dir, &out] {
            std::fs::create_dir_all(path).expect("the temporary directory is writable");
        }
        let (build, copy) = (Build::new("Cargo.toml", &out), out.join("scratch.grants.json"));
        build.copy_grants("scratch", &dir).expect("a guest needs no grants");
        assert!(!copy.exists());
        std::fs::write(dir.join("grants.json"), r#"{ "state": true }"#).expect("writable");
        build.copy_grants("scratch", &dir).expect("they are an object");
        assert_eq!(std::fs::read(&copy).expect("they were copied"), br#"{ "state": true }"#);
        std::fs::write(dir.join("grants.json"), "[]").expect("writable");
        let error = build.copy_grants("scratch", &dir).expect_err("a list grants nothing");
        assert!(error.to_string().contains("guest/grants.json"), "{error}");
        std::fs::remove_file(dir.join("grants.json")).expect("it is there");
        build.copy_grants("scratch", &dir).expect("it is gone");
        assert!(!copy.exists(), "what an earlier build left");
        std::fs::remove_dir_all(root).expect("it is ours");
    }
}
