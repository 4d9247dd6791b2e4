//! What loads, what does not, and what a person reads then.

use hostler_wasm::{Ability, Compiler, Limits, LoadError, PoolOptions, Role};
use serde_json::json;

use crate::support::{Host, built_in, fixture, source};

const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";
const HTTP: &str = r#"{"http": {"hosts": ["*"], "private": "allow"}}"#;

#[tokio::test]
async fn a_built_in_says_what_it_is_and_what_it_may() {
    let host = Host::new();
    let http = host.load("http", built_in("http"), HTTP).await;
    assert_eq!(http.role(), Role::HealthCheck);
    assert_eq!(http.description().name, "http");
    assert!(http.backend().is_none() && http.health_check().is_some());
    let permissions = http.permissions();
    assert!(permissions.iter().any(|name| name.starts_with("wasi:http/outgoing-handler")), "{permissions:?}");
    assert!(permissions.iter().all(|name| !name.starts_with("wasi:io") && !name.starts_with("wasi:clocks")), "{permissions:?}");
    let problems = http.validate_settings(&json!({"url": "http://x/", "expected_satus": 200}));
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].at.as_str(), problems[0].hint.as_deref()), ("/expected_satus", Some("did you mean `expected_status`?")));
    let filled = http.with_defaults(&json!({"url": "http://x/"}));
    assert_eq!(filled["method"], "GET");
}

