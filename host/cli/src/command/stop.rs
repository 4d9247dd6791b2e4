//! `hostler stop`

use hostler_api::{ServicesRequest, routes};

use crate::context::Context;
use crate::error::Error;
use crate::progress::Waiting;

/// Stop services and what depends on them; a stopped service stays stopped until it is started again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// These services [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Kill without grace
    #[arg(long)]
    force: bool,
    /// Not what depends on them
    #[arg(long)]
    no_deps: bool,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let request = ServicesRequest { services: args.services, force: args.force, no_deps: args.no_deps, wait_ms: None };
    super::act(context, routes::STOP, request, &args.waiting).await
}
