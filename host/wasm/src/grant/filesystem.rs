//! Directories that a plugin may use: which, how, under what name, and how full they may get.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

/// One directory with everything below it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryGrant {
    /// Where it is, absolute; it must exist when the plugin is loaded.
    pub path: String,
    /// May anything in it be changed?
    #[serde(default)]
    pub access: Access,
    /// What the plugin calls it, absolute; `path` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// How much room on the disk may be taken below it: bytes, or text such as `"1Gi"`. Not limited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::limits::some_bytes")]
    pub quota: Option<u64>,
}

/// What may be done in a directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Looking only.
    #[default]
    Read,
    /// Anything but leaving it.
    Write,
}

impl DirectoryGrant {
    /// The plugin's name for it.
    pub(crate) fn at(&self) -> &str {
        self.at.as_deref().unwrap_or(&self.path)
    }

    /// Says what is wrong with it, as far as that can be said without looking.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_path("path", &self.path)?;
        check_path("at", self.at())
    }
}

fn check_path(key: &str, text: &str) -> Result<(), String> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(format!("`{key}` is `{text}`, which is no absolute path"));
    }
    if path.components().any(|part| part == Component::ParentDir) || text.contains('\0') {
        return Err(format!("`{key}` is `{text}`; write it without `..`"));
    }
    Ok(())
}

/// Each name stands for one directory.
pub(crate) fn check_all(grants: &[DirectoryGrant]) -> Result<(), String> {
    for (index, grant) in grants.iter().enumerate() {
        grant.check()?;
        if grants[..index].iter().any(|other| Path::new(other.at()) == Path::new(grant.at())) {
            return Err(format!("`{}` stands for two directories; give one of them another name with `at`", grant.at()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(text: &str) -> Vec<DirectoryGrant> {
        serde_json::from_str(text).expect("grants")
    }

    #[test]
    fn a_directory_is_for_looking_unless_it_says_more() {
        let read = grants(r#"[{"path": "/srv/x"}]"#);
        assert_eq!((read[0].access, read[0].at(), read[0].quota), (Access::Read, "/srv/x", None));
        let write = grants(r#"[{"path": "/srv/x", "access": "write", "at": "/x", "quota": "1Gi"}]"#);
        assert_eq!((write[0].access, write[0].at(), write[0].quota), (Access::Write, "/x", Some(1 << 30)));
    }

    #[test]
    fn bad_directories_say_what_is_wrong() {
        let check = |text: &str, word: &str| {
            let error = check_all(&grants(text)).expect_err(word);
            assert!(error.contains(word), "{error}");
        };
        check(r#"[{"path": "srv"}]"#, "no absolute path");
        check(r#"[{"path": "/srv/../etc"}]"#, "without `..`");
        check(r#"[{"path": "/srv", "at": "srv"}]"#, "`at` is `srv`");
        check(r#"[{"path": "/srv"}, {"path": "/var/srv", "at": "/srv/"}]"#, "two directories");
        let typo = serde_json::from_str::<Vec<DirectoryGrant>>(r#"[{"path": "/srv", "acess": "write"}]"#).expect_err("a typo");
        assert!(typo.to_string().contains("acess"), "{typo}");
    }
}
