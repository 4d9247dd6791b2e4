//! New projects, from the templates inside this program.

use crate::project::check_name;
use crate::{Kind, Language, Project, ProjectError, embedded};
use std::path::{Path, PathBuf};

/// The version that a new project is stamped with.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a project was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The name cannot be one.
    #[error("{0}")]
    Name(String),
    /// What is there is never overwritten.
    #[error("{dir} is there already, and nothing in it was touched: take another name, or remove it", dir = .0.display())]
    Exists(PathBuf),
    /// This program has no template of that kind.
    #[error("there is no template of a {kind} in {language}", kind = .kind.as_str(), language = .language.as_str())]
    NoTemplate {
        /// What was asked for.
        kind: Kind,
        /// In which language.
        language: Language,
    },
    /// A file could not be written.
    #[error("writing {path}: {source}", path = .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was made is no project: a template that is wrong.
    #[error(transparent)]
    Template(#[from] ProjectError),
}

/// One file of a new project: its path from the project's folder, and its text.
pub(crate) type File = (String, String);

impl Project {
    /// Makes a project from the template of its kind: all of `dir`, or nothing. A folder that is there is refused.
    pub fn create(dir: &Path, name: &str, kind: Kind, language: Language) -> Result<Self, CreateError> {
        check_name(name).and_then(|()| language.check_name(name)).map_err(CreateError::Name)?;
        let files = files(name, kind, language)?;
        if dir.symlink_metadata().is_ok() {
            return Err(CreateError::Exists(dir.to_path_buf()));
        }
        let partial = dir.with_file_name(format!(".{name}.{}.partial", std::process::id()));
        let done = write(&partial, &files).and_then(|()| std::fs::rename(&partial, dir).map_err(io(dir)));
        if done.is_err() {
            // what is left of it is of no use to anybody; that the first error is told matters more than a second one
            let _ = std::fs::remove_dir_all(&partial);
        }
        done?;
        Ok(Self::open(dir)?)
    }

    /// Writes what the program vendors into a project (the Rust SDK) again, as this version has it. The paths that changed.
    pub fn renew(&self) -> Result<Vec<PathBuf>, CreateError> {
        let outdated = self.outdated();
        write(&self.dir, &outdated)?;
        Ok(outdated.into_iter().map(|(path, _)| path.into()).collect())
    }

    /// What is vendored in this project and is not as this version has it.
    pub fn outdated(&self) -> Vec<(String, String)> {
        let vendored = self.language.vendored().into_iter();
        vendored.filter(|(path, text)| std::fs::read_to_string(self.dir.join(path)).ok().as_ref() != Some(text)).collect()
    }
}

/// Every file of a new project.
fn files(name: &str, kind: Kind, language: Language) -> Result<Vec<File>, CreateError> {
    let of = |part: &str| {
        let root = format!("{}/{part}/", language.as_str());
        let inner = embedded::TEMPLATES.iter().filter_map(move |(path, text)| Some((path.strip_prefix(&root)?, *text)));
        inner.map(|(path, text)| filled(path, text, name, kind)).collect::<Vec<_>>()
    };
    let own = of(kind.as_str());
    if own.is_empty() {
        return Err(CreateError::NoTemplate { kind, language });
    }
    Ok([own, of("common"), language.vendored(), language.locked()].concat())
}

/// `NAME.in` becomes `NAME`, and what stands in double braces in it is filled in; every other file is taken as it is.
fn filled(path: &str, text: &str, name: &str, kind: Kind) -> File {
    let Some(path) = path.strip_suffix(".in") else { return (path.to_owned(), text.to_owned()) };
    let text = [("{{name}}", name), ("{{kind}}", kind.as_str()), ("{{world}}", kind.world()), ("{{version}}", VERSION)]
        .into_iter()
        .fold(text.replace("{{module}}", &name.replace('-', "_")), |text, (place, value)| text.replace(place, value));
    (path.to_owned(), text)
}

fn write(dir: &Path, files: &[File]) -> Result<(), CreateError> {
    for (path, text) in files {
        let path = dir.join(path);
        let folder = path.parent().expect("it lies in the project's folder");
        std::fs::create_dir_all(folder).map_err(io(folder))?;
        std::fs::write(&path, text).map_err(io(&path))?;
    }
    Ok(())
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> CreateError {
    let path = path.to_path_buf();
    move |source| CreateError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(dir: &Path, name: &str) -> Result<Project, CreateError> {
        Project::create(dir, name, Kind::Backend, Language::Rust)
    }

    #[test]
    fn a_new_project_says_what_it_is_and_nothing_is_left_to_fill_in() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for kind in [Kind::Backend, Kind::HealthCheck] {
            let place = dir.path().join(kind.as_str());
            let project = Project::create(&place, "my-plugin", kind, Language::Rust).expect("the folder is free");
            assert_eq!((project.name.as_str(), project.language, project.kind), ("my-plugin", Language::Rust, Some(kind)));
            for (path, text) in files("my-plugin", kind, Language::Rust).expect("there is a template") {
                assert!(!text.contains("{{name") && !path.ends_with(".in"), "{path}");
                assert_eq!(std::fs::read_to_string(place.join(&path)).expect("it was written"), text, "{path}");
            }
        }
    }

    #[test]
    fn what_is_there_is_never_overwritten() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let error = create(dir.path(), "taken").expect_err("the folder is there");
        assert!(matches!(error, CreateError::Exists(_)), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("it is there").count(), 0);
    }

    #[test]
    fn a_name_that_nobody_could_use_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for name in ["", "Upper", "a b", "../x", "-x", "1x", "fn", "std", "serde", "hostler-sdk"] {
            let error = create(&dir.path().join("x"), name).expect_err(name);
            assert!(matches!(error, CreateError::Name(_)), "{name}: {error}");
        }
    }

    #[test]
    fn folders_above_it_are_made_and_a_failure_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        create(&dir.path().join("new/x"), "x").expect("the folder above is made too");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("the folder is writable");
        let error = create(&file.join("x"), "x").expect_err("a file is no folder");
        assert!(matches!(error, CreateError::Io { .. }), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("it is there").count(), 2);
    }

    #[test]
    fn an_old_sdk_is_found_and_renewed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let project = create(&dir.path().join("x"), "x").expect("the folder is free");
        assert_eq!(project.outdated(), []);
        let changed = project.dir.join("vendor/hostler-sdk/src/lib.rs");
        std::fs::write(&changed, "//! old").expect("it is there");
        assert_eq!(project.renew().expect("it is writable"), [PathBuf::from("vendor/hostler-sdk/src/lib.rs")]);
        assert_eq!(project.outdated(), []);
    }
}
