//! How Compose puts one file over another, and an extending service over the one it extends.

use crate::template::Template;
use crate::tree::{Data, Item, Key, Mark};

/// What happens where both say something.
enum Rule {
    /// The later one wins.
    Replace,
    /// `NAME=VALUE` lines and tables are one: by name, the later wins.
    ByName,
    /// Lists follow each other; what has the same key is the later one's.
    Follow(fn(&Item) -> Option<String>),
    /// A list of names is a table of them.
    Names,
    /// Options of another driver mean nothing.
    Logging,
    /// Tables by key, lists behind each other, words by the later one.
    Deep,
}

fn rule(path: &[&str]) -> Rule {
    let Some(("services", rest)) = path.split_first().map(|(first, rest)| (*first, rest)) else { return Rule::Deep };
    match rest {
        [_, "command" | "entrypoint"] | [_, "healthcheck", "test"] | [_, "ulimits", _] => Rule::Replace,
        [_, "environment" | "labels" | "annotations" | "sysctls" | "extra_hosts"] | [_, "deploy" | "build", "labels"] | [_, "build", "args"] => {
            Rule::ByName
        }
        [_, "depends_on" | "networks"] => Rule::Names,
        [_, "logging"] => Rule::Logging,
        [_, "volumes" | "configs" | "secrets" | "devices"] => Rule::Follow(target),
        [_, "ports"] => Rule::Follow(port),
        _ => Rule::Deep,
    }
}

/// `over` on top of `base`; `path` leads there from the document, service names included.
pub(crate) fn merge(base: Item, over: Item, path: &mut Vec<String>) -> Item {
    if over.mark == Mark::Override || matches!(base.data, Data::Null) {
        return over;
    }
    let steps: Vec<&str> = path.iter().map(String::as_str).collect();
    match rule(&steps) {
        Rule::Replace => over,
        Rule::ByName => deep(by_name(base), by_name(over), path),
        Rule::Names => deep(names(base), names(over), path),
        Rule::Follow(key) => follow(base, over, key),
        Rule::Logging if word(&base, "driver") != word(&over, "driver") && word(&over, "driver").is_some() => over,
        Rule::Logging | Rule::Deep => deep(base, over, path),
    }
}

fn deep(base: Item, over: Item, path: &mut Vec<String>) -> Item {
    match (base.data, over.data) {
        (Data::Table(mut members), Data::Table(more)) => {
            for (key, item) in more {
                let at = members.iter().position(|(known, _)| known.text == key.text);
                match at {
                    Some(at) if item.mark == Mark::Reset => drop(members.remove(at)),
                    None if item.mark == Mark::Reset => {}
                    Some(at) => {
                        path.push(key.text.clone());
                        let below = std::mem::replace(&mut members[at].1, Item::new(item.place, Data::Null));
                        members[at] = (key, merge(below, item, path));
                        path.pop();
                    }
                    None => members.push((key, item)),
                }
            }
            Item::new(over.place, Data::Table(members))
        }
        (base @ Data::List(_), over_data @ (Data::List(_) | Data::Text(_) | Data::Number(_)))
        | (base @ (Data::Text(_) | Data::Number(_)), over_data @ Data::List(_)) => {
            follow(Item::new(base_place(&base, over.place), base), Item::new(over.place, over_data), same)
        }
        // A word says what it says; nothing written says nothing.
        (base, Data::Null) => Item::new(over.place, base),
        (_, data) => Item::new(over.place, data),
    }
}

fn base_place(base: &Data, otherwise: crate::tree::Place) -> crate::tree::Place {
    match base {
        Data::List(items) => items.first().map_or(otherwise, |item| item.place),
        _ => otherwise,
    }
}

fn items(item: Item) -> Vec<Item> {
    match item.data {
        Data::List(items) => items,
        Data::Null => Vec::new(),
        Data::Flag(..) | Data::Number(_) | Data::Text(_) | Data::Table(_) => vec![item],
    }
}

fn follow(base: Item, over: Item, key: fn(&Item) -> Option<String>) -> Item {
    let place = over.place;
    let mut kept = items(base);
    // What stands for the same thing is found by its key, and each list may be long.
    let mut known: std::collections::HashMap<String, usize> = kept.iter().enumerate().filter_map(|(at, item)| Some((key(item)?, at))).collect();
    for item in items(over) {
        match key(&item) {
            Some(key) => match known.get(&key) {
                Some(at) => kept[*at] = item,
                None => {
                    known.insert(key, kept.len());
                    kept.push(item);
                }
            },
            None => kept.push(item),
        }
    }
    Item::new(place, Data::List(kept))
}

fn same(item: &Item) -> Option<String> {
    item.word().map(str::to_owned)
}

fn word<'i>(item: &'i Item, key: &str) -> Option<&'i str> {
    item.member(key).and_then(Item::word)
}

/// Where it lands in the container.
fn target(item: &Item) -> Option<String> {
    if let Some(target) = word(item, "target") {
        return Some(target.trim_end_matches('/').to_owned());
    }
    if let Some(source) = word(item, "source") {
        return Some(source.to_owned());
    }
    let text = item.word()?;
    let pieces = Template::parse(text).ok()?.split(':');
    let target = pieces.get(1).or(pieces.first())?;
    Some(target.as_literal()?.trim_end_matches('/').to_owned())
}

fn port(item: &Item) -> Option<String> {
    if let Some(target) = word(item, "target") {
        let part = |key| word(item, key).unwrap_or_default();
        let protocol = word(item, "protocol").unwrap_or("tcp");
        return Some(format!("{}:{}:{target}/{protocol}", part("host_ip"), part("published")));
    }
    let text = item.word()?;
    let with_protocol = if text.contains('/') { text.to_owned() } else { format!("{text}/tcp") };
    Some(format!("{}{with_protocol}", ":".repeat(2_usize.saturating_sub(text.matches(':').count()))))
}

/// Lines `NAME=VALUE` as a table.
fn by_name(item: Item) -> Item {
    named(item, |text| match text.find(['=', ':']) {
        Some(at) if !text[..at].is_empty() => (text[..at].to_owned(), Some(text[at + 1..].to_owned())),
        _ => (text.to_owned(), None),
    })
}

fn names(item: Item) -> Item {
    named(item, |text| (text.to_owned(), None))
}

fn named(item: Item, cut: fn(&str) -> (String, Option<String>)) -> Item {
    let Data::List(lines) = &item.data else { return item };
    if lines.iter().any(|line| line.word().is_none()) {
        return item;
    }
    let mut members: Vec<(Key, Item)> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for line in lines {
        let (name, value) = cut(line.word().unwrap_or_default());
        let member = (Key { place: line.place, text: name.clone() }, Item::new(line.place, value.map_or(Data::Null, Data::Text)));
        match known.get(&name) {
            Some(at) => members[*at] = member,
            None => {
                known.insert(name, members.len());
                members.push(member);
            }
        }
    }
    Item { data: Data::Table(members), ..item }
}

/// Takes out what `!reset` stands on.
pub(crate) fn drop_reset(item: &mut Item) {
    match &mut item.data {
        Data::Table(members) => {
            members.retain(|(_, item)| item.mark != Mark::Reset);
            members.iter_mut().for_each(|(_, item)| drop_reset(item));
        }
        Data::List(items) => {
            items.retain(|item| item.mark != Mark::Reset);
            items.iter_mut().for_each(drop_reset);
        }
        Data::Null | Data::Flag(..) | Data::Number(_) | Data::Text(_) => {}
    }
}
