//! What the command line settles in a document, because only it knows the text and the directory.

use std::path::Path;

use hostler_api::config::absolute;

use super::node::{Data, Node};

/// Tables whose values are texts, whatever they look like: `VERSION = 3.10` means "3.10", and not 3.1.
pub(crate) fn keep_texts(root: &mut Node, source: &str) {
    let Some(services) = root.member_mut("services") else { return };
    for (_, service) in services.members_mut() {
        for (key, member) in service.members_mut() {
            match key.text.as_str() {
                "env" | "labels" => as_texts(member, source),
                "backend" => {
                    if let Some(env) = member.member_mut("env") {
                        as_texts(env, source);
                    }
                }
                _ => {}
            }
        }
    }
}

fn as_texts(table: &mut Node, source: &str) {
    for (_, member) in table.members_mut() {
        if let (Data::Flag(_) | Data::Number(_), Some(written)) = (&member.data, source.get(member.span.clone())) {
            member.data = Data::Text(written.trim().to_owned());
        }
    }
}

/// Makes the paths that the host itself reads absolute: state directory, certificates, plugins, tunnels and secrets.
pub(crate) fn make_absolute(root: &mut Node, base_dir: &Path) {
    if let Some(node) = root.member_mut("settings").and_then(|settings| settings.member_mut("state_dir")) {
        make_one(node, base_dir);
    }
    if let Some(tls) = root.member_mut("settings").and_then(|settings| settings.member_mut("tls")) {
        tls.members_mut().iter_mut().for_each(|(_, file)| make_one(file, base_dir));
    }
    for (thing, key) in [("plugins", "source"), ("networks", "config")] {
        for (_, entry) in root.member_mut(thing).map(Node::members_mut).unwrap_or_default() {
            if let Some(node) = entry.member_mut(key) {
                make_one(node, base_dir);
            }
        }
    }
    for (_, service) in root.member_mut("services").map(Node::members_mut).unwrap_or_default() {
        for (_, secret) in service.member_mut("secrets").map(Node::members_mut).unwrap_or_default() {
            make_one(secret, base_dir);
        }
    }
}

fn make_one(node: &mut Node, base_dir: &Path) {
    match &mut node.data {
        Data::Text(path) if !path.is_empty() && path != "built-in" => *path = absolute(path, base_dir).to_string_lossy().into_owned(),
        Data::Text(_) | Data::Null | Data::Flag(_) | Data::Number(_) | Data::List(_) | Data::Table(_) => {}
    }
}
