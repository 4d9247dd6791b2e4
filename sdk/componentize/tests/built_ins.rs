//! What each built-in plugin may ever do is what its component imports; a new import shows here first.

use hostler_componentize::{Build, Guest, Shape};
use std::path::{Path, PathBuf};

/// Builds the workspace into the place `make plugins` uses; nothing is compiled when nothing changed.
fn guests() -> Vec<Guest> {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Build::new(root.join("plugins/Cargo.toml"), root.join("target/plugins")).run(&mut |line| println!("{line}")).expect("the built-in plugins build")
}

/// Imports with functions beside the ones every plugin has, and all exports; versions left out.
fn check(guests: &[Guest], name: &str, imports: &[&str], exports: &[&str]) {
    let guest = guests.iter().find(|guest| guest.name == name).unwrap_or_else(|| panic!("there is no plugin {name}"));
    let bytes = std::fs::read(&guest.path).expect("the component was written just now");
    let shape = Shape::of(&bytes).expect("it is a component");
    let mut expected = [&["hostler:host/log"], imports].concat();
    expected.sort_unstable();
    let mut found = plain(&shape.permissions());
    found.sort_unstable();
    assert_eq!(found, expected, "imports of {name}");
    assert_eq!(plain(&shape.abilities()), exports, "exports of {name}");
}

fn plain<'a>(names: &[&'a str]) -> Vec<&'a str> {
    names.iter().map(|name| name.split_once('@').map_or(*name, |(name, _)| name)).collect()
}

#[test]
fn each_built_in_imports_what_it_needs_and_nothing_else() {
    let guests = guests();
    let check = |name, imports: &[&str], exports: &[&str]| check(&guests, name, imports, exports);
    check(
        "process",
        &["hostler:host/processes"],
        &["hostler:plugin/backend", "hostler:plugin/logs", "hostler:plugin/signals", "hostler:plugin/stats"],
    );
    check(
        "systemd",
        &["hostler:host/commands", "hostler:host/context", "wasi:clocks/monotonic-clock", "wasi:clocks/wall-clock", "wasi:io/poll"],
        &["hostler:plugin/backend", "hostler:plugin/logs", "hostler:plugin/signals", "hostler:plugin/stats", "hostler:plugin/update"],
    );
    check("systemd-unit", &["hostler:host/commands"], &["hostler:plugin/health-check"]);
    check(
        "ssh",
        &["hostler:host/commands", "hostler:host/context", "hostler:host/state"],
        &["hostler:plugin/backend", "hostler:plugin/exec", "hostler:plugin/logs", "hostler:plugin/signals", "hostler:plugin/stats"],
    );
    check("ssh-command", &["hostler:host/commands", "hostler:host/context"], &["hostler:plugin/health-check"]);
    check(
        "package",
        &[
            "hostler:host/commands",
            "hostler:host/context",
            "hostler:host/processes",
            "hostler:host/state",
            "wasi:clocks/monotonic-clock",
            "wasi:filesystem/preopens",
            "wasi:filesystem/types",
            "wasi:io/poll",
        ],
        &["hostler:plugin/backend", "hostler:plugin/logs", "hostler:plugin/signals", "hostler:plugin/stats"],
    );
    check(
        "docker",
        &["hostler:host/containers", "hostler:host/context", "hostler:host/secrets", "hostler:host/state"],
        &[
            "hostler:plugin/backend",
            "hostler:plugin/discovery",
            "hostler:plugin/exec",
            "hostler:plugin/handles",
            "hostler:plugin/logs",
            "hostler:plugin/signals",
            "hostler:plugin/stats",
            "hostler:plugin/update",
        ],
    );
    check("docker-exec", &["hostler:host/task-exec"], &["hostler:plugin/health-check"]);
    check("docker-health", &[], &["hostler:plugin/health-check"]);
    check("heartbeat", &[], &["hostler:plugin/health-check"]);
    check("command", &["hostler:host/commands", "hostler:host/task-exec"], &["hostler:plugin/health-check"]);
    check("script", &["hostler:host/commands"], &["hostler:plugin/health-check"]);
    check(
        "http",
        &["wasi:clocks/monotonic-clock", "wasi:http/outgoing-handler", "wasi:http/types", "wasi:io/poll", "wasi:io/streams"],
        &["hostler:plugin/health-check"],
    );
    check(
        "tcp",
        &[
            "wasi:clocks/monotonic-clock",
            "wasi:io/poll",
            "wasi:sockets/instance-network",
            "wasi:sockets/ip-name-lookup",
            "wasi:sockets/tcp",
            "wasi:sockets/tcp-create-socket",
        ],
        &["hostler:plugin/health-check"],
    );
    let names: Vec<&str> = guests.iter().map(|guest| guest.name.as_str()).collect();
    let expected = [
        "command",
        "docker",
        "docker-exec",
        "docker-health",
        "heartbeat",
        "http",
        "package",
        "process",
        "script",
        "ssh",
        "ssh-command",
        "systemd",
        "systemd-unit",
        "tcp",
    ];
    assert_eq!(names, expected, "a new plugin is checked here too");
    building_again_touches_nothing(&guests);
}

/// A file with the same bytes keeps its time, so that the host is not rebuilt.
fn building_again_touches_nothing(built: &[Guest]) {
    let modified = |guest: &Guest| std::fs::metadata(&guest.path).and_then(|file| file.modified()).expect("the file is there");
    let before: Vec<_> = built.iter().map(modified).collect();
    let again = guests();
    assert!(again.iter().all(|guest| !guest.changed), "{again:?}");
    assert_eq!(before, again.iter().map(modified).collect::<Vec<_>>());
}
