//! `hostler import`: what it writes is read without a mistake, and the command says what it did.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hostler::config::load;
use hostler::door;
use hostler_compose::{Request, Variable, World, import};
use proptest::prelude::{Strategy, any, prop, proptest};
use serde_json::Value;

fn stacks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/compose/tests/stacks").canonicalize().expect("the folder is part of the repository")
}

/// A file with the `#` before its grants taken away, as its reader is told to do.
fn granted(text: &str) -> String {
    let (mut lines, mut within) = (Vec::new(), false);
    for line in text.lines() {
        within = line == "# [plugins.docker.grants]" || within && line.starts_with('#');
        lines.push(if within { line.strip_prefix("# ").unwrap_or("") } else { line });
    }
    lines.join("\n")
}

#[test]
fn what_becomes_of_each_stack_is_a_good_service_file() {
    let mut cases = 0;
    for entry in fs::read_dir(stacks()).expect("readable") {
        let path = entry.expect("readable").path().join("hostler.toml");
        let text = fs::read_to_string(&path).expect("it was made");
        // Beside it, so that its paths lead where they should.
        let open = path.with_file_name(format!(".granted-{}.toml", std::process::id()));
        fs::write(&open, granted(&text)).expect("writable");
        for path in [&path, &open] {
            let loaded = load(path, &|name| (name != "UNSET").then(|| "1".to_owned())).map_err(|error| error.to_string());
            match loaded {
                Ok(loaded) => assert!(!loaded.config.services.is_empty()),
                Err(error) => {
                    fs::remove_file(&open).expect("it was written");
                    panic!("{error}");
                }
            }
        }
        fs::remove_file(&open).expect("it was written");
        cases += 1;
    }
    assert!(cases >= 7, "only {cases} cases");
}

fn hostler(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hostler"));
    command.current_dir(dir).args(args).env_clear().env("HOME", "/home/ann").env("TOKEN", "canary");
    command.output().expect("the program starts")
}

/// Exit code, standard output and standard error.
fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

const STACK: &str = "services:\n  web:\n    image: nginx:${TAG:-1}\n    environment: [TOKEN]\n    tty: true\n";

#[test]
fn the_file_of_this_directory_goes_to_standard_output_and_its_losses_to_the_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let (code, _, error) = told(&hostler(dir.path(), &["import"]));
    assert!(code == Some(2) && error.contains("there is no Compose file here"), "{code:?} {error}");
    fs::write(dir.path().join("compose.yaml"), STACK).expect("written");
    fs::write(dir.path().join("compose.override.yaml"), "services:\n  web: { hostname: over }\n").expect("written");
    let (code, text, error) = told(&hostler(dir.path(), &["import"]));
    assert_eq!(code, Some(0), "{error}");
    assert!(text.contains("TOKEN = \"${TOKEN}\"") && text.contains("hostname = \"over\"") && !text.contains("canary"), "{text}");
    assert!(error.starts_with("warning: compose.yaml:5:5: services.web.tty: "), "{error}");
}

#[test]
fn files_may_be_named_in_either_way_and_the_service_file_is_not_overwritten() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("a.yaml"), STACK).expect("written");
    fs::write(dir.path().join("b.yaml"), "services:\n  web: { image: b }\n").expect("written");
    fs::write(dir.path().join(".env"), "TAG=canary\n").expect("written");
    for named in [["a.yaml", "b.yaml"].as_slice(), &["-f", "a.yaml", "-f", "b.yaml"], &["a.yaml", "--file", "b.yaml"]] {
        let (code, text, error) = told(&hostler(dir.path(), &[["import", "--project", "Shop"].as_slice(), named].concat()));
        assert!(code == Some(0) && text.contains("image = \"b\"") && text.contains("shop_default"), "{named:?}: {text}{error}");
    }
    let write = ["import", "a.yaml", "-o", "hostler.toml"];
    let (code, text, _) = told(&hostler(dir.path(), &write));
    assert_eq!((code, text.as_str()), (Some(0), "hostler.toml: 1 service; 1 thing could not be carried\n"));
    let made = fs::read_to_string(dir.path().join("hostler.toml")).expect("it was made");
    assert!(made.contains("# From ./.env, which is not read by itself: TAG. Before `hostler up`: set -a; . ./.env; set +a\n"), "{made}");
    assert!(!made.contains("canary"), "{made}");
    let (code, _, error) = told(&hostler(dir.path(), &write));
    assert!(code == Some(1) && error.contains("hostler.toml is there already"), "{code:?} {error}");
    assert_eq!(told(&hostler(dir.path(), &[&write[..], &["--force"]].concat())).0, Some(0));
    let (code, text, error) = told(&hostler(dir.path(), &["--state-dir", "state", "validate"]));
    assert!(code == Some(0) && text.contains("1 service"), "{text}{error}");
}

