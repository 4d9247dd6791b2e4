//! `hostler plugin renew`

use std::path::PathBuf;

use hostler_api::Shape;
use hostler_componentize::Project;
use serde::Serialize;

use super::new::{no_project, refused};
use crate::context::Context;
use crate::error::Error;

/// Bring a plugin's folder the SDK of this version of hostler; nothing that its author wrote is touched
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plugin's folder
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Renewed {
    version: Shape,
    changed: Vec<PathBuf>,
}

pub(super) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let project = Project::open(&args.dir).map_err(no_project)?;
    let changed = project.renew().map_err(refused)?;
    if context.out.json {
        return context.out.document(&serde_json::to_vec(&Renewed { version: Shape, changed }).expect("it is strings"));
    }
    match changed.as_slice() {
        [] => context.out.line("nothing to renew: the SDK is that of this hostler"),
        changed => context.out.line(changed.iter().map(|path| format!("renewed {}", path.display())).collect::<Vec<_>>().join("\n")),
    }
}
