//! `hostler plugin doctor`: a test for every diagnosis. What cannot be built wrongly is a fixture whose bytes were changed.

use std::fs;
use std::path::{Path, PathBuf};

use hostler_e2e::{Ran, Value, Yard, fixture};

use crate::templates::{has_clang, tools};

/// What is not as it should be, in order, and the whole answer as text.
#[track_caller]
fn findings(yard: &Yard, what: &Path, code: i32) -> (Vec<String>, String) {
    let ran = Ran::of(yard.command("plugin doctor --json").arg(what).env("HOSTLER_TOOLS", tools()));
    assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
    let document: Value = hostler_e2e::parse(&ran.out).expect("it is JSON");
    let found: Vec<&Value> = document["findings"].as_array().expect("findings").iter().filter(|finding| finding["level"] != "fine").collect();
    assert!(found.iter().all(|finding| finding["mend"].as_str().is_some_and(|mend| !mend.is_empty())), "each says what mends it: {document:#}");
    (found.iter().map(|finding| finding["kind"].as_str().unwrap_or_default().to_owned()).collect(), format!("{document:#}"))
}

#[track_caller]
fn has(yard: &Yard, what: &Path, kinds: &[&str], words: &[&str]) {
    let wrong = kinds.iter().any(|kind| !["no-names", "not-added", "old-sdk", "not-built", "not-pinned", "pin-without-plugin"].contains(kind));
    let (found, text) = findings(yard, what, i32::from(wrong));
    assert_eq!(found, kinds, "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is missing: {text}");
    }
}

/// A fixture with some bytes changed, everywhere, into as many others.
fn changed(yard: &Yard, name: &str, from: &[u8], to: &[u8]) -> PathBuf {
    assert_eq!(from.len(), to.len(), "lengths are written into a component");
    let mut bytes = fs::read(fixture(name)).expect("it was built");
    let found: Vec<usize> = (0..=bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!found.is_empty(), "{name} has no {:?}", String::from_utf8_lossy(from));
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    yard.write("changed.wasm", bytes)
}

#[test]
fn what_is_no_component_is_told_apart() {
    let yard = Yard::bare();
    has(&yard, &fixture("files/core-module"), &["core-module"], &["not a component", "hostler plugin build"]);
    has(&yard, &yard.write("script.wasm", "#!/bin/sh\n"), &["not-wasm"], &[]);
    has(&yard, &fixture("files/truncated"), &["broken"], &[]);
    assert!(yard.run("plugin doctor ./not-there").fails(2).contains("neither a component nor a folder"));
}

#[test]
fn another_world_version_or_shape_is_shown_beside_the_contracts() {
    let yard = Yard::bare();
    has(&yard, &fixture("wrong-world"), &["wrong-world"], &["hostler:plugin/backend", "hostler:plugin/health-check"]);
    has(&yard, &fixture("unknown-import"), &["unknown"], &["acme:telepathy/minds"]);
    let newer = changed(&yard, "always", b"@0.1.0", b"@0.9.0");
    let (found, text) = findings(&yard, &newer, 1);
    assert!(found.contains(&"wrong-version".to_owned()), "{text}");
    assert!(text.contains("contract:  interface hostler:plugin/health-check@0.1.0"), "{text}");
    assert!(text.contains("component: interface hostler:plugin/health-check@0.9.0"), "{text}");
    let (found, text) = findings(&yard, &changed(&yard, "always", b"check-schema", b"check-scheme"), 1);
    assert!(found.contains(&"wrong-shape".to_owned()), "{text}");
    assert!(text.contains("check-schema") && text.contains("check-scheme"), "side by side: {text}");
}

/// A section called `name` begins with the names of the module (0) or of its functions (1); a field of that name is followed by a type.
#[test]
fn stripped_names_are_doubted() {
    let yard = Yard::bare();
    let named = fs::read(fixture("always")).expect("it was built");
    let sub = if named.windows(6).any(|part| part == b"\x04name\x00") { 0 } else { 1 };
    let stripped = changed(&yard, "always", &[4, b'n', b'a', b'm', b'e', sub], &[4, b'n', b'a', b'm', b'x', sub]);
    has(&yard, &stripped, &["no-names"], &["strip = \\\"debuginfo\\\""]);
    has(&yard, &fixture("always"), &[], &["a trap says where it was"]);
}

