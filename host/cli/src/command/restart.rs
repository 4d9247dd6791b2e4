//! `hostler restart`

use hostler_api::{RestartRequest, routes};

use crate::context::Context;
use crate::error::Error;
use crate::progress::Waiting;

/// Restart services; the count of restarts begins anew.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// These services [default: all that are to run; not what was stopped by hand, has completed or has failed]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Also what has failed
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let request = RestartRequest { services: args.services, force: args.force, wait_ms: None };
    super::act(context, routes::RESTART, &request, &args.waiting).await
}
