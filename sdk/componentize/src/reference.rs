//! The contract's comments as a document.

use crate::examine::contract;
use crate::words::{self, Aliases, Part};
use std::fmt::Write;
use wit_parser::{Docs, Interface, Resolve, TypeDef, TypeDefKind, WorldItem};

const HEAD: &str = "\
# The contract

Every interface of [`wit/`](../wit), with its comments, which are normative. Written by `make reference` from those files; a test holds both
together. How a plugin is written is in [PLUGINS.md](PLUGINS.md).
";

/// Packages and their interfaces in the order in which an author meets them: roles, abilities, words, capabilities.
const ORDER: [(&str, &str, &[&str]); 4] = [
    ("What a plugin is", "plugin", &["backend", "health-check"]),
    ("Abilities of a backend", "plugin", &[]),
    ("Words that all share", "plugin", &["types"]),
    ("What a plugin may call", "host", &[]),
];

/// The whole document, in Markdown.
pub fn reference() -> String {
    let resolve = contract();
    let mut text = HEAD.to_owned();
    let ordered: Vec<&str> = ORDER.iter().flat_map(|(_, _, names)| names.iter().copied()).collect();
    for (title, package, names) in ORDER {
        push(&mut text, format!("\n## {title}\n"));
        let rest = |name: &str| if names.is_empty() { !ordered.contains(&name) } else { names.contains(&name) };
        for (_, interface) in resolve.interfaces.iter() {
            let Some(name) = interface.name.as_deref().filter(|name| in_package(&resolve, interface, package) && rest(name)) else { continue };
            describe(&mut text, &resolve, name, interface);
        }
    }
    worlds(&mut text, &resolve);
    text
}

fn in_package(resolve: &Resolve, interface: &Interface, package: &str) -> bool {
    interface.package.is_some_and(|id| resolve.packages[id].name.namespace == "hostler" && resolve.packages[id].name.name == package)
}

fn describe(text: &mut String, resolve: &Resolve, name: &str, interface: &Interface) {
    let id = resolve.interfaces.iter().find(|(_, other)| std::ptr::eq(*other, interface)).and_then(|(id, _)| resolve.id_of(id));
    push(text, format!("\n### {name}\n\n`{}`\n", id.unwrap_or_default()));
    paragraph(text, &interface.docs, "\n");
    for function in interface.functions.values() {
        push(text, format!("\n- `{}`", words::function(resolve, Aliases::Told, function)));
        paragraph(text, &function.docs, "  ");
    }
    if !interface.functions.is_empty() {
        text.push('\n');
    }
    for (name, id) in &interface.types {
        define(text, resolve, name, &resolve.types[*id]);
    }
}

fn define(text: &mut String, resolve: &Resolve, name: &str, definition: &TypeDef) {
    if matches!(definition.kind, TypeDefKind::Type(wit_parser::Type::Id(_))) {
        return;
    }
    let Some(parts) = words::parts(resolve, Aliases::Told, definition) else {
        push(text, format!("\n**`{}`**\n", words::definition(resolve, Aliases::Told, name, definition)));
        return paragraph(text, &definition.docs, "\n");
    };
    push(text, format!("\n**{} `{name}`**", definition.kind.as_str()));
    paragraph(text, &definition.docs, " — ");
    text.push_str("\n\n");
    for Part { text: part, docs } in parts {
        push(text, format!("- `{part}`"));
        paragraph(text, &Docs { contents: docs }, ": ");
        text.push('\n');
    }
}

fn worlds(text: &mut String, resolve: &Resolve) {
    text.push_str("\n## Worlds\n");
    for (_, world) in resolve.worlds.iter() {
        push(text, format!("\n### {}\n", world.name));
        paragraph(text, &world.docs, "\n");
        text.push('\n');
        for (verb, items) in [("imports", &world.imports), ("exports", &world.exports)] {
            let names = items.values().filter_map(|item| match item {
                WorldItem::Interface { id, .. } => resolve.id_of(*id),
                WorldItem::Function(_) | WorldItem::Type { .. } => None,
            });
            for name in names {
                push(text, format!("- {verb} `{name}`\n"));
            }
        }
    }
}

/// A comment, its paragraphs apart, every one after the first on a line of its own.
fn paragraph(text: &mut String, docs: &Docs, before: &str) {
    let Some(contents) = docs.contents.as_deref().map(str::trim).filter(|contents| !contents.is_empty()) else { return };
    let indented = before == "  ";
    let lead = if indented { "\n  " } else { before };
    let paragraphs: Vec<String> = contents.split("\n\n").map(|paragraph| paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" ")).collect();
    let between = if indented { "\n\n  " } else { "\n\n" };
    push(text, format!("{lead}{}", paragraphs.join(between)));
    if before == "\n" {
        text.push('\n');
    }
}

fn push(text: &mut String, more: String) {
    text.write_str(&more).expect("a string takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_that_of_the_contract() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CONTRACT-REFERENCE.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == reference(), "docs/CONTRACT-REFERENCE.md is not what wit/ says: run `make reference`");
    }

    #[test]
    fn every_function_and_its_comment_is_in_it() {
        let text = reference();
        for part in ["- `start: func(task: task) -> result<handle, fault>`", "Idempotent: same id and digest", "### processes", "- `exited(exit)`"] {
            assert!(text.contains(part), "{part}");
        }
        assert_eq!(text.matches("### backend\n").count(), 1);
    }
}
