//! `hostler plugin`

use hostler_api::{Plugin, PluginDetail, PluginList, PluginState, routes};

use crate::context::Context;
use crate::error::Error;
use crate::out::{Cell, Colour, Paint, Table, visible};

/// Look at plugins.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, clap::Subcommand)]
enum PluginCommand {
    /// List every plugin; --verbose shows what each may do
    List,
    /// Show one plugin: what it imports, needs, was granted, and has done
    Inspect {
        /// Which plugin
        #[arg(value_name = "PLUGIN")]
        name: String,
    },
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    let client = context.client()?;
    let path = match &args.command {
        PluginCommand::List => routes::PLUGINS.to_owned(),
        PluginCommand::Inspect { name } => routes::of(routes::PLUGIN, name),
    };
    let document = client.get(&path).await?;
    if context.out.json {
        return context.out.document(document.bytes());
    }
    match args.command {
        PluginCommand::List => list(&document.read()?, context),
        PluginCommand::Inspect { .. } => {
            let detail: PluginDetail = document.read()?;
            context.out.line(in_full(&detail.plugin, context.out.paint))?;
            schema("settings", detail.settings_schema.as_ref(), context)?;
            schema("config", detail.config_schema.as_ref(), context)
        }
    }
}

fn list(list: &PluginList, context: &Context) -> Result<(), Error> {
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
            Cell::painted(plugin.reason.as_deref().or(plugin.summary.as_deref()).unwrap_or(""), Colour::Dim),
        ]);
    }
    context.out.table(&table)
}

fn in_full(plugin: &Plugin, paint: Paint) -> String {
    let role = plugin.role.map_or("plugin", |role| role.as_str());
    let version = plugin.plugin_version.as_deref().map_or_else(String::new, |version| format!(" {}", visible(version)));
    let state = paint.of(state_colour(plugin.state), plugin.state.as_str());
    let mut text = format!("{}{version}, {role}, {state}", paint.of(Colour::Bold, &visible(&plugin.name)));
    let mut add = |label: &str, value: String| text.push_str(&format!("\n  {:<10} {value}", format!("{label}:")));
    if let Some(summary) = &plugin.summary {
        add("summary", visible(summary).into_owned());
    }
    if let Some(reason) = &plugin.reason {
        add("reason", indented(reason));
    }
    if let Some(hint) = &plugin.hint {
        add("hint", indented(hint));
    }
    add("origin", visible(&plugin.origin).into_owned());
    for (label, value) in [("digest", &plugin.digest), ("revision", &plugin.revision)] {
        if let Some(value) = value {
            add(label, visible(value).into_owned());
        }
    }
    add("abilities", joined(&plugin.abilities));
    add("imports", joined(&plugin.imports));
    for need in &plugin.needs {
        add("needs", visible(&format!("{} — {}", need.what, need.why)).into_owned());
    }
    let whose = if plugin.default_grants { " (default)" } else { "" };
    if plugin.grants.is_empty() {
        add("grants", format!("none{whose}"));
    }
    for (capability, patterns) in &plugin.grants {
        add("grants", format!("{} = {}{whose}", visible(capability), visible(&patterns.to_string())));
    }
    if !plugin.limits.is_empty() {
        add("limits", plugin.limits.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", "));
    }
    let counters = plugin.counters;
    add("calls", format!("{} ({} trapped, {} timed out)", counters.calls, counters.traps, counters.timeouts));
    add("denied", counters.denied.to_string());
    add("used by", joined(&plugin.used_by));
    text
}

fn joined(parts: &[String]) -> String {
    if parts.is_empty() { "-".to_owned() } else { visible(&parts.join(", ")).into_owned() }
}

/// Several lines (a stanza to paste), below each other.
fn indented(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n             ")
}

fn state_colour(state: PluginState) -> Colour {
    match state {
        PluginState::Ok => Colour::Green,
        PluginState::Missing | PluginState::Refused => Colour::Red,
    }
}

fn schema(of: &str, schema: Option<&serde_json::Value>, context: &Context) -> Result<(), Error> {
    let Some(schema) = schema else { return Ok(()) };
    let text = serde_json::to_string_pretty(schema).expect("JSON that was read is written");
    context.out.line(format!("\nschema of its {of}:\n{}", text.lines().map(visible).collect::<Vec<_>>().join("\n")))
}
