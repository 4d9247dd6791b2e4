//! `validate`, `plan` and `apply`: only what changed is changed.

use hostler_e2e::{Value, Yard, json, root};

use crate::sleeper;

/// Who changes how, by name.
fn changes(plan: &Value) -> Vec<(&str, &str)> {
    let found = plan["changes"].as_array().into_iter().flatten();
    found.map(|change| (change["service"].as_str().unwrap_or_default(), change["change"].as_str().unwrap_or_default())).collect()
}

fn checked(interval: &str) -> String {
    format!("health_check = {{ type = \"command\", command = \"true\", interval = \"{interval}\" }}")
}

#[test]
fn a_plan_shows_every_kind_of_change_and_does_none() {
    let yard = Yard::new();
    yard.up(&(sleeper("live", &checked("1h")) + &sleeper("new-env", "") + &sleeper("same", "") + &sleeper("leaves", "")));
    let pids = ["live", "new-env", "same", "leaves"].map(|name| yard.pid(name));
    let generation = yard.get("/host").map(|host| host["generation"].clone());

    yard.config(
        &(sleeper("live", &checked("2h")) + &sleeper("new-env", "env = { COLOUR = \"red\" }") + &sleeper("same", "") + &sleeper("comes", "")),
    );
    let plan = yard.run("plan --json").json();
    let wanted = [("comes", "create"), ("leaves", "remove"), ("live", "update-live"), ("new-env", "recreate"), ("same", "unchanged")];
    let mut found = changes(&plan);
    found.sort_unstable();
    assert_eq!(found, wanted);
    assert_eq!(plan["applied"], false);
    let text = yard.run("plan").ok();
    assert!(
        text.contains("update-live  live     health_checks.command.interval 1h → 2h")
            && text.contains("recreate     new-env  env.COLOUR\n")
            && text.contains("1 unchanged"),
        "{text}"
    );
    assert_eq!(["live", "new-env", "same", "leaves"].map(|name| yard.pid(name)), pids);
    assert_eq!(yard.get("/host").map(|host| host["generation"].clone()), generation, "a plan changes nothing");

    yard.run("apply").ok();
    assert_eq!([yard.pid("live"), yard.pid("same")], [pids[0], pids[2]]);
    assert_ne!(yard.pid("new-env"), pids[1]);
    assert!(!hostler_e2e::alive(pids[3]) && yard.get("/services/leaves").is_none());
    assert_eq!(yard.status("comes"), "running");
    assert_eq!(yard.detail("live")["checks"][0]["interval_ms"], 7_200_000);
    let environment = std::fs::read(format!("/proc/{}/environ", yard.pid("new-env"))).expect("it runs");
    assert!(String::from_utf8_lossy(&environment).contains("COLOUR=red"));
}

#[test]
fn applying_the_same_again_changes_nothing() {
    let yard = Yard::new();
    yard.up(&(sleeper("db", &checked("1h")) + &sleeper("web", "dependencies = [\"db\"]")));
    let (pids, events) = (["db", "web"].map(|name| yard.pid(name)), yard.events().len());
    for line in ["apply", "up --detach"] {
        yard.run(line).ok();
    }
    assert!(yard.run("apply").ok().contains("nothing changes: 2 unchanged"));
    assert!(yard.run("plan").ok().contains("nothing changes: 2 unchanged"));
    assert_eq!(["db", "web"].map(|name| yard.pid(name)), pids);
    assert_eq!(yard.service("db")["health"], "healthy", "no verdict is reset");
    assert_eq!(yard.events().len(), events, "nothing happened");
}

#[test]
fn another_way_of_writing_is_no_change() {
    let yard = Yard::new();
    yard.up(&sleeper("db", "restart = { policy = \"always\", max_attempts = 3 }"));
    let db = yard.pid("db");
    yard.write("same.yaml", "version: \"1.0\"\nservices:\n  db:\n    backend: {type: process, binary: sleep, args: [1000]}\n    restart: always\n");
    let plan = yard.run("plan same.yaml --json").json();
    assert_eq!(changes(&plan), [("db", "unchanged")], "{plan:#}");
    yard.run("apply same.yaml").ok();
    assert_eq!(yard.pid("db"), db);
}

