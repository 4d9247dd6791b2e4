//! `hostler package`: one file per subcommand.

mod build;
mod inspect;

use hostler_api::Shape;
use hostler_package::{Contents, Kind};
use serde::Serialize;

use crate::context::Context;
use crate::error::Error;
use crate::out::{bytes, visible};

/// Build and look at packages, which the backend `package` installs and runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: PackageCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PackageCommand {
    Build(build::Args),
    Inspect(inspect::Args),
}

pub(crate) fn run(args: Args, context: &Context) -> Result<(), Error> {
    match args.command {
        PackageCommand::Build(args) => build::run(&args, context),
        PackageCommand::Inspect(args) => inspect::run(&args, context),
    }
}

/// What `--json` prints of a package.
#[derive(Debug, Serialize)]
struct Document<'a> {
    version: Shape,
    package: Package<'a>,
}

#[derive(Debug, Serialize)]
struct Package<'a> {
    file: String,
    name: &'a str,
    version: &'a str,
    description: Option<&'a str>,
    binary: &'a str,
    args: &'a [String],
    /// The directory that it is installed to, below `releases`.
    release: String,
    digest: String,
    packed_bytes: u64,
    unpacked_bytes: u64,
    entries: Vec<Item<'a>>,
}

#[derive(Debug, Serialize)]
struct Item<'a> {
    path: &'a str,
    kind: &'static str,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
}

/// Prints a package, as a document or for people.
fn print(file: &std::path::Path, contents: &Contents, context: &Context) -> Result<(), Error> {
    let digest = format!("sha256:{}", contents.sha256);
    let manifest = &contents.manifest;
    let entries: Vec<Item<'_>> = contents.entries.iter().map(item).collect();
    if context.out.json {
        let package = Package {
            file: file.display().to_string(),
            name: &manifest.name,
            version: &manifest.version,
            description: manifest.description.as_deref(),
            binary: &manifest.binary,
            args: &manifest.args,
            release: contents.release(),
            digest,
            packed_bytes: contents.packed_bytes,
            unpacked_bytes: contents.unpacked_bytes,
            entries,
        };
        let document = Document { version: Shape, package };
        return context.out.document(&serde_json::to_vec(&document).expect("a package is strings and numbers"));
    }
    let args: String = manifest.args.iter().map(|arg| format!(" {}", visible(arg))).collect();
    let mut text = format!("{} {}\n", manifest.name, manifest.version);
    if let Some(description) = &manifest.description {
        text.push_str(&format!("  summary:  {}\n", visible(description)));
    }
    text.push_str(&format!("  runs:     {}{args}\n  digest:   {digest}\n  release:  {}\n", visible(&manifest.binary), contents.release()));
    text.push_str(&format!("  size:     {}, unpacked {}\n", bytes(contents.packed_bytes), bytes(contents.unpacked_bytes)));
    for entry in entries {
        let target = entry.target.map(|target| format!(" -> {}", visible(target))).unwrap_or_default();
        text.push_str(&format!("  {:<9} {:>10}  {}{target}\n", entry.kind, bytes(entry.bytes), visible(entry.path)));
    }
    context.out.line(text.trim_end())
}

fn item(entry: &hostler_package::Entry) -> Item<'_> {
    let (kind, target) = match &entry.kind {
        Kind::File { executable: true } => ("program", None),
        Kind::File { executable: false } => ("file", None),
        Kind::Directory => ("directory", None),
        Kind::Link(target) => ("link", Some(target.as_str())),
    };
    Item { path: &entry.path, kind, bytes: entry.size, target }
}
