//! `hostler events`

use std::path::PathBuf;

use hostler_api::{EventItem, EventRecord, EventsQuery};
use jiff::tz::TimeZone;

use crate::context::Context;
use crate::error::Error;
use crate::out::{Colour, Paint, local_zone, stamp, visible};

/// Show what happened.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only of these services
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Stay, and show events as they happen
    #[arg(long, short = 'f')]
    follow: bool,
    /// Configuration file; here -f is --follow
    #[arg(id = "file", long = "file", value_name = "FILE", help_heading = "Global options")]
    _file: Option<PathBuf>,
    /// Only of these kinds, such as `failed,health-changed`
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<String>,
    /// Only what came after this sequence number
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let kinds = (!args.kinds.is_empty()).then(|| args.kinds.join(","));
    let services = (!args.services.is_empty()).then(|| args.services.join(","));
    let mut query = EventsQuery { after: args.after, limit: args.limit, services, kinds, follow: args.follow, wait_ms: None };
    let mut lines = context.client()?.stream(&query.path()).await?;
    let zone = local_zone();
    while let Some(line) = lines.line().await? {
        let item = serde_json::from_slice(&line);
        if context.out.json && !matches!(item, Ok(EventItem::Cut { .. })) {
            context.out.document(&line)?;
        }
        match item {
            // Whoever reads this did not, for a while: nothing is lost.
            Ok(EventItem::Cut { after, .. }) => {
                query.after = Some(after);
                lines = context.client()?.stream(&query.path()).await?;
            }
            Ok(EventItem::Event(_) | EventItem::Gap { .. } | EventItem::Cursor { .. }) if context.out.json => {}
            Ok(EventItem::Event(event)) => context.out.line(text(&event, context.out.paint, &zone))?,
            Ok(EventItem::Gap { next, .. }) => context.out.line(format!("… what came before {next} is no longer kept"))?,
            Ok(EventItem::Cursor { .. }) => {}
            Ok(EventItem::Error { message, .. }) => return Err(crate::error::failed(message).into()),
            Err(error) => return Err(crate::error::failed(format!("the host sent an event that is not understood: {error}")).into()),
        }
    }
    Ok(())
}

/// One line of one event.
pub(crate) fn text(event: &EventRecord, paint: Paint, zone: &TimeZone) -> String {
    let whom = match (&event.service, event.replica) {
        (Some(service), Some(replica)) if replica > 0 => format!("{service}/{replica}"),
        (Some(service), _) => service.clone(),
        (None, _) => "-".to_owned(),
    };
    let seq = format!("{:>6}", event.seq);
    let at = stamp(event.at, zone);
    format!("{}  {at}  {:<16}  {:<20}  {}", paint.of(Colour::Dim, &seq), visible(&whom), visible(&event.kind), visible(&event.message))
}
