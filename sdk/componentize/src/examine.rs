//! What is wrong with a file that should be a plugin, without running it.

use crate::words::{self, Aliases};
use crate::{Interface, Shape, embedded};
use std::path::Path;
use wasmparser::{Encoding, Parser, Payload};
use wit_component::DecodedWasm;
use wit_parser::{InterfaceId, Resolve, SourceMap, TypeDefKind, WorldItem};

/// What a file is, as far as its bytes say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Examined {
    /// No WebAssembly.
    NotWasm,
    /// A core module: what a compiler writes before it is made a component. `claims_a_world`: with an SDK's bindings in it.
    CoreModule {
        /// Would it become a component?
        claims_a_world: bool,
    },
    /// WebAssembly that cannot be read; the parser's words.
    Broken(String),
    /// A component.
    Component(Box<Component>),
}

/// The outside of a component, held against the contract in this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// What it imports and exports.
    pub shape: Shape,
    /// Every item that is not as the contract has it.
    pub differences: Vec<Difference>,
    /// Has its code names of functions? Without them a trap tells nothing but numbers.
    pub has_names: bool,
}

/// One thing that the contract and a component say differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The interface, with the component's version of it.
    pub interface: String,
    /// What the contract says; nothing when it has no such thing.
    pub contract: Option<String>,
    /// What the component has; nothing when it lacks what the contract asks for.
    pub component: Option<String>,
}

impl Examined {
    /// Looks at bytes; nothing is run.
    pub fn of(bytes: &[u8]) -> Self {
        if !bytes.starts_with(b"\0asm") {
            return Self::NotWasm;
        }
        if bytes.get(4..8) == Some(&[1, 0, 0, 0]) {
            let claims_a_world = wit_component::metadata::decode(bytes).is_ok_and(|(stripped, _)| stripped.is_some());
            return Self::CoreModule { claims_a_world };
        }
        match component(bytes) {
            Ok(component) => Self::Component(Box::new(component)),
            Err(why) => Self::Broken(why),
        }
    }
}

fn component(bytes: &[u8]) -> Result<Component, String> {
    let said = |error: &dyn std::fmt::Display| format!("{error:#}");
    let decoded = wit_component::decode(bytes).map_err(|error| said(&error))?;
    let DecodedWasm::Component(resolve, world) = decoded else { return Err("it is a WIT package, not a component".into()) };
    let shape = Shape::of(bytes).map_err(|error| said(&error))?;
    let contract = contract();
    let world = &resolve.worlds[world];
    let mut differences = Vec::new();
    for (exported, items) in [(false, &world.imports), (true, &world.exports)] {
        for item in items.values() {
            let WorldItem::Interface { id, .. } = item else { continue };
            compare(&contract, &resolve, *id, exported, &mut differences);
        }
    }
    Ok(Component { shape, differences, has_names: has_names(bytes) })
}

/// The contract in this program.
pub(crate) fn contract() -> Resolve {
    let mut resolve = Resolve::default();
    for package in ["host/", "plugin/"] {
        let mut sources = SourceMap::new();
        for (path, text) in embedded::WIT.iter().filter(|(path, _)| path.starts_with(package) && path.ends_with(".wit")) {
            sources.push_str(path, *text);
        }
        let group = sources.parse().unwrap_or_else(|(_, error)| panic!("the contract in this program: {error}"));
        resolve.push_group(group).expect("a test resolves it");
    }
    resolve
}

/// Only interfaces of ours: WASI's are the host's own business, and it says so when it loads them.
fn compare(contract: &Resolve, resolve: &Resolve, id: InterfaceId, exported: bool, differences: &mut Vec<Difference>) {
    let name = resolve.id_of(id).unwrap_or_default();
    let Some((bare, version)) = name.split_once('@').filter(|(bare, _)| bare.starts_with("hostler:")) else { return };
    let known = contract.interfaces.iter().find(|(id, _)| contract.id_of(*id).is_some_and(|full| full.split('@').next() == Some(bare)));
    let mut differ = |ours: Option<String>, theirs: Option<String>| {
        differences.push(Difference { interface: name.clone(), contract: ours, component: theirs });
    };
    let Some((known_id, known)) = known else { return differ(None, Some(format!("interface {name}"))) };
    let known_version = contract.id_of(known_id).and_then(|full| full.split_once('@').map(|(_, version)| version.to_owned())).unwrap_or_default();
    if !reads(&known_version, version) {
        return differ(Some(format!("interface {bare}@{known_version}")), Some(format!("interface {name}")));
    }
    let interface = &resolve.interfaces[id];
    for (item, id) in &interface.types {
        let definition = &resolve.types[*id];
        // a word for another type, which is compared where it is
        if matches!(definition.kind, TypeDefKind::Type(_)) {
            continue;
        }
        let theirs = words::definition(resolve, Aliases::Resolved, item, definition);
        let ours = known.types.get(item).map(|id| words::definition(contract, Aliases::Resolved, item, &contract.types[*id]));
        if ours.as_ref() != Some(&theirs) {
            differ(ours, Some(theirs));
        }
    }
    for (item, function) in &interface.functions {
        let theirs = words::function(resolve, Aliases::Resolved, function);
        let ours = known.functions.get(item).map(|function| words::function(contract, Aliases::Resolved, function));
        if ours.as_ref() != Some(&theirs) {
            differ(ours, Some(theirs));
        }
    }
    for (_, function) in known.functions.iter().filter(|(item, _)| exported && !interface.functions.contains_key(*item)) {
        differ(Some(words::function(contract, Aliases::Resolved, function)), None);
    }
}

