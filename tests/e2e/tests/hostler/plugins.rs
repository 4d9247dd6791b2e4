//! Plugins as an operator meets them: built in, from a file, granted and not granted.

use std::fs;

use hostler_e2e::{Value, Yard, can, fixture, json, parent};

use crate::sleeper;

/// The stanza that a third-party backend needs.
const GRANTS: &str = "grants = { processes = { programs = [\"*\"] }, commands = { programs = [\"*\"] } }";

fn scratch(more: &str) -> String {
    format!("[plugins.scratch]\nsource = \"{}\"\n{more}\n", fixture("scratch").display())
}

fn plugin(yard: &Yard, name: &str) -> Value {
    yard.run(&format!("plugin inspect {name} --json")).json()["plugin"].clone()
}

#[test]
fn a_file_of_a_third_party_works_like_a_built_in() {
    let yard = Yard::new();
    let task = "[services.task]\nbackend = { type = \"scratch\", program = \"./task.sh\", args = [\"hello\"] }\n\
                health_check = { type = \"command\", command = \"sh\", args = [\"-c\", \"test \\\"$SCRATCH_TASK\\\" = yes\"], interval = \"100ms\" }\n\
                restart = { backoff = { initial = \"10ms\", jitter = 0 } }\n";
    yard.script("task.sh", "echo \"$1 from scratch\"; while :; do sleep 0.05; done");
    yard.up(&(scratch(GRANTS) + task + &sleeper("web", "dependencies = [\"task\"]")));
    let service = yard.service("task");
    assert_eq!([&service["status"], &service["health"], &service["backend"]], ["running", "healthy", "scratch"], "its check ran inside the task");
    let pid = yard.pid("task");
    assert_eq!(parent(pid), Some(yard.keeper_pid()));
    assert_eq!(yard.log("task"), ["hello from scratch"]);

    yard.kill_host();
    yard.serve();
    assert_eq!((yard.status("task").as_str(), yard.pid("task")), ("running", pid), "it is taken up again");
    hostler_e2e::kill(pid);
    yard.until_again("task", pid);

    let found = plugin(&yard, "scratch");
    assert_eq!([&found["state"], &found["role"], &found["default_grants"]], [&json!("ok"), &json!("backend"), &json!(false)]);
    assert_eq!(found["origin"], fixture("scratch").to_str().expect("a plain path"));
    assert_eq!(found["used_by"], json!(["task"]));
    assert!(found["counters"]["calls"].as_u64() > Some(2), "{found:#}");
    yard.run("down").ok();
    hostler_e2e::until("nothing is left", || yard.processes().is_empty());
}

#[test]
fn a_backend_without_logs_does_not_hide_the_logs_of_others() {
    let yard = Yard::new();
    let grants = "grants = { state = { bytes = \"64Ki\", keys = 1 } }";
    let silent =
        format!("[plugins.notes]\nsource = \"{}\"\n{grants}\n[services.silent]\nbackend = {{ type = \"notes\" }}\n", fixture("ledger").display());
    yard.script("talk.sh", "echo something; while :; do sleep 0.05; done");
    yard.up(&(silent + "[services.talker]\nbackend = { type = \"process\", binary = \"./talk.sh\" }\n"));
    hostler_e2e::until("it has said something", || !yard.log("talker").is_empty());
    let all = yard.run("logs");
    assert!(all.out.contains("something"), "{all:?}");
    assert!(all.err.contains("does not keep logs"), "{all:?}");
    assert_eq!(all.code, 0, "{all:?}");
    assert_ne!(yard.run("logs silent").code, 0, "who asks for this one is told that there is none");
}

#[test]
fn a_plugin_that_is_removed_leaves_nothing_to_the_next_of_its_name() {
    let yard = Yard::new();
    let plugin = |file: &str| {
        let grants = "grants = { commands = { programs = [\"*\"] }, state = { bytes = \"64Ki\", keys = 1 } }";
        format!("[plugins.notes]\nsource = \"{}\"\n{grants}\n", fixture(file).display())
    };
    let apply = |config: &str| {
        yard.config(&(sleeper("web", "") + config));
        yard.run("apply --no-wait").ok();
    };
    let task = |settings: &str| format!("[services.task]\nbackend = {{ type = \"notes\"{settings} }}\n");
    yard.up(&sleeper("web", ""));
    // It writes something down.
    apply(&(plugin("ungranted") + &task(", program = \"/bin/true\"")));
    yard.until_status("task", "running");
    apply(&plugin("ungranted"));
    hostler_e2e::until("its service is gone", || yard.get("/services/task").is_none());
    apply("");
    assert!(yard.get("/plugins/notes").is_none());

    apply(&(plugin("ledger") + &task("")));
    yard.until_status("task", "running");
    apply(&plugin("ledger"));
    hostler_e2e::until("its service is gone", || yard.get("/services/task").is_none());
    apply("");
    yard.kill_host();
    yard.serve();
    assert!(yard.get("/plugins/notes").is_none(), "it does not come back");
}

