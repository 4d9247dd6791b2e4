//! `hostler start`

use hostler_api::{ServicesRequest, routes};

use crate::context::Context;
use crate::error::Error;
use crate::progress::Waiting;

/// Start services and what they depend on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// These services [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Also what has used up its restarts
    #[arg(long)]
    force: bool,
    /// Not what they depend on
    #[arg(long)]
    no_deps: bool,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let request = ServicesRequest { services: args.services, force: args.force, no_deps: args.no_deps, wait_ms: None };
    super::act(context, routes::START, request, &args.waiting).await
}
