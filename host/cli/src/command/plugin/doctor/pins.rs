//! What is wrong between a service file, the components that it names, and what is pinned beside it.

use std::path::Path;

use hostler_api::config::{PluginEntry, Source, absolute};
use hostler_api::{Lock, Locked};

use super::finding::Finding;
use crate::command::plugin::lock::{self, digests, directory};
use crate::command::plugin::named::is_same;
use crate::context::Context;
use crate::document::Wish;
use crate::error::Error;

/// Every plugin that comes from a file, and every pin. Of the one that is looked at somebody else says whether it is there.
pub(super) fn findings(file: &Path, looked_at: &Path, context: &Context) -> Result<Vec<Finding>, Error> {
    let wish = Wish::read(context, Some(file))?;
    let (path, lock) = match lock::read(file) {
        Ok(read) => read,
        Err(Error::Failure(failure)) => {
            let mend = failure.hint.clone().unwrap_or_default();
            return Ok(vec![Finding::wrong("broken-lock", failure.message.clone(), mend)]);
        }
        Err(other) => return Err(other),
    };
    let place = path.display().to_string();
    let plugins = &wish.config.plugins;
    let mut findings = Vec::new();
    for (name, entry) in plugins {
        if let Source::File(source) = &entry.source {
            let component = absolute(source, &directory(file));
            if component.is_file() || !is_same(&component, looked_at) {
                findings.extend(of_plugin(name, entry, &component, &lock, &place));
            }
        }
    }
    let named = |name: &String| plugins.get(name).is_some_and(|entry| entry.source != Source::BuiltIn);
    findings.extend(lock.plugins.keys().filter(|name| !named(name)).map(|name| {
        let what = format!("{place} pins {name}, and {} names no such plugin", file.display());
        Finding::doubtful("pin-without-plugin", what, format!("hostler plugin remove {name}"))
    }));
    if findings.is_empty() && !lock.plugins.is_empty() {
        findings.push(Finding::fine("pins", format!("{place} pins what the service file names")));
    }
    Ok(findings)
}

/// One plugin's component beside what is said of its bytes, in the lock and in the service file itself.
fn of_plugin(name: &str, entry: &PluginEntry, component: &Path, lock: &Lock, place: &str) -> Option<Finding> {
    let (file, locked) = (component.display(), lock.plugins.get(name));
    let add = format!("hostler plugin add {name} {file}");
    let bytes = match std::fs::read(component) {
        Ok(bytes) => bytes,
        Err(error) => {
            let mend = "build it there, or mend `source` in the service file";
            return Some(Finding::wrong("no-component", format!("[plugins.{name}] names {file}, which cannot be read: {error}"), mend));
        }
    };
    let (blake3, sha256) = digests(&bytes);
    let is_it = |digest: &str| digest == blake3 || digest == sha256;
    if let Some(digest) = entry.digest.as_deref().filter(|digest| !is_it(digest)) {
        let what = format!("[plugins.{name}] takes only {digest}, and {file} is {blake3}: it does not load");
        return Some(Finding::wrong("other-digest", what, "put the component back that is meant, or write its digest there"));
    }
    match locked {
        Some(Locked { blake3: pinned, .. }) if *pinned != blake3 => {
            let what = format!("{place} pins {name} to {pinned}, and {file} is {blake3}: it does not load");
            Some(Finding::wrong("other-pin", what, format!("{add}, when this one is meant; else put the other one back")))
        }
        Some(_) => None,
        // whoever pins nothing at all has decided that
        None if lock.plugins.is_empty() => None,
        None => {
            Some(Finding::doubtful("not-pinned", format!("{place} pins other plugins, and not {name}: any component loads under that name"), add))
        }
    }
}
