//! Plugins in files: looked at, added with their grants, pinned, and taken out again.

use std::fs;

use hostler_e2e::{Yard, fixture, json};

use crate::sleeper;

/// A file as the yard takes it, which writes its version.
fn unversioned(config: &str) -> String {
    config.replacen("version = \"1.0\"\n", "", 1)
}

#[test]
fn a_file_is_looked_at_without_a_host() {
    let yard = Yard::new();
    let file = fixture("scratch");
    let text = yard.run(&format!("plugin inspect {}", file.display())).ok();
    assert!(text.contains("hostler:host/processes@") && text.contains("[plugins.scratch.grants]") && text.contains("processes = "), "{text}");
    assert!(text.contains("schema of its settings") && text.contains("sha256:"), "{text}");
    let document = yard.run(&format!("plugin inspect {} --json", file.display())).json();
    assert_eq!([&document["plugin"]["role"], &document["plugin"]["state"]], ["backend", "ok"]);
    let sum = std::process::Command::new("sha256sum").arg(&file).output().expect("coreutils are there").stdout;
    let sum = String::from_utf8_lossy(&sum).split_whitespace().next().map(|sum| format!("sha256:{sum}"));
    assert_eq!(document["sha256"].as_str().map(str::to_owned), sum);
    assert!(document["stanza"].as_str().is_some_and(|stanza| stanza.contains("commands = ")), "{document:#}");
    let text = yard.run(&format!("plugin inspect {}", fixture("unknown-import").display())).fails(1);
    assert!(text.contains("acme:telepathy/minds"), "{text}");
    assert!(yard.run("plugin inspect ./not-there.wasm").fails(1).contains("cannot read the component"));
    assert!(yard.run("plugin inspect /dev/zero").fails(2).contains("it is not a file"));
    assert!(yard.processes().is_empty());
}

#[test]
fn what_is_added_is_granted_pinned_and_taken_out_again() {
    let yard = Yard::new();
    yard.config(&format!("# ours\n{}", sleeper("web", "# the last line")));
    let config = yard.read("hostler.toml");
    fs::copy(fixture("scratch"), yard.file("own.wasm")).expect("the yard is ours");
    let text = yard.run("plugin add own ./own.wasm").fails(5);
    assert!(text.contains("own needs") && text.contains("processes = { programs = [\"/path/to/program\"] }"), "{text}");
    assert!(yard.run("plugin add own ./own.wasm --grant telepathy=true").fails(2).contains("there is no capability `telepathy`"));
    assert_eq!(yard.read("hostler.toml"), config, "nothing was written");
    assert!(!yard.file("hostler.lock").exists());

    let add = |yard: &Yard| {
        let mut command = yard.command("plugin add own ./own.wasm");
        let grants = ["processes = { programs = [\"*\"] }", "commands = { programs = [\"*\"] }"];
        command.args(grants.iter().flat_map(|grant| ["--grant", grant]));
        hostler_e2e::Ran::of(&mut command).ok()
    };
    add(&yard);
    let written = yard.read("hostler.toml");
    assert!(written.starts_with(&config) && written.contains("[plugins.own]\nsource = \"./own.wasm\"\ngrants = {"), "{written}");
    let lock = yard.read("hostler.lock");
    assert!(lock.contains("[plugins.own]") && lock.contains("sha256 = \"sha256:") && lock.contains("hostler:host/processes@"), "{lock}");
    let task = "[services.task]\nbackend = { type = \"own\" }\n";
    yard.up(&(unversioned(&written) + task));
    let pid = yard.pid("task");
    assert!(yard.run("plugin remove own").fails(1).contains("is used by task"));

    fs::copy(fixture("process-next"), yard.file("own.wasm")).expect("the yard is ours");
    let text = yard.run("apply").fails(3);
    assert!(text.contains("hostler.lock pins blake3:") && text.contains("hostler plugin add own FILE"), "{text}");
    yard.kill_host();
    yard.run("serve --detach").ok();
    let own = yard.plugin("own");
    assert!(own["state"] == "refused" && own["reason"].to_string().contains("hostler.lock"), "every load looks: {own:#}");
    assert!(hostler_e2e::alive(pid), "and no task pays for it");
    fs::copy(fixture("scratch"), yard.file("own.wasm")).expect("the yard is ours");
    yard.run("apply").ok();
    yard.until_status("task", "running");
    assert_eq!(yard.pid("task"), pid);

    yard.config(&unversioned(&written));
    yard.run("plugin remove own").ok();
    assert_eq!(yard.read("hostler.toml").trim_end(), config.trim_end());
    assert!(!yard.file("hostler.lock").exists(), "it pins nothing any more");
    assert!(yard.run("plugin remove own").fails(1).contains("there is no plugin `own`"));
}

