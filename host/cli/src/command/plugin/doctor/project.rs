//! What is wrong with a plugin's folder.

use std::path::{Path, PathBuf};

use hostler_componentize::Project;

use super::component;
use super::finding::Finding;
use crate::command::plugin::new::no_project;
use crate::context::Context;
use crate::error::Error;

/// The component that belongs into the folder; the folder's own state, then that of the component when it is there.
pub(super) fn findings(dir: &Path, context: &Context) -> Result<(PathBuf, Vec<Finding>), Error> {
    let project = Project::open(dir).map_err(no_project)?;
    let kind = project.kind.map_or("plugin", |kind| kind.as_str());
    let mut findings = vec![Finding::fine("project", format!("{} is a {kind} in {}", project.name, project.language.as_str()))];
    findings.push(match project.toolchain() {
        Ok(found) => Finding::fine("toolchain", format!("built with {found}")),
        Err(missing) => Finding::wrong("no-toolchain", missing.to_string(), "install what is named there"),
    });
    findings.extend(sdk(&project, dir));
    let component = project.dir.join(format!("{}.wasm", project.name));
    if component.is_file() {
        findings.extend(component::findings(&component, context)?);
    } else {
        let what = format!("{} is not built yet", component.display());
        findings.push(Finding::doubtful("not-built", what, format!("hostler plugin build {}", dir.display())));
    }
    Ok((component, findings))
}

/// The SDK that the project carries, beside the one in this program.
fn sdk(project: &Project, dir: &Path) -> Option<Finding> {
    let vendored = project.outdated();
    // a project that was not made by `plugin new` has its SDK from elsewhere
    if !project.dir.join("vendor").is_dir() && !vendored.is_empty() {
        return None;
    }
    Some(match vendored.as_slice() {
        [] => Finding::fine("sdk", "its SDK is that of this hostler"),
        [(first, _), rest @ ..] => {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more files", rest.len()) };
            let what = format!("its SDK is another one than that of this hostler: {first}{more}");
            Finding::doubtful("old-sdk", what, format!("hostler plugin renew {}", dir.display()))
        }
    })
}
