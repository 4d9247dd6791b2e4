//! `hostler heartbeat`

use std::collections::BTreeMap;

use hostler_api::{Heartbeat, HeartbeatRequest, routes};
use hostler_core::Span;

use crate::context::Context;
use crate::error::{Error, usage};

/// Say that a service is alive: one heartbeat.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which one [default: the service that this runs in, HOSTLER_SERVICE]
    #[arg(value_name = "SERVICE", env = "HOSTLER_SERVICE")]
    service: String,
    /// When the next one is to be expected, such as 30s; one that is three times as late is missed
    #[arg(long, value_name = "TIME", value_parser = Span::parse)]
    ttl: Option<Span>,
    /// What it says of itself, in place of what it has said before; may be given again
    #[arg(long = "metadata", value_name = "NAME=TEXT")]
    metadata: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let pair = |text: &String| {
        let wrong = || usage(format!("--metadata has `{text}`")).hint("write --metadata region=eu");
        text.split_once('=').map(|(name, text)| (name.to_owned(), text.to_owned())).ok_or_else(wrong)
    };
    let metadata = args.metadata.iter().map(pair).collect::<Result<BTreeMap<_, _>, _>>()?;
    let request = HeartbeatRequest { ttl_ms: args.ttl.map(|ttl| ttl.0), metadata: (!metadata.is_empty()).then_some(metadata) };
    let document = context.client()?.post(&routes::of(routes::HEARTBEAT, &args.service), &request).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let heartbeat: Heartbeat = document.read()?;
    let patience = Span(heartbeat.ttl_ms.saturating_mul(HeartbeatRequest::MISSED_AFTER));
    context.out.line(format!("{}: heard, the next one within {}, missed after {patience}", args.service, Span(heartbeat.ttl_ms)))
}
