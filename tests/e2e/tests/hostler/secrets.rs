//! Secrets that plugins are granted by name: they are used, and stand nowhere.

use std::fs;
use std::path::{Path, PathBuf};

use hostler_e2e::{Yard, fixture};

use crate::sleeper;

/// What nobody may find anywhere.
const CANARY: &str = "canary-41d0c7e2";

fn keyring(names: &str) -> String {
    let grants = format!(
        "secrets = {names}, secrets-reveal = [\"token\"], commands = {{ programs = [\"/bin/sh\"] }}, \
         processes = {{ programs = [\"/bin/sh\"] }}, http = {{ hosts = [\"http://127.0.0.1:*\"] }}"
    );
    format!("[secrets.token]\nfile = \"token.txt\"\n[plugins.keyring]\nsource = \"{}\"\ngrants = {{ {grants} }}\n", fixture("keyring").display())
}

/// Every file below a directory, and what is in it.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("the directory is ours").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("it is there"));
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push((path.clone(), fs::read(&path).unwrap_or_default()));
        }
    }
    found
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_secret_is_used_and_stands_nowhere() {
    let yard = Yard::new();
    yard.write("token.txt", format!("{CANARY}\n"));
    let said = yard.file("said");
    // Into a command, which tells it to everybody; to the plugin; into a line; and one that was not granted.
    let steps = format!(
        "{{ run = [\"printf %s $SECRET > {}; cat; echo $SECRET >&2\", \"{{token}}\", \"{{token}}\"] }}, {{ reveal = \"token\" }}, \
         {{ log = \"it is {{token}}\" }}, {{ fetch = [\"GET\", \"http://127.0.0.1:1/\", \"x\", \"{{token}}\"] }}, {{ place = \"other\" }}",
        said.display()
    );
    yard.up(&(keyring("[\"token\"]") + &sleeper("web", &format!("health_check = {{ type = \"keyring\", do = [{steps}], interval = \"100ms\" }}"))));
    yard.until_service("web", "it is healthy", |service| service["health"] == "healthy");
    assert_eq!(fs::read_to_string(&said).expect("the command ran"), CANARY, "without the newline at its end");
    fs::remove_file(&said).expect("ours");
    hostler_e2e::until("it was checked again", || said.exists());

    let events = yard.run("events --json").ok();
    let event = |kind: &str| {
        let lines = events.lines().filter_map(|line| hostler_e2e::parse::<hostler_e2e::Value>(line).ok());
        lines.into_iter().find(|event| event["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {events}"))
    };
    let revealed = event("secret-revealed");
    assert_eq!([&revealed["data"]["plugin"], &revealed["data"]["secret"], &revealed["data"]["function"]], ["keyring", "token", "health-check.check"]);
    let denied = event("plugin-denied");
    let told = ["plugin", "capability", "what", "function"].map(|key| denied["data"][key].clone());
    assert_eq!(told, ["keyring", "secrets", "the secret `other`", "health-check.check"]);
    assert!(denied["data"]["revision"].as_str().is_some_and(|revision| revision.len() == 16), "{denied:#}");
    assert!(denied["data"]["subject"].as_str().is_some_and(|subject| subject.contains("web")), "{denied:#}");

    for command in [
        "ps --json",
        "status web --json",
        "status --json",
        "explain web --json",
        "events --json",
        "health --json",
        "plugin inspect keyring --json",
        "logs web",
    ] {
        assert!(!yard.run(command).ok().contains(CANARY), "{command}");
    }
    yard.run("down").ok();
    let files = files(yard.state());
    assert!(files.iter().any(|(path, _)| path.ends_with("store.db")) && files.iter().any(|(path, _)| path.ends_with("host.log")), "{}", files.len());
    for (path, bytes) in files {
        assert!(!has(&bytes, CANARY), "{}", path.display());
    }
}

#[test]
fn a_setting_that_its_schema_marks_is_shown_nowhere() {
    let yard = Yard::new();
    let config = |tone: &str| {
        let check = format!("health_check = {{ type = \"always\", verdict = \"pass\", tone = {tone}, interval = \"100ms\" }}");
        format!("[plugins.always]\nsource = \"{}\"\n{}", fixture("always").display(), sleeper("web", &check))
    };
    yard.up(&config("\"canary-one\""));
    yard.until_service("web", "it is healthy", |service| service["health"] == "healthy");
    let quiet = |command: &str, text: &str| assert!(!text.contains("canary"), "{command}: {text}");
    yard.config(&config("[\"canary-wrong\"]"));
    let text = yard.run("validate").fails(3);
    assert!(text.contains("not shown: it is a secret"), "{text}");
    let problem = text.split("tone = [").next().map(str::to_owned).unwrap_or_default();
    quiet("validate", &problem);
    yard.config(&config("\"canary-two\""));
    let plan = yard.run("plan --json").ok();
    assert!(plan.contains(".tone"), "{plan}");
    quiet("plan", &plan);
    yard.run("apply").ok();
    for command in
        ["plan", "status web --json", "explain web --json", "events --json", "health --json", "plugin inspect always --json", "graph --json"]
    {
        quiet(command, &yard.run(command).ok());
    }
    hostler_e2e::until("it is written down", || yard.read("state/services/web/config.yaml").contains("tone: \"[redacted]\""));
    yard.run("down").ok();
    // the books have what was applied: a host that starts again needs it
    for (path, bytes) in files(yard.state()).into_iter().filter(|(path, _)| !path.to_string_lossy().contains("store.db")) {
        assert!(!has(&bytes, "canary"), "{}", path.display());
    }
}

#[test]
fn a_grant_of_an_unknown_secret_is_refused() {
    let yard = Yard::new();
    yard.write("token.txt", CANARY);
    yard.config(&(keyring("[\"tokn\"]") + &sleeper("web", "")));
    for command in ["validate", "up --detach"] {
        let text = yard.run(command).fails(3);
        assert!(text.contains("there is no secret of this name") && text.contains("did you mean `token`?"), "{command}: {text}");
        assert!(!text.contains(CANARY), "{command}");
    }
}

#[test]
fn secrets_outlive_the_host_by_name() {
    let yard = Yard::new();
    yard.write("token.txt", "first");
    let step = format!("{{ run = [\"printf %s $SECRET > {}\", \"{{token}}\", \"\"] }}", yard.file("said").display());
    yard.up(&(keyring("[\"token\"]") + &sleeper("web", &format!("health_check = {{ type = \"keyring\", do = [{step}], interval = \"50ms\" }}"))));
    hostler_e2e::until("it is used", || yard.read("said") == "first");
    yard.kill_host();
    yard.write("token.txt", "second");
    yard.serve();
    hostler_e2e::until("it is used anew", || yard.read("said") == "second");
}
