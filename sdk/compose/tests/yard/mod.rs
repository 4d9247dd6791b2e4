//! A folder as the world of an import, with a few variables set.

use std::fs;
use std::path::{Path, PathBuf};

use hostler_compose::{Request, Variable, World};

/// A folder beside the tests.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// A project's folder.
pub(crate) struct Yard {
    dir: PathBuf,
    variables: Vec<(String, String)>,
}

impl Yard {
    /// The folder, and its `.env`.
    pub(crate) fn of(dir: &Path) -> Yard {
        let variables = fs::read_to_string(dir.join(".env")).map(|text| lines(&text)).unwrap_or_default();
        Yard { dir: dir.to_owned(), variables }
    }

    /// Where the folder is said to be, so that no path of this machine is written down.
    fn here(&self) -> PathBuf {
        Path::new("/srv").join(self.dir.file_name().expect("a folder"))
    }

    /// These files, to a service file beside them.
    pub(crate) fn request(&self, files: Vec<PathBuf>) -> Request {
        let here = self.here();
        Request { files, here: here.clone(), out_dir: here, ..Request::default() }
    }
}

fn lines(text: &str) -> Vec<(String, String)> {
    text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl World for Yard {
    fn text(&self, path: &Path) -> Result<String, String> {
        let below = path.strip_prefix(self.here()).map_err(|_| "there is no such file".to_owned())?;
        fs::read_to_string(self.dir.join(below)).map_err(|_| "there is no such file".to_owned())
    }

    fn variables(&self, path: &Path) -> Result<Vec<(String, String)>, String> {
        self.text(path).map(|text| lines(&text))
    }

    fn variable(&self, name: &str) -> Option<Variable> {
        let shell = match name {
            "FROM_SHELL" | "FLAG" | "HOME" => Some("canary"),
            "BLANKS" => Some("canary canary"),
            "EMPTY" => Some(""),
            _ => None,
        };
        let from_file = || {
            self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| Variable { value: value.clone(), file: Some(".env".to_owned()) })
        };
        shell.map(|value| Variable { value: value.to_owned(), file: None }).or_else(from_file)
    }
}