#[tokio::test]
async fn abilities_are_read_from_the_type() {
    let (_keeper, link) = crate::keeper::start().await;
    let host = Host::with(Some(link), hostler_wasm::PoolOptions { instances: 16, ..Default::default() });
    let process = host.load("process", built_in("process"), r#"{"processes": {"programs": ["*"]}}"#).await;
    assert_eq!(process.role(), Role::Backend);
    let abilities: Vec<Ability> = process.abilities().iter().copied().collect();
    assert_eq!(abilities, [Ability::Logs, Ability::Stats, Ability::Signals]);
}

#[tokio::test]
async fn what_was_not_granted_does_not_load_and_says_what_to_add() {
    let host = Host::new();
    let error = host.try_load("probe", built_in("http"), "{}").await.expect_err("nothing is granted");
    let text = error.to_string();
    assert!(matches!(error, LoadError::NotGranted { .. }), "{text}");
    assert!(text.contains("plugin `probe`: it needs http"), "{text}");
    assert!(text.contains("[plugins.probe.grants]\nhttp = { hosts = ["), "{text}");
    // and the stanza, once pasted, lets it load
    let stanza = text.split("\n\n").nth(1).expect("a stanza after an empty line");
    assert!(stanza.lines().count() == 2, "{stanza}");
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_by_what_it_is() {
    let host = Host::new();
    let check = async |bytes: &[u8], words: &str| {
        let error = host.try_load("odd", bytes.to_vec(), "{}").await.expect_err(words).to_string();
        assert!(error.starts_with("plugin `odd`: ") && error.contains(words), "{error}");
    };
    check(b"", "is not a WebAssembly file").await;
    check(b"#!/bin/sh\necho hello\n", "is not a WebAssembly file").await;
    check(EMPTY_MODULE, "is a core module, not a component").await;
    check(EMPTY_COMPONENT, "neither a backend nor a health check").await;
    check(&[EMPTY_COMPONENT, b"garbage after a good start"].concat(), "does not compile").await;
    check(&[EMPTY_COMPONENT, &vec![0; 97 << 20]].concat(), "over the limit").await;
    let mut cut = built_in("http");
    cut.truncate(cut.len() / 2);
    check(&cut, "does not compile").await;
}

#[tokio::test]
async fn a_changed_file_is_noticed() {
    let host = Host::new();
    let good = host.load("http", built_in("http"), HTTP).await;
    let mut pinned = source("http", built_in("http"), HTTP);
    pinned.expected_digest = Some(format!("blake3:{}", good.digest()));
    let again = host.runtime.load(pinned.clone()).await.expect("the digest is right");
    assert_eq!(again.revision(), good.revision());
    pinned.expected_digest = Some("blake3:00".to_owned());
    let error = host.runtime.load(pinned).await.expect_err("another digest");
    assert!(matches!(&error, LoadError::Digest { .. }) && error.to_string().contains(good.digest()), "{error}");
}

#[tokio::test]
async fn other_grants_are_another_revision() {
    let host = Host::new();
    let wide = host.load("http", built_in("http"), HTTP).await;
    let narrow = host.load("http", built_in("http"), r#"{"http": {"hosts": ["http://127.0.0.1"]}}"#).await;
    assert_eq!(wide.digest(), narrow.digest());
    assert_ne!(wide.revision(), narrow.revision());
}

#[tokio::test]
async fn the_operators_mistakes_are_named() {
    let host = Host::new();
    let mut odd_config = source("http", built_in("http"), HTTP);
    odd_config.config = json!({"colour": "red"});
    let error = host.runtime.load(odd_config).await.expect_err("an unknown key").to_string();
    assert!(error.contains("/colour: unknown key `colour`"), "{error}");

    let error = host.try_load("http", built_in("http"), r#"{"http": {"hosts": ["example.com"]}}"#).await.expect_err("no scheme").to_string();
    assert!(error.contains("grant `http`: `example.com` is no URL prefix"), "{error}");

    let error = host.try_load("../http", built_in("http"), HTTP).await.expect_err("a path for a name").to_string();
    assert!(error.contains("plugin name \"../http\" starts with '.'"), "{error}");

    let mut greedy = source("http", built_in("http"), HTTP);
    greedy.limits = Limits { memory: 1 << 40, ..Limits::default() };
    let error = host.runtime.load(greedy).await.expect_err("more than the pool has").to_string();
    assert!(error.contains("limits.memory"), "{error}");

    let error = host.try_load("process", built_in("process"), r#"{"processes": {"programs": ["*"]}}"#).await.expect_err("no keeper").to_string();
    assert!(error.contains("this host has no keeper"), "{error}");
}

#[tokio::test]
async fn compiled_code_is_kept_and_its_damage_does_no_harm() {
    let host = Host::new();
    host.load("http", built_in("http"), HTTP).await;
    let files =
        || std::fs::read_dir(host.dir.path().join("cache")).expect("the cache").map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>();
    let kept = files();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let whole = std::fs::read(&kept[0]).expect("readable");
    host.load("http", built_in("http"), HTTP).await;
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    std::fs::write(&kept[0], &damaged).expect("writable");
    host.load("http", built_in("http"), HTTP).await;
    assert_eq!(std::fs::read(&kept[0]).expect("written anew"), whole, "compiling is reproducible");
    assert_eq!(files(), kept);
}

/// A program that was replaced or taken away since the host began is no reason to lose a plugin; a component that it refuses is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_fitting_compiler_the_host_compiles_itself() {
    let pool = || PoolOptions { instances: 4, ..PoolOptions::default() };
    let host = |program: &str, args: &[&str]| {
        let args = args.iter().map(Into::into).collect();
        Host::compiling(None, pool(), Some(Compiler { program: program.into(), args }))
    };
    for (program, args) in [("/nowhere/hostler", &[][..]), ("/bin/sh", &["-c", "cat >/dev/null; echo code of another version"])] {
        let plugin = host(program, args).load("always", fixture("always"), "{}").await;
        assert!(plugin.health_check().is_some(), "{program}");
    }
    let refusing = host("/bin/sh", &["-c", "cat >/dev/null; echo it is no component >&2; exit 1"]);
    let error = refusing.try_load("always", fixture("always"), "{}").await.expect_err("refused");
    assert!(error.to_string().contains("it is no component"), "{error}");
    let dying = host("/bin/sh", &["-c", "kill -9 $$"]);
    let error = dying.try_load("always", fixture("always"), "{}").await.expect_err("ended");
    assert!(error.to_string().contains("signal 9"), "{error}");
}

/// A component that imports this many functions and is nothing else.
fn importing(count: u32) -> Vec<u8> {
    let mut imports = leb(count);
    for number in 0..count {
        let name = format!("f{number}");
        imports.push(0);
        imports.extend(leb(u32::try_from(name.len()).expect("a short name")));
        imports.extend(name.as_bytes());
        // a function of the first type
        imports.extend([1, 0]);
    }
    // that type: no parameters, no result
    let mut bytes = [EMPTY_COMPONENT, &[7, 5, 1, 0x40, 0, 1, 0, 10]].concat();
    bytes.extend(leb(u32::try_from(imports.len()).expect("a small section")));
    bytes.extend(imports);
    bytes
}

fn leb(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Names are matched when a component is linked, and shapes only with an instance at hand: loading has one.
#[tokio::test]
async fn another_shape_is_found_before_anybody_calls_it() {
    let host = Host::new();
    let mut bytes = fixture("always");
    let (ours, theirs) = (b"check-schema", b"check-scheme");
    let found: Vec<usize> = (0..bytes.len() - ours.len()).filter(|at| bytes[*at..].starts_with(ours)).collect();
    assert!(!found.is_empty(), "the fixture has its description");
    for at in found {
        bytes[at..at + theirs.len()].copy_from_slice(theirs);
    }
    let error = host.try_load("odd", bytes, "{}").await.expect_err("its description is another record");
    assert!(matches!(error, LoadError::Trial { .. }) && error.to_string().contains("check-sche"), "{error}");
}

#[tokio::test]
async fn ten_thousand_imports_are_refused_in_a_few_words() {
    let host = Host::new();
    let begun = std::time::Instant::now();
    let error = host.try_load("odd", importing(10_000), "{}").await.expect_err("it is nothing to this host");
    assert!(matches!(error, LoadError::WrongWorld { .. } | LoadError::UnknownImports { .. }), "{error}");
    assert!(error.to_string().len() < 4_096, "nobody reads ten thousand names");
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_file_far_too_large_is_not_even_looked_into() {
    let host = Host::new();
    let mut bytes = EMPTY_COMPONENT.to_vec();
    bytes.resize(usize::try_from(hostler_wasm::MAX_COMPONENT_BYTES).expect("it fits") + 1, 0);
    let error = host.try_load("odd", bytes, "{}").await.expect_err("it is too large");
    assert!(matches!(error, LoadError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_component_is_examined_without_any_grant() {
    let host = Host::new();
    let plugin = host.runtime.examine(source("looked-at", built_in("process"), "{}")).await.expect("looking at it grants nothing");
    assert_eq!(plugin.description().name, "process");
    assert!(plugin.permissions().iter().any(|import| import.starts_with("hostler:host/processes@")));
    let error = plugin.backend().expect("a backend").fingerprint(hostler_wasm::Call::within(std::time::Duration::from_secs(5))).await;
    assert!(error.is_err_and(|error| error.to_string().contains("processes")), "what it imports is not there");
    // every built-in, and one with a clock: what it imports of WASI takes resources from elsewhere
    for name in ["command", "http", "package", "script", "ssh", "ssh-command", "systemd", "systemd-unit", "tcp"] {
        let plugin = host.runtime.examine(source("looked-at", built_in(name), "{}")).await.expect(name);
        assert_eq!(plugin.description().name, name);
    }
    host.runtime.examine(source("looked-at", fixture("always"), "{}")).await.expect("it waits for a clock");
}
