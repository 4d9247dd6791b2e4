//! A Compose file becomes a service file for the backend `docker`, and a list of what it could not carry.
//!
//! Nothing here touches a disk or asks an environment: the caller is the [`World`]. What stands in the shell, in `.env` or in an `env_file` is
//! never written out: a variable stays `${NAME}`, and an `env_file` stays a file.
//!
//! 1. `load` reads the files, follows `include` and `extends`, and merges by Compose's rules; every value keeps its place.
//! 2. `convert` turns service after service into tables of a service file.
//! 3. `write` puts them down as TOML, with a comment beside the service that lost something.
//!
//! ```
//! use std::path::{Path, PathBuf};
//! struct Nothing;
//! impl hostler_compose::World for Nothing {
//!     fn text(&self, _: &Path) -> Result<String, String> {
//!         Ok("services:\n  db:\n    image: postgres:16\n    restart: always\n".to_owned())
//!     }
//!     fn variables(&self, _: &Path) -> Result<Vec<(String, String)>, String> {
//!         Ok(Vec::new())
//!     }
//!     fn variable(&self, _: &str) -> Option<hostler_compose::Variable> {
//!         None
//!     }
//! }
//! let request = hostler_compose::Request { files: vec![PathBuf::from("compose.yaml")], here: PathBuf::from("/srv/shop"), ..Default::default() };
//! let imported = hostler_compose::import(&request, &Nothing).expect("a good file");
//! assert!(imported.toml.contains("[services.db]\nrestart = { max_attempts = \"unlimited\" }\n"));
//! assert!(imported.notes.is_empty());
//! ```

mod convert;
mod import;
mod load;
mod merge;
mod paths;
mod read;
mod template;
mod tree;
mod words;
mod write;

use std::path::{Path, PathBuf};

/// What is to be imported.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The files, the base first, each one over those before it.
    pub files: Vec<PathBuf>,
    /// The directory that relative paths of this request are seen from; absolute.
    pub here: PathBuf,
    /// Where the service file will be; its relative paths are seen from there.
    pub out_dir: PathBuf,
    /// The project's name; else the file's `name`, else that of the first file's directory.
    pub project: Option<String>,
    /// Profiles that are active; `*` is all of them.
    pub profiles: Vec<String>,
}

/// A variable that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// What it is; used where a number or a word is needed, and never written out.
    pub value: String,
    /// The file that sets it; absent of the shell's own.
    pub file: Option<String>,
}

/// What is around the files.
pub trait World {
    /// A file's text.
    ///
    /// # Errors
    /// Why there is none, for people.
    fn text(&self, path: &Path) -> Result<String, String>;

    /// The variables of an `env_file`, as the host will read it.
    ///
    /// # Errors
    /// Why it cannot be read, for people, without a word of what it says.
    fn variables(&self, path: &Path) -> Result<Vec<(String, String)>, String>;

    /// A variable of the shell or of `.env`.
    fn variable(&self, name: &str) -> Option<Variable>;
}

/// A sentence about one place of a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Note {
    /// The file, as the caller calls it.
    pub file: String,
    /// Counts from one; zero of a file as a whole.
    pub line: u32,
    /// Counts characters from one; zero of a file as a whole.
    pub column: u32,
    /// The keys that lead there: `services.web.build`.
    pub key: String,
    /// What and why.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl std::fmt::Display for Note {
    /// `FILE:LINE:COLUMN: KEY: message; hint`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        let key = if self.key.is_empty() { String::new() } else { format!(" {}:", self.key) };
        let hint = if self.hint.is_empty() { String::new() } else { format!("; {}", self.hint) };
        write!(f, ":{key} {}{hint}", self.message)
    }
}

/// A service file, and what it lacks.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The service file.
    pub toml: String,
    /// How many services are in it.
    pub services: usize,
    /// What could not be carried, in the order of the files.
    pub notes: Vec<Note>,
}

/// Makes a service file of Compose files.
///
/// # Errors
/// Every mistake that Compose itself would refuse the files for, as far as it can be seen without an engine.
pub fn import(request: &Request, world: &dyn World) -> Result<Imported, Vec<Note>> {
    import::run(request, world)
}