#[test]
fn grants_that_are_missing_are_written_out() {
    let yard = Yard::bare();
    let component = fixture("scratch");
    has(&yard, &component, &["not-added"], &["hostler plugin add scratch"]);
    yard.config(&format!("[plugins.own]\nsource = \"{}\"\ngrants = {{ commands = {{ programs = [\"*\"] }} }}\n", component.display()));
    has(&yard, &component, &["missing-grant"], &["[plugins.own.grants]", "processes = "]);
    let all = "grants = { commands = { programs = [\"*\"] }, processes = { programs = [\"*\"] } }";
    yard.config(&format!("[plugins.own]\nsource = \"{}\"\n{all}\n", component.display()));
    has(&yard, &component, &[], &["grants what it needs"]);
}

#[test]
fn a_lock_is_held_against_the_files_that_it_pins() {
    let yard = Yard::bare();
    yard.config("");
    let own = yard.file("own.wasm");
    fs::copy(fixture("always"), &own).expect("the yard is ours");
    fs::copy(fixture("always"), yard.file("other.wasm")).expect("the yard is ours");
    yard.run("plugin add own ./own.wasm --yes").ok();
    has(&yard, &own, &[], &["pins what the service file names"]);

    fs::copy(fixture("planted-check"), &own).expect("the yard is ours");
    let (found, text) = findings(&yard, &own, 1);
    assert!(found.contains(&"other-pin".to_owned()) && text.contains("hostler.lock pins own to blake3:"), "{text}");
    fs::copy(fixture("always"), &own).expect("the yard is ours");

    let config = yard.read("hostler.toml");
    yard.write("hostler.toml", format!("{config}\n[plugins.other]\nsource = \"./other.wasm\"\n"));
    has(&yard, &own, &["not-pinned"], &["hostler plugin add other"]);
    yard.write("hostler.toml", format!("{config}\n[plugins.other]\nsource = \"./gone.wasm\"\n"));
    has(&yard, &own, &["no-component"], &["gone.wasm, which cannot be read"]);

    yard.config("");
    has(&yard, &own, &["pin-without-plugin"], &["hostler plugin remove own"]);
    assert!(yard.run("plugin remove own").ok().contains("pinned no more"), "what mends it does");
    assert!(!yard.file("hostler.lock").exists());
    yard.write("hostler.lock", "version = 7");
    has(&yard, &own, &["broken-lock"], &["version is 7"]);

    fs::remove_file(yard.file("hostler.lock")).expect("it is ours");
    yard.config(&format!("[plugins.own]\nsource = \"./own.wasm\"\ndigest = \"blake3:{}\"\n", "0".repeat(64)));
    has(&yard, &own, &["other-digest"], &["takes only blake3:0000"]);
}

#[test]
fn a_folder_is_looked_at_before_it_is_built_and_after() {
    if !has_clang() {
        return;
    }
    let yard = Yard::bare();
    let run = |line: &str| Ran::of(yard.command(line).env("HOSTLER_TOOLS", tools()));
    run("plugin new mine --kind backend --lang c").ok();
    let dir = yard.file("mine");
    has(&yard, &dir, &["not-built"], &["hostler plugin build"]);
    let nowhere = Ran::of(yard.command("plugin doctor mine --json").env("PATH", "/var/empty").env("HOSTLER_TOOLS", "/var/empty"));
    assert!(nowhere.code == 1 && nowhere.out.contains("\"no-toolchain\"") && nowhere.out.contains("clang"), "{}", nowhere.out);
    run("plugin build mine").ok();
    let (found, text) = findings(&yard, &dir, 0);
    assert!(found.is_empty() || found == ["no-names"], "{text}");

    run("plugin new check --kind health-check --lang rust").ok();
    has(&yard, &yard.file("check"), &["not-built"], &["its SDK is that of this hostler"]);
    yard.write("check/vendor/hostler-sdk/src/lib.rs", "// of another version");
    has(&yard, &yard.file("check"), &["old-sdk", "not-built"], &["hostler plugin renew"]);
}
