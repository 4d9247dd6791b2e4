//! `hostler package build`

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hostler_package::{Kind, Limits, Source, pack};

use crate::context::Context;
use crate::error::{Error, failed};

/// Build a package from a directory with manifest.yaml, bin, config, data, lib and scripts. The same files make the same package.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The package to write [default: NAME-VERSION.tar.gz of the current directory]
    #[arg(long, short, value_name = "PACKAGE")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Error> {
    let mut sources = Vec::new();
    collect(&args.dir, "", &mut sources)?;
    if !sources.iter().any(|source| source.path == "manifest.yaml") {
        let hint = "name: api\nversion: 1.0.0\nbinary: bin/api";
        return Err(failed(format!("{} has no manifest.yaml", args.dir.display())).hint(format!("write one:\n{hint}")).into());
    }
    let (packed, contents) = pack(sources, &Limits::default()).map_err(|error| failed(format!("{}: {error}", args.dir.display())))?;
    let named = || PathBuf::from(format!("{}-{}.tar.gz", contents.manifest.name, contents.manifest.version));
    let out = args.out.clone().unwrap_or_else(named);
    write(&out, &packed).map_err(|error| failed(format!("{}: {error}", out.display())))?;
    super::print(&out, &contents, context)
}

/// Everything below a directory; links stay links.
fn collect(dir: &Path, prefix: &str, sources: &mut Vec<Source>) -> Result<(), Error> {
    let cannot = |path: &Path, error: &dyn std::fmt::Display| Error::from(failed(format!("{}: {error}", path.display())));
    for entry in fs::read_dir(dir).map_err(|error| cannot(dir, &error))? {
        let path = entry.map_err(|error| cannot(dir, &error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| cannot(&path, &"its name is not UTF-8"))?;
        let inner = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let metadata = fs::symlink_metadata(&path).map_err(|error| cannot(&path, &error))?;
        let kind = metadata.file_type();
        let (kind, bytes) = if kind.is_dir() {
            collect(&path, &inner, sources)?;
            continue;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(|error| cannot(&path, &error))?;
            let target = target.to_str().ok_or_else(|| cannot(&path, &"its target is not UTF-8"))?;
            (Kind::Link(target.to_owned()), Vec::new())
        } else if kind.is_file() {
            (Kind::File { executable: metadata.permissions().mode() & 0o111 != 0 }, fs::read(&path).map_err(|error| cannot(&path, &error))?)
        } else {
            return Err(cannot(&path, &"only files, directories and links belong into a package"));
        };
        sources.push(Source { path: inner, kind, bytes });
    }
    Ok(())
}

/// The whole file or none.
fn write(out: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let beside = out.with_file_name(format!(".{name}.{}", std::process::id()));
    fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, out)).inspect_err(|_| drop(fs::remove_file(&beside)))
}
