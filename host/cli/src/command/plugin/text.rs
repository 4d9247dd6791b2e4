//! How plugins are told.

use hostler_api::{Difference, Plugin, PluginRevision, PluginState};

use crate::out::{Colour, Paint, visible};

/// Everything there is to say of a plugin.
pub(super) fn in_full(plugin: &Plugin, paint: Paint) -> String {
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
    if let Some(engine) = &plugin.engine {
        let ready = if engine.ready { "ready" } else { "not ready" };
        let attributes: String = engine.attributes.iter().map(|(name, value)| format!(", {name} {value}")).collect();
        add("engine", visible(&format!("{ready}: {}{attributes}", engine.message)).into_owned());
    }
    let counters = plugin.counters;
    add("calls", format!("{} ({} trapped, {} timed out)", counters.calls, counters.traps, counters.timeouts));
    add("denied", counters.denied.to_string());
    add("used by", joined(&plugin.used_by));
    for struck in &plugin.health.struck {
        let whom = struck.service.as_deref().unwrap_or("no service in particular");
        let next = struck.next_try_in_ms.map_or_else(String::new, |ms| format!("; put aside, tried again in {}", hostler_core::Span(ms)));
        add("struck", indented(&format!("{} calls about {whom} in a row broke it: {}{next}", struck.strikes, struck.last_failure)));
    }
    if let Some(upgraded) = &plugin.upgraded {
        let watched = if upgraded.watched { ", and is being watched" } else { "" };
        add("upgraded", format!("over {} of the configuration{watched}", short(&upgraded.over)));
    }
    for before in plugin.upgraded.iter().flat_map(|upgraded| upgraded.before.iter().rev()) {
        add("before it", revision(before));
    }
    if let Some(note) = &plugin.note {
        add("note", indented(note));
    }
    text
}

/// One component, in a few words.
pub(super) fn revision(revision: &PluginRevision) -> String {
    let version = revision.plugin_version.as_deref().map_or_else(String::new, |version| format!("{version}, "));
    visible(&format!("{version}{} from {}", short(&revision.digest), revision.origin)).into_owned()
}

fn short(digest: &str) -> String {
    digest.get(..19).map_or_else(|| digest.to_owned(), |start| format!("{start}…"))
}

/// What one may do and another may not, a line each.
pub(super) fn difference(difference: &Difference) -> String {
    let imports = difference.imports.iter().map(|import| format!("  + imports {import}"));
    let needs = difference.needs.iter().map(|need| format!("  + needs {}: {}", need.what, need.why));
    let grants = difference.grants.iter().map(|grant| format!("  + is granted {grant}"));
    let gone = difference.gone.iter().map(|import| format!("  - does not import {import} any more"));
    imports.chain(needs).chain(grants).chain(gone).map(|line| visible(&line).into_owned()).collect::<Vec<_>>().join("\n")
}

/// A list within a line.
pub(super) fn joined(parts: &[String]) -> String {
    if parts.is_empty() { "-".to_owned() } else { visible(&parts.join(", ")).into_owned() }
}

/// Several lines (a stanza to paste), below each other.
fn indented(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n             ")
}

/// The colour of its state.
pub(super) fn state_colour(state: PluginState) -> Colour {
    match state {
        PluginState::Ok => Colour::Green,
        PluginState::Leaving => Colour::Yellow,
        PluginState::Missing | PluginState::Refused | PluginState::Quarantined => Colour::Red,
    }
}