#[test]
fn strict_writes_nothing_and_json_says_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("compose.yml"), STACK).expect("written");
    let (code, _, error) = told(&hostler(dir.path(), &["import", "--strict", "-o", "out.toml"]));
    assert!(code == Some(1) && error.contains("1 thing could not be carried"), "{code:?} {error}");
    assert!(!dir.path().join("out.toml").exists());
    let (code, text, error) = told(&hostler(dir.path(), &["import", "--json"]));
    let document: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, document["services"].as_u64(), error.as_str()), (Some(0), Some(1), ""), "{document}");
    assert_eq!((&document["notes"][0]["line"], &document["notes"][0]["key"]), (&Value::from(5), &Value::from("services.web.tty")));
    assert!(document["toml"].as_str().is_some_and(|toml| toml.contains("[services.web]")));
}

#[test]
fn mistakes_have_their_places_and_the_code_of_a_bad_configuration() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("compose.yaml"), "services:\n  web:\n    image: a\n    ports: [\"80:\u{1b}[31m\"]\n  db: {}\n").expect("written");
    let (code, text, error) = told(&hostler(dir.path(), &["import"]));
    assert_eq!((code, text.as_str()), (Some(3), ""), "{error}");
    assert!(!error.contains('\u{1b}'), "{error}");
    fs::write(dir.path().join("compose.yaml"), "services:\n  web:\n    image: a\n    ports: [\"80:http\"]\n  db: {}\n").expect("written");
    let (_, _, error) = told(&hostler(dir.path(), &["import"]));
    assert!(error.contains("compose.yaml:4:13: services.web.ports[0]: this is no port\n  hint: ") && error.contains("2 problems"), "{error}");
    let (code, _, error) = told(&hostler(dir.path(), &["import", "--json"]));
    let failure: Value = serde_json::from_str(&error).expect("JSON");
    assert_eq!((code, &failure["problems"][1]["line"]), (Some(3), &Value::from(5)), "{failure}");
    fs::write(dir.path().join(".env"), "canary\n").expect("written");
    let (code, _, error) = told(&hostler(dir.path(), &["import"]));
    assert!(code == Some(3) && error.contains(".env: line 1 has no `=`") && !error.contains("canary"), "{error}");
}

/// A world of one file and two variables.
struct One(String);

impl World for One {
    fn text(&self, _: &Path) -> Result<String, String> {
        Ok(self.0.clone())
    }

    fn variables(&self, _: &Path) -> Result<Vec<(String, String)>, String> {
        Ok(Vec::new())
    }

    fn variable(&self, name: &str) -> Option<Variable> {
        set(name).map(|value| Variable { value, file: None })
    }
}

