//! What a plugin does, kept and played back; and one function of a component, called by hand.

use std::fs;
use std::path::{Path, PathBuf};

use hostler_e2e::{Page, Ran, Signal, Value, Yard, fixture, json, root, until};

/// The planted backend with one of its bugs; 0 is none.
fn planted(yard: &Yard, bug: u8) -> PathBuf {
    let mut bytes = fs::read(fixture("planted")).expect("it was built");
    let mark = b"planted-bug:";
    let at = bytes.windows(mark.len()).position(|window| window == mark).expect("its mark is in it") + mark.len();
    bytes[at..at + 2].copy_from_slice(format!("{bug:02}").as_bytes());
    yard.write(&format!("planted-{bug}.wasm"), bytes)
}

fn built_in(name: &str) -> PathBuf {
    root().join("target/plugins").join(format!("{name}.wasm"))
}

/// Records a plugin while something is done, and until its calls are in there.
fn recorded(yard: &Yard, name: &str, meanwhile: impl FnOnce(), calls: &[&str]) -> PathBuf {
    let recording = yard.stay(&format!("plugin record {name} --to {name}.jsonl --for 10m"));
    let to = format!("{name}.jsonl");
    until("it records", || !yard.read(&to).is_empty());
    let text = yard.run(&format!("plugin record {name} --to other.jsonl --for 1s")).fails(1);
    assert!(text.contains("is being recorded already"), "{text}");
    meanwhile();
    for call in calls {
        until(&format!("the recording has {call}"), || yard.read(&to).contains(call));
    }
    recording.signal(Signal::INT);
    let (code, said) = recording.ends();
    assert_eq!(code, 0, "what came until then is kept: {said}");
    assert!(said.contains(" calls in "), "{said}");
    yard.file(&to)
}

fn replay(yard: &Yard, recording: &Path, component: &Path) -> Ran {
    yard.run(&format!("plugin replay {} {}", recording.display(), component.display()))
}

#[test]
fn what_was_recorded_plays_back_and_a_changed_plugin_is_found_out() {
    let yard = Yard::new();
    let honest = planted(&yard, 0);
    let grants = "grants = { processes = { programs = [\"*\"] }, commands = { programs = [\"*\"] } }";
    let check = "health_check = { type = \"command\", command = \"true\", run_in = \"host\", interval = \"100ms\" }";
    yard.up(&format!(
        "[plugins.planted]\nsource = \"{}\"\n{grants}\n\
         [services.web]\nbackend = {{ type = \"planted\", seconds = 1000, token = \"hush-hush-42\" }}\n{check}\n",
        honest.display()
    ));
    let restart = || drop(yard.run("restart web").ok());
    let backend = recorded(&yard, "planted", restart, &["backend.start", "backend.inspect", "backend.stop"]);
    let text = fs::read_to_string(&backend).expect("it was written");
    assert!(!text.contains("hush-hush-42"), "a secret is in the recording");
    let out = replay(&yard, &backend, &honest).ok();
    assert!(out.contains("calls went as they did then"), "{out}");

    let lies = replay(&yard, &backend, &planted(&yard, 4)).fails(1);
    assert!(lies.contains("backend.stop") && lies.contains("it called hostler:host/processes.stop, and does not now"), "{lies}");
    let shows = replay(&yard, &backend, &planted(&yard, 7)).fails(1);
    assert!(shows.contains("backend.start") && shows.contains("it answers something else"), "{shows}");

    let passed = || yard.read("command.jsonl").matches("\"Pass\"").count() >= 3;
    let check = recorded(&yard, "command", || until("it has passed some times", passed), &[]);
    let out = replay(&yard, &check, &built_in("command")).ok();
    let calls: usize = out.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number of calls");
    assert!(calls >= 3, "{out}");
    let other = replay(&yard, &check, &built_in("script")).fails(1);
    assert!(other.contains("health-check.check"), "{other}");

    let process = recorded(&yard, "process", || (), &[]);
    assert!(fs::read_to_string(process).expect("it was written").lines().next().is_some_and(|line| line.contains("\"recording\":1")));
}

