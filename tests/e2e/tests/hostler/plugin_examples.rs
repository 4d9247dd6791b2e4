//! The plugins of `examples/plugins`: each keeps the contract, and each does in its own service file what it is for.

use std::path::PathBuf;
use std::process::Command;

use hostler_e2e::{Ran, Yard, alive, free_port, kill, root, until, until_some_within};

use crate::templates::COMPILING;

/// What `scripts/examples.sh` built.
fn component(name: &str) -> PathBuf {
    let path = root().join("target/examples").join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is missing: run `make examples`", path.display());
    path
}

/// A yard with everything of an example's folder in it, and its component beside the service file.
struct Example {
    yard: Yard,
    variables: Vec<(&'static str, String)>,
}

impl Example {
    fn new(name: &str) -> Example {
        let yard = Yard::new();
        let copied =
            Command::new("cp").arg("-rL").arg(format!("{}/.", root().join("examples/plugins").join(name).display())).arg(yard.path()).status();
        assert!(copied.is_ok_and(|status| status.success()), "the example can be copied");
        std::fs::copy(component(name), yard.file(&format!("{name}.wasm"))).expect("the yard is ours");
        Example { yard, variables: vec![("PORT", free_port().to_string())] }
    }

    fn run(&self, line: &str) -> Ran {
        Ran::within(COMPILING, self.yard.command(line).envs(self.variables.iter().map(|(name, value)| (*name, value.as_str()))))
    }

    /// The last thing that the first check of a service said.
    fn said(&self, service: &str) -> String {
        let detail = self.yard.detail(service);
        let last = detail["checks"][0]["history"].as_array().and_then(|history| history.last());
        last.and_then(|result| result["message"].as_str()).unwrap_or_default().to_owned()
    }
}

/// The fake host's answer to all of the contract's promises; a table with what is not kept when one is not.
fn keeps_the_contract(name: &str) {
    let yard = Yard::bare();
    let said = Ran::within(COMPILING, &mut yard.command(&format!("plugin check {}", component(name).display()))).ok();
    assert!(said.contains(" 0 failed"), "{said}");
}

#[test]
fn cron_in_python_keeps_the_contract() {
    keeps_the_contract("cron-python");
}

#[test]
fn json_in_javascript_keeps_the_contract() {
    keeps_the_contract("json-javascript");
}

#[test]
fn banner_in_c_keeps_the_contract() {
    keeps_the_contract("banner-c");
}

#[test]
fn site_in_rust_keeps_the_contract() {
    keeps_the_contract("site-rust");
}

#[test]
fn jobs_run_when_they_are_due_also_while_no_host_is_there() {
    let example = Example::new("cron-python");
    let yard = &example.yard;
    let host = yard.stay("serve");
    until("the host is there", || yard.get("/services").is_some());
    example.run("apply").ok();
    // `date -u`, and what the runner says around it
    let runs = || example.run("logs clock").ok().lines().filter(|line| line.contains("cron: ended with 0")).count();
    until("the job ran twice", || runs() >= 2);
    assert!(example.run("logs clock").ok().contains(" UTC "), "the job's own lines are there");
    let (runner, before) = (yard.pid("clock"), runs());

    kill(host.pid());
    drop(host);
    assert!(alive(runner), "the keeper holds it");
    let host = yard.stay("serve");
    until_some_within(COMPILING, "the next host is there", || {
        assert!(alive(host.pid()), "{}", host.said());
        yard.get("/services/clock").filter(|detail| detail["service"]["status"] == "running")
    });
    until("the job ran on", || runs() > before);
    assert_eq!(yard.pid("clock"), runner, "the same runner goes on");

    example.run("down").ok();
    until("nothing is left", || !alive(runner) && yard.processes().is_empty());
    drop(host);
}

#[test]
fn a_json_document_is_judged() {
    let mut example = Example::new("json-javascript");
    example.run("up --detach").ok();
    assert_eq!(example.yard.service("api")["health"], "healthy");
    assert!(example.said("api").contains("all 2 expectations hold"), "{}", example.said("api"));

    example.variables.push(("QUEUE", "30".to_owned()));
    example.run("apply --no-wait").ok();
    until("the document is not as expected", || example.said("api").contains("/queue/length is not at most 10"));
    example.run("down").ok();
}

#[test]
fn a_banner_is_judged() {
    let example = Example::new("banner-c");
    example.run("up --detach").ok();
    assert_eq!(example.yard.service("mail")["health"], "healthy");
    assert!(example.said("mail").contains("greets as it should"), "{}", example.said("mail"));

    let file = example.yard.read("hostler.toml").replace("\"220 mail.example ready\"", "\"554 go away\"");
    example.yard.write("hostler.toml", file);
    example.run("apply --no-wait").ok();
    until("it greets otherwise", || example.said("mail").contains("greets with something else than `starts_with`"));
    assert!(!example.said("mail").contains("554"), "nothing that it said leaves the plugin");
    example.run("down").ok();
}

#[test]
fn a_folder_is_served() {
    let example = Example::new("site-rust");
    example.run("up --detach").ok();
    let port = &example.variables[0].1;
    let service = example.yard.detail("docs");
    assert_eq!(example.yard.service("docs")["health"], "healthy", "{service:#}");
    assert_eq!(service["replicas"][0]["endpoints"][0]["port"].to_string(), *port, "{service:#}");
    until("the server's own lines are in the log", || example.run("logs docs").ok().contains("GET / HTTP/1.1"));
    example.run("down").ok();
    until("nothing is left", || example.yard.processes().is_empty());
}

#[test]
fn what_starts_after_it_knows_where_it_listens() {
    let example = Example::new("site-rust");
    let port = example.variables[0].1.clone();
    let reader = r#"
[services.reader]
backend = { type = "process", binary = "sh", args = ["-c", "echo reads $SITE at $0; exec sleep 1000", "${services.docs.endpoints.http.port}"] }
env = { SITE = "http://${services.docs.endpoint}/" }
dependencies = ["docs"]
health_check = { type = "http", url = "http://${services.docs.endpoint}/", body_contains = "Served by", interval = "1s" }
"#;
    let file = example.yard.read("hostler.toml");
    example.yard.write("hostler.toml", format!("{file}{reader}"));
    example.run("up --detach").ok();
    assert_eq!(example.yard.service("reader")["health"], "healthy", "{}", example.said("reader"));
    until("it says what it was told", || example.run("logs reader").ok().contains(&format!("reads http://127.0.0.1:{port}/ at {port}")));
    let plan = example.run("plan --json").json();
    let change = plan["changes"].as_array().and_then(|changes| changes.iter().find(|change| change["service"] == "reader"));
    assert!(change.is_some_and(|change| change["change"] == "unchanged"), "what was filled in is no change: {plan}");

    // Without an edge nobody knows that it is there.
    example.yard.write("hostler.toml", format!("{file}{}", reader.replace("dependencies = [\"docs\"]\n", "")));
    let text = example.run("validate").fails(3);
    assert!(text.contains("`${services.docs.endpoint}` refers to a service that is not among the dependencies"), "{text}");
    example.run("down").ok();
    until("nothing is left", || example.yard.processes().is_empty());
}
