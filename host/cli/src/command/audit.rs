//! `hostler audit`

use hostler_api::{AuditEntry, AuditPage, AuditQuery};
use jiff::tz::TimeZone;

use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Table, local_zone, stamp};

/// The host answers no longer page.
const PAGE: usize = 1_000;

/// Show who has asked for what, and what became of it: every change, and everything that was refused.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only what came after this number; all that is kept with 0 [default: the last ones]
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let client = context.client()?;
    let page = async |after: u64, limit: usize| client.get(&AuditQuery { after: Some(after), limit: Some(limit) }.path()).await;
    let mut after = match args.after {
        Some(after) => after,
        None => {
            let newest: AuditPage = page(u64::MAX, 1).await?.read()?;
            newest.last.saturating_sub(args.limit as u64)
        }
    };
    let zone = local_zone();
    let mut table = Table::new(&["SEQ", "AT", "WHO", "FROM", "WHAT", "ABOUT", "RESULT"]);
    let mut left = args.limit;
    while left > 0 {
        let document = page(after, left.min(PAGE)).await?;
        if context.out.json {
            context.out.document(document.bytes())?;
        }
        let found: AuditPage = document.read()?;
        if found.entries.is_empty() {
            break;
        }
        left -= found.entries.len().min(left);
        after = found.next;
        found.entries.iter().for_each(|entry| table.row(row(entry, &zone)));
    }
    if context.out.json { Ok(()) } else { context.out.table(&table) }
}

fn row(entry: &AuditEntry, zone: &TimeZone) -> Vec<Cell> {
    let who = match (&entry.token, &entry.certificate) {
        (Some(token), Some(certificate)) => format!("{} ({token}, {certificate})", entry.caller),
        (Some(token), None) => format!("{} ({token})", entry.caller),
        (None, Some(certificate)) => format!("{} ({certificate})", entry.caller),
        (None, None) => entry.caller.clone(),
    };
    let more = if entry.more > 0 { format!(", and {} more like it", entry.more) } else { String::new() };
    let colour = if entry.status < 400 { Colour::Green } else { Colour::Red };
    vec![
        Cell::painted(entry.seq.to_string(), Colour::Dim),
        Cell::new(stamp(entry.at, zone)),
        Cell::painted(who, Colour::Bold),
        Cell::new(&entry.from),
        Cell::new(format!("{} {}", entry.method, entry.route.as_deref().unwrap_or("-"))),
        Cell::maybe(subject(entry)),
        Cell::painted(format!("{} {}{more}", entry.status, entry.code), colour),
    ]
}

/// What it was about, and of which workspace.
fn subject(entry: &AuditEntry) -> Option<String> {
    match (&entry.workspace, &entry.subject) {
        (Some(workspace), Some(subject)) => Some(format!("{workspace}/{subject}")),
        (Some(workspace), None) => Some(workspace.clone()),
        (None, subject) => subject.clone(),
    }
}
