//! `hostler health`

use hostler_api::{CheckNow, CheckNowRequest, HealthReport, History, HistoryQuery, routes};

use super::ps::health_cell;
use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Table, health_colour, local_zone, percent, stamp};

/// Show how well services are.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run the checks now, and show what they say
    #[arg(long)]
    now: bool,
    /// Show what the checks of a service have said, the latest last
    #[arg(long, value_name = "SERVICE", conflicts_with = "now")]
    history: Option<String>,
    /// With --history: only of this check
    #[arg(long, value_name = "NAME", requires = "history")]
    check: Option<String>,
    /// With --history: only so many, the latest
    #[arg(long, value_name = "N", requires = "history")]
    limit: Option<usize>,
    /// With --now: only of these services
    #[arg(value_name = "SERVICE", requires = "now")]
    services: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let client = context.client()?;
    if let Some(service) = args.history {
        let asked = HistoryQuery { check: args.check, limit: args.limit, ..HistoryQuery::default() };
        let document = client.get(&asked.path(&service)).await?;
        return if context.out.json { context.out.document(document.bytes()) } else { show_history(&document.read()?, context) };
    }
    let document = if args.now {
        client.waiting(CheckNow::LONGEST).post(routes::CHECK_NOW, &CheckNowRequest { services: args.services }).await?
    } else {
        client.get(routes::HEALTH).await?
    };
    if context.out.json {
        return context.out.document(document.bytes());
    }
    if args.now { show_results(&document.read()?, context) } else { show_report(&document.read()?, context) }
}

fn show_report(report: &HealthReport, context: &Context) -> Result<(), Error> {
    let mut table = Table::new(&["NAME", "HEALTH", "FAILURES", "UPTIME 1H", "24H", "7D", "LAST CHECK"]);
    for (name, health) in &report.services {
        table.row(vec![
            Cell::painted(name, Colour::Bold),
            health_cell(health.status),
            Cell::new(health.consecutive_failures.to_string()),
            Cell::new(percent(health.uptime.uptime_1h)),
            Cell::new(percent(health.uptime.uptime_24h)),
            Cell::new(percent(health.uptime.uptime_7d)),
            Cell::painted(health.last_check.as_ref().map_or("", |check| &check.message), Colour::Dim),
        ]);
    }
    context.out.table(&table)?;
    whole(report.composite_health, context)
}

fn show_results(now: &CheckNow, context: &Context) -> Result<(), Error> {
    let mut table = Table::new(&["NAME", "CHECK", "VERDICT", "HEALTH", "TIME", "MESSAGE"]);
    for result in &now.results {
        let name = if result.replica == 0 { result.service_name.clone() } else { format!("{}/{}", result.service_name, result.replica) };
        table.row(vec![
            Cell::painted(name, Colour::Bold),
            Cell::new(&result.check),
            Cell::painted(result.verdict.as_str(), health_colour(result.status)),
            health_cell(result.status),
            Cell::maybe(result.response_time_ms.map(|ms| format!("{ms:.1}ms"))),
            Cell::painted(&result.message, Colour::Dim),
        ]);
    }
    context.out.table(&table)?;
    if !now.not_checked.is_empty() {
        context.out.line(format!("not checked (not running, without checks, or without an answer in time): {}", now.not_checked.join(", ")))?;
    }
    whole(now.composite_health, context)
}

fn show_history(history: &History, context: &Context) -> Result<(), Error> {
    let zone = local_zone();
    let mut table = Table::new(&["WHEN", "CHECK", "VERDICT", "HEALTH", "TIME", "MESSAGE"]);
    for result in &history.results {
        let check = if result.replica == 0 { result.check.clone() } else { format!("{}/{}", result.check, result.replica) };
        table.row(vec![
            Cell::new(stamp(result.timestamp, &zone)),
            Cell::new(check),
            Cell::painted(result.verdict.as_str(), health_colour(result.status)),
            health_cell(result.status),
            Cell::maybe(result.response_time_ms.map(|ms| format!("{ms:.1}ms"))),
            Cell::painted(&result.message, Colour::Dim),
        ]);
    }
    context.out.table(&table)?;
    context.out.line(format!("now: {}", context.out.paint.of(health_colour(history.health), history.health.as_str())))
}

fn whole(health: hostler_api::Health, context: &Context) -> Result<(), Error> {
    context.out.line(format!("together: {}", context.out.paint.of(health_colour(health), health.as_str())))
}
