//! `hostler silence`

use hostler_api::{Severity, Silence, SilenceList, SilenceRequest, Silenced, Timestamp, routes};
use hostler_core::Span;

use super::alerts::severity;
use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Table, local_zone, stamp};

/// Tell nobody of some alerts for a while; what still fires when it ends is told then.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make one; what it names must match, and * stands for any text
    Add(Add),
    /// List those that are not over
    Ls,
    /// End one
    Rm(Rm),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// Rules, by a pattern of their names
    #[arg(long, value_name = "PATTERN", required_unless_present_any = ["service", "severity"])]
    rule: Option<String>,
    /// Services, by a pattern of their names
    #[arg(long, value_name = "PATTERN")]
    service: Option<String>,
    /// No worse than this: info, warning, critical
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    severity: Option<Severity>,
    /// How long: 30m, 2h, 1d
    #[arg(long = "for", value_name = "TIME", value_parser = Span::parse, required_unless_present = "until")]
    length: Option<Span>,
    /// Or until when, as 2026-10-22T04:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = when, conflicts_with = "length")]
    until: Option<Timestamp>,
    /// From when on [default: now]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    from: Option<Timestamp>,
    /// Why, for whoever sees it
    #[arg(long, value_name = "TEXT", default_value = "")]
    comment: String,
}

#[derive(Debug, clap::Args)]
struct Rm {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    match args.what {
        What::Add(args) => add(args, context).await,
        What::Ls => list(context).await,
        What::Rm(args) => remove(&args.id, context).await,
    }
}

async fn add(args: Add, context: &Context) -> Result<(), Error> {
    let Add { rule, service, severity, length, until, from, comment } = args;
    let request = SilenceRequest { rule, service, severity, from, for_ms: length.map(|span| span.0), until, comment };
    let document = context.client()?.post(routes::SILENCES, &request).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let made: Silenced = document.read()?;
    context.out.line(format!("silence {} until {}", made.silence.id, stamp(made.silence.until, &local_zone())))
}

async fn list(context: &Context) -> Result<(), Error> {
    let document = context.client()?.get(routes::SILENCES).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let list: SilenceList = document.read()?;
    if list.silences.is_empty() {
        return context.out.line("there are no silences; `hostler silence add --rule RULE --for 1h` makes one");
    }
    let zone = local_zone();
    let mut table = Table::new(&["ID", "RULE", "SERVICE", "SEVERITY", "FROM", "UNTIL", "BY", "COMMENT"]);
    for Silence { id, rule, service, severity, from, until, created_by, comment, active } in list.silences {
        table.row(vec![
            Cell::painted(id, if active { Colour::Bold } else { Colour::Dim }),
            Cell::maybe(rule),
            Cell::maybe(service),
            Cell::maybe(severity.map(Severity::as_str)),
            Cell::new(stamp(from, &zone)),
            Cell::new(stamp(until, &zone)),
            Cell::new(created_by),
            Cell::new(comment),
        ]);
    }
    context.out.table(&table)
}

async fn remove(id: &str, context: &Context) -> Result<(), Error> {
    let document = context.client()?.delete(&routes::of(routes::SILENCE, id)).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let ended: Silenced = document.read()?;
    context.out.line(format!("silence {} is over", ended.silence.id))
}

fn when(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|error: hostler_api::NotATime| error.to_string())
}