/// `process`, as a file of somebody's.
fn runner() -> String {
    let file = hostler_e2e::root().join("target/plugins/process.wasm");
    format!("[plugins.runner]\nsource = \"{}\"\ngrants = {{ processes = {{ programs = [\"*\"] }} }}\n", file.display())
}

#[test]
fn a_plugin_that_is_removed_together_with_its_services_ends_them_first() {
    let yard = Yard::new();
    let service = |name: &str| {
        format!(
            "[services.{name}]\nbackend = {{ type = \"runner\", binary = \"/bin/sh\", args = [\"-c\", \"trap '' TERM; while :; do sleep 0.1; done\"] }}\nstop = {{ grace = \"2s\" }}\n"
        )
    };
    let with = sleeper("web", "") + &runner();
    yard.up(&(with + &service("one") + &service("two")));
    let pids = ["one", "two"].map(|name| yard.pid(name));
    yard.config(&sleeper("web", ""));
    yard.run("apply --no-wait").ok();
    assert_eq!(yard.plugin("runner")["state"], "leaving");
    // The next host goes on with it.
    yard.kill_host();
    yard.serve();
    hostler_e2e::until("its services are gone", || yard.get("/services/one").is_none() && yard.get("/services/two").is_none());
    hostler_e2e::until("it is gone", || yard.get("/plugins/runner").is_none());
    assert!(pids.iter().all(|pid| !hostler_e2e::alive(*pid)));
    assert!(yard.events().iter().any(|event| event["kind"] == "plugin-removed"));
    yard.kill_host();
    yard.serve();
    assert!(yard.get("/plugins/runner").is_none(), "and it does not come back");
    yard.until_status("web", "running");
}

#[test]
fn settings_of_a_third_party_are_held_against_its_own_schema() {
    let yard = Yard::new();
    yard.config(&(scratch(GRANTS) + "[services.task]\nbackend = { type = \"scratch\", secnds = 5 }\n"));
    let text = yard.run("up --detach").fails(3);
    assert!(text.contains("unknown key `secnds`") && text.contains("did you mean `seconds`?") && text.contains("hostler.toml:6:"), "{text}");
    yard.config(&(scratch(GRANTS) + "[services.task]\nbackend = { type = \"scratch\", seconds = \"long\" }\n"));
    assert!(yard.run("up --detach").fails(3).contains("seconds"));
    yard.config(&(sleeper("web", "health_check = { type = \"process\" }") + "[services.x]\nbackend = { type = \"tcp\", port = 1 }\n"));
    let text = yard.run("up --detach").fails(3);
    assert!(
        text.contains("plugin `process` is a backend, not a health check") && text.contains("plugin `tcp` is a health check, not a backend"),
        "{text}"
    );
}

#[test]
fn without_its_grants_it_is_refused_and_the_stanza_to_paste_works() {
    let yard = Yard::new();
    let task = "[services.task]\nbackend = { type = \"scratch\" }\n";
    yard.config(&(scratch("") + task));
    let text = yard.run("up --detach --json").fails(3);
    let document: Value = hostler_e2e::parse(&text).expect("a document");
    let problems = document["problems"].as_array().cloned().unwrap_or_default();
    let hint = problems.iter().filter_map(|problem| problem["hint"].as_str()).find(|hint| hint.contains("[plugins.scratch.grants]"));
    let hint = hint.unwrap_or_else(|| panic!("no stanza: {document:#}"));
    assert!(problems.iter().any(|problem| problem["message"].as_str().is_some_and(|message| message.contains("was not granted"))), "{document:#}");
    assert!(yard.run("up --detach").fails(3).contains("[plugins.scratch.grants]"), "a person sees it, too");

    let stanza = &hint[hint.find("[plugins.scratch.grants]").expect("it is there")..];
    let stanza = stanza.replace("/path/to/program", "*");
    yard.up(&(scratch("") + &stanza + "\n" + task));
    assert_eq!(yard.status("task"), "running");
}

#[test]
fn what_says_it_needs_nothing_is_held_to_what_it_imports() {
    let yard = Yard::new();
    yard.config(&format!(
        "[plugins.sly]\nsource = \"{}\"\n[services.task]\nbackend = {{ type = \"sly\" }}\n{}",
        fixture("ungranted").display(),
        sleeper("db", "")
    ));
    let text = yard.run("up --detach").fails(3);
    assert!(text.contains("[plugins.sly.grants]") && text.contains("commands = ") && text.contains("state = "), "{text}");
    hostler_e2e::until("nothing was applied, and nothing is left", || yard.processes().is_empty());
}