/// A component for 0.1.x is read by a host of 0.1.y, as wasmtime matches versions.
fn reads(ours: &str, theirs: &str) -> bool {
    let series = |version: &str| version.rsplit_once('.').map(|(series, _)| series.to_owned());
    series(ours) == series(theirs)
}

/// Does the largest core module within have a section with names? The small ones are glue that tools add.
fn has_names(bytes: &[u8]) -> bool {
    let mut largest = (0, false);
    let mut open: Vec<(usize, bool)> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
        match payload {
            Payload::Version { encoding: Encoding::Module, range, .. } => open.push((range.start, false)),
            Payload::Version { .. } => open.push((usize::MAX, false)),
            Payload::CustomSection(section) if section.name() == "name" => {
                if let Some(module) = open.last_mut() {
                    module.1 = true;
                }
            }
            Payload::End(offset) => {
                let (start, named) = open.pop().unwrap_or((usize::MAX, false));
                let size = offset.saturating_sub(start);
                largest = largest.max((size, named));
            }
            _ => {}
        }
    }
    largest.1
}

/// The interface of this name, whatever its version.
impl Shape {
    /// An exported interface by its name without a version.
    pub fn export(&self, bare: &str) -> Option<&Interface> {
        self.exports.iter().find(|export| export.name.split('@').next() == Some(bare))
    }
}

/// What a file is; an error only where it cannot be read.
pub fn examine(path: &Path) -> std::io::Result<Examined> {
    Ok(Examined::of(&std::fs::read(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
    use wit_parser::ManglingAndAbi;

    /// A component of this world, beside packages that are not quite ours.
    fn made(text: &str) -> Component {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("made.wit", text).expect("the test's own text");
        let world = resolve.select_world(&[package], None).expect("one world");
        let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a dummy");
        let bytes = ComponentEncoder::default().module(&module).and_then(|encoder| encoder.validate(true).encode()).expect("it fits its world");
        match Examined::of(&bytes) {
            Examined::Component(component) => *component,
            other => panic!("{other:?}"),
        }
    }

    fn check(text: &str, expected: &[(Option<&str>, Option<&str>)]) {
        let component = made(text);
        let found: Vec<_> = component.differences.iter().map(|one| (one.contract.as_deref(), one.component.as_deref())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn files_that_are_no_component_are_told_apart() {
        assert_eq!(Examined::of(b"#!/bin/sh"), Examined::NotWasm);
        assert_eq!(Examined::of(b"\0asm\x01\0\0\0"), Examined::CoreModule { claims_a_world: false });
        assert!(matches!(Examined::of(b"\0asm\x0d\0\x01\0\xff"), Examined::Broken(_)));
    }

    #[test]
    fn an_interface_as_the_contract_has_it_differs_in_nothing() {
        check(
            "package hostler:host@0.1.0;
             interface context { config: func() -> string; remaining: func() -> u64; }
             world w { import context; }",
            &[],
        );
    }

    #[test]
    fn another_shape_is_shown_beside_the_contracts() {
        check(
            "package hostler:host@0.1.0;
             interface log { enum level { debug, info, loud } write: func(level: level, message: string); }
             world w { import log; }",
            &[
                (Some("enum level { debug, info, warn, error }"), Some("enum level { debug, info, loud }")),
                (
                    Some("write: func(level: level, message: string, fields: list<tuple<string, string>>)"),
                    Some("write: func(level: level, message: string)"),
                ),
            ],
        );
    }

    #[test]
    fn an_export_that_lacks_functions_is_named_for_each() {
        let component = made(
            "package hostler:plugin@0.1.0;
             interface signals { supported: func() -> list<string>; }
             world w { export signals; }",
        );
        let [difference] = component.differences.try_into().expect("one is missing");
        assert_eq!(difference.component, None);
        assert!(difference.contract.is_some_and(|text| text.starts_with("send: func(handle: handle")));
    }

    #[test]
    fn another_version_and_an_interface_of_nobodys_are_named() {
        check(
            "package hostler:plugin@0.2.0;
             interface signals { supported: func() -> list<string>; }
             world w { export signals; }",
            &[(Some("interface hostler:plugin/signals@0.1.0"), Some("interface hostler:plugin/signals@0.2.0"))],
        );
        check(
            "package hostler:host@0.1.0;
             interface teleport { go: func(); }
             world w { import teleport; }",
            &[(None, Some("interface hostler:host/teleport@0.1.0"))],
        );
    }

    #[test]
    fn a_later_patch_of_the_contract_is_read() {
        check(
            "package hostler:host@0.1.7;
             interface context { owner: func() -> string; }
             world w { import context; }",
            &[],
        );
    }

    #[test]
    fn code_without_names_is_noticed() {
        let component = made("package a:b; world w { export run: func(); }");
        assert!(!component.has_names, "a dummy has none");
    }

    #[test]
    fn the_contract_is_as_it_is_read() {
        let contract = contract();
        let names: Vec<String> = contract.interfaces.iter().filter_map(|(id, _)| contract.id_of(id)).collect();
        assert!(names.iter().any(|name| name.starts_with("hostler:plugin/backend@")), "{names:?}");
    }
}
