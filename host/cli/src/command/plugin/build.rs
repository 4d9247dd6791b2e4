//! `hostler plugin build`

use std::path::{Path, PathBuf};

use hostler_api::{Failure, Shape};
use hostler_componentize::{BuildError, Guest, Project};
use serde::Serialize;

use super::new::no_project;
use crate::context::Context;
use crate::error::{Error, failed};
use crate::out::{bytes, note};

/// Build a plugin's folder into one component, whatever language it is in
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plugin's folder
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Where the component goes [default: NAME.wasm in the folder]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Built<'a> {
    version: Shape,
    name: &'a str,
    path: &'a Path,
    size: u64,
    /// False when the file had these bytes already.
    changed: bool,
}

pub(super) fn run(args: Args, context: &Context) -> Result<(), Error> {
    let project = Project::open(&args.dir).map_err(no_project)?;
    let guest = project.build(args.out.as_deref(), &mut |line| note(line)).map_err(not_built)?;
    if context.out.json {
        let built = Built { version: Shape, name: &guest.name, path: &guest.path, size: guest.size, changed: guest.changed };
        return context.out.document(&serde_json::to_vec(&built).expect("it is strings and numbers"));
    }
    context.out.line(told(&guest))
}

/// Name, size and place.
fn told(guest: &Guest) -> String {
    let unchanged = if guest.changed { "" } else { ", unchanged" };
    format!("{}: {}{unchanged}, {}", guest.name, bytes(guest.size), guest.path.display())
}

/// Why there is no component, with what helps.
pub(super) fn not_built(error: BuildError) -> Failure {
    match &error {
        BuildError::Cargo(_) => failed("the plugin does not compile: cargo's own messages are above").hint("mend what they name, and build again"),
        _ => failed(error.to_string()),
    }
}
