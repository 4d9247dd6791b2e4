//! `hostler deploy`

use hostler_api::{DeployRequest, Operation, routes};

use super::operations;
use crate::context::Context;
use crate::document::Wish;
use crate::error::{Error, usage};
use crate::progress::Waiting;

/// Bring a service into force, start it with what it depends on, and wait until it is well.
///
/// With --file it is brought into force as it is written there, beside the configuration; without, as it stands. It is an operation: it goes on
/// when this command ends, and when the host does.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// This service
    #[arg(value_name = "SERVICE")]
    name: String,
    /// Also stop it first, where it runs and nothing of it was changed
    #[arg(long)]
    restart: bool,
    /// From -100 to 100: the higher goes first [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
    /// Give it up after this long [default: 15m]
    #[arg(long, value_name = "TIME", value_parser = hostler_core::Span::parse)]
    deadline: Option<hostler_core::Span>,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let wish = context.global.file.as_deref().map(|file| Wish::read(context, Some(file))).transpose()?;
    let mut request = DeployRequest { restart: args.restart, ..DeployRequest::default() };
    let client = match &wish {
        Some(wish) => {
            let missing = || usage(format!("{} has no service `{}`", wish.file.display(), args.name.escape_default()));
            let (service, base_dir) = wish.service(&args.name).ok_or_else(missing)?;
            (request.service, request.base_dir) = (Some(service), Some(base_dir));
            context.client_of(wish)?
        }
        None => context.client()?,
    };
    let pairs = [("priority", args.priority.map(|n| n.to_string())), ("deadline_ms", args.deadline.map(|span| span.0.to_string()))];
    let path = routes::with(&routes::of(routes::DEPLOY, &args.name), &pairs);
    let refused = |failure| match &wish {
        Some(wish) => wish.refused(failure),
        None => Error::from(failure),
    };
    let document = client.post(&path, &request).await.map_err(refused)?;
    let operation: Operation = document.read()?;
    if args.waiting.no_wait {
        return operations::show(context, &document, &operation);
    }
    operations::wait_for(context, &client, &operation.id, args.waiting.timeout).await
}
