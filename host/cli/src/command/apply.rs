//! `hostler apply`

use std::path::PathBuf;

use hostler_api::{Change, Plan, routes};

use super::{plan, settle};
use crate::context::Context;
use crate::document::Wish;
use crate::error::Error;
use crate::progress::{Progress, Waiting};

/// Change what runs to what the file says, and only that.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file
    #[arg(value_name = "FILE")]
    path: Option<PathBuf>,
    /// Keep what is new stopped
    #[arg(long)]
    no_start: bool,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let wish = Wish::read(context, args.path.as_deref())?;
    let client = context.client_of(&wish)?;
    let mut progress = Progress::from_now(client.clone(), context.out).await?;
    let document =
        client.while_it_compiles().post(routes::APPLY, &wish.request(!args.no_start, None)).await.map_err(|failure| wish.refused(failure))?;
    let accepted: Plan = document.read()?;
    if context.out.json && args.waiting.no_wait {
        return context.out.document(document.bytes());
    }
    if !context.out.json {
        plan::show(&accepted, context)?;
    }
    if args.waiting.no_wait || (accepted.is_empty() && !context.out.json) {
        return Ok(());
    }
    settle(context, &mut progress, &stays(&accepted), &args.waiting).await
}

/// The services that are there afterwards.
fn stays(plan: &Plan) -> Vec<String> {
    plan.changes.iter().filter(|planned| planned.change != Change::Remove).map(|planned| planned.service.clone()).collect()
}
