//! From files to one document: `include` and `extends` followed, files put over each other.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::import::{Import, Source};
use crate::merge::{drop_reset, merge};
use crate::paths::plain;
use crate::tree::{Data, Item, Key, Lines, Place, TAGS, plant};

/// Files within files, and services that extend services.
const DEEPEST: usize = 16;
/// Files in all.
const MOST_FILES: usize = 200;
/// The parts of a document that are tables by name.
pub(crate) const PARTS: [&str; 5] = ["services", "networks", "volumes", "secrets", "configs"];

/// The whole of it, or nothing when there are mistakes.
pub(crate) fn load(import: &mut Import<'_>) -> Option<Item> {
    let files = import.request.files.clone();
    let here = import.request.here.clone();
    let dir = plain(&here.join(files.first()?.parent().unwrap_or(Path::new(""))));
    let mut root: Option<Item> = None;
    for file in &files {
        let name = file.display().to_string();
        let Some(item) = read(import, &plain(&here.join(file)), name, &dir, None, Some(0)) else { continue };
        let item = extend_all(import, item, root.as_ref());
        root = Some(match root {
            Some(base) => merge(base, item, &mut Vec::new()),
            None => item,
        });
    }
    let mut root = root?;
    drop_reset(&mut root);
    import.is_good().then_some(root)
}

/// One file, with what it includes when there is a depth; `from` is the place that names it.
fn read(import: &mut Import<'_>, path: &Path, name: String, dir: &Path, from: Option<(Place, &str)>, depth: Option<usize>) -> Option<Item> {
    let index = import.sources.len();
    let (place, key) = from.unwrap_or((Place { file: index, ..Place::default() }, ""));
    if index >= MOST_FILES {
        import.mistake(place, key, format!("there are more than {MOST_FILES} files"), "import them apart");
        return None;
    }
    let text = import.text_of(path);
    // A file that cannot be read has a name all the same.
    import.sources.push(Source { name: name.clone(), dir: dir.to_owned() });
    let text = match text {
        Ok(text) => text,
        Err(why) => {
            let named = if from.is_some() { format!("{name}: {why}") } else { why };
            import.mistake(place, key, named, "check the path");
            return None;
        }
    };
    let item = parse(import, &text, index)?;
    match depth {
        Some(depth) => include(import, item, path, depth),
        None => Some(item),
    }
}

fn parse(import: &mut Import<'_>, text: &str, index: usize) -> Option<Item> {
    let lines = Lines::new(text, index);
    let document = match hostler_yaml::parse(text, &TAGS) {
        Ok(document) => document,
        Err(fault) => {
            import.mistake(lines.place(fault.span.start), "", fault.message, fault.hint.unwrap_or_default());
            return None;
        }
    };
    let tagged: HashMap<(usize, usize), String> = document.tagged.into_iter().map(|(span, tag)| ((span.start, span.end), tag)).collect();
    let mut twice = Vec::new();
    let item = plant(document.root, &tagged, &lines, &mut |place, key| twice.push((place, key.to_owned())));
    for (place, key) in twice {
        import.mistake(place, "", format!("the key `{key}` is written twice"), "keep one of the two");
    }
    nothing_hidden(import, &item);
    let start = Place { file: index, line: 1, column: 1 };
    if !matches!(item.data, Data::Table(_)) {
        import.mistake(start, "", "this is not a Compose file: it is no table", "write `services:` and what belongs to it");
        return None;
    }
    for part in PARTS {
        if let Some(wrong) = item.member(part).filter(|item| !matches!(item.data, Data::Table(_) | Data::Null)) {
            import.mistake(wrong.place, part, "this must be a table by name", format!("write {part}: and below it NAME: with what belongs to it"));
            return None;
        }
    }
    import.afford(item.size(), start, "").then_some(item)
}