#[test]
fn a_changed_program_is_another_process() {
    let yard = Yard::new();
    yard.up(&(sleeper("db", "") + &sleeper("web", "dependencies = [\"db\"]")));
    let (db, web) = (yard.pid("db"), yard.pid("web"));
    yard.config(&(sleeper("db", "").replace("1000", "2000") + &sleeper("web", "dependencies = [\"db\"]")));
    let plan = yard.run("apply --json --no-wait").json();
    assert_eq!(changes(&plan), [("db", "recreate"), ("web", "unchanged")]);
    assert!(plan["changes"][0]["reasons"] == json!(["backend.args"]), "{plan:#}");
    yard.until_again("db", db);
    yard.until_status("web", "running");
    let line = std::fs::read_to_string(format!("/proc/{}/cmdline", yard.pid("db"))).expect("it runs");
    assert!(line.ends_with("sleep\x002000\x00"), "{line:?}, {web}");
}

#[test]
fn a_refused_file_changes_nothing() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    let (db, events) = (yard.pid("db"), yard.events().len());
    let cases = [
        (sleeper("db", "dependencies = [\"web\"]") + &sleeper("web", "dependencies = [\"db\"]"), "dependency cycle: db -> web -> db"),
        (sleeper("db", "dependencies = [\"dbb\"]") + &sleeper("dbc", ""), "there is no service `dbb`"),
        (sleeper("db", "").replace("args", "arguments"), "arguments"),
        (sleeper("db", "health_check = { type = \"http\", url = \"gopher://x\" }"), "url"),
        (sleeper("db", "").replace("1000", "true, [1]"), "args"),
        (sleeper("db", "backend = 5"), "backend"),
    ];
    for (config, words) in cases {
        yard.config(&config);
        for line in ["validate", "plan", "apply", "up --detach"] {
            let text = yard.run(line).fails(3);
            assert!(text.contains(words), "{line}: `{words}` is missing:\n{text}");
            assert!(text.contains("hostler.toml:") || text.contains("hostler.toml\n"), "{line} says where:\n{text}");
        }
    }
    assert_eq!((yard.pid("db"), yard.events().len()), (db, events));
}

#[test]
fn validate_needs_no_host_and_a_host_checks_more() {
    let yard = Yard::new();
    yard.config(&sleeper("db", "").replace("args", "arguments"));
    let text = yard.run("validate").ok();
    assert!(text.contains("hostler.toml is valid: 1 service; the settings of backends and checks are checked when a host runs"), "{text}");
    assert_eq!(yard.run("validate --json").json()["plugins_checked"], false);
    assert!(!yard.state().join("store.db").exists() && yard.processes().is_empty());

    yard.write("empty.toml", "version = \"1.0\"\n[services]\n");
    yard.run("serve --detach").ok();
    let text = yard.run("validate").fails(3);
    assert!(text.contains("unknown key `arguments`") && text.contains("known keys: args, binary"), "{text}");
    yard.config(&sleeper("db", ""));
    assert!(yard.run("validate").ok().ends_with("hostler.toml is valid: 1 service\n"));
    assert_eq!(yard.run("validate --json").json()["plugins_checked"], true);
    assert!(yard.run("ps").ok().contains("there are no services"));
}

#[test]
fn new_services_can_be_kept_stopped() {
    let yard = Yard::new();
    yard.up(&sleeper("db", ""));
    yard.config(&(sleeper("db", "") + &sleeper("web", "")));
    yard.run("apply --no-start").ok();
    assert_eq!([yard.status("db"), yard.status("web")], ["running", "stopped"]);
    yard.run("start web").ok();
    assert_eq!(yard.status("web"), "running");
}

#[test]
fn a_new_chance_comes_with_a_new_spec() {
    let yard = Yard::new();
    yard.config("[services.db]\nbackend = { type = \"process\", binary = \"./not-there\" }\nrestart = \"never\"");
    yard.run("up --detach").fails(1);
    assert_eq!(yard.status("db"), "failed");
    yard.config(&sleeper("db", "restart = \"never\""));
    yard.run("apply").ok();
    assert_eq!(yard.status("db"), "running");
}

#[test]
fn every_bad_file_is_refused_with_its_place_and_starts_nothing() {
    let yard = Yard::new();
    let folder = root().join("tests/bad-input");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("it is there").flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "message")
            || !path.is_file()
            || !path.with_file_name(format!("{}.message", entry.file_name().to_string_lossy())).exists()
        {
            continue;
        }
        let ran = yard.run(&format!("validate {} --json", path.display()));
        let text = ran.fails(3);
        let document: Value = hostler_e2e::parse(&text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", path.display()));
        let problems = document["problems"].as_array().map_or(0, Vec::len);
        assert!(problems > 0 && document["code"] == json!("config"), "{}: {document:#}", path.display());
        assert!(document["problems"][0]["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", path.display());
        seen += 1;
    }
    assert!(seen > 50, "only {seen} bad files");
    assert!(!yard.state().join("store.db").exists());
}
