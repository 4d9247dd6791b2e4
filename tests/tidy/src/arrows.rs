//! The arrows between rooms: who may know whom.

use toml::{Table, Value};

use crate::{Problem, Tree};

/// A crate, and the crates of this project that it may know.
struct Room {
    folder: &'static str,
    knows: &'static [&'static str],
    /// Beside those, for its own tests only.
    tests_know: &'static [&'static str],
}

const fn room(folder: &'static str, knows: &'static [&'static str]) -> Room {
    Room { folder, knows, tests_know: &[] }
}

/// The house. An arrow that is not here is a decision: write down why (docs/decisions/), draw it in docs/ARCHITECTURE.md, then add it.
const ROOMS: &[Room] = &[
    // names to die at: nothing at all in the product, so whoever makes something durable may name one
    room("host/failpoint", &[]),
    // the world that core's own tests play in is the one the stories are told in
    Room { folder: "host/core", knows: &[], tests_know: &["hostler-stories"] },
    room("host/store", &["hostler-failpoint", "hostler-core"]),
    room("host/ledger", &["hostler-core", "hostler-store"]),
    room("host/keeper", &["hostler-failpoint"]),
    room("host/wasm", &["hostler-failpoint", "hostler-core", "hostler-keeper"]),
    room("host/api", &["hostler-core"]),
    room("host/server", &["hostler-failpoint", "hostler-core", "hostler-store", "hostler-ledger", "hostler-keeper", "hostler-wasm", "hostler-api"]),
    // makes, builds and tries plugins for their authors
    Room {
        folder: "host/cli",
        knows: &[
            "hostler-failpoint",
            "hostler-core",
            "hostler-keeper",
            "hostler-wasm",
            "hostler-api",
            "hostler-server",
            "hostler-componentize",
            "hostler-conformance",
            "hostler-package",
            "hostler-yaml",
            "hostler-compose",
        ],
        tests_know: &[],
    },
    // its own tests and examples have its fake host
    Room { folder: "sdk/rust", knows: &[], tests_know: &["hostler-sdk"] },
    room("sdk/componentize", &[]),
    // tries a plugin as a host does: loads it, and plays or asks the keeper behind it
    room("sdk/conformance", &["hostler-keeper", "hostler-wasm"]),
    // the format of packages: a guest reads them, the command line writes them
    room("sdk/package", &[]),
    // calls a host from inside another program: the words on the wire are all it needs
    Room { folder: "sdk/orchestrator", knows: &["hostler-api"], tests_know: &["hostler-e2e"] },
    // YAML with places, for whoever reads what people wrote
    room("sdk/yaml", &[]),
    // Compose files become service files
    room("sdk/compose", &["hostler-yaml"]),
    // tests may know everybody, and nobody but core's own tests knows tests; the simulator drives what decides and what remembers, the others need no more
    // than the binary and what it prints
    room("tests/sim", &["hostler-core", "hostler-store", "hostler-ledger"]),
    room("tests/tidy", &[]),
    // its tests shorten the past of a store that nobody holds, have the table of figures at hand, and walk the closed list of routes
    Room { folder: "tests/e2e", knows: &[], tests_know: &["hostler-store", "hostler-api"] },
    // the same binary on a machine of its own, with real engines
    room("tests/engines", &["hostler-e2e"]),
    // measures the keeper alone too, over its socket
    room("tests/bench", &["hostler-keeper", "hostler-wasm"]),
    // drives the same binary, in a yard of the end-to-end tests
    room("tests/torture", &["hostler-e2e"]),
    // kills that binary at each of its points, with the torture's services and its witness
    room("tests/sweep", &["hostler-failpoint", "hostler-e2e", "hostler-torture", "hostler-engines"]),
    // and this one needs the engine itself, on a disk that it holds in its hand
    room("tests/disk", &["hostler-store"]),
    // whatever others wrote goes through the room that reads it
    room(
        "tests/fuzz",
        &["hostler", "hostler-api", "hostler-compose", "hostler-core", "hostler-keeper", "hostler-server", "hostler-stories", "hostler-wasm"],
    ),
    // what the core decides, told as text
    room("tests/stories", &["hostler-core"]),
];

/// Folders of guests: each crate in them is made from the contract and the SDK alone, as anybody else's would be.
const GUESTS: [&str; 3] = ["plugins", "tests/fixtures", "examples/plugins"];
/// Beside the SDK, what several of them share (`plugins/remote`) and the format of packages, which anybody may read.
const GUESTS_KNOW: &[&str] = &["hostler-sdk", "hostler-remote", "hostler-package"];

/// Outside crates that only some rooms may name, and why.
const KEPT_IN: &[(&str, &[&str], &str)] = &[
    ("wasmtime", &["host/wasm"], "one room embodies plugins; everybody else speaks to them through it"),
    ("rusqlite", &["host/store", "tests/disk"], "the store's contract is the only way to the database, but for who checks its file"),
    ("axum", &["host/server"], "routes are served in one place"),
    ("clap", &["host/cli"], "one place talks with people"),
    ("miette", &["host/cli"], "one place talks with people"),
    (
        "tokio",
        &["host/wasm", "host/server", "host/cli", "sdk/conformance", "sdk/orchestrator", "tests/bench"],
        "core, store, keeper and api work under any executor, or none",
    ),
    ("rand", &[], "core is handed its seed, and nobody else decides"),
];

/// All that core may name: it decides, and whatever it named besides could do something.
const CORE_MAY_NAME: [&str; 2] = ["petgraph", "serde"];

/// New rooms, new arrows, and outside crates in a room that is not theirs.
pub fn problems(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, manifest) in tree.packages() {
        match allowed(file.folder()) {
            Some(room) => {
                arrows(&file.path, &manifest, &room, &mut problems);
                outside(&file.path, &manifest, room.folder, &mut problems);
            }
            None => problems.push(Problem::of(
                &file.path,
                "a new room: say in docs/ARCHITECTURE.md what it does and whom it may know, then add it to ROOMS in tests/tidy/src/arrows.rs",
            )),
        }
    }
    problems
}