/// Refuses NUL, which no program can be given; an escape may hide one.
fn nothing_hidden(import: &mut Import<'_>, item: &Item) {
    let nul = |text: &str| text.contains('\0');
    match &item.data {
        Data::Text(text) if nul(text) => import.mistake(item.place, "", "this text has a NUL character in it", "take it out"),
        Data::List(items) => items.iter().for_each(|item| nothing_hidden(import, item)),
        Data::Table(members) => {
            for (key, item) in members {
                if nul(&key.text) {
                    import.mistake(key.place, "", "this key has a NUL character in it", "take it out");
                }
                nothing_hidden(import, item);
            }
        }
        Data::Null | Data::Flag(..) | Data::Number(_) | Data::Text(_) => {}
    }
}

/// Puts what a file includes beside what it says itself.
fn include(import: &mut Import<'_>, mut item: Item, path: &Path, depth: usize) -> Option<Item> {
    let Data::Table(members) = &mut item.data else { return Some(item) };
    let Some(at) = members.iter().position(|(key, _)| key.text == "include") else { return Some(item) };
    let (key, list) = members.remove(at);
    if depth >= DEEPEST {
        import.mistake(key.place, "include", format!("files include each other more than {DEEPEST} deep"), "look for one that includes itself");
        return None;
    }
    let entries = match list.data {
        Data::List(entries) => entries,
        Data::Null => Vec::new(),
        _ => vec![list],
    };
    let beside = path.parent().unwrap_or(Path::new("/")).to_owned();
    for entry in entries {
        if let Some(included) = include_one(import, &entry, &beside, depth) {
            for (key, part) in members_of(included) {
                add_part(import, &mut item, key, part);
            }
        }
    }
    Some(item)
}

fn include_one(import: &mut Import<'_>, entry: &Item, beside: &Path, depth: usize) -> Option<Item> {
    let named = entry.member("path").unwrap_or(entry);
    let words: Vec<&Item> = match &named.data {
        Data::List(items) => items.iter().collect(),
        _ => vec![named],
    };
    let env_file = entry.members().iter().find(|(key, _)| key.text == "env_file");
    if let Some((key, _)) = env_file {
        let hint = "name the file with --env-file when you import";
        import.note(key.place, "include.env_file", "the variables of this file were not looked at", hint);
    }
    let mut files = Vec::new();
    for word in words {
        let Some(text) = word.word() else {
            import.mistake(word.place, "include", "a file to include is named by its path", "write `- other/compose.yaml`");
            return None;
        };
        files.push((import.resolve(word.place, "include", text)?, word.place));
    }
    let first = files.first().map(|(path, _)| path.clone())?;
    let dir = match entry.member("project_directory").and_then(Item::word) {
        Some(dir) => plain(&beside.join(dir)),
        None => plain(&beside.join(&first)).parent().unwrap_or(Path::new("/")).to_owned(),
    };
    let mut root: Option<Item> = None;
    for (file, place) in files {
        let path = plain(&beside.join(&file));
        let name = called(import, &path);
        let item = read(import, &path, name, &dir, Some((place, "include")), Some(depth + 1))?;
        let item = extend_all(import, item, root.as_ref());
        root = Some(match root {
            Some(base) => merge(base, item, &mut Vec::new()),
            None => item,
        });
    }
    root
}

fn members_of(item: Item) -> Vec<(Key, Item)> {
    match item.data {
        Data::Table(members) => members,
        _ => Vec::new(),
    }
}

/// What an included file says may not be said again.
fn add_part(import: &mut Import<'_>, root: &mut Item, key: Key, part: Item) {
    if !PARTS.contains(&key.text.as_str()) {
        return;
    }
    let Data::Table(members) = &mut root.data else { return };
    let Some((_, known)) = members.iter_mut().find(|(known, _)| known.text == key.text) else {
        members.push((key, part));
        return;
    };
    if matches!(known.data, Data::Null) {
        *known = part;
        return;
    }
    let Data::Table(known) = &mut known.data else { return };
    for (name, item) in members_of(part) {
        if known.iter().any(|(key, _)| key.text == name.text) {
            let message = format!("`{}` is there twice: here, and in a file that includes this one", name.text);
            import.mistake(name.place, &format!("{}.{}", key.text, name.text), message, "give one of them another name");
        } else {
            known.push((name, item));
        }
    }
}

