//! Secrets that plugins are granted by name, and the grants that name them.

use std::collections::{BTreeMap, BTreeSet};

use hostler_core::{Problem, closest, pointer_key};
use serde_json::Value;

use super::PluginEntry;
use super::limits::MAX_THINGS;
use super::place::{BAD_NAME, Report, Table};

const HINT: &str = "write [secrets.NAME] file = \"/run/secrets/NAME\"";
const MAX_NAME_BYTES: usize = 63;

/// Reads `secrets`: the file of each.
pub(crate) fn read_secrets(table: &mut Table<'_>, report: &mut Report) -> BTreeMap<String, String> {
    let mut secrets = BTreeMap::new();
    let Some(place) = table.take("secrets") else { return secrets };
    let members = place.members(HINT, report);
    if members.len() > MAX_THINGS {
        report.add(place.complain(format_args!("has {} members; {MAX_THINGS} is the limit", members.len())));
        return secrets;
    }
    for (name, place) in members {
        if !is_name(name) {
            let problem = Problem::new(&place.at, format!("{BAD_NAME}: the name of a secret is [a-z0-9._-] of 1 to {MAX_NAME_BYTES} bytes"));
            report.add(problem.hint("begin with a letter or a digit"));
        }
        let Some(mut table) = place.table(&format!("secret `{}`", place.name), HINT, report) else { continue };
        match table.take("file") {
            Some(file) => drop(file.text(report).map(|file| secrets.insert(name.to_owned(), file.to_owned()))),
            None => report.add(table.missing("file", HINT)),
        }
        table.finish(&[("value", "a secret stands in a file of its own, never here"), ("path", "write `file`")], report);
    }
    secrets
}

fn is_name(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    first && name.len() <= MAX_NAME_BYTES && name.bytes().all(fine)
}

/// Complains about each grant of a secret that nobody described. `written` are all names under `secrets`, good or bad.
pub(crate) fn doubt_grants(plugins: &BTreeMap<String, PluginEntry>, written: &BTreeSet<&str>, report: &mut Report) {
    for (plugin, entry) in plugins {
        let at = format!("/plugins/{}/grants", pointer_key(plugin));
        for (place, name) in entry.grants.iter().flat_map(|grants| named(grants)).filter(|(_, name)| !written.contains(name)) {
            let hint = match closest(name, written.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("say where it is: [secrets.{}] file = \"…\"", if is_name(name) { name } else { "NAME" }),
            };
            report.add(Problem::new(format!("{at}{place}"), "there is no secret of this name").hint(hint));
        }
    }
}

/// Every secret that these grants name, and where. What has another shape is refused with the grants themselves.
fn named(grants: &Value) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    for key in ["secrets", "secrets-reveal", "secrets_reveal"] {
        for (index, item) in grants.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
            found.extend(item.as_str().map(|name| (format!("/{key}/{index}"), name)));
        }
    }
    for (endpoint, table) in grants.pointer("/http/endpoints").and_then(Value::as_object).into_iter().flatten() {
        let at = format!("/http/endpoints/{}", pointer_key(endpoint));
        found.extend(table.get("token").and_then(Value::as_str).map(|name| (format!("{at}/token"), name)));
        for (header, value) in table.get("headers").and_then(Value::as_object).into_iter().flatten() {
            let name = value.get("secret").and_then(Value::as_str);
            found.extend(name.map(|name| (format!("{at}/headers/{}/secret", pointer_key(header)), name)));
        }
    }
    found
}
