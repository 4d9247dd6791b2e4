//! `hostler plugin list`

use hostler_api::{Plugin, PluginList, routes};

use super::text::{in_full, state_colour};
use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Table};

/// List every plugin; --verbose shows what each may do
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(super) async fn run(_: Args, context: &Context) -> Result<(), Error> {
    let document = context.client()?.get(routes::PLUGINS).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    show(&document.read()?, context)
}

fn show(list: &PluginList, context: &Context) -> Result<(), Error> {
    if context.global.verbose > 0 {
        let texts: Vec<String> = list.plugins.iter().map(|plugin| in_full(plugin, context.out.paint)).collect();
        return context.out.line(texts.join("\n\n"));
    }
    let mut table = Table::new(&["NAME", "ROLE", "VERSION", "STATE", "ORIGIN", "SUMMARY"]);
    for plugin in &list.plugins {
        table.row(vec![
            Cell::painted(&plugin.name, Colour::Bold),
            Cell::maybe(plugin.role.map(|role| role.as_str())),
            Cell::maybe(plugin.plugin_version.as_deref()),
            Cell::painted(plugin.state.as_str(), state_colour(plugin.state)),
            Cell::new(&plugin.origin),
            Cell::painted(remark(plugin), Colour::Dim),
        ]);
    }
    context.out.table(&table)
}

/// What matters most of a plugin in one line.
fn remark(plugin: &Plugin) -> &str {
    let engine = plugin.engine.as_ref().filter(|engine| !engine.ready).map(|engine| engine.message.as_str());
    plugin.reason.as_deref().or(engine).or(plugin.summary.as_deref()).unwrap_or("")
}
