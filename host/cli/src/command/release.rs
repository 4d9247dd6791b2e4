//! `hostler release`

use hostler_api::{ReleaseRequest, routes};

use crate::context::Context;
use crate::error::Error;

/// Let go of services that were taken over: what they are goes on as it is, and nobody tends it any more.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The services
    #[arg(value_name = "SERVICE", required = true)]
    services: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let names = args.services.join(", ");
    let request = ReleaseRequest { services: args.services, wait_ms: Some(30_000) };
    let document = context.client()?.post(routes::RELEASE, &request).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    context.out.line(format!("{names}: let go"))
}
