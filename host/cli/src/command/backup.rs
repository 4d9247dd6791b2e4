//! `hostler backup`

use std::path::PathBuf;

use hostler_api::routes;

use crate::context::Context;
use crate::error::Error;

/// Write everything that the host remembers into one file, while it runs.
///
/// It holds what services were asked for, with their settings, and digests of tokens: it is made readable by its owner only.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to; it appears complete or not at all, and replaces what is there
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let bytes = context.client()?.save(routes::STORE_SNAPSHOT, &args.file).await?;
    if context.out.json {
        return context.out.document(&serde_json::to_vec(&serde_json::json!({ "file": args.file, "bytes": bytes })).unwrap_or_default());
    }
    context.out.line(format!("{}: {bytes} bytes; `hostler restore` puts it back", args.file.display()))
}