#[test]
fn a_lock_that_cannot_be_read_is_no_lock_that_is_passed_by() {
    let yard = Yard::new();
    yard.config(&sleeper("web", ""));
    yard.write("hostler.lock", "version = 7");
    let text = yard.run("up --detach").fails(3);
    assert!(text.contains("hostler.lock cannot be read") && text.contains("version is 7"), "{text}");
    fs::remove_file(yard.file("hostler.lock")).expect("the yard is ours");
    std::process::Command::new("mkfifo").arg(yard.file("hostler.lock")).output().expect("there is a mkfifo");
    let text = yard.run("up --detach").fails(3);
    assert!(text.contains("it is not a file"), "a pipe keeps nobody waiting: {text}");
}

#[test]
fn an_upgrade_to_the_file_that_is_named_moves_its_pin() {
    let yard = Yard::new();
    yard.config("");
    let built_in = hostler_e2e::root().join("target/plugins/process.wasm");
    fs::copy(&built_in, yard.file("own.wasm")).expect("the yard is ours");
    yard.run("plugin add own ./own.wasm --yes").ok();
    let config = unversioned(&yard.read("hostler.toml").replace("/path/to/program", "*"));
    yard.up(&(config + "[services.task]\nbackend = { type = \"own\", binary = \"sleep\", args = [1000] }\n"));
    let pid = yard.pid("task");
    fs::copy(fixture("process-next"), yard.file("own.wasm")).expect("the yard is ours");
    yard.run("plugin upgrade own ./own.wasm --watch 1s").ok();
    yard.run("apply").ok();
    let own = yard.plugin("own");
    assert_eq!([&own["plugin_version"], &own["upgraded"]["watched"]], [&json!("0.2.0"), &json!(false)]);
    yard.run("plugin rollback own").ok();
    assert_eq!(yard.plugin("own")["plugin_version"], "0.1.0");
    assert_eq!(yard.pid("task"), pid);
}

const OWN: &str = "[services.task]\nbackend = { type = \"own\", binary = \"sleep\", args = [1000] }\n\
                   [services.fuse]\nbackend = { type = \"own\", binary = \"sleep\", args = [1000] }\n";

/// A yard whose backend `own` is pinned and runs two services.
fn pinned() -> Yard {
    let yard = Yard::new();
    yard.config("");
    fs::rename(yard.file("hostler.toml"), yard.file("elsewhere.toml")).expect("the yard is ours");
    std::os::unix::fs::symlink("elsewhere.toml", yard.file("hostler.toml")).expect("the yard is ours");
    fs::copy(hostler_e2e::root().join("target/plugins/process.wasm"), yard.file("own.wasm")).expect("the yard is ours");
    yard.run("plugin add own ./own.wasm --yes").ok();
    assert!(yard.read("elsewhere.toml").contains("[plugins.own]") && yard.file("hostler.toml").is_symlink(), "a link stays one");
    let config = unversioned(&yard.read("hostler.toml").replace("/path/to/program", "*"));
    yard.up(&(config + OWN));
    yard
}

#[test]
fn a_pin_that_an_upgrade_moved_holds_when_the_host_starts_again() {
    let yard = pinned();
    let pid = yard.pid("task");
    fs::copy(fixture("process-next"), yard.file("own.wasm")).expect("the yard is ours");
    yard.run("plugin upgrade own ./own.wasm --watch 1s").ok();
    yard.kill_host();
    yard.serve();
    let own = yard.plugin("own");
    assert_eq!([&own["state"], &own["plugin_version"]], ["ok", "0.2.0"], "{own:#}");
    assert_eq!(yard.pid("task"), pid);
}

#[test]
fn one_that_breaks_in_the_file_that_is_named_is_rolled_back_and_stays_so() {
    let yard = pinned();
    let (pid, old) = (yard.pid("task"), yard.plugin("own")["digest"].clone());
    fs::copy(fixture("turncoat"), yard.file("own.wasm")).expect("the yard is ours");
    yard.run("plugin upgrade own ./own.wasm --no-wait").ok();
    yard.run("stop fuse --no-wait").ok();
    hostler_e2e::until("it is rolled back", || yard.plugin("own")["digest"] == old);
    assert!(yard.plugin("own")["note"].to_string().contains("rolled back by itself"), "{:#}", yard.plugin("own"));
    yard.run("apply").ok();
    assert_eq!(yard.plugin("own")["digest"], old, "the file that broke is no newer wish");
    yard.kill_host();
    yard.serve();
    assert_eq!([&yard.plugin("own")["state"], &yard.plugin("own")["digest"]], [&json!("ok"), &old]);
    assert_eq!(yard.pid("task"), pid);
}
