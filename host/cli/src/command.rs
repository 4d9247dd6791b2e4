//! The commands, one file each: its arguments, and what it does. Each asks the host through the [`Client`](crate::client::Client), and prints.

pub(crate) mod adopt;
pub(crate) mod alerts;
pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod compile_plugin;
pub(crate) mod completions;
pub(crate) mod deploy;
pub(crate) mod discover;
pub(crate) mod down;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod graph;
pub(crate) mod health;
pub(crate) mod heartbeat;
pub(crate) mod image;
pub(crate) mod import;
pub(crate) mod keeper;
pub(crate) mod logs;
pub(crate) mod operations;
pub(crate) mod package;
pub(crate) mod plan;
pub(crate) mod plugin;
pub(crate) mod ps;
pub(crate) mod registry;
pub(crate) mod release;
pub(crate) mod restart;
pub(crate) mod restore;
pub(crate) mod scale;
pub(crate) mod serve;
pub(crate) mod signal;
pub(crate) mod silence;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod strangers;
pub(crate) mod team;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod validate;
pub(crate) mod version;
pub(crate) mod workspace;

use std::time::Instant;

use hostler_api::ServicesQuery;
use serde::Serialize;

use crate::context::Context;
use crate::error::Error;
use crate::progress::{Progress, Waiting, shortfall};

/// Asks for services to be started, stopped or restarted, and shows it until they are settled.
pub(crate) async fn act(context: &Context, path: &str, request: &impl Serialize, waiting: &Waiting) -> Result<(), Error> {
    let client = context.client()?;
    if waiting.no_wait {
        let document = client.post(path, request).await?;
        if context.out.json {
            return context.out.document(document.bytes());
        }
        let accepted: hostler_api::ActionResult = document.read()?;
        return context.out.line(format!("accepted: {}", accepted.services.join(", ")));
    }
    let mut progress = Progress::from_now(client.clone(), context.out).await?;
    let accepted = client.act(path, request).await?;
    if accepted.services.is_empty() {
        return nothing_to_do(context, &client).await;
    }
    settle(context, &mut progress, &accepted.services, waiting).await
}

/// Shows these services until they are settled; a service that is then not as wanted is a failure.
pub(crate) async fn settle(context: &Context, progress: &mut Progress, names: &[String], waiting: &Waiting) -> Result<(), Error> {
    let begun = Instant::now();
    let deadline = begun + std::time::Duration::from_millis(waiting.timeout.0);
    let list = progress.until(names, Some(deadline), "", |list| list.settled).await?;
    if let (true, Some(document)) = (context.out.json, progress.latest()) {
        context.out.document(document.bytes())?;
    }
    shortfall(&list, begun.elapsed()).map_or(Ok(()), |failure| Err(failure.into()))
}

async fn nothing_to_do(context: &Context, client: &crate::client::Client) -> Result<(), Error> {
    if context.out.json {
        return context.out.document(client.get(&ServicesQuery::default().path()).await?.bytes());
    }
    context.out.line("there is nothing to do")
}
