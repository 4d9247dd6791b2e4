//! The configuration as files: TOML, YAML and JSON, each value with its place, so that every mistake is shown where it was written.
//!
//! [`load`] reads a file into one [`Loaded`]: the document as JSON, complete in itself (variables filled in, `env_file` read, the host's own
//! paths absolute), and the [`Config`] that `hostler-api` makes of it. All mistakes come at once, in a [`ConfigError`]. Mistakes that
//! only the server can see come back as pointers; [`Loaded::error`] shows them in the same way.
//!
//! ```
//! # let dir = tempfile::tempdir().expect("a directory");
//! # let path = dir.path().join("hostler.toml");
//! std::fs::write(&path, "[services.web]\nbackend = { type = 'process', binary = './web' }\nreplicas = 'few'\n").expect("written");
//! let error = hostler::config::load(&path, &|name| std::env::var(name).ok()).expect_err("`few` is no number");
//! assert_eq!(error.to_json()[0]["line"], 3);
//! assert_eq!(error.to_json()[0]["at"], "/services/web/replicas");
//! ```

mod env_file;
mod file;
mod interpolate;
mod json;
mod node;
mod places;
mod problems;
#[cfg(test)]
mod tests;
mod toml;
mod yaml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hostler_api::config::{Config, MAX_DOCUMENT_BYTES, read};
use hostler_core::Problem;
use serde_json::Value;

pub use node::{Span, Spans};
pub use problems::{ConfigError, Look};

use node::{Data, Node};
use problems::Finding;

/// A configuration that was read without a mistake.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says: JSON that needs nothing beside it.
    pub document: Value,
    /// The file, as the user calls it.
    pub name: String,
    /// The file's text.
    pub text: Arc<str>,
    /// Where each value of the document stands in the text.
    pub spans: Spans,
    /// The directory of the file: what a plugin's relative paths are seen from.
    pub base_dir: PathBuf,
    /// What it means.
    pub config: Config,
}

impl Loaded {
    /// Mistakes that were found elsewhere, in their places here.
    pub fn error(&self, problems: &[Problem]) -> ConfigError {
        let findings = problems.iter().map(|problem| Finding::placed(problem.clone(), &self.spans)).collect();
        ConfigError::new(self.name.clone(), Some(Arc::clone(&self.text)), findings)
    }
}

/// Reads a file; `.toml`, `.yaml`, `.yml` and `.json` say what is in it, and `env` answers for `${NAME}`.
///
/// # Errors
/// Every mistake that can be seen before the next step would guess: syntax first, then variables and files, then what the document means.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, ConfigError> {
    load_parts(path, |_| true, env)
}

/// Reads a text as a file of this name would be read, `base_dir` being its directory: for `crate::door`.
pub(crate) fn load_text(text: &str, name: &str, base_dir: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, ConfigError> {
    let format = Format::of(Path::new(name)).expect("the name says what is in it");
    let text: Arc<str> = text.into();
    let (document, spans, config) = understand(&text, format, |_| true, base_dir, env)
        .map_err(|findings| ConfigError::new(name.to_owned(), Some(Arc::clone(&text)), findings))?;
    Ok(Loaded { document, name: name.to_owned(), text, spans, base_dir: base_dir.to_owned(), config })
}

/// Reads a file of at most the size of a document.
///
/// # Errors
/// Why there is no text.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    file::read_text(path, MAX_DOCUMENT_BYTES).map_err(|why| why.message)
}

/// Reads a text as an `env_file`.
pub(crate) fn env_lines(text: &str) -> Result<Vec<(String, String)>, String> {
    env_file::parse(text)
}

/// Reads what a file says of the host itself; whatever else is wrong in it is not looked for.
pub(crate) fn load_settings(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, ConfigError> {
    load_parts(path, |part| part == "settings", env)
}

/// Reads the parts of a file that are wanted, by their first key.
fn load_parts(path: &Path, wanted: fn(&str) -> bool, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, ConfigError> {
    let name = path.to_string_lossy().into_owned();
    let refuse = |message: String, hint: Option<String>| {
        let problem = Problem { at: String::new(), message, hint };
        ConfigError::new(name.clone(), None, vec![Finding { problem, span: None, first: None }])
    };
    let text = file::read_text(path, MAX_DOCUMENT_BYTES).map_err(|why| refuse(why.message, why.hint))?;
    let Some(format) = Format::of(path) else {
        let hint = "end its name in .toml, .yaml, .yml or .json";
        return Err(refuse("this file does not say what is in it".to_owned(), Some(hint.to_owned())));
    };
    let text: Arc<str> = text.into();
    let base_dir = directory_of(path);
    let (document, spans, config) =
        understand(&text, format, wanted, &base_dir, env).map_err(|findings| ConfigError::new(name.clone(), Some(Arc::clone(&text)), findings))?;
    Ok(Loaded { document, name, text, spans, base_dir, config })
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Toml,
    Yaml,
    Json,
}

impl Format {
    fn of(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Format::Toml),
            "yaml" | "yml" => Some(Format::Yaml),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// The steps from a text to its meaning; each one needs the one before to be without a mistake.
fn understand(
    text: &str,
    format: Format,
    wanted: fn(&str) -> bool,
    base_dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(Value, Spans, Config), Vec<Finding>> {
    let mut findings = Vec::new();
    let parsed = match format {
        Format::Toml => toml::parse(text, &mut findings),
        Format::Yaml => yaml::parse(text, &mut findings),
        Format::Json => json::parse(text, &mut findings),
    };
    let Some(mut root) = parsed.filter(|_| findings.is_empty()) else { return Err(findings) };
    if says_nothing(&root) {
        let problem = Problem::new("", "the file says nothing: there is no key in it").hint("describe a service: [services.NAME] and its `backend`");
        return Err(vec![Finding::at(0..0, problem)]);
    }
    if let Data::Table(parts) = &mut root.data {
        parts.retain(|(key, _)| wanted(&key.text));
    }
    interpolate::interpolate(&mut root, text, env, &mut findings);
    env_file::inline(&mut root, base_dir, &mut findings);
    places::keep_texts(&mut root, text);
    places::make_absolute(&mut root, base_dir);
    let (document, spans) = node::flatten(root, &mut findings);
    // An unset variable says nothing about the rest of the document, which may be doubted all the same.
    match read(&document) {
        Ok(config) if findings.is_empty() => Ok((document, spans, config)),
        Ok(_) => Err(findings),
        Err(problems) => {
            let known: Vec<String> = findings.iter().map(|finding| finding.problem.at.clone()).collect();
            findings.extend(problems.into_iter().filter(|problem| !known.contains(&problem.at)).map(|problem| Finding::placed(problem, &spans)));
            Err(findings)
        }
    }
}

fn says_nothing(root: &Node) -> bool {
    match &root.data {
        Data::Null => true,
        Data::Table(members) => members.is_empty(),
        Data::Flag(_) | Data::Number(_) | Data::Text(_) | Data::List(_) => false,
    }
}

/// The absolute directory of a file, behind links, so that `..` in a path means what it says.
fn directory_of(path: &Path) -> PathBuf {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    parent.canonicalize().or_else(|_| std::path::absolute(parent)).unwrap_or_else(|_| parent.to_owned())
}
