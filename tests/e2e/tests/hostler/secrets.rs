//! Secrets that plugins are granted by name: they are used, and stand nowhere.

use std::fs;
use std::path::{Path, PathBuf};

use hostler_e2e::{Hook, Ran, Takes, Yard, fixture, free_port, raw_tcp};

use crate::tls::{Authority, has_openssl};
use crate::{sleeper, token};

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
fn the_doors_key_and_what_sinks_are_told_with_stand_nowhere() {
    if !has_openssl() {
        return;
    }
    let (yard, hook, port) = (Yard::new(), Hook::new(), free_port());
    Authority::new(&yard, "one").vouches("host", "/CN=hostler");
    yard.write("hook.key", format!("{CANARY}\n"));
    // Many a hook knows who may tell it something by its address alone.
    let url = hook.url().replace("/hook", "/canary-path?key=canary-query");
    let gone = "[services.gone]\nbackend = { type = \"process\", binary = \"false\" }\nrestart = { policy = \"never\" }\n";
    let config = |more: &str, gone: &str| {
        let sink = format!(
            "[sinks.ops]\ntype = \"webhook\"\nurl = \"{url}{more}\"\nsecret_file = \"hook.key\"\ngroup_wait = \"50ms\"\n[alerts.gone]\non = \"failed\"\n"
        );
        let listen = format!("[settings]\nlisten = {port}\ntls = {{ certificate = \"host.pem\", key = \"host.key\" }}\n");
        listen + &sink + gone + &sleeper("db", "")
    };
    hook.takes_next(&[Takes::Answering(500)]);
    yard.config(&config("", ""));
    Ran::of(yard.command("up --detach").env("HOSTLER_LOG", "debug")).ok();
    yard.config(&config("", gone));
    yard.run("apply --no-wait").ok();
    let token = token(&yard, "viewer", "viewer");
    hook.until_taken(1);
    assert!(
        hook.told().iter().all(|told| told.head.contains("canary-query") && told.head.contains("hostler-signature: ") && !told.head.contains(CANARY))
    );
    // In the clear at a door that has a key, and the key itself where a request might be quoted.
    raw_tcp(port, format!("GET /api/v1/host HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n").as_bytes());
    let key = yard.read("host.key");
    let key = key.lines().nth(1).expect("a key of more than one line");
    yard.config(&config("&more=canary-changed", gone));
    let plan = yard.run("plan --json").ok();
    yard.run("apply --no-wait").ok();
    // A key that cannot be read is told without what stands there.
    yard.write("host.key", format!("-----BEGIN PRIVATE KEY-----\n{key}\n"));
    hostler_e2e::until("it is told", || yard.run("status").ok().contains("the certificate before stays"));
    let is_quiet = |what: &str, text: &[u8]| {
        assert!(!has(text, key) && !has(text, "canary"), "{what}: {}", String::from_utf8_lossy(text));
    };
    is_quiet("plan", plan.as_bytes());
    for line in ["status --json", "events --json", "alerts --json", "explain gone --json", "audit --json", "doctor --json", "status"] {
        is_quiet(line, &Ran::of(&mut yard.command(line)).out.into_bytes());
    }
    is_quiet("metrics", &hostler_e2e::request(&yard.socket(), "GET", "/metrics", b"").expect("the host answers").body);
    for pid in yard.processes() {
        for file in ["cmdline", "environ"] {
            is_quiet(file, &fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default());
        }
    }
    yard.run("down").ok();
    for (path, bytes) in files(yard.state()) {
        assert!(!has(&bytes, key) && !has(&bytes, CANARY), "{}", path.display());
        // The books have what was applied: a host that starts again tells the same sink.
        assert!(path.to_string_lossy().contains("store.db") || !has(&bytes, "canary"), "{}", path.display());
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
