//! `hostler plugin inspect`

use std::path::Path;

use hostler_api::{PluginDetail, routes};

use super::examine::examine;
use super::text::in_full;
use crate::context::Context;
use crate::error::Error;
use crate::out::visible;

/// Show one plugin: what it imports, needs, was granted, and has done; of a file, the grants to paste
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which plugin of the host, or which component file
    #[arg(value_name = "PLUGIN|FILE")]
    name: String,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    // no plugin's name has a dot or a slash
    if args.name.contains(['.', '/']) {
        return file(Path::new(&args.name), context).await;
    }
    let document = context.client()?.get(&routes::of(routes::PLUGIN, &args.name)).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    let detail: PluginDetail = document.read()?;
    context.out.line(in_full(&detail.plugin, context.out.paint))?;
    schema("settings", detail.settings_schema.as_ref(), context)?;
    schema("config", detail.config_schema.as_ref(), context)
}

async fn file(path: &Path, context: &Context) -> Result<(), Error> {
    let (examined, _) = examine(path, None).await?;
    if context.out.json {
        return context.out.document(&serde_json::to_vec(&examined).expect("wire documents are written"));
    }
    context.out.line(in_full(&examined.detail.plugin, context.out.paint))?;
    context.out.line(format!("  {:<10} {}", "sha256:", examined.sha256))?;
    let stanza = if examined.stanza.is_empty() { "it needs no grants".to_owned() } else { examined.stanza.trim_end().to_owned() };
    context.out.line(format!("\ngrants to paste, and to make as narrow as you can:\n{stanza}"))?;
    schema("settings", examined.detail.settings_schema.as_ref(), context)?;
    schema("config", examined.detail.config_schema.as_ref(), context)
}

fn schema(of: &str, schema: Option<&serde_json::Value>, context: &Context) -> Result<(), Error> {
    let Some(schema) = schema else { return Ok(()) };
    let text = serde_json::to_string_pretty(schema).expect("JSON that was read is written");
    context.out.line(format!("\nschema of its {of}:\n{}", text.lines().map(visible).collect::<Vec<_>>().join("\n")))
}
