//! One plugin's folder, in any language.

use crate::{BuildError, Guest, Language, guest};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// What a plugin of a project may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Runs tasks on some engine.
    Backend,
    /// Judges a task once.
    HealthCheck,
}

impl Kind {
    /// Every kind, as people write it.
    pub const NAMES: [&str; 2] = ["backend", "health-check"];

    /// Reads what people write.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "backend" => Some(Self::Backend),
            "health-check" => Some(Self::HealthCheck),
            _ => None,
        }
    }

    /// As people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::HealthCheck => "health-check",
        }
    }

    /// The world in `wit/plugin` that a plugin of this kind is made for.
    pub fn world(self) -> &'static str {
        match self {
            Self::Backend => "backend-plugin",
            Self::HealthCheck => "health-check-plugin",
        }
    }
}

/// A folder from which one component is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The folder, absolute.
    pub dir: PathBuf,
    /// What the component is called: `NAME.wasm`.
    pub name: String,
    /// Told by files: `Cargo.toml` is Rust, else `language` in `plugin.toml`.
    pub language: Language,
    /// Absent where the files do not say it, as in a Rust project without `[package.metadata.hostler]`.
    pub kind: Option<Kind>,
}

/// Why a folder is no project.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// There is no such folder, or it cannot be read.
    #[error("{dir}: {source}", dir = .dir.display())]
    Folder {
        /// What was asked for.
        dir: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Nothing in it says what it is.
    #[error("{dir} is no plugin's folder: it has neither Cargo.toml nor plugin.toml; `hostler plugin new` makes one", dir = .0.display())]
    NotOne(PathBuf),
    /// Its manifest does not say what is needed.
    #[error("{file}: {why}", file = .file.display())]
    Manifest {
        /// `Cargo.toml` or `plugin.toml`.
        file: PathBuf,
        /// What is wrong, and what would be right.
        why: String,
    },
}

impl Project {
    /// Reads what a folder is; nothing is built.
    pub fn open(dir: &Path) -> Result<Self, ProjectError> {
        let absolute = dir.canonicalize().map_err(|source| ProjectError::Folder { dir: dir.to_path_buf(), source })?;
        let has = |file: &str| absolute.join(file).is_file();
        let (file, read): (_, Reader) = match () {
            () if has("Cargo.toml") => ("Cargo.toml", cargo_manifest),
            () if has("plugin.toml") => ("plugin.toml", plugin_manifest),
            () => return Err(ProjectError::NotOne(dir.to_path_buf())),
        };
        let wrong = |why: String| ProjectError::Manifest { file: dir.join(file), why };
        let text = std::fs::read_to_string(absolute.join(file)).map_err(|error| wrong(error.to_string()))?;
        let table: Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
        let (name, language, kind) = read(&table).map_err(wrong)?;
        Ok(Self { dir: absolute, name, language, kind })
    }

    /// Builds the component and writes it as `out`, or as `NAME.wasm` in the project's folder. A file that has these bytes already is left alone.
    ///
    /// `say` hears what is going on; the tools' own messages go to standard error.
    pub fn build(&self, out: Option<&Path>, say: &mut dyn FnMut(&str)) -> Result<Guest, BuildError> {
        let component = self.language.build(self, say)?;
        let out = out.map_or_else(|| self.dir.join(format!("{}.wasm", self.name)), Path::to_path_buf);
        guest::write(&self.name, &component, &out)
    }

    /// What it would be built with now, for people; the error says what to install. Nothing is installed.
    pub fn toolchain(&self) -> Result<String, BuildError> {
        self.language.toolchain(self)
    }

    /// Where a build may keep what it does not hand over: `target` in the project's folder.
    pub fn work_dir(&self) -> PathBuf {
        self.dir.join("target")
    }
}

/// Reads one kind of manifest.
type Reader = fn(&Table) -> Result<Stated, String>;

/// Name, language and kind, as far as a manifest says them.
type Stated = (String, Language, Option<Kind>);

