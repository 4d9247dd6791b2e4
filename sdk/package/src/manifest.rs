//! What a package says of itself.

use crate::Error;
use crate::path::refuse_path;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Runs before the program, in the release's directory; when it fails, the release is not started.
pub const PRE_START: &str = "scripts/pre-start.sh";

/// Runs once the program runs; when it fails, the release before comes back.
pub const POST_START: &str = "scripts/post-start.sh";

/// Judges a release once it runs, and whenever a check of the service says so.
pub const HEALTH_CHECK: &str = "scripts/health-check.sh";

/// `manifest.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `[a-z0-9-]`, at most 63 bytes.
    pub name: String,
    /// `[A-Za-z0-9._+-]`, at most 64 bytes.
    pub version: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The program, as a path of the package: `bin/server`.
    pub binary: String,
    /// Its arguments, one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Its environment, over what the host gives to every task; what the service says comes over both.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// Bytes of a manifest.
pub(crate) const LONGEST: u64 = 64 << 10;

impl Manifest {
    /// Reads and checks one.
    ///
    /// # Errors
    /// Says what is wrong, for people.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let manifest: Self = serde_saphyr::from_str(text).map_err(|error| Error::Manifest(error.to_string()))?;
        manifest.check().map_or(Ok(()), |why| Err(Error::Manifest(why)))?;
        Ok(manifest)
    }

    fn check(&self) -> Option<String> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.is_empty() || self.name.len() > 63 || self.name.starts_with('-') || !self.name.bytes().all(plain) {
            return Some("`name` has lower-case letters, digits and `-`, at most 63".into());
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
        let starts_well = self.version.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if !starts_well || self.version.len() > 64 || !self.version.bytes().all(plain) {
            return Some("`version` has letters, digits and `._+-`, at most 64, and begins with a letter or digit".into());
        }
        if let Some(why) = refuse_path(&self.binary) {
            return Some(format!("`binary` is no path of the package: {why}"));
        }
        if self.args.iter().any(|arg| arg.contains('\0')) {
            return Some("an argument contains a NUL byte".into());
        }
        let bad = |(name, value): (&String, &String)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0');
        self.env.iter().any(bad).then(|| "`env` has a name that is empty or has `=`, or a NUL byte".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read() {
        let manifest =
            Manifest::parse("name: api\nversion: 1.2.3-rc.1\nbinary: bin/api\nargs: [--port, '8080']\nenv: { MODE: prod }\n").expect("it is one");
        assert_eq!((manifest.name.as_str(), manifest.version.as_str(), manifest.args.len()), ("api", "1.2.3-rc.1", 2));
    }

    #[test]
    fn a_version_that_walks_is_none() {
        for version in ["../x", "", ".", "..", "a/b", "1 2", "-1", "ä"] {
            assert!(Manifest::parse(&format!("name: api\nversion: '{version}'\nbinary: bin/api\n")).is_err(), "{version}");
        }
        for (key, value) in [("name", "A"), ("name", "../x"), ("binary", "/bin/sh"), ("binary", "../x"), ("unknown", "x")] {
            let mut lines = BTreeMap::from([("name", "api"), ("version", "1"), ("binary", "bin/api")]);
            lines.insert(key, value);
            let text: String = lines.iter().map(|(key, value)| format!("{key}: '{value}'\n")).collect();
            assert!(Manifest::parse(&text).is_err(), "{key}: {value}");
        }
    }
}
