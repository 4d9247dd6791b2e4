//! `hostler signal`

use hostler_api::{SignalRequest, SignalResult, routes};

use crate::context::Context;
use crate::error::Error;

/// Send a signal to what runs of a service.
///
/// A signal that ends the task is an end like any other: its restart policy decides what follows. `hostler stop` ends it for good.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service
    #[arg(value_name = "SERVICE")]
    service: String,
    /// Its name: HUP or SIGHUP
    #[arg(value_name = "SIGNAL")]
    signal: String,
    /// Only to this replica [default: to each that runs]
    #[arg(long, value_name = "N")]
    replica: Option<u32>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let request = SignalRequest { signal: args.signal, replica: args.replica };
    let document = context.client()?.post(&routes::of(routes::SIGNAL, &args.service), &request).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let sent: SignalResult = document.read()?;
    let replicas = match sent.replicas.as_slice() {
        [_] => String::new(),
        many => format!(", to its {} replicas", many.len()),
    };
    context.out.line(format!("{} was sent to {}{replicas}", sent.signal, sent.service))
}
