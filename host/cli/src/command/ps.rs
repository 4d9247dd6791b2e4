//! `hostler ps`

use hostler_api::{Health, Service, ServiceList, ServicesQuery, Status};

use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Table, elapsed, health_colour, status_colour};
use crate::progress::beside;

/// List the services.
#[derive(Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Args {
    /// Only these services
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Only with one of these statuses, such as running, unhealthy, failed
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    status: Vec<String>,
    /// Only with one of these healths: healthy, degraded, unhealthy, unknown
    #[arg(long, value_name = "HEALTH", value_delimiter = ',')]
    health: Vec<String>,
    /// Only of this category: infrastructure, ai, monitoring, application
    #[arg(long, value_name = "CATEGORY")]
    category: Option<String>,
    /// Only of this backend
    #[arg(long, value_name = "BACKEND")]
    backend: Option<String>,
    /// Only with this label
    #[arg(long, value_name = "KEY[=VALUE]")]
    label: Option<String>,
}

impl Args {
    fn query(self) -> ServicesQuery {
        let listed = |words: Vec<String>| (!words.is_empty()).then(|| words.join(","));
        ServicesQuery {
            names: listed(self.services),
            status: listed(self.status),
            health: listed(self.health),
            category: self.category,
            backend: self.backend,
            label: self.label,
            ..ServicesQuery::default()
        }
    }

    /// Does it leave something out?
    fn is_narrow(&self) -> bool {
        *self != Args::default()
    }
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let is_narrow = args.is_narrow();
    let document = context.client()?.get(&args.query().path()).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let list: ServiceList = document.read()?;
    if list.services.is_empty() && is_narrow {
        return context.out.line("no service is like that; `hostler ps` shows every one");
    }
    if list.services.is_empty() {
        return context.out.line("there are no services; `hostler apply FILE` makes some");
    }
    context.out.table(&table(&list))
}

/// One line per service.
pub(crate) fn table(list: &ServiceList) -> Table {
    let mut table = Table::new(&["NAME", "STATUS", "HEALTH", "UPTIME", "RESTARTS", "PID", "BACKEND", "WHY"]);
    for service in &list.services {
        table.row(row(service));
    }
    table
}

fn row(service: &Service) -> Vec<Cell> {
    vec![
        Cell::painted(service.full_name(), Colour::Bold),
        Cell::painted(status_text(service), status_colour(service.status)),
        health_cell(service.health),
        Cell::maybe(service.uptime_ms.map(elapsed)),
        Cell::new(service.restart_count.to_string()),
        Cell::maybe(service.pid),
        Cell::new(&service.backend),
        Cell::painted(why(service), Colour::Dim),
    ]
}

fn status_text(service: &Service) -> String {
    let status = service.status.as_str();
    if service.replicas.wanted > 1 || service.replicas.running > 1 {
        format!("{status} {}/{}", service.replicas.running, service.replicas.wanted)
    } else {
        status.to_owned()
    }
}

/// Of what nobody judges, a dash.
pub(crate) fn health_cell(health: Health) -> Cell {
    if health == Health::Unknown { Cell::maybe(None::<String>) } else { Cell::painted(health.as_str(), health_colour(health)) }
}

/// What is up and well needs no reason.
fn why(service: &Service) -> String {
    let well =
        matches!(service.status, Status::Running | Status::Completed | Status::Stopped | Status::Disabled) && service.health != Health::Degraded;
    let cause = service.cause.as_deref().map(|cause| beside(service.status, cause).to_owned());
    let next = service.next.as_ref().and_then(|next| next.in_ms.map(|ms| format!("{} in {}", next.what, elapsed(ms))));
    let parts: Vec<String> = if well { Vec::new() } else { cause.into_iter().chain(next).collect() };
    parts.join("; ")
}