/// How a file that another one names is called in messages.
fn called(import: &Import<'_>, path: &Path) -> String {
    path.strip_prefix(&import.request.here).unwrap_or(path).display().to_string()
}

/// Puts every service over the one that it extends.
fn extend_all(import: &mut Import<'_>, mut root: Item, earlier: Option<&Item>) -> Item {
    let none = Item::new(Place::default(), Data::Null);
    let services = root.member("services").cloned().unwrap_or_else(|| none.clone());
    let earlier = earlier.and_then(|root| root.member("services")).unwrap_or(&none);
    if !services.members().iter().any(|(_, service)| service.member("extends").is_some()) {
        return root;
    }
    let mut made = Vec::new();
    for (key, service) in services.members() {
        let around = Around { services: &services, earlier, file: None };
        let service = extend(import, service.clone(), &key.text, &around, &mut Vec::new());
        made.push((key.clone(), service));
    }
    if let Data::Table(members) = &mut root.data
        && let Some((_, item)) = members.iter_mut().find(|(key, _)| key.text == "services")
    {
        item.data = Data::Table(made);
    }
    root
}

/// Where the services are that may be extended.
struct Around<'s> {
    services: &'s Item,
    earlier: &'s Item,
    file: Option<PathBuf>,
}

fn extend(import: &mut Import<'_>, mut service: Item, name: &str, around: &Around<'_>, chain: &mut Vec<(Option<PathBuf>, String)>) -> Item {
    let Data::Table(members) = &mut service.data else { return service };
    let Some(at) = members.iter().position(|(key, _)| key.text == "extends") else { return service };
    let (key, extends) = members.remove(at);
    let at = format!("services.{name}.extends");
    let this = (around.file.clone(), name.to_owned());
    if chain.contains(&this) || chain.len() >= DEEPEST {
        let why = if chain.contains(&this) {
            "this service extends itself in the end".to_owned()
        } else {
            format!("services extend each other more than {DEEPEST} deep")
        };
        import.mistake(key.place, &at, why, "take one of the `extends` out");
        return service;
    }
    let named = extends.member("service").and_then(Item::word).or_else(|| extends.word());
    let Some(other) = named.map(str::to_owned) else {
        import.mistake(extends.place, &at, "the service that is extended is not named", "write extends: { service: base, file: common.yaml }");
        return service;
    };
    chain.push(this);
    let base = match extends.member("file").and_then(|file| Some((file, file.word()?.to_owned()))) {
        Some((file, path)) => from_file(import, file.place, &at, &path, &other, chain),
        None => {
            let found = around.services.member(&other).or_else(|| around.earlier.member(&other)).cloned();
            found.map(|base| extend(import, base, &other, around, chain))
        }
    };
    chain.pop();
    let Some(base) = base else {
        if import.is_good() {
            import.mistake(extends.place, &at, format!("there is no service `{other}` to extend"), "look at its name");
        }
        return service;
    };
    if !import.afford(base.size(), extends.place, &at) {
        return service;
    }
    merge(base, service, &mut vec!["services".to_owned(), name.to_owned()])
}

fn from_file(
    import: &mut Import<'_>,
    place: Place,
    key: &str,
    path: &str,
    service: &str,
    chain: &mut Vec<(Option<PathBuf>, String)>,
) -> Option<Item> {
    let path = import.resolve(place, key, path)?;
    let path = plain(&import.dir_of(place).join(path));
    let dir = path.parent().unwrap_or(Path::new("/")).to_owned();
    let root = match import.extended.get(&path) {
        Some(known) => known.clone(),
        None => {
            let name = called(import, &path);
            let root = read(import, &path, name, &dir, Some((place, key)), None)?;
            import.extended.insert(path.clone(), root.clone());
            root
        }
    };
    let services = root.member("services")?.clone();
    let none = Item::new(Place::default(), Data::Null);
    let around = Around { services: &services, earlier: &none, file: Some(path) };
    let base = services.member(service)?.clone();
    Some(extend(import, base, service, &around, chain))
}
