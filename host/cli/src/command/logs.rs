//! `hostler logs`

mod merge;
mod page;

use std::path::PathBuf;

use hostler_api::{Code, LogItem, LogsQuery, ServicesQuery, Timestamp};
use tokio::sync::mpsc;

use crate::client::{Client, Lines};
use crate::context::Context;
use crate::error::{Error, failed, usage};
use crate::out::{note, visible};
use merge::Merge;
use page::Page;

/// So many streams are open at a time: each takes a connection, and those of a host are counted.
const AT_A_TIME: usize = 100;

/// Show what services have written. On a terminal control characters are shown as escapes; into a file or pipe every byte goes as it was.
///
/// Lines of several services come in the order of their times; of more than a hundred services a hundred at a time.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of these services [default: all]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Stay, and show lines as they are written
    #[arg(long, short = 'f')]
    follow: bool,
    /// Only the last N lines of each replica
    #[arg(long, short = 'n', value_name = "N")]
    tail: Option<u32>,
    /// Only since then: a length of time ago (10m) or a time (2025-10-22T04:00:00Z)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only this replica
    #[arg(long, value_name = "N")]
    replica: Option<u32>,
    /// Begin each line with its time
    #[arg(long, short = 't')]
    timestamps: bool,
    /// Configuration file; here -f is --follow
    #[arg(id = "file", long = "file", value_name = "FILE", help_heading = "Global options")]
    _file: Option<PathBuf>,
}

/// One document, read and as it came.
type Item = (LogItem, bytes::Bytes);

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let since_ms = args.since.as_deref().map(|text| since(text, now_ms())).transpose()?;
    let client = context.client()?;
    let everybody = args.services.is_empty();
    let names = if everybody { every_service(&client).await? } else { args.services };
    if args.follow && names.len() > AT_A_TIME {
        return Err(usage(format!("{} services are too many to follow at a time", names.len()))
            .hint(format!("name at most {AT_A_TIME}: `hostler logs -f SERVICE …`; `hostler events -f` follows what happens to all of them"))
            .into());
    }
    let query = LogsQuery { tail: args.tail, since_ms, cursor: None, replica: args.replica, follow: args.follow };
    let mut page = Page::new(context.out, &names, args.timestamps);
    // a backend that keeps no logs leaves nothing out, one that is away does
    let mut left_out = None;
    for some in names.chunks(AT_A_TIME) {
        let mut streams = Vec::with_capacity(some.len());
        for name in some {
            match client.stream(&query.path(name)).await {
                Ok(stream) => streams.push(stream),
                // Who asks for everything that is there is not helped by nothing: the others are told.
                Err(failure) if everybody && matches!(failure.code, Code::Invalid | Code::Unavailable) => {
                    note(&visible(&failure.message));
                    left_out = left_out.or((failure.code == Code::Unavailable).then_some(failure));
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        let told = if args.follow { follow(streams, &mut page).await } else { print_merged(streams, &mut page).await };
        // What came before it is worth reading.
        told.or_else(|error| page.end().and(Err(error)))?;
    }
    page.end()?;
    left_out.map_or(Ok(()), |failure| Err(failure.into()))
}

async fn every_service(client: &Client) -> Result<Vec<String>, Error> {
    let list = client.services(&ServicesQuery::default()).await?;
    Ok(list.services.into_iter().map(|service| service.name).collect())
}

/// Each as it comes.
async fn follow(streams: Vec<Lines>, page: &mut Page) -> Result<(), Error> {
    let (sender, mut items) = mpsc::channel(64);
    for mut stream in streams {
        let sender = sender.clone();
        tokio::spawn(async move {
            loop {
                let item = read(&mut stream).await.transpose();
                let last = !matches!(item, Some(Ok(_)));
                if let Some(item) = item
                    && sender.send(item).await.is_err()
                {
                    return;
                }
                if last {
                    return;
                }
            }
        });
    }
    drop(sender);
    while let Some(item) = items.recv().await {
        let mut next = Some(item);
        while let Some(item) = next {
            let item = item?;
            if let LogItem::Error { message, .. } = &item.0 {
                note(&visible(message));
            }
            page.print(&item)?;
            next = items.try_recv().ok();
        }
        page.flush()?;
    }
    Ok(())
}

/// All together in the order of their times.
async fn print_merged(mut streams: Vec<Lines>, page: &mut Page) -> Result<(), Error> {
    let mut merge = Merge::new(streams.len());
    for (index, stream) in streams.iter_mut().enumerate() {
        merge.refill(index, read(stream).await?);
    }
    let mut trouble = None;
    while let Some((index, item)) = merge.next() {
        page.print(&item)?;
        if let (LogItem::Error { message, .. }, _) = item {
            trouble.get_or_insert(message);
        }
        merge.refill(index, read(&mut streams[index]).await?);
    }
    trouble.map_or(Ok(()), |message| Err(failed(message).into()))
}

async fn read(stream: &mut Lines) -> Result<Option<Item>, Error> {
    let Some(line) = stream.line().await? else { return Ok(None) };
    match serde_json::from_slice(&line) {
        Ok(item) => Ok(Some((item, line))),
        Err(error) => Err(failed(format!("the host sent a log line that is not understood: {error}")).into()),
    }
}

/// `10m` before now, or a time.
fn since(text: &str, now_ms: u64) -> Result<u64, Error> {
    if let Ok(span) = hostler_core::Span::parse(text) {
        return Ok(now_ms.saturating_sub(span.0));
    }
    let at: Result<Timestamp, _> = text.parse();
    at.map(|at| at.0).map_err(|_| usage(format!("`{text}` is neither a length of time (10m) nor a time (2025-10-22T04:00:00Z)")).into())
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_length_or_a_time() {
        let of = |text| since(text, 3_600_000).ok();
        assert_eq!(of("10m"), Some(3_000_000));
        assert_eq!(of("2d"), Some(0));
        assert_eq!(of("1970-01-01T00:00:01Z"), Some(1_000));
        assert_eq!(of("yesterday"), None);
    }
}
