//! `hostler graph`

use std::path::PathBuf;

use hostler_api::{Code, Graph, routes};

use crate::context::Context;
use crate::document::Wish;
use crate::error::Error;
use crate::picture;

/// Draw who starts after whom: of the running host, or of a file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of this file, without a host
    #[arg(value_name = "FILE")]
    path: Option<PathBuf>,
    /// How
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What to draw for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// People
    Text,
    /// Graphviz
    Dot,
    /// Mermaid
    Mermaid,
    /// Programs
    Json,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let named = args.path.is_some() || context.global.file.is_some();
    let graph = if named { of_file(&args, context)? } else { of_host_or_file(&args, context).await? };
    match args.format {
        _ if context.out.json => json(&graph, context),
        Format::Json => json(&graph, context),
        Format::Text => context.out.raw(graph.picture().as_bytes()),
        Format::Dot => context.out.raw(picture::dot(&graph).as_bytes()),
        Format::Mermaid => context.out.raw(picture::mermaid(&graph).as_bytes()),
    }
}

fn json(graph: &Graph, context: &Context) -> Result<(), Error> {
    context.out.document(&serde_json::to_vec(graph).expect("a graph is strings and numbers"))
}

fn of_file(args: &Args, context: &Context) -> Result<Graph, Error> {
    Ok(Graph::of(Wish::read(context, args.path.as_deref())?.config.services.values()))
}

/// What runs counts; without a host, what the file here would make.
async fn of_host_or_file(args: &Args, context: &Context) -> Result<Graph, Error> {
    match context.client()?.get(routes::GRAPH).await {
        Ok(document) => Ok(document.read()?),
        Err(failure) if failure.code == Code::Unreachable && context.file(None).is_ok() => of_file(args, context),
        Err(failure) => Err(failure.into()),
    }
}
