//! Whose services are whose.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a workspace: `[a-z0-9]` first, then `[a-z0-9-]`, at most 32 bytes. Services of one have names of their own, and
/// depend only on each other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkspaceName(Arc<str>);

impl WorkspaceName {
    /// The workspace of the host's own configuration, which is always there.
    pub const DEFAULT: &'static str = "default";

    /// Reads a name.
    ///
    /// # Errors
    /// A sentence that says which character or length is wrong.
    pub fn new(text: &str) -> Result<WorkspaceName, String> {
        let allowed = "use a-z, 0-9 and -, starting with a letter or digit, at most 32 characters";
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        match text.chars().next() {
            None => return Err(format!("a workspace name is empty; {allowed}")),
            Some(first) if !good(first) => return Err(format!("workspace name {text:?} starts with {first:?}; {allowed}")),
            Some(_) => {}
        }
        if let Some(bad) = text.chars().find(|c| !good(*c) && *c != '-') {
            return Err(format!("workspace name {text:?} contains {bad:?}; {allowed}"));
        }
        if text.len() > 32 {
            return Err(format!("workspace name {text:?} has {} characters; {allowed}", text.len()));
        }
        Ok(WorkspaceName(text.into()))
    }

    /// Is it the one of the host's own configuration?
    pub fn is_default(&self) -> bool {
        &*self.0 == WorkspaceName::DEFAULT
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for WorkspaceName {
    fn default() -> WorkspaceName {
        WorkspaceName(WorkspaceName::DEFAULT.into())
    }
}

impl TryFrom<String> for WorkspaceName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        WorkspaceName::new(&text)
    }
}

impl From<WorkspaceName> for String {
    fn from(name: WorkspaceName) -> String {
        name.0.as_ref().to_owned()
    }
}

impl Borrow<str> for WorkspaceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkspaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for WorkspaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServiceName;

    #[test]
    fn names_of_workspaces_are_told_apart() {
        let acme = WorkspaceName::new("acme").expect("a name");
        let db = ServiceName::new("db").expect("a name");
        let theirs = db.within(&acme);
        assert_eq!(theirs.as_str(), "acme.db");
        assert_ne!(theirs, db);
        assert_eq!(theirs.within(&WorkspaceName::default()), db);
        assert_eq!(ServiceName::read("acme.db"), Ok(theirs));
        assert_eq!(db.within(&WorkspaceName::default()), db);
    }

    #[test]
    fn nobody_writes_himself_into_another_workspace() {
        for text in ["acme.db", ".db", "a..b", "../db", "acme/db"] {
            assert!(ServiceName::new(text).is_err(), "{text}");
        }
        for text in ["acme.", ".db", "a.b.c", "A.b", "a_b.c", "..", "a./b"] {
            assert!(ServiceName::read(text).is_err(), "{text}");
        }
        for text in ["", "-a", "a_b", "a.b", "A", "a/b", &"a".repeat(33)] {
            assert!(WorkspaceName::new(text).is_err(), "{text}");
        }
    }
}
