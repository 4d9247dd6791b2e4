//! The entry of a service file that means a component.

use std::path::{Path, PathBuf};

use hostler_api::config::{PluginEntry, Source, absolute};

use crate::context::Context;
use crate::document::Wish;
use crate::error::Error;

/// What a service file says of a component.
pub(super) struct Named {
    /// What services call it.
    pub(super) name: String,
    pub(super) entry: PluginEntry,
}

/// The service file that is meant: the one that is named, else the one beside the component, else the one here.
pub(super) fn service_file(component: &Path, context: &Context) -> Option<PathBuf> {
    let beside = component.with_file_name("hostler.toml");
    if context.global.file.is_none() && beside.is_file() { Some(beside) } else { context.found_file(None) }
}

/// Looks for a component in that service file. The component need not be there yet.
pub(super) fn named(component: &Path, context: &Context) -> Result<Option<Named>, Error> {
    let Some(file) = service_file(component, context) else { return Ok(None) };
    let wish = Wish::read(context, Some(&file))?;
    let base = file.parent().map(Path::to_path_buf).unwrap_or_default();
    let entries = wish.config.plugins.into_iter();
    let mut same = entries.filter(|(_, entry)| matches!(&entry.source, Source::File(source) if is_same(&absolute(source, &base), component)));
    Ok(same.next().map(|(name, entry)| Named { name, entry }))
}

/// Do both paths lead to one place, whether something lies there or not?
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        path.canonicalize().ok().or_else(|| Some(folder.canonicalize().ok()?.join(path.file_name()?)))
    };
    place(one).is_some_and(|one| Some(one) == place(other))
}
