//! Compose files, and what is made of them.

use std::path::{Path, PathBuf};

use hostler::door;
use hostler_compose::{Request, Variable, World, import};

/// Larger inputs find nothing that smaller ones do not, and take long.
const LONGEST: usize = 16 << 10;

/// A world of one file, which may name itself.
struct One<'a>(&'a str);

impl World for One<'_> {
    fn text(&self, path: &Path) -> Result<String, String> {
        if path.file_name().is_some_and(|name| name == "compose.yaml") { Ok(self.0.to_owned()) } else { Err("there is no such file".to_owned()) }
    }

    fn variables(&self, _: &Path) -> Result<Vec<(String, String)>, String> {
        Err("there is no such file".to_owned())
    }

    fn variable(&self, name: &str) -> Option<Variable> {
        environment(name).map(|value| Variable { value, file: None })
    }
}

fn environment(name: &str) -> Option<String> {
    match name {
        "SET" => Some("a $value ${SET}".to_owned()),
        "EMPTY" => Some(String::new()),
        "N" => Some("3".to_owned()),
        _ => None,
    }
}

/// What is made is read without a mistake, and is the same twice; what is refused is refused with a reason.
pub(crate) fn compose(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.len() > LONGEST {
        return;
    }
    let here = PathBuf::from("/srv/shop");
    let request = Request { files: vec!["compose.yaml".into()], here: here.clone(), out_dir: here, ..Request::default() };
    match import(&request, &One(text)) {
        Ok(imported) => {
            assert_eq!(import(&request, &One(text)).expect("it was good before").toml, imported.toml, "the same twice");
            assert!(imported.notes.iter().all(|note| !note.message.is_empty()), "a note without words");
            is_read(&imported.toml);
        }
        Err(notes) => assert!(!notes.is_empty() && notes.iter().all(|note| !note.message.is_empty()), "a refusal without a reason"),
    }
}

fn is_read(toml: &str) {
    let Err(error) = door::load_text(toml, "hostler.toml", Path::new("/nowhere"), &environment) else { return };
    for problem in error.problems() {
        // What was said when it was imported: a file that is not there, and a variable that must be set.
        let said = problem.at.contains("/env_file") || problem.message.starts_with("the environment has no value for");
        assert!(said, "{}: {}\n{toml}", problem.at, problem.message);
    }
}
