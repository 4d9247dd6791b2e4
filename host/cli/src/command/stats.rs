//! `hostler stats`

use std::io::Write;
use std::time::Duration;

use hostler_api::{ReplicaStats, Stats, StatsQuery};
use hostler_core::Span;

use crate::client::Client;
use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Table, bytes, percent};

/// How long the host may take: what is measured for the first time is measured twice.
const PATIENCE: Duration = Duration::from_secs(30);

/// Show what services use: cpu, memory, disk, network, processes. What its backend does not measure is `-`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these services
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Go on, until Ctrl-C
    #[arg(long, short = 'f')]
    follow: bool,
    /// With --follow: from one picture to the next
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = Span::parse)]
    interval: Span,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let names = (!args.services.is_empty()).then(|| args.services.join(","));
    let path = StatsQuery { names }.path();
    let client = context.client()?.waiting(PATIENCE);
    let mut drawn = 0;
    loop {
        drawn = show(&client, &path, drawn, context).await?;
        if !args.follow {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(args.interval.0.max(1_000))).await;
    }
}

/// Shows one picture; on a terminal in the place of the one before, which has so many lines.
async fn show(client: &Client, path: &str, before: usize, context: &Context) -> Result<usize, Error> {
    let document = client.get(path).await?;
    if context.out.json {
        context.out.document(document.bytes())?;
        return Ok(0);
    }
    let stats: Stats = document.read()?;
    let mut text = Vec::new();
    if before > 0 && context.out.terminal {
        write!(text, "\x1b[{before}A\x1b[J")?;
    }
    let drawing = table(&stats).draw(context.out.paint, context.out.width());
    let notes: String = stats.unmeasured.iter().map(|one| format!("{}: not measured: {}\n", one.service, one.reason)).collect();
    let lines = drawing.lines().count() + notes.lines().count();
    text.extend(drawing.into_bytes());
    text.extend(notes.into_bytes());
    context.out.raw(&text)?;
    Ok(lines)
}

fn table(stats: &Stats) -> Table {
    let mut table = Table::new(&["NAME", "CPU", "MEMORY", "LIMIT", "MEMORY %", "DISK FREE", "RECEIVED", "SENT", "PROCESSES"]);
    for replica in &stats.replicas {
        let several = stats.replicas.iter().filter(|other| other.service == replica.service).count() > 1 || replica.replica > 0;
        table.row(row(replica, several));
    }
    table
}

fn row(replica: &ReplicaStats, several: bool) -> Vec<Cell> {
    let name = if several { format!("{}/{}", replica.service, replica.replica) } else { replica.service.clone() };
    let size = |count: Option<u64>| Cell::maybe(count.map(bytes));
    let usage = &replica.usage;
    vec![
        Cell::painted(name, Colour::Bold),
        Cell::new(percent(replica.cpu_percent)),
        size(usage.memory_bytes),
        size(usage.memory_limit_bytes),
        Cell::new(percent(replica.memory_percent)),
        size(usage.disk_free_bytes),
        size(usage.network_received_bytes),
        size(usage.network_sent_bytes),
        Cell::maybe(usage.processes),
    ]
}
