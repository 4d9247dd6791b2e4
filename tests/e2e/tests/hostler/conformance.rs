//! `hostler plugin check`, as the author of a plugin meets it. What each case finds is tested in `sdk/conformance`.

use std::fs;
use std::path::{Path, PathBuf};

use hostler_e2e::{Ran, Yard, fixture, root};

fn built_in(name: &str) -> PathBuf {
    root().join("target/plugins").join(format!("{name}.wasm"))
}

fn check(yard: &Yard, component: &Path, more: &str) -> Ran {
    let mut command = yard.command("plugin check");
    command.arg(component).args(more.split_whitespace());
    Ran::of(&mut command)
}

#[test]
fn a_built_in_keeps_the_contract_against_a_real_keeper() {
    let yard = Yard::new();
    yard.write("grants.json", r#"{ "processes": { "programs": ["sleep"] } }"#);
    let out = check(&yard, &built_in("process"), "--against real --grants grants.json --junit results.xml").ok();
    assert!(out.contains("crash-start   passed") && out.contains(" 0 failed,") && out.contains("(against real)"), "{out}");
    let junit = yard.read("results.xml");
    assert!(junit.contains("<testsuite name=\"process\"") && junit.contains("failures=\"0\"") && junit.contains("name=\"B9\""), "{junit}");
    hostler_e2e::until("nothing is left of what was tried", || yard.processes().is_empty());
}

#[test]
fn what_fails_is_said_with_its_promise() {
    let yard = Yard::new();
    let ran = check(&yard, &fixture("ungranted"), "");
    assert!(ran.out.contains("needs         FAILED it imports `commands` and does not declare it"), "{ran:?}");
    assert!(ran.out.contains("promised: What it imports it declares"), "{ran:?}");
    let error = ran.fails(1);
    assert!(error.contains("does not keep the contract") && error.contains("needs"), "{error}");
    let one = check(&yard, &fixture("ungranted"), "--case b1 --json").json();
    assert_eq!((one["failed"].as_u64(), one["cases"].as_array().map(Vec::len)), (Some(0), Some(1)), "{one}");
}

#[test]
fn what_does_not_load_fails_whatever_is_tried() {
    let yard = Yard::new();
    for name in ["wrong-world", "unknown-import", "files/text", "files/core-module"] {
        let ran = check(&yard, &fixture(name), "--case B4");
        assert!(ran.out.contains("component     FAILED"), "{name}: {ran:?}");
        ran.fails(1);
    }
}

#[test]
fn mistakes_in_the_command_line_are_said() {
    let yard = Yard::new();
    assert!(yard.run("plugin check --list").ok().contains("crash-start"));
    assert!(check(&yard, &built_in("tcp"), "--case B99").fails(2).contains("there is no case `B99`"));
    assert!(check(&yard, &built_in("tcp"), "--against real").fails(2).contains("only what you grant it"));
    assert!(check(&yard, &built_in("tcp"), "--settings {").fails(2).contains("--settings is no JSON"));
    assert!(yard.run("plugin check nothing.wasm").fails(1).contains("nothing.wasm"));
    yard.write("grants.json", r#"{ "proceses": {} }"#);
    assert!(check(&yard, &built_in("tcp"), "--grants grants.json").fails(3).contains("proceses"));
    assert!(fs::read_dir(yard.path()).expect("it is ours").count() <= 2, "nothing is left behind");
}
