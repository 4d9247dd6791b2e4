//! What is wrong with a component.

use std::path::Path;

use hostler_componentize::{Component, Difference, Examined, examine};
use hostler_wasm::{Grants, needed, stanza_of, unknown};

use super::finding::Finding;
use crate::command::plugin::named::{Named, named};
use crate::context::Context;
use crate::error::{Error, usage};

const BACKEND: &str = "hostler:plugin/backend";
const HEALTH_CHECK: &str = "hostler:plugin/health-check";

/// Everything that can be said of a file without running it.
pub(super) fn findings(path: &Path, context: &Context) -> Result<Vec<Finding>, Error> {
    let examined = examine(path).map_err(|error| usage(format!("{} cannot be read: {error}", path.display())))?;
    let place = path.display();
    let component = match examined {
        Examined::Component(component) => component,
        Examined::NotWasm => return Ok(vec![Finding::wrong("not-wasm", format!("{place} is no WebAssembly"), BUILD)]),
        Examined::Broken(why) => return Ok(vec![Finding::wrong("broken", format!("{place} cannot be read as a component: {why}"), BUILD)]),
        Examined::CoreModule { claims_a_world } => return Ok(vec![core_module(path, claims_a_world)]),
    };
    let mut findings = vec![Finding::fine("component", format!("{place} is a component"))];
    findings.push(role(&component));
    findings.extend(component.differences.iter().map(difference));
    // of the contract's own packages the differences speak already
    let strange = unknown(component.shape.permissions()).into_iter().filter(|name| !name.starts_with("hostler:"));
    findings.extend(strange.map(|name| {
        let mend = "call what the contract has instead: docs/CONTRACT-REFERENCE.md, and WASI 0.2 without what is no part of a plugin";
        Finding::wrong("unknown", format!("it imports {name}, which no host has"), mend)
    }));
    if component.differences.is_empty() {
        findings.push(Finding::fine("shapes", "every interface is as the contract has it"));
    }
    findings.push(names(&component));
    findings.push(grants(path, &component, context)?);
    Ok(findings)
}

const BUILD: &str = "hostler plugin build DIR, with the folder of the plugin's sources";

fn core_module(path: &Path, claims_a_world: bool) -> Finding {
    let what = format!("{} is a core module, not a component: what a compiler writes before it is made one", path.display());
    let mend = if claims_a_world {
        BUILD.to_owned()
    } else {
        format!("{BUILD}; in Rust, `hostler_sdk::plugin!` says what it is. This one says nothing of a world at all")
    };
    Finding::wrong("core-module", what, mend)
}

/// Exactly one of the two roles.
fn role(component: &Component) -> Finding {
    let exports = || component.shape.abilities().join(", ");
    match (component.shape.export(BACKEND), component.shape.export(HEALTH_CHECK)) {
        (Some(role), None) | (None, Some(role)) => Finding::fine("role", format!("it is made for {}", role.name)),
        (Some(_), Some(_)) => Finding::wrong("two-roles", "it exports both roles, and a plugin is one or the other", "make two plugins of it"),
        (None, None) => {
            let exports = if component.shape.exports.is_empty() { "nothing".to_owned() } else { exports() };
            let what = format!("it is made for another world: it exports {exports}, and neither {BACKEND} nor {HEALTH_CHECK}");
            Finding::wrong("wrong-world", what, "hostler plugin new NAME --kind backend|health-check --lang LANGUAGE shows what a plugin exports")
        }
    }
}

/// Both shapes, one below the other.
fn difference(difference: &Difference) -> Finding {
    let mend = "build it with the SDK of this hostler: hostler plugin renew DIR, then hostler plugin build DIR";
    let interface = &difference.interface;
    match (&difference.contract, &difference.component) {
        (Some(contract), component) => {
            let component = component.as_deref().unwrap_or("(nothing)");
            let what = format!("{interface} is not as the contract has it\n  contract:  {contract}\n  component: {component}");
            let version = contract.starts_with("interface ");
            Finding::wrong(if version { "wrong-version" } else { "wrong-shape" }, what, mend)
        }
        (None, component) => {
            let component = component.as_deref().unwrap_or(interface);
            Finding::wrong("unknown", format!("the contract has no such thing\n  component: {component}, of {interface}"), mend)
        }
    }
}

fn names(component: &Component) -> Finding {
    if component.has_names {
        return Finding::fine("names", "its functions have names: a trap says where it was");
    }
    let mend =
        "in Cargo.toml, [profile.release] strip = \"debuginfo\" instead of \"symbols\" or true; for other tools, whatever keeps the name section";
    Finding::doubtful("no-names", "its functions have no names: a trap tells nothing but numbers", mend)
}

/// What it imports, beside what the service file grants it.
fn grants(path: &Path, component: &Component, context: &Context) -> Result<Finding, Error> {
    let wanted = needed(component.shape.permissions());
    let list = |capabilities: &[hostler_wasm::Capability]| capabilities.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ");
    if wanted.is_empty() {
        return Ok(Finding::fine("grants", "it needs no grant"));
    }
    let wanted: Vec<_> = wanted.into_iter().collect();
    let stem = path.file_stem().map_or_else(|| "plugin".to_owned(), |stem| stem.to_string_lossy().into_owned());
    // without a service file there is nobody who could have granted anything
    let Some(Named { name, entry }) = named(path, context)? else {
        let what = format!("it needs {}, and no service file here names it as a plugin", list(&wanted));
        return Ok(Finding::doubtful("not-added", what, format!("hostler plugin add {stem} {}", path.display())));
    };
    let granted: Grants = entry.grants.map(|grants| serde_json::from_value(grants).unwrap_or_default()).unwrap_or_default();
    let missing: Vec<_> = wanted.iter().copied().filter(|capability| !granted.has(*capability)).collect();
    if missing.is_empty() {
        return Ok(Finding::fine("grants", format!("[plugins.{name}] grants what it needs: {}", list(&wanted))));
    }
    let what = format!("it needs {}, and [plugins.{name}] does not grant that", list(&missing));
    Ok(Finding::wrong("missing-grant", what, format!("write into the service file, as narrow as you can:\n{}", stanza_of(missing, &name).trim_end())))
}
