//! `hostler.lock`: the components that a configuration was written for, beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Need;

/// What is pinned, by the plugins' names. Only plugins that come from files are: the built-in ones are the program's own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Version of the file's shape: 1.
    #[serde(default)]
    pub version: u32,
    /// By name.
    #[serde(default)]
    pub plugins: BTreeMap<String, Locked>,
}

/// One component, as it was when it was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Where it was, as the configuration names it.
    pub source: String,
    /// `blake3:…` of the component: the one that loads.
    pub blake3: String,
    /// `sha256:…` of the same, for `sha256sum`.
    pub sha256: String,
    /// Identifies what it was granted.
    pub grants: String,
    /// What it imported.
    pub imports: Vec<String>,
    /// What it said it needs.
    #[serde(default)]
    pub needs: Vec<Need>,
}

impl Lock {
    /// Its name, beside the configuration.
    pub const FILE_NAME: &'static str = "hostler.lock";

    /// Reads the text of a lock.
    ///
    /// # Errors
    /// It is no TOML, or no lock of this version; in the words of the parser.
    pub fn read(text: &str) -> Result<Lock, String> {
        let lock: Lock = toml::from_str(text).map_err(|error| error.to_string())?;
        if lock.version != 1 {
            return Err(format!("its version is {}, and 1 is understood here", lock.version));
        }
        Ok(lock)
    }

    /// The text of it.
    #[must_use]
    pub fn text(&self) -> String {
        let lock = Lock { version: 1, plugins: self.plugins.clone() };
        let body = toml::to_string(&lock).expect("a lock is tables of texts");
        format!("# Written by `hostler plugin add`, `upgrade` and `remove`; belongs beside the configuration, in version control, too.\n{body}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let need = Need { what: "commands".to_owned(), why: "asks \"who\"\n".to_owned() };
        let locked = Locked {
            source: "./probe.wasm".to_owned(),
            blake3: "blake3:00".to_owned(),
            sha256: "sha256:00".to_owned(),
            grants: "ff".to_owned(),
            imports: vec!["hostler:host/commands@0.1.0".to_owned()],
            needs: vec![need],
        };
        let lock = Lock { version: 1, plugins: BTreeMap::from([("probe".to_owned(), locked)]) };
        assert_eq!(Lock::read(&lock.text()), Ok(lock));
    }

    #[test]
    fn another_version_and_another_key_are_refused() {
        assert!(Lock::read("version = 2").is_err_and(|why| why.contains("version is 2")));
        assert!(Lock::read("version = 1\nplugin = {}").is_err_and(|why| why.contains("plugin")));
        assert!(Lock::read("plugins = 3").is_err());
    }
}
