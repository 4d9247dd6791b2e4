//! The service file as TOML: short things on one line, a comment where something was lost.

use std::collections::{BTreeMap, BTreeSet};

use crate::Note;
use crate::convert::{Members, Service, Stack, Value, put};
use crate::import::{Asks, Import};

/// A list or a table goes over several lines beyond this.
const WIDTH: usize = 120;

/// The whole file.
pub(crate) fn write(import: &Import<'_>, stack: &Stack, notes: &[Note]) -> String {
    let mut text = String::new();
    let files: Vec<String> = import.request.files.iter().map(|file| comment(&file.display().to_string())).collect();
    text.push_str(&format!("# Made by `hostler import` from {}; the Compose project is {:?}.\n", files.join(", "), import.project));
    variables(import, &mut text);
    text.push_str("version = \"1.0\"\n");
    grants(&import.asks, &mut text);
    for service in &stack.services {
        text.push('\n');
        write_service(service, notes, &mut text);
    }
    text
}

/// Says which variables the file needs, and where those of files stand.
fn variables(import: &Import<'_>, text: &mut String) {
    let mut by_file: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, file) in &import.variables {
        by_file.entry(file.as_deref().unwrap_or_default()).or_default().push(name);
    }
    for (file, names) in by_file {
        let names = names.join(", ");
        match file {
            "" => text.push_str(&format!("# From the environment: {names}.\n")),
            file => {
                let beside = if file.starts_with('/') { "" } else { "./" };
                let file = format!("{beside}{}", comment(file).trim_start_matches("./"));
                text.push_str(&format!("# From {file}, which is not read by itself: {names}. Before `hostler up`: set -a; . {file}; set +a\n"));
            }
        }
    }
}

/// What is to be granted, as a comment: whoever runs the host says yes to it by hand.
fn grants(asks: &Asks, text: &mut String) {
    if asks.is_empty() {
        return;
    }
    let mut engine = vec![("endpoint".to_owned(), Value::Text("unix:///var/run/docker.sock".to_owned()))];
    let mut list = |key: &str, asked: &BTreeSet<String>| put(&mut engine, key, (!asked.is_empty()).then(|| Value::texts(asked.iter().cloned())));
    list("mounts", &asks.mounts);
    list("capabilities", &asks.capabilities);
    list("security_options", &asks.security_options);
    let modes = asks.network_modes.iter().cloned().chain(["*".to_owned()]).collect();
    list("network_modes", if asks.network_modes.is_empty() { &asks.network_modes } else { &modes });
    put(&mut engine, "privileged", asks.privileged.then_some(Value::Flag(true)));
    let mut stanza =
        String::from("[plugins.docker.grants]\nstate = { bytes = \"4Mi\", keys = 4096 }\n\n[plugins.docker.grants.containers.default]\n");
    write_members(&engine, &mut stanza);
    text.push_str(
        "\n# Compose gives containers all that they ask for. The backend `docker` is granted this by hand: look at it, then take away the `#`.\n",
    );
    for line in stanza.lines() {
        text.push_str(format!("# {line}").trim_end());
        text.push('\n');
    }
}

fn write_service(service: &Service, notes: &[Note], text: &mut String) {
    let name = &service.name;
    let own = format!("services.{}", service.original);
    for note in notes.iter().filter(|note| belongs(&note.key, &own)) {
        let key = note.key[own.len()..].trim_start_matches('.');
        let colon = if key.is_empty() { "" } else { ": " };
        text.push_str(&format!("# {}:{} {}{colon}{}\n", comment(&note.file), note.line, comment(key), comment(&note.message)));
    }
    text.push_str(&format!("[services.{name}]\n"));
    write_members(&service.head, text);
    let tables = [("backend", &service.backend), ("backend.labels", &service.labels), ("env", &service.env), ("health_check", &service.health_check)];
    for (table, members) in tables.into_iter().filter(|(_, members)| !members.is_empty()) {
        text.push_str(&format!("\n[services.{name}.{table}]\n"));
        write_members(members, text);
    }
}

/// Is it a note of this service, and of none whose name only begins so?
fn belongs(key: &str, own: &str) -> bool {
    key.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// One line without anything that is not to be shown.
fn comment(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c) { ' ' } else { c })
        .collect()
}

fn write_members(members: &Members, text: &mut String) {
    for (key, value) in members {
        let key = toml_key(key);
        let line = format!("{key} = {}", inline(value));
        match value {
            Value::List(items) if line.chars().count() > WIDTH => {
                text.push_str(&format!("{key} = [\n"));
                items.iter().for_each(|item| text.push_str(&format!("    {},\n", inline(item))));
                text.push_str("]\n");
            }
            _ => text.push_str(&format!("{line}\n")),
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Text(text) => toml_text(text),
        Value::Int(number) => number.to_string(),
        Value::Float(number) if number.fract() == 0.0 => format!("{number:.0}"),
        Value::Float(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::List(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Table(members) if members.is_empty() => "{}".to_owned(),
        Value::Table(members) => {
            let members: Vec<String> = members.iter().map(|(key, value)| format!("{} = {}", toml_key(key), inline(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
    }
}

fn toml_key(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if bare { key.to_owned() } else { toml_text(key) }
}

/// A text on one line: as it is between single quotes, where double ones would need many escapes.
fn toml_text(text: &str) -> String {
    let literal = text.contains(['"', '\\']) && !text.contains('\'') && !text.chars().any(char::is_control);
    if literal {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
