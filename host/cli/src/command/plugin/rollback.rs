//! `hostler plugin rollback`

use hostler_api::{Revised, RollbackRequest, routes};

use super::text::revision;
use crate::context::Context;
use crate::error::Error;

/// Go back to the component before the last upgrade, under the plugin's live tasks
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which plugin
    #[arg(value_name = "PLUGIN")]
    name: String,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let client = context.client()?.while_it_compiles();
    let document = client.post(&routes::of(routes::ROLLBACK, &args.name), &RollbackRequest::default()).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let revised: Revised = document.read()?;
    let from = revised.from.as_ref().map_or_else(|| "one that did not work".to_owned(), revision);
    context.out.line(format!("{}: {} again, instead of {from}", revised.name, revision(&revised.to)))
}