/// Rooms of the table that are gone.
pub fn missing_rooms(tree: &Tree) -> Vec<Problem> {
    let gone = ROOMS.iter().filter(|room| tree.file(&format!("{}/Cargo.toml", room.folder)).is_none());
    gone.map(|room| Problem::of(room.folder, "a room of tests/tidy/src/arrows.rs that does not exist")).collect()
}

fn allowed(folder: &str) -> Option<Room> {
    let known = ROOMS.iter().find(|room| room.folder == folder);
    let guest = GUESTS.iter().find(|guests| folder.starts_with(&format!("{guests}/")));
    known
        .map(|room| Room { tests_know: room.tests_know, ..*room })
        .or_else(|| guest.map(|folder| Room { folder, knows: GUESTS_KNOW, tests_know: &[] }))
}

fn arrows(path: &str, manifest: &Table, room: &Room, problems: &mut Vec<Problem>) {
    for (section, name) in dependencies(manifest) {
        let is_ours = name == "hostler" || name.starts_with("hostler-");
        let for_tests = section.ends_with("dev-dependencies") && room.tests_know.contains(&name.as_str());
        if is_ours && !for_tests && !room.knows.contains(&name.as_str()) {
            let known = if room.knows.is_empty() { "nobody".to_owned() } else { room.knows.join(", ") };
            problems.push(Problem::of(
                path,
                format!(
                    "a new arrow: [{section}] names {name}, and this room knows {known}. Move the code to a room that may know it, \
                     or decide the arrow: docs/decisions/, docs/ARCHITECTURE.md, ROOMS in tests/tidy/src/arrows.rs"
                ),
            ));
        }
    }
}

