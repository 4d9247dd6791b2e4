//! `hostler plugin add`

use std::path::PathBuf;

use hostler_api::{Code, Examined, Failure, Locked};
use serde_json::{Map, Value};

use super::configuration::{Configuration, is_toml, relative};
use super::examine::{capability, examine};
use super::text::in_full;
use super::{grants, lock};
use crate::context::Context;
use crate::document::Wish;
use crate::error::{Error, usage};

/// Show what a component imports and needs; then write it, its grants and its digest beside the configuration
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What services are to call it
    #[arg(value_name = "NAME")]
    name: String,
    /// Its component
    #[arg(value_name = "COMPONENT")]
    component: PathBuf,
    /// Grant this beside what the file grants it already, as in the file: 'commands = { programs = ["/usr/bin/fuser"] }'; may be given several times
    #[arg(long = "grant", value_name = "CAPABILITY=VALUE")]
    grants: Vec<String>,
    /// Grant the narrowest of what it needs, without being asked
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<(), Error> {
    hostler_core::check_plugin_name(&args.name).map_err(usage)?;
    let configuration = context.file(None)?;
    let (examined, bytes) = examine(&args.component, Some(&args.name)).await?;
    let source = relative(&args.component, &configuration)?;
    let has = Wish::read(context, Some(&configuration))?.config.plugins.remove(&args.name).and_then(|entry| entry.grants);
    let has = has.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    let given = has.into_iter().chain(grants::read(&args.grants)?).collect();
    let granted = granted(&args, context, &examined, given)?;
    let toml = is_toml(&configuration);
    let mut edited = if toml { Some(Configuration::read(&configuration)?) } else { None };
    if let Some(edited) = &mut edited {
        edited.put_plugin(&args.name, &source, &granted)?;
    }
    let (path, mut pinned) = lock::read(&configuration)?;
    let (blake3, sha256) = lock::digests(&bytes);
    let plugin = &examined.detail.plugin;
    let locked = Locked {
        source: source.clone(),
        blake3,
        sha256,
        grants: blake3::hash(Value::Object(granted.clone()).to_string().as_bytes()).to_hex().to_string(),
        imports: plugin.imports.clone(),
        needs: plugin.needs.clone(),
    };
    pinned.plugins.insert(args.name.clone(), locked);
    // first the pin: a configuration without it would load whatever lies there
    lock::write(&path, &pinned)?;
    if let Some(edited) = &edited {
        edited.write()?;
    }
    if context.out.json {
        return context.out.document(&serde_json::to_vec(&examined).expect("wire documents are written"));
    }
    context.out.line(format!("pinned in {}", path.display()))?;
    if toml {
        return context.out.line(format!("written to {}; `hostler apply` loads it", configuration.display()));
    }
    let text = serde_json::to_string_pretty(&serde_json::json!({ "plugins": { args.name: { "source": source, "grants": granted } } }));
    let text = text.expect("JSON that was read is written");
    context.out.line(format!("{} is YAML, which is not changed here; paste this into it (JSON is YAML):\n{text}", configuration.display()))
}

/// What it is granted: as given, or as suggested once somebody agrees.
fn granted(args: &Args, context: &Context, examined: &Examined, given: Map<String, Value>) -> Result<Map<String, Value>, Error> {
    if let Some(unknown) = given.keys().find(|name| capability(name).is_none()) {
        return Err(usage(format!("there is no capability `{unknown}`")).hint("`hostler plugin inspect FILE` shows which ones it needs").into());
    }
    let suggested = if examined.stanza.is_empty() { Map::new() } else { grants::of_stanza(&examined.stanza)? };
    let missing: Vec<&str> = suggested.keys().filter(|name| !given.contains_key(*name)).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(given);
    }
    if !args.yes {
        if !context.out.json {
            context.out.line(in_full(&examined.detail.plugin, context.out.paint))?;
            context.out.line(format!("\nit would be granted, beside what the file or --grant gives it:\n{}", examined.stanza.trim_end()))?;
        }
        if context.out.json || !grants::confirmed(&format!("Grant {} that?", args.name))? {
            let message = format!("{} needs {}, which nobody has granted; nothing was written", args.name, missing.join(", "));
            let hint = format!("--yes grants the narrowest, --grant CAPABILITY=VALUE grants yours:\n{}", examined.stanza.trim_end());
            return Err(Failure::new(Code::Denied, message).hint(hint).into());
        }
    }
    Ok(suggested.into_iter().chain(given).collect())
}
