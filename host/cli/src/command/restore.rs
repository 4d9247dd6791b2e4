//! `hostler restore`

use std::path::PathBuf;

use crate::context::Context;
use crate::error::{Error, failed};

/// Put a backup back, while no host runs: what it says is wanted again.
///
/// What runs goes on. The next host takes up what the backup knows of; what was started since then it shows with `hostler strangers`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What `hostler backup` has written
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    context.here("restore")?;
    let state_dir = context.client()?.state_dir().to_owned();
    let (dir, file) = (state_dir.clone(), args.file.clone());
    let restored = tokio::task::spawn_blocking(move || hostler_server::restore(&dir, &file)).await;
    restored.map_err(|error| failed(format!("nothing is known of what was restored: {error}")))?.map_err(|error| error.failure())?;
    if context.out.json {
        return context.out.document(&serde_json::to_vec(&serde_json::json!({ "file": args.file, "state_dir": state_dir })).unwrap_or_default());
    }
    context.out.line(format!("{} is what {} says; `hostler serve` goes on from there", state_dir.display(), args.file.display()))
}
