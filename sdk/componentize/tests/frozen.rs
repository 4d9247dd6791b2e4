//! What is released never changes: a plugin that was built against a version loads on every host of that version.
//!
//! Inside a version, functions may be added to what the host provides, and interfaces that a plugin may export beside its role. Everything
//! else that was there keeps its shape, and the released text itself is pinned.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use wit_parser::{Function, InterfaceId, Resolve, Type, TypeDef, TypeDefKind, TypeOwner, UnresolvedPackageGroup, WorldItem};

/// Every version, and the digest of all its text. A line is added with a version, and never changed once that is out.
const RELEASED: [(&str, &str); 1] = [("0.1.0", "b0c62cee30b2c2a184a3ad506389ca24d75606d0d1c8f200264e8fa45e221981")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The packages below a folder: `plugin` needs `host`.
fn read(folder: &Path) -> Resolve {
    let mut resolve = Resolve::default();
    for package in ["host", "plugin"] {
        let dir = folder.join(package);
        let group = UnresolvedPackageGroup::parse_dir(&dir).unwrap_or_else(|error| panic!("{}: {error:#}", dir.display()));
        resolve.push_group(group).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    }
    resolve
}

/// One text for each thing that could change, by where it is: `hostler:host/state@0.1.0 set`.
fn shapes(resolve: &Resolve) -> BTreeMap<String, String> {
    let mut shapes = BTreeMap::new();
    for (id, interface) in resolve.interfaces.iter() {
        let Some(name) = resolve.id_of(id) else { continue };
        shapes.insert(name.clone(), "an interface".to_owned());
        for (function, shape) in &interface.functions {
            shapes.insert(format!("{name} {function}"), signature(resolve, shape));
        }
        for (word, ty) in &interface.types {
            shapes.insert(format!("{name} {word}"), definition(resolve, &resolve.types[*ty]));
        }
    }
    for (_, world) in resolve.worlds.iter() {
        for (verb, items) in [("imports", &world.imports), ("exports", &world.exports)] {
            for (key, item) in items {
                let what = if matches!(item, WorldItem::Interface { .. }) { "an interface" } else { "a function or a type" };
                shapes.insert(format!("world {} {verb} {}", world.name, resolve.name_world_key(key)), what.to_owned());
            }
        }
    }
    shapes
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let params: Vec<String> = function.params.iter().map(|param| format!("{}: {}", param.name, reference(resolve, &param.ty))).collect();
    let result = function.result.as_ref().map_or("nothing".to_owned(), |ty| reference(resolve, ty));
    format!("{:?}({}) -> {result}", function.kind, params.join(", "))
}

/// How a type is spoken of: by its name and home where it has some, else by what it is made of.
fn reference(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else { return format!("{ty:?}").to_lowercase() };
    let def = &resolve.types[*id];
    match (&def.name, def.owner) {
        // an alias is its target: `use` may be written in another way
        (_, _) if matches!(def.kind, TypeDefKind::Type(_)) => definition(resolve, def),
        (Some(name), TypeOwner::Interface(home)) => format!("{}.{name}", home_of(resolve, home)),
        _ => definition(resolve, def),
    }
}

fn home_of(resolve: &Resolve, home: InterfaceId) -> String {
    resolve.id_of(home).unwrap_or_default()
}

fn definition(resolve: &Resolve, def: &TypeDef) -> String {
    let say = |ty: &Type| reference(resolve, ty);
    let maybe = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), say);
    match &def.kind {
        TypeDefKind::Record(record) => {
            format!("record {{ {} }}", record.fields.iter().map(|field| format!("{}: {}", field.name, say(&field.ty))).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Variant(variant) => {
            format!("variant {{ {} }}", variant.cases.iter().map(|case| format!("{}({})", case.name, maybe(&case.ty))).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Enum(cases) => format!("enum {{ {} }}", cases.cases.iter().map(|case| case.name.clone()).collect::<Vec<_>>().join(", ")),
        TypeDefKind::Flags(flags) => format!("flags {{ {} }}", flags.flags.iter().map(|flag| flag.name.clone()).collect::<Vec<_>>().join(", ")),
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", tuple.types.iter().map(say).collect::<Vec<_>>().join(", ")),
        TypeDefKind::Option(ty) => format!("option<{}>", say(ty)),
        TypeDefKind::List(ty) => format!("list<{}>", say(ty)),
        TypeDefKind::Result(result) => format!("result<{}, {}>", maybe(&result.ok), maybe(&result.err)),
        TypeDefKind::Type(ty) => say(ty),
        other => format!("{other:?}"),
    }
}

/// What of a version's text is not what it was, in words.
fn changes(old: &Resolve, new: &Resolve) -> Vec<String> {
    let (old, new) = (shapes(old), shapes(new));
    let gone = old.iter().filter_map(|(place, shape)| match new.get(place) {
        None => Some(format!("{place} is gone")),
        Some(now) if now != shape => Some(format!("{place} was `{shape}` and is `{now}`")),
        Some(_) => None,
    });
    let added = new.keys().filter(|place| !old.contains_key(*place) && !may_be_added(place, &old)).map(|place| format!("{place} is new"));
    gone.chain(added).collect()
}

/// Anything in what the host provides, and interfaces of their own in what a plugin may be.
fn may_be_added(place: &str, old: &BTreeMap<String, String>) -> bool {
    let interface = place.split(' ').next().unwrap_or(place);
    place.starts_with("hostler:host/") || (place.starts_with("hostler:plugin/") && !old.contains_key(interface))
}

#[test]
fn what_is_released_keeps_its_shape() {
    let now = read(&root().join("wit"));
    for (version, _) in RELEASED {
        let then = read(&root().join("tests/corpus").join(version).join("wit"));
        let changes = changes(&then, &now);
        assert!(
            changes.is_empty(),
            "the contract of {version} is released, and would change:\n  {}\nA new meaning needs a new name.",
            changes.join("\n  ")
        );
    }
}

#[test]
fn released_text_is_not_touched() {
    for (version, pinned) in RELEASED {
        let folder = root().join("tests/corpus").join(version).join("wit");
        let mut files: Vec<PathBuf> = ["host", "plugin"]
            .iter()
            .flat_map(|package| std::fs::read_dir(folder.join(package)).expect("every version has both packages"))
            .map(|entry| entry.expect("it can be read").path())
            .collect();
        files.sort();
        let mut digest = Sha256::new();
        for file in &files {
            digest.update(file.strip_prefix(&folder).expect("it lies below it").as_os_str().as_encoded_bytes());
            digest.update(std::fs::read(file).expect("it can be read"));
        }
        let digest = format!("{:x}", digest.finalize());
        assert_eq!(
            digest, pinned,
            "tests/corpus/{version}/wit is released text; before the release, `scripts/corpus.sh` writes it, and this digest goes into RELEASED"
        );
    }
}

/// What the released text says, with one thing replaced.
fn changed(package: &str, file: &str, from: &str, to: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let released = root().join("tests/corpus/0.1.0/wit");
    for name in ["host", "plugin"] {
        std::fs::create_dir(folder.path().join(name)).expect("it is empty");
        for entry in std::fs::read_dir(released.join(name)).expect("it is there").flatten() {
            let mut text = std::fs::read_to_string(entry.path()).expect("it is text");
            if name == package && entry.file_name() == file {
                assert!(text.contains(from), "{file} has no `{from}`");
                text = text.replacen(from, to, 1);
            }
            std::fs::write(folder.path().join(name).join(entry.file_name()), text).expect("it is ours");
        }
    }
    changes(&read(&released), &read(folder.path()))
}

#[test]
fn what_may_be_added_may_be_added() {
    let function = "  get: func(key: string) -> result<option<list<u8>>, error>;\n";
    assert_eq!(changed("host", "host.wit", function, &format!("{function}  touch: func(key: string);\n")), [""; 0]);
    let ability = "/// Ability: measures tasks.";
    let more = format!("/// New.\ninterface freeze {{ use types.{{handle}}; freeze: func(handle: handle); }}\n{ability}");
    assert_eq!(changed("plugin", "backend.wit", ability, &more), [""; 0]);
    let comment = "/// Deletes a key; of what is gone it succeeds.";
    assert_eq!(changed("host", "host.wit", comment, "/// Better words."), [""; 0]);
}

#[test]
fn what_would_break_a_plugin_is_named() {
    let check = |package: &str, file: &str, from: &str, to: &str, expected: &str| {
        let changes = changed(package, file, from, to);
        assert!(changes.iter().any(|change| change.contains(expected)), "{from} -> {to}: {changes:?}");
    };
    check("host", "host.wit", "  delete: func(key: string) -> result<_, error>;", "", "hostler:host/state@0.1.0 delete is gone");
    check("host", "host.wit", "keys: func(prefix: string)", "keys: func(prefix: option<string>)", "hostler:host/state@0.1.0 keys was");
    check("host", "host.wit", "    out-of-memory: bool,\n", "", "hostler:host/processes@0.1.0 exit was");
    check("host", "host.wit", "debug, info, warn, error", "debug, info, warn, error, fatal", "hostler:host/log@0.1.0 level was");
    check("plugin", "types.wit", "    out-of-memory: bool,", "    out-of-memory: option<bool>,", "hostler:plugin/types@0.1.0 exit was");
    check(
        "plugin",
        "types.wit",
        "    gone,\n    /// The engine cannot",
        "    gone,\n    lost,\n    /// The engine cannot",
        "hostler:plugin/types@0.1.0 phase was",
    );
    let function = "  describe: func() -> description;";
    check("plugin", "backend.wit", function, &format!("{function}\n  more: func();"), "hostler:plugin/backend@0.1.0 more is new");
    check("plugin", "worlds.wit", "  export backend;", "  export backend;\n  export logs;", "exports hostler:plugin/logs@0.1.0 is new");
}