#[test]
fn files_that_are_no_plugins_are_refused_with_their_reason() {
    let yard = Yard::new();
    let cases = [
        ("files/core-module", "component"),
        ("files/empty", "empty"),
        ("files/text", "WebAssembly"),
        ("files/truncated", "end"),
        ("wrong-world", "it is neither a backend nor a health check"),
        ("unknown-import", "acme:telepathy/minds"),
    ];
    yard.up(&sleeper("db", ""));
    let db = yard.pid("db");
    for (name, words) in cases {
        yard.config(&format!("{}[plugins.odd]\nsource = \"{}\"\n", sleeper("db", ""), fixture(name).display()));
        let text = yard.run("apply").fails(3);
        assert!(text.contains(words), "{name}: `{words}` is missing:\n{text}");
        assert!(!text.contains("panicked") && text.contains("hostler.toml:"), "{name}:\n{text}");
    }
    yard.config(&format!("{}[plugins.odd]\nsource = \"./not-there.wasm\"\n", sleeper("db", "")));
    let text = yard.run("apply").fails(3);
    assert!(text.contains("not-there.wasm cannot be read") && text.contains("put the component there"), "{text}");
    yard.config(&format!("{}[plugins.odd]\nsource = \".\"\n", sleeper("db", "")));
    assert!(yard.run("apply").fails(3).contains("it is not a file"));
    let huge = fs::File::create(yard.file("huge.wasm")).expect("the yard is ours");
    huge.set_len(200 << 20).expect("a hole takes no space");
    yard.config(&format!("{}[plugins.odd]\nsource = \"./huge.wasm\"\n", sleeper("db", "")));
    assert!(yard.run("apply").fails(3).contains("209715200 bytes are too many"));
    assert_eq!((yard.status("db").as_str(), yard.pid("db")), ("running", db), "services keep running");
}

#[test]
fn a_plugin_that_never_says_what_it_is_does_not_hold_up_the_host() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    yard.config(&format!("{}[plugins.endless]\nsource = \"{}\"\n", sleeper("db", ""), fixture("endless-describe").display()));
    let text = yard.run("apply").fails(3);
    assert!(text.contains("describe") && text.contains("no answer within"), "{text}");
    assert_eq!(yard.status("db"), "running");
}

#[test]
fn a_digest_holds_the_file_to_itself() {
    let yard = Yard::new();
    let wrong = format!("digest = \"sha256:{}\"\n{GRANTS}", "0".repeat(64));
    yard.config(&(scratch(&wrong) + "[services.task]\nbackend = { type = \"scratch\" }\n"));
    let text = yard.run("up --detach").fails(3);
    let digest = text.split("its digest is ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_else(|| panic!("no digest:\n{text}"));
    yard.up(&(scratch(&format!("digest = \"{digest}\"\n{GRANTS}")) + "[services.task]\nbackend = { type = \"scratch\" }\n"));
    assert_eq!(yard.status("task"), "running");
}

#[test]
fn built_ins_show_their_grants_and_give_them_up() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let list = yard.run("plugin list --json").json();
    let names: Vec<&str> = list["plugins"].as_array().into_iter().flatten().filter_map(|plugin| plugin["name"].as_str()).collect();
    for built_in in ["command", "http", "package", "process", "script", "ssh", "ssh-command", "systemd", "systemd-unit", "tcp"] {
        assert!(names.contains(&built_in), "{names:?}");
    }
    let process = plugin(&yard, "process");
    assert_eq!([&process["origin"], &process["state"], &process["default_grants"]], [&json!("built-in"), &json!("ok"), &json!(true)]);
    assert_eq!(process["grants"]["processes"]["programs"], json!(["*"]));
    assert!(
        process["imports"]
            .as_array()
            .is_some_and(|imports| imports.iter().any(|import| import.as_str().is_some_and(|name| name.starts_with("hostler:host/processes"))))
    );
    assert_eq!(process["abilities"], json!(["logs", "stats", "signals"]));
    let text = yard.run("plugin list --verbose").ok();
    assert!(text.contains("grants:") && text.contains("processes = ") && text.contains("(default)") && text.contains("limits:"), "{text}");
    let list = yard.run("plugin list").ok();
    assert!(list.lines().any(|line| line.starts_with("process ") && line.contains(" backend ")), "{list}");
    let detail = yard.run("plugin inspect process").ok();
    assert!(detail.contains("schema of its settings") && detail.contains("\"binary\""), "{detail}");

    let only = "[plugins.process]\nsource = \"built-in\"\ngrants = { processes = { programs = [\"/usr/bin/sleep\", \"sleep\"] } }\n";
    yard.config(&format!("{only}{}[services.sh]\nbackend = {{ type = \"process\", binary = \"sh\" }}\nrestart = \"never\"\n", sleeper("db", "")));
    let text = yard.run("up --detach").fails(1);
    assert!(text.contains("sh is failed") && text.contains("denied") && text.contains("program"), "{text}");
    assert_eq!([yard.status("db"), yard.status("sh")], ["running", "failed"]);
    let process = plugin(&yard, "process");
    assert_eq!(process["default_grants"], false);
    assert!(process["counters"]["denied"].as_u64() >= Some(1), "{process:#}");
    assert!(!yard.run("plugin inspect process").ok().contains("(default)"));

    let none = "[plugins.process]\nsource = \"built-in\"\ngrants = {}\n";
    yard.config(&format!("{none}{}", sleeper("db", "")));
    let text = yard.run("apply").fails(3);
    assert!(text.contains("[plugins.process.grants]"), "a built-in takes the same path: {text}");
}

