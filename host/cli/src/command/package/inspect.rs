//! `hostler package inspect`

use std::fs::File;
use std::path::{Path, PathBuf};

use hostler_package::{Contents, Limits, Nowhere, read};

use crate::context::Context;
use crate::error::{Error, failed};

/// Check a package, and show what is in it; nothing is unpacked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The package
    #[arg(value_name = "PACKAGE")]
    package: PathBuf,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let contents = contents(&args.package)?;
    super::print(&args.package, &contents, context)
}

fn contents(path: &Path) -> Result<Contents, Error> {
    let refused = |error: &dyn std::fmt::Display| failed(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| refused(&error))?;
    let hint = "`hostler package build DIR` makes one from a directory";
    Ok(read(file, &Limits::default(), &mut Nowhere).map_err(|error| refused(&error).hint(hint))?)
}
