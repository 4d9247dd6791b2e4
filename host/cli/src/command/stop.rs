//! `hostler stop`

use hostler_api::{StopRequest, routes};

use crate::context::Context;
use crate::error::Error;
use crate::progress::Waiting;

/// Stop services; each stays stopped until it is started again.
///
/// What requires a stopped service is taken down first, and held: it comes back by itself when the service is started. A dependency
/// declared `optional = true` leaves its dependent running.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// These services [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Kill without grace
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let request = StopRequest { services: args.services, force: args.force, wait_ms: None };
    super::act(context, routes::STOP, &request, &args.waiting).await
}