#[test]
fn a_built_in_that_is_not_wanted_is_not_there() {
    let yard = Yard::new();
    yard.config(&format!("[settings]\nbuilt_in_plugins = [\"http\", \"tcp\"]\n{}", sleeper("db", "")));
    let text = yard.run("up --detach").fails(3);
    assert!(text.contains("there is no backend plugin `process`") && text.contains("[plugins.process] source = \"./process.wasm\""), "{text}");
    yard.config(&format!("[settings]\nbuilt_in_plugins = [\"process\", \"teleport\"]\n{}", sleeper("db", "")));
    assert!(yard.run("up --detach").fails(3).contains("there is no built-in plugin `teleport`"));
    yard.up(&format!("[settings]\nbuilt_in_plugins = [\"process\"]\n{}", sleeper("db", "")));
    let list = yard.run("plugin list --json").json();
    assert_eq!(list["plugins"].as_array().map(Vec::len), Some(1), "{list:#}");
}

#[test]
fn a_host_built_without_process_runs_no_process() {
    let program = std::env::var_os("HOSTLER_WITHOUT_PROCESS").map(std::path::PathBuf::from);
    if !can("a host built without plugins/process, named by HOSTLER_WITHOUT_PROCESS", program.is_some()) {
        return;
    }
    let program = program.expect("it was just looked at").canonicalize().expect("it is there");
    let yard = Yard::with(&sleeper("db", ""));
    let run = |line: &str| {
        let like = yard.command(line);
        let mut command = std::process::Command::new(&program);
        command.args(like.get_args()).current_dir(yard.path()).env("HOSTLER_STATE_DIR", yard.state());
        hostler_e2e::Ran::of(&mut command)
    };
    let text = run("up --detach").fails(3);
    assert!(text.contains("there is no backend plugin `process`") && text.contains("process.wasm"), "{text}");
    fs::copy(hostler_e2e::root().join("target/plugins/process.wasm"), yard.file("process.wasm")).expect("`make plugins` has made it");
    yard.config(&format!(
        "[plugins.process]\nsource = \"./process.wasm\"\ngrants = {{ processes = {{ programs = [\"*\"] }} }}\n{}",
        sleeper("db", "")
    ));
    run("up --detach").ok();
    assert_eq!(yard.status("db"), "running", "the same file beside it makes it whole");
    run("down").ok();
}

#[test]
fn a_plugin_that_went_away_between_two_hosts_is_told_of() {
    let yard = Yard::new();
    fs::copy(fixture("scratch"), yard.file("own.wasm")).expect("the yard is ours");
    yard.up(&format!("[plugins.own]\nsource = \"./own.wasm\"\n{GRANTS}\n[services.task]\nbackend = {{ type = \"own\" }}\n{}", sleeper("db", "")));
    let (task, db) = (yard.pid("task"), yard.pid("db"));
    yard.kill_host();
    fs::rename(yard.file("own.wasm"), yard.file("away.wasm")).expect("the yard is ours");
    yard.run("serve --detach").ok();
    let service = yard.until_service("task", "it is said why nobody knows", |service| service["status"] == "unknown");
    assert!(service["cause"].as_str().is_some_and(|cause| cause.contains("own.wasm")), "{service:#}");
    assert!(hostler_e2e::alive(task), "nothing is restarted, nothing collected");
    yard.until_status("db", "running");
    assert_eq!(yard.pid("db"), db);
    assert_eq!(plugin(&yard, "own")["state"], "refused");
    fs::rename(yard.file("away.wasm"), yard.file("own.wasm")).expect("the yard is ours");
    yard.run("apply").ok();
    yard.until_status("task", "running");
    assert_eq!(yard.pid("task"), task);
}
