//! The tree tests itself: what a reviewer would otherwise have to remember.
//!
//! Every rule is a function from a [`Tree`] of files to a list of [`Problem`]s, so that each one is tested twice: on the real
//! tree (`tests/tree.rs`, which must find nothing) and, beside the rule, on a tree with the fault planted (which must find it).
//! A rule's exceptions stand in one table at the top of its file, each with its reason.
//!
//! - [`arrows`]: who may know whom; a new room and a new arrow fail by name.
//! - [`manifests`]: shared versions, lints and a reason for every dependency.
//! - [`purity`]: what core may not say.
//! - [`words`]: what only some rooms may say, and what nobody says.
//! - [`shape`]: lengths, dead files, one-page `lib.rs`.
//! - [`wit`]: the contract is documented.
//! - [`docs`]: files that must exist, links that must lead somewhere.
//! - [`failpoints`]: the list of points to die at is all there are.

pub mod arrows;
pub mod docs;
pub mod failpoints;
pub mod manifests;
pub mod purity;
pub mod rust;
pub mod shape;
mod tree;
pub mod wit;
pub mod words;

pub use tree::{File, Tree};

/// One thing that is not as it should be, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem(String);

impl Problem {
    /// Of a whole file.
    pub fn of(path: &str, message: impl AsRef<str>) -> Problem {
        Problem(format!("{path}: {}", message.as_ref()))
    }

    /// Of one line, counted from 1.
    pub fn at(path: &str, line: usize, message: impl AsRef<str>) -> Problem {
        Problem(format!("{path}:{line}: {}", message.as_ref()))
    }
}

/// Fails with every problem, one per line.
///
/// # Panics
/// When there is one.
pub fn assert_none(problems: Vec<Problem>) {
    let lines: Vec<String> = problems.into_iter().map(|Problem(text)| format!("  {text}")).collect();
    assert!(lines.is_empty(), "{} to mend:\n{}", lines.len(), lines.join("\n"));
}

#[cfg(test)]
mod planted {
    use super::{Problem, Tree};

    /// A tree of the given files, for rules to find faults in.
    pub(crate) fn tree(files: &[(&str, &str)]) -> Tree {
        Tree::of(files.iter().map(|(path, text)| (path.to_string(), text.to_string())))
    }

    /// The rule finds exactly these; each is a part of the message.
    #[track_caller]
    pub(crate) fn check(found: Vec<Problem>, wanted: &[&str]) {
        let found: Vec<String> = found.into_iter().map(|Problem(text)| text).collect();
        assert_eq!(found.len(), wanted.len(), "{found:#?}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!(found.contains(wanted), "{found:?} lacks {wanted:?}");
        }
    }
}
