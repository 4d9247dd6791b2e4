//! The languages that plugins are written in, and how each becomes a component.

mod c;
mod javascript;
mod python;
mod rust;
mod tool;

use crate::create::File;
use crate::{BuildError, Project, embedded};

/// A language with a template and a build of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `cargo`, for `wasm32-unknown-unknown`.
    Rust,
    /// CPython inside the component.
    Python,
    /// A JavaScript engine inside the component.
    JavaScript,
    /// clang, and bindings of the contract.
    C,
}

impl Language {
    /// Every language, as people write it.
    pub const NAMES: [&str; 4] = ["rust", "python", "javascript", "c"];

    /// Reads what people write.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "rust" => Some(Self::Rust),
            "python" => Some(Self::Python),
            "javascript" => Some(Self::JavaScript),
            "c" => Some(Self::C),
            _ => None,
        }
    }

    /// As people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::C => "c",
        }
    }

    /// The component of a project, as bytes.
    pub(crate) fn build(self, project: &Project, say: &mut dyn FnMut(&str)) -> Result<Vec<u8>, BuildError> {
        match self {
            Self::Rust => rust::build(project, say),
            Self::Python => python::build(project, say),
            Self::JavaScript => javascript::build(project, say),
            Self::C => c::build(project, say),
        }
    }

    /// What a project would be built with now; nothing is installed.
    pub(crate) fn toolchain(self, project: &Project) -> Result<String, BuildError> {
        match self {
            Self::Rust => rust::toolchain(),
            Self::Python => python::tool(project).map(|program| program.display().to_string()),
            Self::JavaScript => javascript::tool(project).map(|program| program.display().to_string()),
            Self::C => c::tool(project).map(|program| program.display().to_string()),
        }
    }

    /// Names that this language has another use for.
    pub(crate) fn check_name(self, name: &str) -> Result<(), String> {
        match self {
            Self::Rust => rust::check_name(name),
            Self::Python | Self::JavaScript | Self::C => Ok(()),
        }
    }

    /// What every project of this language carries from this program, beside its template; `Project::renew` writes it again.
    pub(crate) fn vendored(self) -> Vec<File> {
        match self {
            Self::Rust => rust::vendored(),
            Self::Python => whole(embedded::PYTHON),
            Self::JavaScript => whole(embedded::JAVASCRIPT),
            Self::C => c::vendored(),
        }
    }

    /// Versions that a new project begins with, and then owns.
    pub(crate) fn locked(self) -> Vec<File> {
        match self {
            Self::Rust => rust::locked(),
            Self::Python | Self::JavaScript | Self::C => Vec::new(),
        }
    }
}

/// An SDK that is a few files, taken as they are.
fn whole(tree: &[(&str, &str)]) -> Vec<File> {
    tree.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}
