//! Every promise of the contract, tried on the real thing.

use hostler_e2e::{json, root};

use super::Far;

/// Too long for one command each, and about the room that runs plugins rather than this one.
const ELSEWHERE: [&str; 1] = ["sequence"];

#[test]
fn it_keeps_the_contract_against_a_real_sshd() {
    let Some(far) = Far::boot() else { return };
    let component = root().join("target/plugins/ssh.wasm");
    let grants = root().join("plugins/ssh/grants.json");
    let settings = json!({
        "host": "127.0.0.1", "port": far.host.ssh_port(), "user": "deploy", "key_file": far.host.key_file(), "known_hosts": far.host.known_hosts(),
        "binary": "/bin/sleep", "args": [6101],
    });
    let config = json!({ "control_dir": far.yard.file("c") });
    let list = far.yard.run("plugin check --list --json").documents();
    let cases = list[0]["cases"].as_array().expect("a list of cases");
    let mut broken = Vec::new();
    for case in cases {
        let (name, group) = (case["name"].as_str().expect("it has a name"), case["group"].as_str().unwrap_or_default());
        if group == "checks" || ELSEWHERE.contains(&name) {
            continue;
        }
        let line = format!(
            "plugin check {} --against real --grants {} --settings {settings} --config {config} --case {name}",
            component.display(),
            grants.display()
        );
        let ran = far.yard.run(&line);
        if ran.code != 0 {
            broken.push(format!("{name}: {}{}", ran.out, ran.err));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert_eq!(far.processes("/bin/sleep 6101"), Vec::<u32>::new(), "nothing is left over there");
}