fn set(name: &str) -> Option<String> {
    match name {
        "SET" => Some("a ${b} $$ 'c' \"d\"".to_owned()),
        "N" => Some("7".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// What a service may say, one or none of each line.
const KEYS: [[&str; 4]; 22] = [
    ["command: a ${SET} 'b c' $$x", "command: [\"${N:-${SET}}\", \"$${x} $$$$\"]", "command: []", "command: \"\""],
    ["entrypoint: /x", "entrypoint: [a, 1, true]", "entrypoint: ${EMPTY}", "entrypoint: []"],
    [
        "environment: { A: 1, b.c: \"\\\\ ' \\\"\", 1bad: x, N: }",
        "environment: [SET, NOT, A=$$, \"B=${SET:+x}\"]",
        "environment: {}",
        "environment: [\"=x\"]",
    ],
    ["ports: [80, \"${N}:80\", \"1-3:4-6/udp\"]", "ports: [{ target: 80, host_ip: 127.0.0.1 }]", "ports: []", "ports: [\"::1:80:80\"]"],
    ["volumes: [/a, ./b:/c:ro, v:/d]", "volumes: [\"${SET}:/x\"]", "volumes: [{ type: tmpfs, target: /t }]", "volumes: [\"~/x:/${N}\"]"],
    [
        "depends_on: [a]",
        "depends_on: { b: { condition: service_healthy } }",
        "depends_on: { a: { condition: service_completed_successfully } }",
        "depends_on: { z: { condition: service_started, required: false } }",
    ],
    [
        "healthcheck: { test: x, interval: 1.5s }",
        "healthcheck: { test: NONE }",
        "healthcheck: { interval: 0s, retries: 5000 }",
        "healthcheck: { test: [CMD, \"$$(x)\"] }",
    ],
    ["restart: always", "restart: on-failure:3", "restart: \"no\"", "restart: unless-stopped"],
    [
        "deploy: { replicas: 0, labels: { \"a b\": c } }",
        "deploy: { resources: { limits: { cpus: \"0.0001\", memory: 1b, pids: 3 } } }",
        "deploy: { restart_policy: { delay: 0s, window: 1h } }",
        "deploy: { mode: global }",
    ],
    ["scale: ${N}", "scale: 3", "scale: 1000", "scale: 1"],
    ["cpus: 0.5", "cpus: 0", "cpus: 4096", "cpus: 1e-9"],
    ["mem_limit: 512m", "mem_limit: 1.0000001g", "mem_limit: -1", "mem_limit: 0"],
    ["stop_signal: 15", "stop_signal: SIGRTMIN+3", "stop_signal: usr1", "stop_signal: SIGWINCH"],
    ["stop_grace_period: 1h30m", "stop_grace_period: 10us", "stop_grace_period: 0s", "stop_grace_period: 1.5s"],
    ["networks: [default]", "networks: { n: { aliases: [\"${SET}\"] } }", "network_mode: host", "network_mode: service:a"],
    ["labels: [\"a=b\", \"c\"]", "labels: { \"x.y/z\": \"`a` \\t\" }", "labels: {}", "labels: [\"=\"]"],
    ["profiles: [p]", "profiles: []", "container_name: x_${N}", "hostname: \"${NOT}\""],
    ["env_file: a.env", "env_file: [{ path: a.env, required: false }]", "tmpfs: /x:size=1m,mode=1", "tmpfs: [/x, /x]"],
    [
        "ulimits: { nofile: 1, core: { soft: 0, hard: -1 } }",
        "logging: { driver: none, options: { \"a.b\": 1 } }",
        "extra_hosts: [\"a:1.2.3.4\"]",
        "shm_size: 64m",
    ],
    ["user: 1000:1000", "working_dir: /${N}", "init: yes", "privileged: true"],
    ["build: .", "build: { context: ., target: x }", "pull_policy: always", "pull_policy: every_2h"],
    ["secrets: [s]", "configs: [{ source: c, target: /c.conf }]", "cap_add: [ALL]", "security_opt: [\"seccomp=unconfined\"]"],
];

fn service() -> impl Strategy<Value = String> {
    let lines = KEYS.map(|choices| prop::option::weighted(0.3, prop::sample::select(choices.to_vec())));
    let named = prop::sample::select(vec!["image: x", "image: r.io/x:${N}", "image: \"x:${SET:?it must}\"", "image: x@sha256:00"]);
    (named, Vec::from(lines)).prop_map(|(image, lines)| {
        let lines: Vec<&str> = std::iter::once(image).chain(lines.into_iter().flatten()).collect();
        lines.iter().map(|line| format!("    {line}\n")).collect()
    })
}

proptest! {
    #[test]
    fn whatever_is_made_is_read_without_a_mistake(a in service(), b in service(), c in service(), names in any::<bool>()) {
        let (first, second) = if names { ("a", "b") } else { ("A.b", "a_B") };
        let tables = "networks: { n: }\nvolumes: { v: { external: true } }\nsecrets: { s: { file: s.txt } }\nconfigs: { c: { file: \"./c:d\" } }\n";
        let whole = format!("services:\n  a:\n{a}  b:\n{b}  {first}.x:\n{c}  {second}.x: {{ image: y }}\n{tables}");
        let here = PathBuf::from("/srv/shop");
        let request = Request { files: vec!["compose.yaml".into()], here: here.clone(), out_dir: here, ..Request::default() };
        // Two services that wait for each other are refused, and so is what Compose refuses.
        if let Ok(imported) = import(&request, &One(whole.clone())) {
            for text in [imported.toml.clone(), granted(&imported.toml)] {
                if let Err(error) = door::load_text(&text, "hostler.toml", Path::new("/nowhere"), &set) {
                    let other = error.problems().find(|problem| !problem.at.contains("/env_file"));
                    assert!(other.is_none(), "{other:?}\n{text}\n{whole}");
                }
            }
        }
    }
}