fn outside(path: &str, manifest: &Table, folder: &str, problems: &mut Vec<Problem>) {
    for (section, name) in dependencies(manifest) {
        if section.ends_with("dev-dependencies") {
            continue;
        }
        for (kept, rooms, why) in KEPT_IN {
            if family(&name, kept) && !rooms.contains(&folder) {
                problems.push(Problem::of(path, format!("[{section}] names {name}, which only {rooms:?} may: {why}")));
            }
        }
        if folder == "host/core" && !CORE_MAY_NAME.contains(&name.as_str()) {
            problems.push(Problem::of(path, format!("[{section}] names {name}; core names {CORE_MAY_NAME:?} and nothing else")));
        }
    }
}

/// `wasmtime` and `wasmtime-wasi` are one family.
fn family(name: &str, head: &str) -> bool {
    name.strip_prefix(head).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Every dependency with the section it stands in, by its real name; sections of one target included.
pub(crate) fn dependencies(manifest: &Table) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(manifest, "", &mut found);
    for (target, tables) in manifest.get("target").and_then(Value::as_table).into_iter().flatten() {
        if let Some(tables) = tables.as_table() {
            collect(tables, &format!("target.{target}."), &mut found);
        }
    }
    found
}

fn collect(tables: &Table, prefix: &str, found: &mut Vec<(String, String)>) {
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (name, value) in tables.get(section).and_then(Value::as_table).into_iter().flatten() {
            let renamed = value.get("package").and_then(Value::as_str);
            found.push((format!("{prefix}{section}"), renamed.unwrap_or(name).to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{missing_rooms, problems};
    use crate::planted::{check, tree};

    fn package(dependencies: &str) -> String {
        format!("[package]\nname = \"x\"\n{dependencies}")
    }

    #[test]
    fn allowed_arrows_pass() {
        let server = package("[dependencies]\nhostler-wasm.workspace = true\naxum = \"1\"\n[dev-dependencies]\nclap = \"1\"");
        let plugin = package("[dependencies]\nhostler-sdk.workspace = true\nserde = \"1\"");
        check(problems(&tree(&[("host/server/Cargo.toml", &server), ("plugins/new-one/Cargo.toml", &plugin)])), &[]);
    }

    #[test]
    fn a_new_arrow_fails_by_name() {
        let store = package("[dependencies]\nhostler-wasm.workspace = true");
        check(problems(&tree(&[("host/store/Cargo.toml", &store)])), &["[dependencies] names hostler-wasm"]);
        let plugin = package("[dev-dependencies]\nhostler-core = { path = \"../../host/core\" }");
        check(problems(&tree(&[("plugins/process/Cargo.toml", &plugin)])), &["[dev-dependencies] names hostler-core"]);
    }

    #[test]
    fn a_disguised_arrow_is_seen() {
        let renamed = package("[dependencies]\nharmless = { package = \"hostler-server\", path = \"../server\" }");
        check(problems(&tree(&[("host/api/Cargo.toml", &renamed)])), &["names hostler-server"]);
        let of_a_target = package("[target.'cfg(unix)'.build-dependencies]\nhostler-server.workspace = true");
        check(problems(&tree(&[("host/api/Cargo.toml", &of_a_target)])), &["target.cfg(unix).build-dependencies"]);
    }

    #[test]
    fn a_new_room_fails_by_name() {
        check(problems(&tree(&[("host/attic/Cargo.toml", &package(""))])), &["host/attic/Cargo.toml: a new room"]);
    }

    #[test]
    fn outside_crates_stay_in_their_room() {
        let server = package("[dependencies]\nwasmtime-wasi = \"1\"");
        check(problems(&tree(&[("host/server/Cargo.toml", &server)])), &["names wasmtime-wasi"]);
        let core = package("[dependencies]\nlibc = \"1\"");
        check(problems(&tree(&[("host/core/Cargo.toml", &core)])), &["core names"]);
    }

    #[test]
    fn an_empty_tree_lacks_every_room() {
        assert!(!missing_rooms(&tree(&[])).is_empty());
    }
}