fn cargo_manifest(table: &Table) -> Result<Stated, String> {
    let package =
        table.get("package").and_then(Value::as_table).ok_or("it is a workspace without a package: name the folder of one of its members")?;
    let text = |table: Option<&Value>, key: &str| table?.get(key)?.as_str().map(str::to_owned);
    let name = text(table.get("lib"), "name").or_else(|| text(table.get("package"), "name")).ok_or("`package.name` is missing")?;
    let said = text(package.get("metadata").and_then(|metadata| metadata.get("hostler")), "kind");
    Ok((name.replace('_', "-"), Language::Rust, said.map(|kind| kind_named(&kind)).transpose()?))
}

fn plugin_manifest(table: &Table) -> Result<Stated, String> {
    let text = |key: &str| table.get(key).and_then(Value::as_str).ok_or_else(|| format!("`{key} = \"…\"` is missing"));
    let language = text("language")?;
    let language = Language::named(language).ok_or_else(|| format!("language {language:?} is none of {}", Language::NAMES.join(", ")))?;
    let name = text("name")?;
    check_name(name)?;
    Ok((name.to_owned(), language, Some(kind_named(text("kind")?)?)))
}

fn kind_named(kind: &str) -> Result<Kind, String> {
    Kind::named(kind).ok_or_else(|| format!("kind {kind:?} is none of {}", Kind::NAMES.join(", ")))
}

/// The host's rule for names of plugins: `[a-z][a-z0-9-]*`, at most 39 characters.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let letter = name.starts_with(|c: char| c.is_ascii_lowercase());
    if letter && name.len() <= 39 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return Ok(());
    }
    Err(format!("{name:?} is no name of a plugin: use a-z, 0-9 and -, starting with a letter, at most 39 characters"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(file: &str, text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join(file), text).expect("it is empty");
        dir
    }

    fn refused(file: &str, text: &str, expected: &str) {
        let error = Project::open(folder(file, text).path()).expect_err(text).to_string();
        assert!(error.contains(file) && error.contains(expected), "{error}");
    }

    #[test]
    fn cargos_manifest_means_rust() {
        let dir = folder("Cargo.toml", "[package]\nname = \"my_check\"\n[package.metadata.hostler]\nkind = \"health-check\"");
        let project = Project::open(dir.path()).expect("it is a package");
        assert_eq!((project.name.as_str(), project.language, project.kind), ("my-check", Language::Rust, Some(Kind::HealthCheck)));
    }

    #[test]
    fn a_manifest_of_ours_names_language_and_kind() {
        let dir = folder("plugin.toml", "name = \"cron\"\nlanguage = \"python\"\nkind = \"backend\"");
        let project = Project::open(dir.path()).expect("it says all");
        assert_eq!((project.name.as_str(), project.language, project.kind), ("cron", Language::Python, Some(Kind::Backend)));
    }

    #[test]
    fn what_is_missing_or_wrong_is_said_with_its_file() {
        refused("Cargo.toml", "[workspace]\nmembers = []", "workspace");
        refused("Cargo.toml", "[package\n", "TOML");
        refused("Cargo.toml", "[package]\nname = \"a\"\n[package.metadata.hostler]\nkind = \"driver\"", "backend, health-check");
        refused("plugin.toml", "name = \"a\"\nlanguage = \"cobol\"\nkind = \"backend\"", "rust, python, javascript, c");
        refused("plugin.toml", "language = \"python\"\nkind = \"backend\"", "`name");
        refused("plugin.toml", "name = \"../a\"\nlanguage = \"python\"\nkind = \"backend\"", "no name of a plugin");
    }

    #[test]
    fn a_folder_of_something_else_is_none() {
        let dir = folder("README.md", "hello");
        assert!(matches!(Project::open(dir.path()), Err(ProjectError::NotOne(_))));
        assert!(matches!(Project::open(&dir.path().join("gone")), Err(ProjectError::Folder { .. })));
    }
}
