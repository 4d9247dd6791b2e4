//! `hostler alerts`

use hostler_api::{Alert, AlertList, AlertState, AlertsQuery, Severity, SinkState, TestRequest, Tested, routes};
use jiff::tz::TimeZone;

use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Table, local_zone, stamp};

/// Show what is wrong and somebody is told of, the worst first.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Only of this rule
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Only about this service
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    /// Only as bad as this, or worse: info, warning, critical
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    severity: Option<Severity>,
    /// What is over, too
    #[arg(long)]
    history: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show who is told, and how that works
    Sinks,
    /// Tell a sink something that says that it is a test
    Test(Test),
}

#[derive(Debug, clap::Args)]
struct Test {
    /// The sink
    #[arg(value_name = "SINK")]
    sink: String,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    match args.what {
        Some(What::Test(test)) => tell(test.sink, context).await,
        Some(What::Sinks) => sinks(context).await,
        None => {
            let Args { rule, service, severity, history, .. } = args;
            list(&AlertsQuery { rule, service, severity, history, ..AlertsQuery::default() }, context).await
        }
    }
}

async fn list(asked: &AlertsQuery, context: &Context) -> Result<(), Error> {
    let document = context.client()?.get(&asked.path()).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let list: AlertList = document.read()?;
    if list.alerts.is_empty() {
        return context.out.line("there are no alerts");
    }
    let zone = local_zone();
    let mut table = Table::new(&["STATE", "SEVERITY", "RULE", "ABOUT", "SINCE", "WHAT"]);
    list.alerts.iter().for_each(|alert| table.row(row(alert, &zone)));
    context.out.table(&table)
}

fn row(alert: &Alert, zone: &TimeZone) -> Vec<Cell> {
    let (word, colour) = match (alert.state, &alert.silenced_by) {
        (AlertState::Firing, Some(_)) => ("silenced", Colour::Dim),
        (AlertState::Firing, None) => ("firing", Colour::Red),
        (AlertState::Pending, _) => ("pending", Colour::Yellow),
        (AlertState::Resolved, _) => ("resolved", Colour::Green),
    };
    let about = alert.service.clone().or_else(|| alert.plugin.as_ref().map(|name| format!("plugin {name}")));
    vec![
        Cell::painted(word, colour),
        Cell::new(alert.severity.as_str()),
        Cell::new(&alert.rule),
        Cell::maybe(about),
        Cell::new(stamp(alert.resolved_at.unwrap_or(alert.since), zone)),
        Cell::new(&alert.message),
    ]
}

async fn sinks(context: &Context) -> Result<(), Error> {
    let document = context.client()?.get(&AlertsQuery { limit: Some(0), ..AlertsQuery::default() }.path()).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let list: AlertList = document.read()?;
    let mut table = Table::new(&["SINK", "KIND", "WAITING", "DELIVERED", "GIVEN UP", "DROPPED", "TROUBLE"]);
    for SinkState { name, kind, waiting, delivered, given_up, dropped, trouble } in list.sinks.unwrap_or_default() {
        let counts = [waiting, delivered, given_up, dropped].map(|count| Cell::new(count.to_string()));
        table.row([Cell::painted(name, Colour::Bold), Cell::new(kind)].into_iter().chain(counts).chain([Cell::maybe(trouble)]).collect());
    }
    context.out.table(&table)
}

async fn tell(sink: String, context: &Context) -> Result<(), Error> {
    let document = context.client()?.post(routes::TEST_ALERT, &TestRequest { sink }).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let tested: Tested = document.read()?;
    context.out.line(format!("sink {} took it within {} ms", tested.sink, tested.took_ms))
}

pub(super) fn severity(word: &str) -> Result<Severity, String> {
    Severity::ALL.into_iter().find(|one| one.as_str() == word).ok_or_else(|| "it is info, warning or critical".to_owned())
}
