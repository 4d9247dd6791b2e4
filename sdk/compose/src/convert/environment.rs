//! `environment` and `env_file`: names stay names, files stay files, and no value of the shell is written down.

use super::{Members, Value, lost};
use crate::import::Import;
use crate::paths::{plain, seen_from};
use crate::read::{Spot, Taking};
use crate::template::Template;

/// What `environment` says.
pub(super) fn variables(import: &mut Import<'_>, spot: Option<Spot<'_>>) -> Members {
    let Some(spot) = spot else { return Members::new() };
    let mut members = Members::new();
    for (name, value, place) in spot.pairs(import, &['=']) {
        if !is_name(&name) {
            place.note(import, "the host takes no variable of this name", "use letters, digits, `_`, `.` and `-`, not beginning with a digit");
            continue;
        }
        let written = match value {
            Some(value) => import.write(place.item.place, &place.key, &value),
            // A name alone is a variable of whoever starts it.
            None if place.is_null() && spot.is_table() || !spot.is_table() => match taken(import, &place, &name) {
                Some(text) => text,
                None => continue,
            },
            None => continue,
        };
        members.retain(|(known, _)| *known != name);
        members.push((name, Value::Text(written)));
    }
    members
}

fn taken(import: &mut Import<'_>, place: &Spot<'_>, name: &str) -> Option<String> {
    if import.value_of(name).is_none() {
        let hint = format!("write {name} = \"${{{name}}}\" into `env` once it is set");
        place.note(import, format!("the variable `{name}` is not set here, and is left out, as Compose does"), hint);
        return None;
    }
    let template = Template::parse(&format!("${{{name}}}")).ok()?;
    Some(import.write(place.item.place, &place.key, &template))
}

/// `$NAME` or `${NAME}`
fn names_a_variable(value: &str) -> bool {
    value.match_indices('$').any(|(at, _)| value[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '{')))
}

/// May an environment variable of a service be called this?
fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(good)
}

/// What `env_file` says: paths, seen from the service file.
pub(super) fn files(import: &mut Import<'_>, spot: Option<Spot<'_>>) -> Option<Value> {
    let mut files = Vec::new();
    for item in spot?.items() {
        if let Some(path) = file(import, &item) {
            files.push(path);
        }
    }
    match files.len() {
        0 => None,
        1 => files.pop().map(Value::Text),
        _ => Some(Value::texts(files)),
    }
}

fn file(import: &mut Import<'_>, spot: &Spot<'_>) -> Option<String> {
    let (path, required) = if spot.is_table() {
        let mut table = Taking::new(spot, import);
        let required = table.take("required").and_then(|spot| spot.flag(import)).unwrap_or(true);
        let raw = table.take("format").and_then(|spot| spot.word(import));
        if raw.is_some_and(|format| format != "raw") {
            spot.mistake(import, "this is no format of an env_file", "leave it out, or write raw");
        }
        let path = table.take("path");
        lost::unknown(import, table);
        let Some(path) = path else {
            spot.mistake(import, "the file is not named", "write path: ./web.env");
            return None;
        };
        (path, required)
    } else {
        (spot.clone(), true)
    };
    let template = path.template(import)?;
    let today = import.resolve_template(path.item.place, &path.key, &template)?;
    let dir = import.dir_of(path.item.place);
    match import.variables_of(&plain(&dir.join(&today))) {
        Ok(variables) => {
            // Names are no secrets; what stands behind them may be.
            let names: Vec<String> = variables.iter().filter(|(_, value)| names_a_variable(value)).map(|(name, _)| format!("`{name}`")).collect();
            if !names.is_empty() {
                let message = format!("variables within this file are not filled in: {} would be read as written", names.join(", "));
                path.note(import, message, "write their values, or set them in `env`");
            }
        }
        Err(_) if !required => {
            path.note(import, "this file is not there and need not be, so it is left out", "add it to `env_file` once it is");
            return None;
        }
        Err(why) => path.note(import, format!("the host will refuse the service file: {why}"), "put the file there before `hostler up`"),
    }
    let out_dir = import.request.out_dir.clone();
    match template.as_literal() {
        Some(literal) => Some(super::plain(&seen_from(literal, &dir, &out_dir))),
        None if today.starts_with('/') || plain(&dir) == plain(&out_dir) => Some(import.write(path.item.place, &path.key, &template)),
        None => {
            path.note(import, "a variable stands in this path, and its value of today was written", "change the path when the variable changes");
            Some(super::plain(&seen_from(&today, &dir, &out_dir)))
        }
    }
}