#[test]
fn what_a_service_reads_from_secret_files_is_in_no_recording() {
    let yard = Yard::new();
    let canary = "canary-93be02d7";
    yard.write("password", format!("{canary}\n"));
    yard.up(&crate::sleeper("web", "env = { MODE = \"plain-mode\" }\nsecrets = { PASSWORD = \"./password\" }"));
    let file = recorded(&yard, "process", || drop(yard.run("restart web").ok()), &["backend.start"]);
    let text = fs::read_to_string(&file).expect("it was written");
    assert!(text.contains("backend.start") && text.contains("PASSWORD") && text.contains("plain-mode"), "{text}");
    assert!(!text.contains(canary), "a secret is in the recording: {text}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).expect("it is there").permissions());
    assert_eq!(mode & 0o077, 0, "what services are given is nobody else's to read");
    assert!(replay(&yard, &file, &built_in("process")).ok().contains("calls went as they did then"));
}

#[test]
fn what_is_no_recording_is_said_with_its_line() {
    let yard = Yard::new();
    let of = |text: &str| {
        yard.write("x.jsonl", text);
        replay(&yard, Path::new("x.jsonl"), &built_in("process")).fails(3)
    };
    assert!(of("").contains("the file is empty"));
    assert!(of("{}\n").contains("line 1"));
    let header = json!({ "recording": 1, "plugin": "p", "role": "backend", "digest": "", "owner": "o", "config": {}, "at": 0, "not_recorded": [] });
    assert!(of(&format!("{header}\nnonsense\n{{}}\n")).contains("line 2"));
    let newer = json!({ "recording": 9, "plugin": "p", "role": "backend", "digest": "", "owner": "o", "config": {}, "at": 0, "not_recorded": [] });
    assert!(of(&format!("{newer}\n")).contains("version 9"));
}

#[test]
fn one_function_is_called_by_hand() {
    let yard = Yard::new();
    let component = built_in("process");
    let call = |function: &str, arguments: &str| {
        let mut command = yard.command("plugin call");
        command.arg(&component).args([function, arguments]);
        Ran::of(&mut command)
    };
    let answer: Value = serde_json::from_str(&call("describe", "null").ok()).expect("JSON");
    assert_eq!(answer["name"], "process");
    let task = json!({
        "id": { "id": "main-web-0-1", "workspace": "main", "service": "web", "replica": 0, "run": 1 }, "spec-digest": "d",
        "settings": { "binary": "sleep", "args": ["5"] }, "env": {}, "resources": {}, "labels": {},
    });
    let answer: Value = serde_json::from_str(&call("start", &task.to_string()).ok()).expect("JSON");
    assert_eq!(answer["ok"]["version"], 1, "{answer}");
    let mut short = task.clone();
    short.as_object_mut().expect("an object").remove("spec-digest");
    let text = call("start", &short.to_string()).fails(2);
    assert!(text.contains("/task: `spec-digest` is missing"), "{text}");
    let text = call("start", &json!({ "id": "main-web" }).to_string()).fails(2);
    assert!(text.contains("/task/id: expected an object with id, workspace"), "{text}");
    let text = call("stop", "[{\"version\": 1, \"state\": \"{}\"}, null, \"soon\"]").fails(2);
    assert!(text.contains("/grace: expected a number"), "{text}");
    let text = call("strat", "null").fails(2);
    assert!(text.contains("backend.start"), "{text}");
    let answer: Value = serde_json::from_str(&call("validate", "[\"{}\"]").ok()).expect("JSON");
    assert!(answer["err"][0]["message"].as_str().is_some_and(|message| message.contains("binary")), "{answer}");
}

/// A service's whole life on the keeper's real processes, and a check over real connections.
#[test]
fn a_real_life_plays_back_bit_for_bit_without_the_host() {
    const CANARY: &str = "canary-5b1f09";
    // verdicts of each kind
    const SOME: usize = 3;
    let yard = Yard::new();
    let page = Page::new(yard.path(), "page");
    yard.write("token", CANARY);
    let check =
        format!("health_check = {{ type = \"http\", url = \"{}\", interval = \"100ms\", timeout = \"5s\", start_period = \"1m\" }}", page.url());
    yard.up(&format!("[services.web]\nbackend = {}\nsecrets = {{ TOKEN = \"./token\" }}\n{check}\n", page.backend()));
    yard.until_service("web", "it is healthy", |service| service["health"] == "healthy");

    // what has ended is kept until the next one of its slot has ended, too
    let twice = || drop((yard.run("restart web").ok(), yard.run("restart web").ok()));
    let life = recorded(&yard, "process", twice, &["backend.start", "backend.inspect", "backend.stop", "backend.destroy"]);
    let text = fs::read_to_string(&life).expect("it was written");
    assert!(text.contains("\"TOKEN\"") && text.contains("[redacted]"), "its place is kept: {text}");
    assert!(!text.contains(CANARY), "a secret of the service is in the recording");
    let some = |verdict: &str| until(verdict, || yard.read("http.jsonl").matches(verdict).count() >= SOME);
    let fails = || {
        some("\"Pass\"");
        page.answers("503 no");
        some("\"Fail\"");
    };
    let checks = recorded(&yard, "http", fails, &[]);
    yard.run("down").ok();

    let out = replay(&yard, &life, &built_in("process")).ok();
    assert!(out.contains("calls went as they did then") && !out.contains("left out"), "{out}");
    let out = replay(&yard, &checks, &built_in("http")).ok();
    let calls: usize = out.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number of calls");
    assert!(calls >= 2 * SOME && !out.contains("left out"), "both of its verdicts are in it: {out}");

    let other = replay(&yard, &life, &fixture("scratch"));
    assert!(other.code == 1 && other.out.contains("then: ") && other.out.contains("now:  "), "{}{}", other.out, other.err);
    let other = replay(&yard, &checks, &built_in("tcp")).fails(1);
    assert!(other.contains("call ") && other.contains("health-check."), "{other}");
}
