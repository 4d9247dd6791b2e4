//! A door for `tests/fuzz`, which has texts and no files. Nobody else goes through it.

use std::path::Path;

use hostler_server::BuiltIns;

use crate::config::{self, ConfigError, Loaded};

/// The plugins in the program itself.
pub const BUILT_INS: BuiltIns = crate::host::BUILT_INS;

/// Reads a text as a file of this name would be read, `base_dir` being its directory.
///
/// # Errors
/// As [`config::load`].
pub fn load_text(text: &str, name: &str, base_dir: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, ConfigError> {
    config::load_text(text, name, base_dir, env)
}

/// Reads a text as an `env_file`.
///
/// # Errors
/// Which line is wrong, and why.
pub fn env_lines(text: &str) -> Result<Vec<(String, String)>, String> {
    config::env_lines(text)
}
