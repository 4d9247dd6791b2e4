//! `hostler registry`

use hostler_api::{Pulse, Registry, RegistryEntry, RegistryQuery, RegistryStatistics, routes};
use hostler_core::Category;

use super::ps::health_cell;
use crate::context::Context;
use crate::error::{Error, usage};
use crate::out::{Cell, Colour, Table};

/// Show services for those who look for one: where each listens, and whether work may be sent there.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only of this category: infrastructure, ai, monitoring or application
    #[arg(long, value_name = "CATEGORY")]
    category: Option<String>,
    /// Only what work may be sent to
    #[arg(long)]
    healthy: bool,
    /// Only those that say this of themselves, or have it as a label, such as `region=eu`; may be given again
    #[arg(long = "metadata", value_name = "NAME=TEXT")]
    metadata: Vec<String>,
    /// How many there are of which kind
    #[arg(long, conflicts_with_all = ["category", "healthy", "metadata"])]
    statistics: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    if args.statistics {
        return statistics(context).await;
    }
    let category = args.category.as_deref().map(category).transpose()?;
    let metadata = (!args.metadata.is_empty()).then(|| args.metadata.join(","));
    let query = RegistryQuery { category, healthy: args.healthy.then_some(true), metadata, ..RegistryQuery::default() };
    let document = context.client()?.get(&query.path()).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let registry: Registry = document.read()?;
    let mut table = Table::new(&["NAME", "CATEGORY", "STATUS", "HEALTH", "HEARTBEAT", "ENDPOINTS"]);
    for entry in &registry.services {
        table.row(vec![
            Cell::painted(&entry.name, Colour::Bold),
            Cell::new(word(entry.category)),
            Cell::new(entry.status.as_str()),
            health_cell(entry.health),
            pulse(entry),
            Cell::new(endpoints(entry)),
        ]);
    }
    context.out.table(&table)
}

fn category(text: &str) -> Result<Category, Error> {
    serde_json::from_value(text.into())
        .map_err(|_| usage(format!("there is no category `{text}`")).hint("use infrastructure, ai, monitoring or application").into())
}

fn word(category: Category) -> String {
    serde_json::to_value(category).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn pulse(entry: &RegistryEntry) -> Cell {
    let Some(heartbeat) = &entry.heartbeat else { return Cell::maybe(None::<String>) };
    let colour = match heartbeat.pulse {
        Pulse::Alive => Colour::Green,
        Pulse::Missed => Colour::Red,
        Pulse::Unknown => Colour::Dim,
    };
    Cell::painted(heartbeat.pulse.as_str(), colour)
}

fn endpoints(entry: &RegistryEntry) -> String {
    let one = |found: &hostler_api::RegistryEndpoint| format!("{}:{}", found.endpoint.host, found.endpoint.port);
    entry.endpoints.iter().map(one).collect::<Vec<_>>().join(" ")
}

async fn statistics(context: &Context) -> Result<(), Error> {
    let document = context.client()?.get(routes::REGISTRY_STATISTICS).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let told: RegistryStatistics = document.read()?;
    let counts = |kinds: &std::collections::BTreeMap<String, usize>| {
        let each: Vec<String> = kinds.iter().map(|(word, count)| format!("{count} {word}")).collect();
        if each.is_empty() { "-".to_owned() } else { each.join(", ") }
    };
    let beats = told.heartbeats;
    context.out.line(format!("services    {}, to {} of which work may be sent", told.services, told.healthy))?;
    context.out.line(format!("status      {}", counts(&told.by_status)))?;
    context.out.line(format!("health      {}", counts(&told.by_health)))?;
    context.out.line(format!("category    {}", counts(&told.by_category)))?;
    context.out.line(format!(
        "heartbeats  {} of {} services, {} alive, {} missed; stayed away {} times",
        beats.received_total, beats.services, beats.alive, beats.missed, beats.missed_total
    ))?;
    context.out.line(format!("order       found in {:.1} ms", told.dependency_resolution_ms))
}
