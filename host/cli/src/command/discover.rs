//! `hostler discover`

use std::collections::BTreeMap;

use hostler_api::{DiscoveryQuery, Found, FoundList, routes};

use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Table, age, note, visible};

/// Show what already runs on engines: what `hostler adopt` can take over, and what patterns of the file have.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only at this backend [default: every one that can say]
    #[arg(long, value_name = "BACKEND")]
    backend: Option<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let query = DiscoveryQuery { backend: args.backend };
    let document = context.client()?.get(&routes::with(routes::DISCOVERY, &[("backend", query.backend)])).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let list: FoundList = document.read()?;
    away(&list.away);
    if list.found.is_empty() {
        // who could not say may have some
        return if list.away.is_empty() { context.out.line("there is nothing that this host has not made") } else { Ok(()) };
    }
    let mut table = Table::new(&["NAME", "BACKEND", "STATE", "SINCE", "IMAGE", "ENDPOINTS", "SERVICE"]);
    for found in &list.found {
        table.row(vec![
            Cell::painted(&found.name, Colour::Bold),
            Cell::new(&found.backend),
            Cell::new(&found.phase),
            Cell::maybe(found.started_at.map(age).as_deref()),
            Cell::maybe(found.facts.get("image").map(String::as_str)),
            Cell::maybe(endpoints(found).as_deref()),
            Cell::painted(whose(found), Colour::Dim),
        ]);
    }
    context.out.table(&table)
}

/// Who could not say.
pub(crate) fn away(away: &BTreeMap<String, String>) {
    for (backend, why) in away {
        note(&visible(&format!("{backend} could not say: {why}")));
    }
}

fn endpoints(found: &Found) -> Option<String> {
    let all: Vec<String> = found.endpoints.iter().map(|endpoint| format!("{}:{}→{}", endpoint.host, endpoint.port, endpoint.name)).collect();
    (!all.is_empty()).then(|| all.join(" "))
}

fn whose(found: &Found) -> String {
    match (&found.service, &found.pattern, &found.tag) {
        (Some(service), ..) => format!("is {service}"),
        (None, Some(pattern), _) => format!("known to the pattern {pattern}"),
        (None, None, Some(tag)) => format!("bears the tag of {}", tag.owner),
        (None, None, None) => String::new(),
    }
}
