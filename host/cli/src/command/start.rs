//! `hostler start`

use hostler_api::{StartRequest, routes};

use crate::context::Context;
use crate::error::Error;
use crate::progress::Waiting;

/// Start services and what they depend on; what has failed or completed is run again, what runs is left alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// These services [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Not what they depend on
    #[arg(long)]
    no_deps: bool,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let request = StartRequest { services: args.services, no_deps: args.no_deps, wait_ms: None };
    super::act(context, routes::START, &request, &args.waiting).await
}
