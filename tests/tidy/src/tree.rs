//! The files of the project, read once.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing written by hand.
const SKIPPED: [&str; 4] = ["target", "__pycache__", "node_modules", "var"];

/// One text file.
#[derive(Debug, Clone)]
pub struct File {
    /// From the root of the project, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl File {
    /// Does the path lie in this folder?
    pub fn is_in(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The folder it lies in; empty at the root.
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The last part of its path.
    pub fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(_, name)| name)
    }

    /// Is it Rust?
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Is it nothing but test code: in a crate's `tests` folder, a module called `tests`, or a crate under `tests/`?
    pub fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }
}

/// Every text file of the project, sorted by path.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    files: Vec<File>,
}

impl Tree {
    /// The project this crate is part of. Files that are not UTF-8 and folders that begin with a dot are left out, `.ci` excepted.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn of_project() -> Tree {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the crate lies two folders below the root");
        let mut found = Vec::new();
        walk(&root, &mut found);
        let name = |path: &Path| path.strip_prefix(&root).expect("the walk began there").to_str().map(str::to_owned);
        Tree::of(found.iter().filter_map(|path| Some((name(path)?, fs::read_to_string(path).ok()?))))
    }

    /// A tree of these paths and contents.
    pub fn of(files: impl IntoIterator<Item = (String, String)>) -> Tree {
        let mut files: Vec<File> = files.into_iter().map(|(path, text)| File { path, text }).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Tree { files }
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// All Rust files.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files().filter(|file| file.is_rust())
    }

    /// All `Cargo.toml`s that describe a package, with the folder each lies in.
    pub fn packages(&self) -> impl Iterator<Item = (&File, toml::Table)> {
        self.manifests().filter(|(_, manifest)| manifest.contains_key("package"))
    }

    /// All `Cargo.toml`s.
    ///
    /// # Panics
    /// When one of them is not TOML.
    pub fn manifests(&self) -> impl Iterator<Item = (&File, toml::Table)> {
        self.files().filter(|file| file.name() == "Cargo.toml").map(|file| {
            let manifest = file.text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.path));
            (file, manifest)
        })
    }

    /// The file at this path.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok().map(|at| &self.files[at])
    }

    /// Is there a file, or a folder with files, at this path?
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.file(path).is_some() || self.files.iter().any(|file| file.is_in(path))
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().unwrap_or_else(|error| panic!("{}: {error}", entry.path().display()));
        let hidden = name.starts_with('.') && name != ".ci" && name != ".gitignore";
        if hidden || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}
