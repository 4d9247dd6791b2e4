//! A person's configuration file, changed at one place.

use std::path::{Path, PathBuf};

use hostler_api::{Code, Failure};
use serde_json::{Map, Value};
use toml_edit::{DocumentMut, InlineTable, Item, Table, value};

use super::lock::{directory, replace};
use crate::error::{Error, failed};

/// A configuration in TOML, with its comments and order.
pub(super) struct Configuration {
    path: PathBuf,
    document: DocumentMut,
}

/// Can this file be changed here? YAML cannot, without losing what people wrote into it.
pub(super) fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

impl Configuration {
    pub(super) fn read(path: &Path) -> Result<Configuration, Error> {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(Code::NotFound, format!("cannot read the configuration: {error}")).at(&place))?;
        let document = text.parse().map_err(|error: toml_edit::TomlError| {
            Failure::new(Code::Config, format!("it is no TOML: {}", error.message())).at(place).hint("`hostler validate` shows where")
        })?;
        Ok(Configuration { path: path.to_owned(), document })
    }

    /// Names a plugin, its component and its grants; what else is said of it stays.
    pub(super) fn put_plugin(&mut self, name: &str, source: &str, grants: &Map<String, Value>) -> Result<(), Error> {
        let refuse = |what: &str| failed(format!("`{what}` is no table")).at(self.path.display().to_string());
        // what stands at the very end stays before what is added
        let tail = self.document.trailing().as_str().unwrap_or_default().to_owned();
        let mut implicit = Table::new();
        implicit.set_implicit(true);
        let plugins = self.document.entry("plugins").or_insert(Item::Table(implicit));
        let plugins = plugins.as_table_like_mut().ok_or_else(|| refuse("plugins"))?;
        let is_new = plugins.get(name).is_none();
        if is_new {
            let mut table = Table::new();
            table.decor_mut().set_prefix(format!("{tail}\n"));
            plugins.insert(name, Item::Table(table));
        }
        let entry = plugins.get_mut(name).and_then(Item::as_table_like_mut).ok_or_else(|| refuse(&format!("plugins.{name}")))?;
        set(entry, "source", value(source));
        if grants.is_empty() {
            entry.remove("grants");
        } else {
            set(entry, "grants", value(inline(grants)));
        }
        if is_new && self.document.get("plugins").is_some_and(Item::is_table) {
            self.document.set_trailing("");
        }
        Ok(())
    }

    /// Takes a plugin out; false when it is not named.
    pub(super) fn remove_plugin(&mut self, name: &str) -> bool {
        let plugins = self.document.get_mut("plugins").and_then(Item::as_table_like_mut);
        let Some(removed) = plugins.and_then(|plugins| plugins.remove(name)) else { return false };
        // a comment above it may be about something else
        let above = removed.as_table().and_then(|table| table.decor().prefix()?.as_str());
        if let Some(above) = above.filter(|above| above.contains('#')) {
            let tail = format!("{above}{}", self.document.trailing().as_str().unwrap_or_default());
            self.document.set_trailing(tail);
        }
        true
    }

    pub(super) fn write(&self) -> Result<(), Error> {
        replace(&self.path, &self.document.to_string())
            .map_err(|error| failed(format!("the configuration cannot be written: {error}")).at(self.path.display().to_string()).into())
    }
}

/// Sets a key; the comment behind its old value stays.
fn set(table: &mut dyn toml_edit::TableLike, key: &str, mut item: Item) {
    if let (Some(old), Some(new)) = (table.get(key).and_then(Item::as_value), item.as_value_mut()) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(key, item);
}

fn inline(map: &Map<String, Value>) -> InlineTable {
    map.iter().map(|(key, value)| (key.as_str(), written(value))).collect()
}

fn written(json: &Value) -> toml_edit::Value {
    match json {
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => number.as_i64().map_or_else(|| number.as_f64().unwrap_or_default().into(), Into::into),
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => toml_edit::Value::Array(items.iter().map(written).collect()),
        Value::Object(map) => toml_edit::Value::InlineTable(inline(map)),
        // TOML has none, and no grant is null
        Value::Null => "".into(),
    }
}

/// A component as a configuration names it: relative to it where it lies below.
pub(super) fn relative(component: &Path, configuration: &Path) -> Result<String, Error> {
    let plain = |path: &Path| path.canonicalize().map_err(|error| failed(format!("cannot find {}: {error}", path.display())));
    let (component, base) = (plain(component)?, plain(&directory(configuration))?);
    Ok(match component.strip_prefix(&base) {
        Ok(below) => format!("./{}", below.display()),
        Err(_) => component.display().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str, change: impl FnOnce(&mut Configuration)) -> String {
        let mut configuration = Configuration { path: "x.toml".into(), document: text.parse().expect("it is TOML") };
        change(&mut configuration);
        configuration.document.to_string()
    }

    fn grants() -> Map<String, Value> {
        serde_json::from_str(r#"{ "commands": { "programs": ["/bin/true"] }, "task-exec": true }"#).expect("an object")
    }

    #[test]
    fn what_people_wrote_stays_as_it_is() {
        let text = "# mine\nversion = \"1.0\"   # that\n\n[services.web] # first\nenabled   = true\n";
        let after = changed(text, |configuration| configuration.put_plugin("probe", "./probe.wasm", &grants()).expect("there is room"));
        assert!(after.starts_with(text), "{after}");
        let added = "[plugins.probe]\nsource = \"./probe.wasm\"\ngrants = { commands = { programs = [\"/bin/true\"] }, task-exec = true }\n";
        assert!(after.ends_with(added), "{after}");
        let twice = changed(&after, |configuration| configuration.put_plugin("probe", "./probe.wasm", &grants()).expect("there is room"));
        assert_eq!(twice, after);
        let gone = changed(&after, |configuration| assert!(configuration.remove_plugin("probe")));
        assert_eq!(gone.trim_end(), text.trim_end());
    }

    #[test]
    fn a_last_comment_stays_where_it_is() {
        let text = "[services.web]\nenabled = true\n# the last line\n";
        let after = changed(text, |configuration| configuration.put_plugin("probe", "./probe.wasm", &Map::new()).expect("there is room"));
        assert_eq!(after, format!("{text}\n[plugins.probe]\nsource = \"./probe.wasm\"\n"));
        let gone = changed(&after, |configuration| assert!(configuration.remove_plugin("probe")));
        assert_eq!(gone.trim_end(), text.trim_end());
    }

    #[test]
    fn a_plugin_that_is_there_keeps_what_else_is_said_of_it() {
        let text = "[plugins.probe]\nsource = \"old.wasm\" # where\nlimits = { memory = \"1Mi\" }\n[plugins.probe.grants]\nstate = {}\n";
        let after = changed(text, |configuration| configuration.put_plugin("probe", "new.wasm", &Map::new()).expect("there is room"));
        assert_eq!(after, "[plugins.probe]\nsource = \"new.wasm\" # where\nlimits = { memory = \"1Mi\" }\n");
        let inline = changed("plugins = { a = { source = \"a.wasm\" } }\n", |configuration| {
            configuration.put_plugin("b", "b.wasm", &Map::new()).expect("there is room");
        });
        assert!(inline.parse::<DocumentMut>().is_ok_and(|document| document["plugins"]["b"]["source"].as_str() == Some("b.wasm")), "{inline}");
    }
}
